# Without Redis submits are still accepted, and run when it is back.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

my $tf = TaskForge->start;

my $before = $tf->submit({type => 'noop'})->{id};
is($tf->wait_for_end($before)->{status}, 'SUCCESS', 'all is well with Redis');

$tf->kill_part('redis');
my (@ids, @slow);
for my $n (1 .. 50) {
    my $begin = time;
    my $r = $tf->post('/api/v1/jobs', {type => 'noop', priority => $n % 11});
    push @slow, $n if time - $begin > 1;
    push @ids, $r->json->{id} if $r->status == 202;
}
is(scalar @ids, 50, '50 submits without Redis are answered 202');
is("@slow", '', 'each at once');
is(scalar(map { $_->{job} } @{$tf->post('/api/v1/jobs/batch', {jobs => [map { {type => 'noop'} } 1 .. 10]})->json->{items}}), 10, 'a batch too');
is($tf->job($ids[0])->{status}, 'QUEUED', 'they wait');
is($tf->get('/api/v1/jobs?limit=1')->status, 200, 'jobs can be listed meanwhile');

# it comes back with nothing: what it knew was not worth keeping
$tf->wipe_redis;
$tf->start_part('redis');
ok(wait_until(30, sub { $tf->sql_value("SELECT count(*) FROM jobs WHERE status = 'SUCCESS'") == 61 }), 'when Redis is back, empty, all of them run')
    or diag map {"@$_\n"} $tf->sql('SELECT status, count(*) FROM jobs GROUP BY 1');
is($tf->sql_value('SELECT count(*) FROM jobs WHERE attempt <> 1'), 0, 'each in one attempt');
my $after = $tf->submit({type => 'noop'})->{id};
is($tf->wait_for_end($after)->{status}, 'SUCCESS', 'and new ones as well');

done_testing;
