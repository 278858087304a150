# How a worker leaves, how it keeps quiet, and what its sudden death takes along.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Rows;

my $tf = TaskForge->start(parts => [qw(postgres redis)]);

sub sleeper { my ($seconds, %o) = @_; my ($id) = $tf->insert_jobs(1, type => "'sleep'", payload => "'{\"seconds\": $seconds}'", timeout_seconds => 600, %o); return $id }
sub reaches { my ($id, $status) = @_; return wait_until(60, sub { $tf->status_of($id) eq $status }) }
# A job is RUNNING since its claim; one that has not begun when its worker is told to leave goes back at once. It has progress since its
# handler runs.
sub runs { my ($id) = @_; return wait_until(60, sub { $tf->sql_value("SELECT status = 'RUNNING' AND progress > 0 FROM jobs WHERE id = '$id'") eq 't' }) }
sub running { return $tf->sql_value("SELECT count(*) FROM jobs WHERE status = 'RUNNING'") }
sub two_run { return running() == 2 && $tf->sql_value("SELECT count(*) FROM jobs WHERE status = 'RUNNING' AND progress > 0") == 2 }
sub worker_status { return $tf->sql_value("SELECT status FROM workers WHERE hostname = 'test'") }
sub gone { return wait_until(30, sub { !$tf->part('worker')->alive }) }

# quiet
my $worker = $tf->start_part('worker', TASKFORGE_SHUTDOWN_SECONDS => 60);
$worker->signal('USR1');
ok(wait_until(30, sub { worker_status() eq 'quiet' }), 'SIGUSR1: the worker is quiet');
my ($waits) = $tf->insert_jobs(1);
$tf->xadd(5, $waits);
sleep 1;
is($tf->status_of($waits), 'QUEUED', '... and claims nothing');
$worker->signal('USR2');
ok(reaches($waits, 'SUCCESS'), 'SIGUSR2: it claims again');
ok(wait_until(30, sub { worker_status() eq 'online' }), '... and is online');
$worker->signal('USR1');
ok(wait_until(30, sub { worker_status() eq 'quiet' }), 'SIGUSR1 again: quiet');
$worker->signal('USR1');
ok(wait_until(30, sub { worker_status() eq 'online' }), '... and once more: online');

# SIGTERM lets running jobs end
my $short = sleeper(3);
$tf->xadd(5, $short);
ok(runs($short), 'a job of three seconds runs');
my $from = time;
$worker->signal('TERM');
ok(gone(), 'SIGTERM: the worker leaves');
is($worker->{status}, 0, '... with status 0');
cmp_ok(time - $from, '<', 30, '... as soon as the job has ended, and not when the shutdown time is over');
is($tf->status_of($short), 'SUCCESS', 'the running job ended well');
is(worker_status(), 'offline', 'the row says offline');
like($tf->redis('XRANGE', 'tf:events', '-', '+'), qr/"event":"worker_offline"/, 'worker_offline is announced');
is($tf->redis('FCALL', 'tf_consumers', 1, 'tf:{default}'), '', 'its consumer is gone from Redis');

# a job that takes longer than the shutdown is given back
$worker = $tf->start_part('worker', TASKFORGE_SHUTDOWN_SECONDS => 6);
my $long = sleeper(100);
my @behind = map { sleeper(100) } 1 .. 3;
$tf->xadd(5, $long);
ok(runs($long), 'a long job runs');
$tf->xadd(5, @behind);
ok(wait_until(30, sub { running() == 2 }), 'and one more: exactly as many as executors');
$from = time;
$worker->signal('TERM');
ok(wait_until(6, sub { worker_status() eq 'stopping' }), 'the row says stopping');
ok(gone(), 'the worker leaves');
is($worker->{status}, 0, '... with status 0');
cmp_ok(time - $from, '>=', 5.9, '... not before the shutdown time is over');
is_deeply(($tf->sql("SELECT status, attempt, error, incarnation FROM jobs WHERE id = '$long'"))[0], ['QUEUED', 0, undef, undef],
    'the long job is QUEUED again; no attempt is burnt');
is($tf->sql_value('SELECT count(*) FROM job_errors'), 0, '... and no error is written');
is_deeply([sort $tf->stream_ids(5)], [sort $long, @behind], 'all of them are on the stream, once each');
is_deeply([$tf->wait_for_events($long, [qw(job_running job_queued)], qr/^job_progress$/)], [qw(job_running job_queued)], 'the return is announced');

# a second SIGTERM does not wait
$worker = $tf->start_part('worker', TASKFORGE_SHUTDOWN_SECONDS => 60);
ok(wait_until(60, \&two_run), 'a new worker takes them up');
$worker->signal('TERM');
ok(wait_until(30, sub { worker_status() eq 'stopping' }), 'SIGTERM: it waits');
$from = time;
$worker->signal('TERM');
ok(gone(), 'a second SIGTERM: it leaves');
cmp_ok(time - $from, '<', 30, '... at once');
is(running(), 0, 'the jobs are given back');

# what is sent ahead is given back at once
my @short = $tf->insert_jobs(5000);
$worker = $tf->start_part('worker');
ok(wait_until(60, \&two_run), 'the long ones run again');
$tf->sql(q(UPDATE jobs SET status = 'CANCELLED' WHERE type = 'sleep' AND status = 'QUEUED'));
kill 'KILL', TaskForge::Process::children_of($worker->pid);
$tf->xadd(5, @short);
ok(wait_until(60, sub { $tf->sql_value("SELECT count(*) FROM jobs WHERE type = 'noop' AND status = 'SUCCESS'") > 300 }), 'a drain is under way');
$worker->signal('TERM');
ok(gone(), 'SIGTERM in the middle of it');
is($worker->{status}, 0, '... leaves with status 0');
is(running(), 0, 'nothing is left RUNNING');
is($tf->sql_value("SELECT count(*) FROM jobs WHERE type = 'noop' AND (status, attempt) NOT IN (('QUEUED', 0), ('SUCCESS', 1))"), 0,
    'a job is either done or as if it had never been touched');

# sudden death
$worker = $tf->start_part('worker');
my $doomed = sleeper(300);
$tf->xadd(5, $doomed);
ok(reaches($doomed, 'RUNNING'), 'a job runs');
my @executors = TaskForge::Process::children_of($worker->pid);
is(scalar(@executors), 2, 'in one of two executors');
$worker->kill9;
ok(wait_until(30, sub { !grep { -e "/proc/$_" } @executors }), 'kill -9 of the daemon takes its executors along');
is($tf->status_of($doomed), 'RUNNING', 'the job is left to the reaper');

done_testing;
