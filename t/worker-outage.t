# PostgreSQL and Redis come and go under load; every job ends exactly once, and no process has to be restarted.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Checker;
use TaskForge::Process qw(children_of halt);
use TaskForge::Rows;

my $tf = TaskForge->start(parts => [qw(postgres redis worker scheduler)], settings => {TASKFORGE_LOST_SECONDS => 6});
my $checker = TaskForge::Checker->watch($tf);
my (@all, $worker);
$worker = $tf->part('worker')->pid;

sub load { my ($n) = @_; my @ids = $tf->insert_jobs($n); $tf->xadd(5, @ids); push @all, @ids; return @ids }
sub ended { return $tf->sql_value("SELECT count(*) FROM jobs WHERE status = 'SUCCESS'") }
sub goes_on { my ($more) = @_; my $have = ended(); return wait_until(60, sub { ended() >= $have + $more }) }

# PostgreSQL dies in the middle of claims and results
load(3000);
ok(goes_on(200), 'jobs run');
$tf->kill_part('postgres');
sleep 1;
$tf->start_part('postgres');
ok(goes_on(200), 'PostgreSQL was killed and is back: jobs run again');
load(2000);
$tf->part('postgres')->signal('QUIT'); # an immediate shutdown
ok(wait_until(30, sub { !$tf->part('postgres')->alive }), 'PostgreSQL shuts down at once');
$tf->start_part('postgres');
ok(goes_on(200), 'jobs run again');

# connections are cut from the server's side, again and again
for (1 .. 5) {
    load(500);
    sleep 0.1;
    $tf->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'taskforge-worker'");
    sleep 0.2;
}
ok(wait_until(90, sub { ended() == @all }), 'cut connections come back: every job runs');

# a long job outlives an outage of PostgreSQL
my ($long) = $tf->insert_jobs(1, type => "'sleep'", payload => q('{"seconds": 3}'));
push @all, $long;
$tf->xadd(10, $long);
ok(wait_until(30, sub { $tf->status_of($long) eq 'RUNNING' }), 'a job of three seconds runs');
$tf->kill_part('postgres');
sleep 3.5;
$tf->start_part('postgres');
ok(wait_until(60, sub { $tf->status_of($long) eq 'SUCCESS' }), 'PostgreSQL was away when it ended: the result is kept and written');
is($tf->sql_value("SELECT attempt FROM jobs WHERE id = '$long'"), 1, '... in the same attempt');

# PostgreSQL stands still for longer than a worker may be silent: every heartbeat is held back, and so is who judges them
($long) = $tf->insert_jobs(1, type => "'sleep'", payload => q('{"seconds": 7}'));
push @all, $long;
$tf->xadd(10, $long);
ok(wait_until(30, sub { $tf->status_of($long) eq 'RUNNING' }), 'a job of seven seconds runs');
halt(my $postmaster = $tf->part('postgres')->pid);
halt(my @backends = children_of($postmaster));
sleep 8;
kill 'CONT', $postmaster, @backends;
ok(wait_until(60, sub { $tf->status_of($long) eq 'SUCCESS' }), 'PostgreSQL stood still when it ended: the result is written');
is($tf->sql_value("SELECT attempt FROM jobs WHERE id = '$long'"), 1, '... in the same attempt');
ok(wait_until(30, sub { $tf->log_events('scheduler', 'leader_elected') > $tf->log_events('scheduler', 'leader_deposed') }), '... a scheduler leads again');
is_deeply([$tf->log_events('scheduler', 'worker_lost'), $tf->log_events('worker', 'declared_lost')], [], '... and nobody was called lost');

# Redis dies and loses everything
load(3000);
ok(goes_on(100), 'jobs run');
$tf->kill_part('redis');
$tf->wipe_redis;
my ($meanwhile) = $tf->insert_jobs(1);
push @all, $meanwhile;
sleep 0.5;
$tf->start_part('redis');
load(500);
ok(wait_until(60, sub { ended() == @all }), 'Redis was killed and is back empty: every job runs');
$tf->redis('FLUSHALL');
load(500);
$tf->redis('FUNCTION', 'FLUSH');
$tf->redis('FLUSHALL');
$tf->redis('CLIENT', 'KILL', 'TYPE', 'normal');
ok(wait_until(60, sub { ended() == @all }), 'the function library is gone: it is loaded again');

is(($tf->log_events('worker', 'postgres_lost'))[0]{host}, "$tf->{home}/run", 'the log says which PostgreSQL was lost');
is(($tf->log_events('worker', 'redis_lost'))[0]{host}, "$tf->{home}/run/redis.sock", '... and which Redis');
is($tf->part('worker')->pid, $worker, 'the worker was never restarted');
ok($tf->part('worker')->alive, '... and lives');
$checker->check(ids => \@all);
done_testing;
