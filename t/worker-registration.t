# Who a worker is: one row for a hostname and pool, one incarnation for a process, and what happens when they part.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Rows;

my $tf = TaskForge->start(parts => [qw(postgres redis worker)]);

sub row { return ($tf->sql("SELECT id, incarnation, status, pid FROM workers WHERE hostname = 'test' AND pool = 'default'"))[0] }
sub reaches { my ($id, $status) = @_; return wait_until(60, sub { $tf->status_of($id) eq $status }) }

is_deeply([map { $_->[0] } $tf->sql("SELECT type FROM job_types WHERE type IN ('noop', 'sleep', 'data_processing') ORDER BY 1")],
    [qw(data_processing noop sleep)], 'the job types are registered');
my $first = row();
is($tf->sql_value('SELECT concurrency FROM workers'), 2, 'the row says how many executors there are');
my $beat = $tf->sql_value('SELECT heartbeat_at FROM workers');
ok(wait_until(30, sub { $tf->sql_value('SELECT heartbeat_at FROM workers') ne $beat }), 'heartbeats come');

$tf->kill_part('worker');
$tf->start_part('worker');
my $second = row();
is($tf->sql_value('SELECT count(*) FROM workers'), 1, 'a restart takes the row over');
is($second->[0], $first->[0], '... with its id');
cmp_ok($second->[1], '>', $first->[1], '... and a new incarnation');

# declared lost
my ($job) = $tf->insert_jobs(1, type => "'sleep'", payload => q('{"seconds": 30}'));
$tf->xadd(5, $job);
ok(reaches($job, 'RUNNING'), 'a job runs');
$tf->sql("UPDATE workers SET status = 'lost'");
ok(wait_until(30, sub { row()->[2] eq 'online' }), 'a worker that was declared lost registers anew');
cmp_ok(row()->[1], '>', $second->[1], '... as a new incarnation');
is(row()->[3], $tf->part('worker')->pid, '... in the same process');
is(scalar($tf->log_events('worker', 'declared_lost')), 1, '... and says so');
my ($next) = $tf->insert_jobs(1);
$tf->xadd(5, $next);
ok(reaches($next, 'SUCCESS'), 'it works on');
is($tf->status_of($job), 'RUNNING', 'it says nothing more about the job that is no longer its own');

# two of one name
my $old = $tf->part('worker');
my ($held) = $tf->insert_jobs(1, type => "'sleep'", payload => q('{"seconds": 30}'));
$tf->xadd(5, $held);
ok(reaches($held, 'RUNNING'), 'a job runs');
my $new = $tf->start_part('worker2', TASKFORGE_WORKER_HOSTNAME => 'test');
is($tf->sql_value('SELECT count(*) FROM workers'), 1, 'two that have one name never make two rows');
ok(wait_until(60, sub { !$old->alive }), 'the one whose name was taken leaves');
is($old->{status} >> 8, 1, '... with status 1');
is(scalar($tf->log_events('worker', 'name_taken_over')), 1, '... and says why');
delete $tf->{parts}{worker};
ok(wait_until(60, sub { ($tf->sql("SELECT status, attempt FROM jobs WHERE id = '$held'"))[0][1] == 1 && $tf->status_of($held) eq 'RUNNING' }),
    'its job goes to the other one, without a burnt attempt');

# twenty that start together
my @pools = map { "pool$_" } 1 .. 3;
for my $pool (@pools) {
    my @pids = map { $tf->launch("worker-$pool-$_", command => ["$tf->{home}/bin/taskforge-worker"],
        env => {%{$tf->{settings}}, %{$tf->sanitizer_env("worker-$pool-$_")}, TASKFORGE_WORKER_POOL => $pool, TASKFORGE_WORKER_CONCURRENCY => 1}) } 1 .. 3;
    ok(wait_until(60, sub { 2 == grep { !$_->alive } @pids }), "three start together as $pool: two leave");
    is($tf->sql_value("SELECT count(*) FROM workers WHERE pool = '$pool'"), 1, '... and there is one row');
    $_->stop for grep { $_->alive } @pids;
}

# settings
sub check {
    my (%env) = @_;
    my $worker = $tf->launch('check', command => ["$tf->{home}/bin/taskforge-worker", '-t'], env => {%{$tf->{settings}}, %env});
    wait_until(60, sub { !$worker->alive });
    open my $in, '<', "$tf->{home}/log/check.log";
    my $text = join '', <$in>;
    unlink "$tf->{home}/log/check.log";
    return ($worker->{status} >> 8, $text);
}
my ($status, $text) = check();
is($status, 0, '-t: good settings leave with 0');
for (['TASKFORGE_WORKER_CONCURRENCY', '0'], ['TASKFORGE_WORKER_QUEUES', 'a,,b'], ['TASKFORGE_WORKER_QUEUES', 'a,a'], ['TASKFORGE_WORKER_POOL', 'a/b'],
    ['TASKFORGE_DATA_DIR', '/nowhere'], ['REDIS_URL', 'http://x'], ['TASKFORGE_REDIS_LIBRARY', '/nowhere'], ['TASKFORGE_LOG_LEVEL', 'loud'],
    ['TASKFORGE_EXECUTOR_FILE_MB', '1'], ['TASKFORGE_IO_CONCURRENCY', '-1'], ['TASKFORGE_IO_CONCURRENCY', '10001'], ['TASKFORGE_TYPE_CONCURRENCY', 'echo=0'],
    (map { ['TASKFORGE_DATA_DEFAULT_DATASET', $_] } '', '/etc/passwd', '../conf/taskforge.env', 'a/../b', 'a//b', "a\nb", 'x' x 256),
    ['TASKFORGE_TYPE_CONCURRENCY', 'echo=10001'], ['TASKFORGE_TYPE_CONCURRENCY', 'nothing=1']) {
    my ($name, $value) = @$_;
    ($status, $text) = check($name => $value);
    is($status, 1, "-t: $name=$value is refused");
    like($text, qr/\Q$name\E/, '... and named');
}
is((check(TASKFORGE_DATA_DEFAULT_DATASET => '2024/..q1.jsonl.gz'))[0], 0, '-t: a default dataset in a directory of its own');
is((check(TASKFORGE_TYPE_CONCURRENCY => 'echo=10000,noop=1'))[0], 0, '-t: 10,000 of a type that waits for the network');
# the files that so many connections need
my @shell = ('/bin/bash', '-c', 'ulimit -Sn 1024 && ulimit -Hn 4000 && exec "$0" -t', "$tf->{home}/bin/taskforge-worker");
sub check_few {
    my (%env) = @_;
    my $worker = $tf->launch('few', command => \@shell, env => {%{$tf->{settings}}, %env});
    wait_until(60, sub { !$worker->alive });
    open my $in, '<', "$tf->{home}/log/few.log";
    return ($worker->{status} >> 8, join '', <$in>);
}
($status, $text) = check_few(TASKFORGE_IO_CONCURRENCY => 10_000);
is($status, 1, 'TASKFORGE_IO_CONCURRENCY that needs more open files than the system allows is refused');
like($text, qr/TASKFORGE_IO_CONCURRENCY: 10000 jobs at once need up to 40064 open files; the system allows this process 4000 \(ulimit -Hn\)/, '... with both numbers');
is((check_few(TASKFORGE_IO_CONCURRENCY => 984))[0], 0, '... and one that does not is taken, though the soft limit is lower');

# one at a time, and none: such a job is run all the same
$tf->stop_part('worker2'); # which would run them, 200 at a time
for my $n (0, 1) {
    $tf->start_part("worker" . ($n + 2), TASKFORGE_IO_CONCURRENCY => $n);
    my @jobs = $tf->insert_jobs(3, type => "'echo'", payload => q('{"delay_ms": 50}'));
    $tf->xadd(5, $_) for @jobs;
    ok(wait_until(60, sub { $tf->status_of($_) eq 'SUCCESS' }), "TASKFORGE_IO_CONCURRENCY=$n: a job that waits for the network is run") for @jobs;
    $tf->stop_part("worker" . ($n + 2));
}

done_testing;
