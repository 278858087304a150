# POST /jobs/batch: up to 1,000 jobs in one request, each judged alone unless atomic.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

my $tf = TaskForge->start;

sub batch { my ($body) = @_; return $tf->post('/api/v1/jobs/batch', $body) }

subtest 'all good' => sub {
    my $r = batch({jobs => [map { {type => 'noop', name => "n$_"} } 0 .. 999]});
    is($r->status, 202, '1,000 jobs are accepted');
    my $items = $r->json->{items};
    is(scalar @$items, 1000, 'with one item each');
    is_deeply([map { $_->{index} } @$items], [0 .. 999], 'in the order of the request');
    is_deeply([map { $_->{job}{name} } @$items], [map {"n$_"} 0 .. 999], 'and each item holds its job');
    ok(wait_until(60, sub { $tf->sql_value("SELECT count(*) FROM jobs WHERE status = 'SUCCESS'") == 1000 }), 'all of them run');
};

subtest 'good and bad' => sub {
    my $r = batch({jobs => [{type => 'noop'}, {type => 'nosuch'}, {type => 'noop', priority => 11}, {type => 'noop'}, 7]});
    my $items = $r->json->{items};
    is_deeply([map { $_->{job} ? 'job' : $_->{problem}{status} } @$items], ['job', 422, 422, 'job', 422], 'the good ones are accepted, the bad ones are problems');
    is($items->[1]{problem}{errors}[0]{pointer}, '#/jobs/1/type', 'a pointer says what is wrong with the second');
    is($items->[2]{problem}{errors}[0]{pointer}, '#/jobs/2/priority', 'and with the third');
    is($tf->sql_value("SELECT count(*) FROM jobs"), 1002, 'only the good ones are rows');
};

subtest 'atomic' => sub {
    my $r = batch({atomic => true, jobs => [{type => 'noop'}, {type => 'nosuch'}]});
    ok($r->is_problem(422), 'one bad job refuses an atomic batch');
    is($r->json->{errors}[0]{pointer}, '#/jobs/1/type', 'and is pointed at');
    is($tf->sql_value("SELECT count(*) FROM jobs"), 1002, 'nothing was written');
    is(batch({atomic => true, jobs => [{type => 'noop'}, {type => 'noop'}]})->status, 202, 'a good atomic batch is accepted');
    is($tf->sql_value("SELECT count(*) FROM jobs"), 1004, 'as a whole');
};

subtest 'bounds' => sub {
    ok(batch({jobs => []})->is_problem(422), 'an empty batch is refused');
    ok(batch({jobs => [map { {type => 'noop'} } 0 .. 1000]})->is_problem(422), '1,001 jobs are refused');
    ok(batch({})->is_problem(422), 'jobs is required');
    ok(batch({jobs => {}})->is_problem(422), 'jobs must be an array');
    my $unknown = batch({jobs => [{type => 'noop'}], other => 1});
    ok($unknown->is_problem(422), 'an unknown field is refused');
    is($unknown->json->{errors}[0]{pointer}, '#/other', '... and named');
    ok(batch([])->is_problem(422) || batch([])->is_problem(400), 'an array is no batch');
    is($tf->sql_value("SELECT count(*) FROM jobs"), 1004, 'none of these wrote a row');
};

done_testing;
