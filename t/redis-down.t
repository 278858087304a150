# Without Redis submits are still accepted, and run when it is back.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

my $tf = TaskForge->start(handlers => 1);

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
# nobody waits for Redis; a busy machine may hold one of them up
cmp_ok(scalar @slow, '<=', 3, 'each at once') or diag "@slow";
is(scalar(map { $_->{job} } @{$tf->post('/api/v1/jobs/batch', {jobs => [map { {type => 'noop'} } 1 .. 10]})->json->{items}}), 10, 'a batch too');
is($tf->job($ids[0])->{status}, 'QUEUED', 'they wait');
is($tf->get('/api/v1/jobs?limit=1')->status, 200, 'jobs can be listed meanwhile');

# it comes back with nothing: what it knew was not worth keeping
$tf->wipe_redis;
$tf->start_part('redis');
ok(wait_until(60, sub { $tf->sql_value("SELECT count(*) FROM jobs WHERE status = 'SUCCESS'") == 61 }), 'when Redis is back, empty, all of them run')
    or diag map {"@$_\n"} $tf->sql('SELECT status, count(*) FROM jobs GROUP BY 1');
is($tf->sql_value('SELECT count(*) FROM jobs WHERE attempt <> 1'), 0, 'each in one attempt');
my $after = $tf->submit({type => 'noop'})->{id};
is($tf->wait_for_end($after)->{status}, 'SUCCESS', 'and new ones as well');

# its memory is full, of jobs that wait: they run, for nothing else makes room
my $worker = $tf->part('worker')->pid;
TaskForge::Process::halt($worker);
@ids = map { $_->{id} } $tf->submit_batch(map { {type => 'noop'} } 1 .. 20);
ok(wait_until(30, sub { $tf->redis('XLEN', 'tf:{default}:p5') >= 20 }), '20 jobs wait in Redis');
$tf->redis(qw(CONFIG SET maxmemory 1));
kill 'CONT', $worker;
is(scalar(grep { $tf->wait_for_end($_, 30)->{status} ne 'SUCCESS' } @ids), 0, 'a Redis without memory gives them away');
$tf->redis(qw(CONFIG SET maxmemory 256mb));

# its disk is full while a job ends: what it refused to remove then goes later, or the job could never be tried again
my $running = $tf->submit({type => 'test_chatty', payload => {lines => 1, until => 'go'}})->{id};
$tf->wait_for_status($running, 'RUNNING');
$tf->redis_disk(1);
ok(wait_until(30, sub { eval { $tf->redis(qw(SET x x)) } =~ /MISCONF/ }), 'a Redis whose disk is full refuses to write');
open my $go, '>', "$tf->{home}/data/go" or die $!;
close $go;
is($tf->wait_for_end($running)->{status}, 'SUCCESS', 'a job ends all the same');
sleep 0.5; # for the worker to try it; where that is too short nothing is tried here, and nothing fails
is($tf->redis('XLEN', 'tf:{default}:p5'), 1, 'its entry stays');
$tf->redis_disk(0);
ok(wait_until(30, sub { $tf->redis('XLEN', 'tf:{default}:p5') == 0 }), 'until there is room again');

done_testing;
