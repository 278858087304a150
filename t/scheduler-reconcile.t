# Redis may lose anything: every queued job is on its stream again soon, once.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Rows;

my $tf = TaskForge->start(parts => [qw(postgres redis scheduler)]);
$tf->expect_log(qr/redis_/);
ok(defined $tf->wait_for_lead('scheduler', 60), 'the scheduler leads');
my $rounds = 5; # seconds: two, for which a job is not missed (what is put back takes its time to its stream), and three rounds
# reconcile must not find them before they are on their stream, however slow this machine is
my $grace = 3; # seconds
my %fresh = (enqueued_at => "now() + interval '$grace seconds'");

sub same { my ($got, $want, $name) = @_; return is_deeply([sort @$got], [sort @$want], $name) }

sub claim { # delivers up to $n of the default queue to a consumer and changes nothing in PostgreSQL
    my ($n, $consumer) = @_;
    return grep { /-.*-.*-.*-/ } split /\n/, $tf->redis('FCALL', 'tf_claim', 1, 'tf:{default}', $n, $consumer);
}

ok(wait_until(60, sub { eval { $tf->redis('FCALL', 'tf_version', 0) =~ /^\d+$/ } }), 'the function library is loaded');
my $worker = $tf->insert_worker('live', heartbeat => "now() + interval '1 hour'");

my @jobs = $tf->insert_jobs(200, %fresh);
$tf->xadd(5, @jobs);
my @got = claim(50, $worker);
is(@got, 50, 'a worker holds 50 of 200');
sleep $grace + $rounds;
is_deeply([$tf->stream_ids(5)], \@jobs, 'steady state: nothing is added, neither what waits nor what was delivered');
is(scalar($tf->log_events('scheduler', 'jobs_added_again')), 0, 'steady state: nothing was even tried');

my ($lost) = $tf->insert_jobs(1, enqueued_at => "now() - interval '1 minute'");
ok(wait_until(60, sub { grep { $_ eq $lost } $tf->stream_ids(5) }), 'a job whose XADD was lost is added');
sleep $rounds;
is(scalar(grep { $_ eq $lost } $tf->stream_ids(5)), 1, '... once');

$tf->redis('FLUSHALL');
push @jobs, $lost;
ok(wait_until(60, sub { $tf->stream_ids(5) >= @jobs }), 'FLUSHALL: all queued jobs come back');
sleep $rounds;
same([$tf->stream_ids(5)], \@jobs, '... each once');
claim(20, $worker);
sleep $rounds;
same([$tf->stream_ids(5)], \@jobs, '... also after some of them were delivered');

# more than one batch, over several levels and queues
$tf->sql("DELETE FROM jobs", "TRUNCATE job_counts");
$tf->redis('FLUSHALL');
my @many = $tf->insert_jobs(12_000, priority => 3);
my @high = $tf->insert_jobs(50, priority => 10);
my @other = $tf->insert_jobs(50, priority => 0, queue => "'reports-2.x'");
my $start = time;
ok(wait_until(60, sub { $tf->redis('XLEN', 'tf:{default}:p3') >= 12_000 && $tf->redis('XLEN', 'tf:{reports-2.x}:p0') >= 50 }),
    '12,000 lost jobs come back');
note sprintf 'after %.1f s', time - $start;
claim(100, $worker);
sleep $rounds;
same([$tf->stream_ids(3)], \@many, '... each once');
same([$tf->stream_ids(10)], \@high, '... on their own level');
is($tf->redis('XLEN', 'tf:{reports-2.x}:p0'), 50, '... in their own queue');

# Redis restarts from nothing: noticed at once, not at the next round
$tf->sql("DELETE FROM jobs", "TRUNCATE job_counts");
my @few = $tf->insert_jobs(100, enqueued_at => "now() - interval '1 hour'");
$tf->kill_part('redis');
$tf->wipe_redis;
$tf->start_part('redis');
ok(wait_until(60, sub { (eval { scalar(my @ids = $tf->stream_ids(5)) } // 0) >= 100 }), 'Redis restarts empty: the queued jobs come back');
sleep $rounds;
same([$tf->stream_ids(5)], \@few, '... each once');

$tf->redis('FUNCTION', 'FLUSH');
ok(wait_until(60, sub { eval { $tf->redis('FCALL', 'tf_version', 0) =~ /^\d+$/ } }), 'a function library that disappears is loaded again');

# ids of a stream stand still while Redis's clock is behind them
$tf->redis('FLUSHALL');
$tf->sql("DELETE FROM jobs", "TRUNCATE job_counts");
my @ahead = $tf->insert_jobs(2, %fresh);
my $ms = $tf->sql_value('SELECT (extract(epoch FROM now()) * 1000)::bigint + 3600000');
$tf->redis('XADD', 'tf:{default}:p5', "$ms-1", 'i', $ahead[0]);
claim(1, $worker);
$tf->redis('XADD', 'tf:{default}:p5', '*', 'i', $ahead[1]);
sleep $grace + $rounds;
same([$tf->stream_ids(5)], \@ahead, 'a clock of Redis that was set back makes no doubles');
ok($tf->sql_value('SELECT count(*) FROM jobs') == 2, 'no job was lost');

done_testing;
