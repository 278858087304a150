# Handlers run in processes of their own: whatever happens to one, only the job it ran is concerned.
use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX ();
use TaskForge;
use TaskForge::Process qw(halt);
use TaskForge::Rows;

my $tf = TaskForge->start(parts => [qw(postgres redis worker)]);
my %fast = (retry_base_ms => 60000, retry_jitter => 'false');

sub executors { return TaskForge::Process::children_of($tf->part('worker')->pid) }
sub row { return ($tf->sql("SELECT status, attempt, error, extract(epoch FROM run_at - finished_at)::int FROM jobs WHERE id = '$_[0]'"))[0] }
sub reaches { my ($id, $status) = @_; return wait_until(30, sub { $tf->status_of($id) eq $status }) }
# A job is RUNNING since its claim: whose executor is killed before it came to it has not begun, and runs again. It has progress since
# its handler runs.
sub runs { my ($id) = @_; return wait_until(30, sub { $tf->sql_value("SELECT status = 'RUNNING' AND progress > 0 FROM jobs WHERE id = '$id'") eq 't' }) }

is(scalar(my @all = executors()), 2, 'as many executors as the concurrency says');

# what the kernel says of a process, where it tells; core/slice.h
sub slice { open my $in, '<', "/proc/$_[0]/sched" or return; return map { /^se\.slice\s*:\s*(\d+)/ } <$in> }
SKIP: {
    my @usual = slice($$);
    my ($major, $minor) = (POSIX::uname())[2] =~ /^(\d+)\.(\d+)/;
    skip 'the kernel knows no slices', 2 unless @usual && ($major > 6 || $major == 6 && $minor >= 12);
    is_deeply([slice($tf->part('worker')->pid)], [100000], 'the daemon asks for short slices of the processor');
    is_deeply([map { slice($_) } @all], [(@usual) x 2], '... its executors, which compute, do not');
}

# a crash
my ($crash) = $tf->insert_jobs(1, type => "'sleep'", payload => q('{"seconds": 30}'), %fast);
$tf->xadd(5, $crash);
ok(runs($crash), 'a job runs');
my %idle = map { $_ => 1 } executors();
kill 'SEGV', keys %idle;
ok(reaches($crash, 'RETRYING'), 'its executor crashes: the attempt failed, the job is RETRYING');
is_deeply(row($crash), ['RETRYING', 1, 'killed by signal 11 (SIGSEGV)', 60], 'the error names the signal; the delay is the base of the job');
is($tf->sql_value("SELECT error FROM job_errors WHERE job_id = '$crash' AND attempt = 1"), 'killed by signal 11 (SIGSEGV)',
    'the attempt left its row of errors');
ok(wait_until(30, sub { my @now = grep { !$idle{$_} } executors(); @now == 2 }), 'both executors are replaced');

# no retries left
my ($last) = $tf->insert_jobs(1, type => "'sleep'", payload => q('{"seconds": 30}'), max_retries => 0);
$tf->xadd(5, $last);
ok(runs($last), 'a job without retries runs');
kill 'KILL', executors();
ok(reaches($last, 'DEAD_LETTER'), '... and dies with its executor: DEAD_LETTER');
like(row($last)->[2], qr/killed by signal 9 \(SIGKILL\)/, 'SIGKILL is a failed attempt too');

# time-outs
my ($slow) = $tf->insert_jobs(1, type => "'sleep'", payload => q('{"seconds": 30}'), timeout_seconds => 1, %fast);
$tf->xadd(5, $slow);
my $from = time;
ok(reaches($slow, 'RETRYING'), 'a job that runs longer than its timeout is ended');
cmp_ok(time - $from, '<', 25, '... soon');
is(row($slow)->[2], 'timed out after 1 s', '... and the error says so');

# one that cannot be ended by SIGTERM
my ($stuck) = $tf->insert_jobs(1, type => "'sleep'", payload => q('{"seconds": 30}'), timeout_seconds => 3, %fast);
$tf->xadd(5, $stuck);
ok(reaches($stuck, 'RUNNING'), 'a stopped process does not react to SIGTERM');
halt(executors());
ok(reaches($stuck, 'RETRYING'), '... SIGKILL ends it after the grace');
is(row($stuck)->[2], 'timed out after 3 s', '... and it timed out, whatever killed it');
kill 'CONT', executors();

# bad payloads and unknown types are errors, not crashes
my ($bad) = $tf->insert_jobs(1, type => "'sleep'", payload => q('{"seconds": "x"}'));
my ($alien) = $tf->insert_jobs(1, type => "'alien'", %fast);
$tf->xadd(5, $bad, $alien);
ok(reaches($bad, 'FAILED'), 'a payload that the handler refuses: FAILED, no retry');
like(row($bad)->[2], qr/seconds/, '... with the reason');
ok(reaches($alien, 'RETRYING'), 'a type without a handler is tried again, maybe elsewhere');
like(row($alien)->[2], qr/no handler for the type alien/, '... with the reason');

# large payloads travel beside the socket
my $big = q(('{"seconds": 0, "x": "' || repeat('y', 3000000) || '"}')::json);
my ($noop) = $tf->insert_jobs(1, payload => $big);
my ($read) = $tf->insert_jobs(1, type => "'sleep'", payload => $big);
$tf->xadd(5, $noop, $read);
ok(reaches($noop, 'SUCCESS'), 'a payload of 3 MB reaches the executor');
ok(reaches($read, 'FAILED'), '... and its handler');
like(row($read)->[2], qr/unknown field "x"/, '... which read it');

# executors that get no CPU time are not mistaken for slow jobs
my @warm = $tf->insert_jobs(300);
$tf->xadd(5, @warm);
ok(wait_until(60, sub { $tf->sql_value("SELECT count(*) FROM jobs WHERE type = 'noop' AND status <> 'SUCCESS'") == 0 }), 'short jobs run');
halt(executors());
my @starved = $tf->insert_jobs(300);
$tf->xadd(5, @starved);
sleep 1.5;
kill 'CONT', executors();
ok(wait_until(60, sub { $tf->sql_value("SELECT count(*) FROM jobs WHERE type = 'noop' AND (status, attempt) <> ('SUCCESS', 1)") == 0 }),
    'executors that stood still for a while go on with what they were sent');

# what waits behind a job that dies has not begun: no attempt is burnt
my @many = $tf->insert_jobs(2000);
my ($poison) = $tf->insert_jobs(1, type => "'sleep'", payload => q('{"seconds": 300}'), timeout_seconds => 600, %fast);
$tf->xadd(5, @many[0 .. 999], $poison, @many[1000 .. 1999]);
ok(reaches($poison, 'RUNNING'), 'a slow job in the middle of 2,000 short ones');
my $list = join ',', map {"'$_'"} @many;
ok(wait_until(60, sub { $tf->sql_value("SELECT count(*) FROM jobs WHERE status = 'SUCCESS' AND id IN ($list)") == 2000 }),
    'does not keep the others from running');
kill 'SEGV', executors();
ok(reaches($poison, 'RETRYING'), 'it crashes');
is($tf->sql_value("SELECT count(*) FROM jobs WHERE id IN ($list) AND attempt = 1 AND status = 'SUCCESS'"), 2000,
    'every other job ran in one attempt');

# how far it is, a job says when it runs for long enough, which is up to the machine
sub story { return grep { $_ ne 'job_progress' } $tf->events_of(@_) }
is_deeply([story($crash)], [qw(job_running job_retrying)], 'a failed attempt is announced');
is_deeply([story($last)], [qw(job_running job_failed)], 'so is a death');
is_deeply([$tf->events_of($many[7])], [qw(job_running job_success)], 'so is a success');
is_deeply([$tf->wrong_counts], [], 'the counters are right');
ok(wait_until(30, sub { $tf->redis('XLEN', 'tf:{default}:p5') == 0 }), 'the stream is empty');

done_testing;
