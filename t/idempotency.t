# Idempotency-Key: the same submission twice is one job.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

# a job may take its time to its stream: where it took too long for the scheduler it would be there twice, which harms nobody but who counts
my $tf = TaskForge->start(parts => [qw(postgres redis worker nginx scheduler)], settings => {TASKFORGE_RECONCILE_GRACE_MS => 60_000}, edit => sub { $_[0] =~ s/worker_processes +auto/worker_processes 4/r });
$tf->stop_part('worker'); # it has told which types there are

sub submit { my ($key, $body, %headers) = @_; return $tf->post('/api/v1/jobs', $body, headers => {'Idempotency-Key' => $key, %headers}) }
sub jobs { return $tf->sql_value('SELECT count(*) FROM jobs') }

subtest 'one after the other' => sub {
    my $body = {type => 'noop', payload => {a => 1, b => [1, 2]}, delay_seconds => 3600};
    my $first = submit('order 1', $body);
    is($first->status, 202, 'the first is accepted');
    ok(!defined $first->header('idempotent-replayed'), 'and is no replay');
    my $again = submit('order 1', '{"payload": {"b":[1,2], "a":1},  "delay_seconds":3600, "type":"noop"}');
    is($again->status, 200, 'the same again, written otherwise, is answered 200');
    is($again->header('idempotent-replayed'), 'true', 'Idempotent-Replayed: true');
    is($again->json->{id}, $first->json->{id}, 'with the same job');
    is($again->header('location'), $first->header('location'), 'and its Location');
    is_deeply($again->json->{payload}, $body->{payload}, 'whole');
    my $other = submit('order 1', {%$body, priority => 9});
    ok($other->is_problem(422), 'another submission under the same key is refused');
    is(submit('order 2', $body)->status, 202, 'under another key it is another job');
    is($tf->post('/api/v1/jobs', {%$body, idempotency_key => 'order 1'})->json->{id}, $first->json->{id}, 'the key may be in the body');
    is(submit('order 3', {%$body, idempotency_key => 'order 3'})->status, 202, 'or in both');
    ok(submit('order 4', {%$body, idempotency_key => 'order 5'})->is_problem(422), 'but not two of them');
    is(jobs(), 3, 'three jobs in all');
};

subtest 'keys that are none' => sub {
    my $before = jobs();
    for my $key ('', 'k' x 256, "caf\xc3\xa9") {
        ok(submit($key, {type => 'noop'})->is_problem(422), 'refused: ' . (length $key > 20 ? length($key) . ' bytes' : "'$key'"));
    }
    for my $key ('', 'k' x 256, 7, "a\nb") {
        my $r = $tf->post('/api/v1/jobs', {type => 'noop', idempotency_key => $key});
        ok($r->is_problem(422) && $r->json->{errors}[0]{pointer} eq '#/idempotency_key', 'in the body too');
    }
    is(submit('k' x 255, {type => 'noop'})->status, 202, '255 bytes are taken');
    is(jobs(), $before + 1, 'no other job was made');
};

subtest '100 at once' => sub {
    for my $round (1 .. 5) {
        my @c = map { $tf->http->connect } 1 .. 100;
        my $before = jobs();
        $_->send_raw($_->format_request('POST', '/api/v1/jobs', body => {type => 'noop', name => "round $round"}, headers => {'Idempotency-Key' => "round-$round"})) for @c;
        my @r = map { $_->read_response } @c;
        my %ids = map { ($_->json->{id} // 'none') => 1 } @r;
        is(scalar(keys %ids), 1, '100 simultaneous submits through 4 processes are one job');
        is(scalar(grep { $_->status == 202 } @r), 1, 'one of them was accepted');
        is(scalar(grep { $_->status == 200 && $_->header('idempotent-replayed') } @r), 99, '99 are replays');
        is(jobs(), $before + 1, 'one row');
    }
    is($tf->sql_value("SELECT sum(n) FROM job_counts"), jobs(), 'and the counters agree');
    my $waiting = $tf->sql_value("SELECT count(*) FROM jobs WHERE status = 'QUEUED'");
    ok(wait_until(30, sub { $tf->redis('XLEN', 'tf:{default}:p5') == $waiting }), 'as does Redis');
};

subtest 'in a batch' => sub {
    my $before = jobs();
    my $post = sub { $tf->post('/api/v1/jobs/batch', {jobs => [@_]})->json->{items} };
    my @a = @{$post->({type => 'noop', idempotency_key => 'b1'}, {type => 'noop'}, {type => 'noop', idempotency_key => 'b2'}, {type => 'noop', idempotency_key => 'b1'})};
    is($a[3]{job}{id}, $a[0]{job}{id}, 'the same key twice in one batch is one job');
    ok($a[3]{replayed} && !$a[0]{replayed}, 'the second is marked');
    my @b = @{$post->({type => 'noop', idempotency_key => 'b2'}, {type => 'noop'}, {type => 'noop', priority => 1, idempotency_key => 'b1'}, {type => 'noop', idempotency_key => 'b3'})};
    is($b[0]{job}{id}, $a[2]{job}{id}, 'a later batch gets the first job');
    is($b[2]{problem}{status}, 422, 'or a problem where the submission is another');
    isnt($b[1]{job}{id}, $a[1]{job}{id}, 'without a key there is always a new one');
    is(jobs(), $before + 5, 'five new jobs');
    ok($tf->post('/api/v1/jobs/batch', {jobs => [{type => 'noop'}]}, headers => {'Idempotency-Key' => 'x'})->is_problem(422), 'the header is for one job');
    ok($tf->post('/api/v1/jobs/batch', {atomic => true, jobs => [{type => 'noop', idempotency_key => 'x'}]})->is_problem(422), 'an atomic batch takes no keys');
};

subtest 'what is gone' => sub {
    my $id = submit('gone', {type => 'noop'})->json->{id};
    $tf->post("/api/v1/jobs/$id/cancel");
    is($tf->api->delete("/api/v1/jobs/$id")->status, 204, 'a job is deleted');
    ok(submit('gone', {type => 'noop'})->is_problem(409), 'its key still is used: 409');
    $tf->sql("UPDATE idempotency_keys SET created_at = now() - interval '25 hours' WHERE key = 'gone'");
    $tf->stop_part('scheduler');
    $tf->start_part('scheduler');
    ok(wait_until(60, sub { !$tf->sql_value("SELECT count(*) FROM idempotency_keys WHERE key = 'gone'") }), 'after a day the scheduler forgets it');
    is($tf->sql_value("SELECT count(*) FROM idempotency_keys WHERE key = 'order 1'"), 1, 'and younger ones stay');
    is(submit('gone', {type => 'noop'})->status, 202, 'then it is free');
};

done_testing;
