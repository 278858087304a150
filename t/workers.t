# Workers as an operator sees them: who they are, what they do, and which of them are stuck.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Rows;

my $api = '/api/v1';
my $tf = TaskForge->start(parts => [qw(postgres redis nginx worker)], settings => {TASKFORGE_STUCK_SECONDS => 15, TASKFORGE_LOST_SECONDS => 6});
$tf->start_part('scheduler');

sub workers { my ($query) = @_; return @{$tf->get("$api/workers" . ($query // ''))->json->{items}} }
sub named { my ($pool) = @_; return (grep { $_->{pool} eq $pool } workers())[0] }

sub announced { my ($event, $pool) = @_; return $tf->redis('XRANGE', 'tf:events', '-', '+') =~ /"event":"$event"[^\n]*"pool":"$pool"/ }

my ($w) = workers();
is_deeply([@$w{qw(hostname pool status pid concurrency active active_jobs processed failed stuck_since desired_status desired_concurrency)}],
    ['test', 'default', 'online', $tf->part('worker')->pid, 2, 0, [], 0, 0, undef, undef, undef], 'a worker that has nothing to do');
ok(scalar(grep { $_ eq 'default' } @{$w->{queues}}), '... with its queues');
like($w->{version}, qr/^\d+\.\d+/, '... its version');
like($w->{incarnation}, qr/^\d+$/, '... and its incarnation');
cmp_ok($w->{heartbeat_age_seconds}, '<', 60, '... beats');
is_deeply([sort keys %{$tf->get("$api/workers/$w->{id}")->json}], [sort keys %$w], 'the worker by itself has the same fields');
ok($tf->get("$api/workers/00000000-0000-7000-8000-000000000000")->is_problem(404), 'a worker that does not exist: 404');
ok(wait_until(30, sub { defined named('default')->{memory_bytes} }), 'with a heartbeat it says what it does and takes:');
$w = named('default');
my $memory = $w->{memory_bytes};
ok($memory > 1_000_000 && $memory < 4_000_000_000, "... memory ($memory bytes)");
cmp_ok($w->{cpu_percent}, '>', 0, '... the processor, which it took to start');
is_deeply([map { 0 + $_ } @$w{qw(processed_per_second failed_per_second)}], [0, 0], '... and no jobs yet');

my $job = $tf->submit({type => 'sleep', payload => {seconds => 8}, priority => 'high'});
$tf->wait_for_status($job->{id}, 'RUNNING');
my ($running) = @{$tf->get("$api/workers/$w->{id}")->json->{active_jobs}};
is_deeply([@$running{qw(id type queue priority attempt cancel_requested)}], [$job->{id}, 'sleep', 'default', 8, 1, false], 'what it runs is listed');
like($running->{started_at}, qr/^\d{4}-\d\d-\d\dT[\d:.]+Z$/, '... with its start');
ok(wait_until(20, sub { $tf->get("$api/workers/$w->{id}")->json->{active} == 1 }), '... and counted');
is($tf->wait_for_end($job->{id})->{status}, 'SUCCESS', 'it ends');
ok(wait_until(20, sub { $tf->get("$api/workers/$w->{id}")->json->{processed} == 1 }), '... and is counted again');
is_deeply(named('default')->{active_jobs}, [], '... and is listed no more');
ok(wait_until(30, sub { named('default')->{processed_per_second} > 0 }), '... and makes a rate');
is(0 + named('default')->{failed_per_second}, 0, '... none of which failed');

# what is seen after a while
my $big = $tf->submit({type => 'echo', payload => {delay_ms => 600_000, list => [map { {} } 1 .. 200_000]}})->{id};
my $late = $tf->submit({type => 'sleep', payload => {seconds => 600}, timeout_seconds => 1, max_retries => 0})->{id};

# lists
my $gone = $tf->insert_worker('gone', status => 'offline');
is_deeply([sort map { $_->{pool} } workers()], [qw(default gone)], 'those that left are listed');
is_deeply([map { $_->{pool} } workers('?status=offline')], ['gone'], '... by status');
is_deeply([map { $_->{pool} } workers('?pool=default&status=online')], ['default'], '... by pool');
my $page = $tf->get("$api/workers?limit=1")->json;
is(scalar @{$page->{items}}, 1, 'page by page');
isnt($tf->get("$api/workers?limit=1&cursor=$page->{next_cursor}")->json->{items}[0]{id}, $page->{items}[0]{id}, '... each once');
ok($tf->get("$api/workers?$_")->is_problem(422), "workers?$_: 422") for qw(status=asleep pool=a%20b limit=0 cursor=x);

ok(wait_until(60, sub { named('default')->{failed_per_second} > 0 }), 'a job that failed makes a rate');
ok(wait_until(60, sub { named('default')->{memory_bytes} > $memory + 32_000_000 }), 'a job that takes memory is in that of its worker');
$tf->post("$api/jobs/$big/cancel", undef);
is($tf->wait_for_end($big, 60)->{status}, 'CANCELLED', '... as long as it runs');
ok(wait_until(30, sub { named('default')->{processed} == 3 }), '... and counts as one that ended');
my $rate = named('default')->{processed_per_second};
$tf->insert_worker('older', heartbeat => "now() + interval '1 hour'"); # nobody beats for it: else it is lost in three seconds
$tf->sql("UPDATE workers SET memory_bytes = 5, measured_at = heartbeat_at WHERE pool = 'older'");
is(named('older')->{memory_bytes}, 5, 'what the last heartbeat has measured is shown');
$tf->sql("UPDATE workers SET heartbeat_at = heartbeat_at + interval '1 second' WHERE pool = 'older'");
is(named('older')->{memory_bytes}, undef, '... not what one before it had, when a worker of an older version took the row');
$tf->sql("DELETE FROM workers WHERE pool = 'older'");

# forgotten
my $id = named('gone')->{id};
ok($tf->api->delete("$api/workers/$w->{id}")->is_problem(409), 'a worker that runs cannot be deleted: 409');
is($tf->api->delete("$api/workers/$id")->status, 204, 'one that left can');
ok($tf->api->delete("$api/workers/$id")->is_problem(404), '... once');
is($tf->sql_value("SELECT count(*) FROM audit_log WHERE object = '$id' AND action = 'worker.delete'"), 1, '... and that is in the audit');

# stuck: a worker that reaches PostgreSQL, but no Redis any more
my $door = "$tf->{home}/run/door.sock";
symlink "$tf->{home}/run/redis.sock", $door or die $!;
sub waiting { my ($queue, $n) = @_; return map { $_->{id} } $tf->submit_batch(map { {type => 'echo', queue => $queue, payload => {delay_ms => 600_000}} } 1 .. $n) }
$tf->start_part('worker2', TASKFORGE_WORKER_POOL => 'deaf', TASKFORGE_WORKER_QUEUES => 'deaf', TASKFORGE_WORKER_CONCURRENCY => 1, REDIS_URL => "unix://$door");
$tf->start_part('worker4', TASKFORGE_WORKER_POOL => 'full', TASKFORGE_WORKER_QUEUES => 'full', TASKFORGE_WORKER_CONCURRENCY => 1, TASKFORGE_IO_CONCURRENCY => 1);
my @slow = (waiting('deaf', 3), waiting('full', 3));
ok(wait_until(60, sub { (named('deaf')->{active} // 0) == 3 && (named('full')->{active} // 0) >= 1 }), 'workers wait for what is slow');
unlink $door or die $!;
$tf->redis(qw(CLIENT KILL TYPE normal));
my $unheard = $tf->submit({type => 'noop', queue => 'deaf'})->{id};
is(named('deaf')->{status}, 'online', 'a worker that cannot fetch is online at first');
ok(wait_until(60, sub { named('deaf')->{status} eq 'stuck' }), '... and called stuck when a job has waited for long');
ok(named('deaf')->{stuck_since}, '... since when is shown');
is_deeply([map { $_->{pool} } workers('?status=stuck')], ['deaf'], '... by itself in the list of those that are');
is(named('default')->{status}, 'online', 'who merely has nothing to do is not');
is(named('full')->{status}, 'online', '... nor is who has as many slow jobs as it takes, while others wait');
wait_until(30, sub { $tf->log_events('scheduler', 'worker_stuck') }); # after the commit, as the event
is(scalar($tf->log_events('scheduler', 'worker_stuck')), 1, 'the scheduler says so once');
ok(wait_until(30, sub { announced('worker_stuck', 'deaf') }), '... and in an event');
$tf->start_part('worker3', TASKFORGE_WORKER_HOSTNAME => 'other', TASKFORGE_WORKER_POOL => 'helper', TASKFORGE_WORKER_QUEUES => 'deaf');
is($tf->wait_for_end($unheard)->{status}, 'SUCCESS', 'another worker takes the job');
ok(wait_until(30, sub { named('deaf')->{status} eq 'online' }), 'nothing waits any more: not stuck');
wait_until(30, sub { $tf->log_events('scheduler', 'worker_not_stuck') });
is(scalar($tf->log_events('scheduler', 'worker_not_stuck')), 1, '... says the scheduler');

# lost
my @numbers = qw(memory_bytes cpu_percent processed_per_second failed_per_second);
ok(wait_until(30, sub { (named('helper')->{processed_per_second} // 0) > 0 }), 'a worker shows its rate');
$tf->kill_part('worker3');
ok(wait_until(30, sub { named('helper')->{status} eq 'lost' }), 'a killed worker is lost');
is_deeply([@{named('helper')}{@numbers}], [(undef) x @numbers], '... and what it did and took is not shown as if it still did');
ok(wait_until(30, sub { announced('worker_offline', 'helper') }), '... and announced');
is($tf->api->delete("$api/workers/" . named('helper')->{id})->status, 204, '... and can be deleted');
ok(wait_until(120, sub { named('default')->{processed_per_second} < $rate }), 'the rate of a worker that has nothing to do falls');

done_testing;
