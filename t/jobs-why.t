# GET /jobs/{id}/why: why does it not run yet?
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Process qw(halt);
use TaskForge::Rows;

my $tf = TaskForge->start(parts => [qw(postgres redis nginx worker)], settings => {TASKFORGE_WORKER_CONCURRENCY => 1, TASKFORGE_WORKER_QUEUES => 'default,aside'});
sub why { my ($id) = @_; return $tf->get("/api/v1/jobs/$id/why")->json }
sub codes { my ($id) = @_; return [map { $_->{code} } @{why($id)->{reasons}}] }
sub reason { my ($id, $code) = @_; return (grep { $_->{code} eq $code } @{why($id)->{reasons}})[0] // {} }
# what the worker tells of itself with a heartbeat
sub soon { my ($id, $want) = @_; my $got; wait_until(20, sub { $got = codes($id); "@$got" eq "@$want" }); return $got }

my $done = $tf->submit({type => 'noop'})->{id};
$tf->wait_for_end($done);
is_deeply(codes($done), ['ended'], 'it has ended');
ok(reason($done, 'ended')->{finished_at}, 'and when');

# jobs that wait for the network take no executor
my @waiting = map { $tf->submit({type => 'echo', payload => {delay_ms => 600_000}})->{id} } 1 .. 2;
$tf->wait_for_status($_, 'RUNNING') for @waiting;
ok(wait_until(30, sub { $tf->get('/api/v1/workers')->json->{items}[0]{active} == 2 }), 'two jobs wait for the network, on one executor');
my ($aside) = $tf->insert_jobs(1, queue => "'aside'", enqueued_at => 'NULL'); # not in Redis
is_deeply(codes($aside), ['starting'], '... which is free');
$tf->post("/api/v1/jobs/$_/cancel", undef) for @waiting;
$tf->wait_for_end($_) for @waiting;

my $busy = $tf->submit({type => 'sleep', payload => {seconds => 600}})->{id};
$tf->wait_for_status($busy, 'RUNNING');
is_deeply(codes($busy), ['running'], 'it runs');
is(reason($busy, 'running')->{worker}, 'test/default', 'where');
ok(!why($busy)->{runnable}, 'it need not be run');

my @next = map { $tf->submit({type => 'noop'})->{id} } 1 .. 3;
my $first = $tf->submit({type => 'noop', priority => 'critical'})->{id};
is_deeply(soon($next[2], [qw(workers_busy jobs_before)]), [qw(workers_busy jobs_before)], 'all executors are busy, and others come first');
is(reason($next[2], 'jobs_before')->{count}, 3, 'so many: older ones of its level and those of higher levels');
is(reason($next[2], 'workers_busy')->{slots}, 1, 'of so many executors');
is(reason($next[0], 'jobs_before')->{count}, 1, 'only those');
is_deeply(codes($first), ['workers_busy'], 'nothing comes before the first');
ok(why($first)->{runnable}, 'it only waits for its turn');

my $later = $tf->submit({type => 'noop', delay_seconds => 3600})->{id};
is(codes($later)->[0], 'scheduled', 'it is scheduled');
is(reason($later, 'scheduled')->{due_at}, $tf->job($later)->{scheduled_at}, 'for then');
ok(!why($later)->{runnable}, 'not before');
$tf->sql("UPDATE jobs SET run_at = now() - interval '1 minute' WHERE id = '$later'");
is_deeply([@{codes($later)}[0, 1]], [qw(scheduled overdue)], 'it is overdue, because no scheduler runs');
$tf->sql("UPDATE jobs SET status = 'RETRYING', attempt = 2, error = 'no luck', run_at = now() + interval '1 hour' WHERE id = '$later'");
is(reason($later, 'retrying')->{last_error}, 'no luck', 'it waits for its next attempt, after that error');
like(reason($later, 'retrying')->{detail}, qr/^attempt 2 of 4 /, 'which was this one');
$tf->sql("UPDATE jobs SET expires_at = now() - interval '1 second', worker = 'test/default' WHERE id = '$later'");
is(reason($later, 'expired')->{code}, undef, 'it has begun, and does not expire');
$tf->sql("UPDATE jobs SET status = 'SCHEDULED', attempt = 0, worker = NULL WHERE id = '$later'");
is(reason($later, 'expired')->{code}, 'expired', 'one that has not is about to be cancelled');
like(reason($later, 'scheduled')->{detail}, qr/^it was put off: /, 'one that its worker had no room for was put off');

my $nobody = $tf->submit({type => 'noop', queue => 'elsewhere'})->{id};
is_deeply(codes($nobody), ['no_worker_for_queue'], 'no worker serves its queue');
ok(!why($nobody)->{runnable}, 'so it cannot run');
$tf->sql("INSERT INTO queues (name, state) VALUES ('elsewhere', 'paused')");
is_deeply(codes($nobody), [qw(queue_paused no_worker_for_queue)], 'and the queue is paused');
$tf->sql("UPDATE queues SET state = 'draining'");
is(codes($nobody)->[0], 'queue_draining', 'or drained');
$tf->sql("INSERT INTO queues (name, state) VALUES ('default', 'paused')");
ok(!why($first)->{runnable}, 'a job of a paused queue cannot run');
$tf->sql('DELETE FROM queues');

$tf->sql("INSERT INTO workers (id, hostname, pool, incarnation, status, pid, version, queues, concurrency, started_at, heartbeat_at, types)
    VALUES (gen_random_uuid(), 'other', 'x', 99, 'online', 1, 'x', '{else*}', 2, now(), now(), '{sleep}')");
is_deeply(codes($nobody), ['no_worker_for_type'], 'the worker of its queue does not know its type');
$tf->sql("UPDATE workers SET types = '{noop}', lowest_priority = 6, desired_status = 'quiet' WHERE hostname = 'other'");
is_deeply(codes($nobody), ['no_worker_for_priority'], 'or leaves jobs of its priority to others');
$tf->sql("UPDATE workers SET lowest_priority = 5 WHERE hostname = 'other'");
is_deeply(codes($nobody), ['workers_quiet'], 'or was told to take no jobs');
$tf->sql("UPDATE workers SET desired_status = NULL WHERE hostname = 'other'", "UPDATE jobs SET enqueued_at = now() WHERE id = '$nobody'");
is_deeply(codes($nobody), ['starting'], 'nothing is in its way');
$tf->sql("UPDATE jobs SET enqueued_at = now() - interval '1 minute' WHERE id = '$nobody'");
is_deeply(codes($nobody), ['awaiting_reconcile'], 'but then it should have run: Redis may have lost it');
halt($tf->part('worker')->pid); # with its next heartbeat it would register anew
$tf->sql("UPDATE workers SET status = 'lost'");
is_deeply(codes($nobody), ['no_worker'], 'no worker is alive');
$tf->part('worker')->signal('CONT');

ok($tf->get('/api/v1/jobs/01939d3e-0000-7000-8000-000000000000/why')->is_problem(404), 'a job that does not exist: 404');
$tf->expect_log(qr/./); # the worker finds itself lost

done_testing;
