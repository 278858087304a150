# What a worker takes: queues by pattern, down to a level, so many of a type; and how it is told to change while it runs.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Rows;

my $tf = TaskForge->start(parts => [qw(postgres redis nchan nginx scheduler)], handlers => 1, settings => {TASKFORGE_HEARTBEAT_SECONDS => 5, TASKFORGE_LOST_SECONDS => 20});
my $data = "$tf->{home}/data";

sub running { my ($where) = @_; return $tf->sql_value("SELECT count(*) FROM jobs WHERE status = 'RUNNING' AND $where") }
sub executors { my ($name) = @_; return scalar(my @all = TaskForge::Process::children_of($tf->part($name)->pid)) }
sub row { my ($name) = @_; return $tf->sql("SELECT id, status, concurrency FROM workers WHERE hostname = 'test" . ($name =~ s/^worker//r) . "'") }
sub order { my ($name, $action, $body) = @_; return $tf->post('/api/v1/workers/' . (row($name))[0][0] . "/$action", $body)->status }
sub submit { my ($type, %o) = @_; return $tf->submit({type => $type, payload => {}, %o})->{id} }
# a job that runs until release($file)
sub waits { my ($file, %o) = @_; return submit('test_chatty', payload => {lines => 1, until => $file}, %o) }
sub release { my ($file) = @_; open my $out, '>', "$data/$file" or die $!; close $out; return }

# queues by pattern
$tf->start_part('worker', TASKFORGE_WORKER_QUEUES => 'default,reports-*', TASKFORGE_WORKER_LABELS => 'zone=a,gpu=1');
is_deeply($tf->get('/api/v1/workers')->json->{items}[0]{labels}, {zone => 'a', gpu => 1}, 'a worker has labels');
my $new = submit('noop', queue => 'reports-2030');
is($tf->wait_for_end($new)->{status}, 'SUCCESS', 'a queue that matches a pattern is served as soon as it appears');
my $known = submit('noop', queue => 'reports-2030');
is($tf->wait_for_end($known)->{status}, 'SUCCESS', '... and from then on');
my $other = submit('noop', queue => 'invoices');
my $inner = $tf->submit({type => 'noop', queue => 'reports'})->{id};
is($tf->wait_for_end(submit('noop'))->{status}, 'SUCCESS', 'a queue that is named is served, too');

# a worker for everything
$tf->start_part('worker2', TASKFORGE_WORKER_QUEUES => '*', TASKFORGE_WORKER_INTERNAL => 'false', TASKFORGE_WORKER_LOWEST_PRIORITY => 5);
is($tf->wait_for_end($other)->{worker}, 'test2/default', 'no other queue is; a worker with * takes it');
is($tf->wait_for_end($inner)->{worker}, 'test2/default', '... and the one that only begins alike');
my ($internal) = $tf->insert_jobs(1, queue => "'_own'");

# down to a level
my $low = submit('noop', queue => 'invoices', priority => 4);
my $high = submit('noop', queue => 'invoices', priority => 5);
is($tf->wait_for_end($high)->{status}, 'SUCCESS', 'a pool that has a lowest level takes what is not below it');
is($tf->job($low)->{status}, 'QUEUED', '... and leaves the rest');
is($tf->get("/api/v1/jobs/$low/why")->json->{reasons}[0]{code}, 'no_worker_for_priority', '... and says so to who asks');
is_deeply({map { $_->{hostname} => $_->{lowest_priority} } @{$tf->get('/api/v1/workers')->json->{items}}}, {test => 0, test2 => 5}, '... as does the list of workers');
$tf->stop_part('worker2');
$tf->start_part('worker2', TASKFORGE_WORKER_QUEUES => '*', TASKFORGE_WORKER_INTERNAL => 'false');
is($tf->wait_for_end($low)->{status}, 'SUCCESS', '... to a pool that has none');
is($tf->status_of($internal), 'QUEUED', 'internal queues are not meant by *');
$tf->stop_part('worker2');

# so many of a type
$tf->stop_part('worker');
$tf->start_part('worker', TASKFORGE_TYPE_CONCURRENCY => 'test_chatty=2,noop=500', TASKFORGE_WORKER_CONCURRENCY => 4);
my @flood = map { waits("go$_") } 1 .. 8;
ok(wait_until(30, sub { running("type = 'test_chatty'") >= 2 }), 'jobs of a limited type run');
my @swift = map { submit('noop') } 1 .. 20;
is($tf->wait_for_end($_)->{status}, 'SUCCESS', 'jobs of another type are not kept waiting by them') for @swift[0, 10, 19];
ok(wait_until(30, sub { $tf->sql_value("SELECT count(*) FROM jobs WHERE type = 'test_chatty' AND status = 'SCHEDULED'") >= 4 }), 'those over the limit are put off');
is($tf->sql_value("SELECT max(attempt) FROM jobs WHERE type = 'test_chatty' AND status = 'SCHEDULED'"), 0, '... without an attempt');
# RUNNING are also those that the worker holds for a moment; a line of its log is from a job that really runs
sub chatting { return $tf->sql_value("SELECT count(DISTINCT job_id) FROM job_logs") }
wait_until(30, sub { chatting() >= 2 });
is(chatting(), 2, '... so that two run');
release("go$_") for 1 .. 8;
is($tf->wait_for_end($_, 90)->{status}, 'SUCCESS', 'all of them run in the end') for @flood;
is($tf->sql_value("SELECT max(attempt) FROM jobs WHERE type = 'test_chatty'"), 1, '... in one attempt each');

# told to change
is(order('worker', 'concurrency', {concurrency => 6}), 202, 'more executors');
ok(wait_until(30, sub { executors('worker') == 6 && (row('worker'))[0][2] == 6 }), '... appear, before the next heartbeat is due or with it');
$tf->stop_part('worker');
$tf->start_part('worker', TASKFORGE_WORKER_CONCURRENCY => 4);
my @long = map { waits('later') } 1 .. 4;
ok(wait_until(30, sub { running("type = 'test_chatty'") == 4 }), 'every executor is busy');
is(order('worker', 'concurrency', {concurrency => 1}), 202, 'fewer executors');
ok(wait_until(30, sub { (row('worker'))[0][2] == 1 }), '... is what the worker wants');
is(running("type = 'test_chatty'"), 4, '... no running job is disturbed');
my $next = submit('noop');
release('later');
is($tf->wait_for_end($_)->{attempt}, 1, 'they end in their attempt') for @long;
is($tf->wait_for_end($next)->{status}, 'SUCCESS', 'the executor that is left works');
ok(wait_until(30, sub { executors('worker') == 1 }), 'the others have ended');

is(order('worker', 'quiet'), 202, 'quiet');
ok(wait_until(30, sub { (row('worker'))[0][1] eq 'quiet' }), '... it is');
my $held = submit('noop');
sleep 1;
is($tf->job($held)->{status}, 'QUEUED', '... and claims nothing');
is(order('worker', 'resume'), 202, 'resume');
is($tf->wait_for_end($held)->{status}, 'SUCCESS', '... it claims again');
order('worker', 'quiet');
ok(wait_until(30, sub { (row('worker'))[0][1] eq 'quiet' }), 'quiet once more');
$tf->part('worker')->signal('USR2');
ok(wait_until(30, sub { (row('worker'))[0][1] eq 'online' }), 'a signal at its host comes later, and counts');
sleep 6; # more than a heartbeat
is((row('worker'))[0][1], 'online', '... for good');
is(order('worker', 'stop'), 202, 'stop');
ok(wait_until(30, sub { !$tf->part('worker')->alive }), '... it leaves');
is($tf->part('worker')->{status}, 0, '... with status 0');
is((row('worker'))[0][1], 'offline', '... and is offline');
$tf->start_part('worker');
sleep 1;
ok($tf->part('worker')->alive, 'a worker that is started again has no orders');

is_deeply([grep { !/^_own/ } $tf->wrong_counts], [], 'the counters are right');
done_testing;
