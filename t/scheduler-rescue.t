# What a lost worker held is run again; what keeps killing workers is not.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Rows;

my $tf = TaskForge->start(parts => [qw(postgres redis scheduler)], settings => {TASKFORGE_LOST_SECONDS => 3, TASKFORGE_RECONCILE_GRACE_MS => 500});
ok(defined $tf->wait_for_lead('scheduler', 60), 'the scheduler leads');

my $alive = $tf->insert_worker('alive', heartbeat => "now() + interval '1 hour'");
my $dead  = $tf->insert_worker('dead', heartbeat => "now() + interval '4 seconds'"); # not lost before we have looked
my %running = (status => "'RUNNING'", attempt => 1, retry_base_ms => 5000, started_at => 'now()', worker => "'test/dead'");

my ($job)    = $tf->insert_jobs(1, %running, incarnation => $dead);
my ($kept)   = $tf->insert_jobs(1, %running, incarnation => $alive);
my ($poison) = $tf->insert_jobs(1, %running, incarnation => $dead, worker_losses => 2, max_retries => 10);
my ($spent)  = $tf->insert_jobs(1, %running, incarnation => $dead, max_retries => 0);
sleep 1;
is($tf->status_of($job), 'RUNNING', 'a worker with a heartbeat keeps its jobs');

ok(wait_until(60, sub { $tf->status_of($job) eq 'RETRYING' }), 'the worker is lost: its job is RETRYING');
is($tf->sql_value("SELECT status FROM workers WHERE incarnation = $dead"), 'lost', 'the worker is marked lost');
my ($wait) = $tf->sql("SELECT extract(epoch FROM run_at - updated_at), attempt, worker_losses, incarnation FROM jobs WHERE id = '$job'");
is_deeply($wait, ['5.000000', 1, 1, undef], 'its next attempt comes after the backoff; the attempt is burnt, the loss counted');
is($tf->status_of($poison), 'DEAD_LETTER', 'a third lost worker: DEAD_LETTER');
is($tf->status_of($spent), 'DEAD_LETTER', 'no retries left: DEAD_LETTER');
like($tf->sql_value("SELECT error FROM jobs WHERE id = '$poison'"), qr{^poison: worker lost 3 times, at last test/dead stopped}, 'the error says why');
is($tf->sql_value("SELECT count(*) FROM job_errors WHERE job_id IN ('$job', '$poison', '$spent')"), 3, 'each has its row of errors');
is($tf->status_of($kept), 'RUNNING', 'the job of a live worker is not touched');

ok(wait_until(60, sub { $tf->status_of($job) eq 'QUEUED' }), 'after the backoff the job is QUEUED');
ok(wait_until(30, sub { $tf->stream_ids(5) }), '... and on its stream');
is_deeply([$tf->stream_ids(5)], [$job], '... once');
is_deeply([$tf->wait_for_events($job, [qw(job_retrying job_queued)])], [qw(job_retrying job_queued)], 'both changes are announced');
is_deeply([$tf->wait_for_events($poison, ['job_failed'])], ['job_failed'], 'so is the death');
ok(wait_until(30, sub { $tf->redis('XRANGE', 'tf:events', '-', '+') =~ /"event":"worker_offline".*?"incarnation":$dead\b/ }), 'and the lost worker');
is_deeply([$tf->wrong_counts], [], 'the counters are right');

# a restarted worker has a new incarnation: what the old one held is free at once
my $old = $tf->insert_worker('again');
my ($held) = $tf->insert_jobs(1, %running, incarnation => $old, retry_base_ms => 60000);
$tf->sql("UPDATE workers SET incarnation = nextval('worker_incarnations'), heartbeat_at = now() + interval '1 hour' WHERE incarnation = $old");
ok(wait_until(60, sub { $tf->status_of($held) eq 'RETRYING' }), 'a job of an incarnation that was replaced is rescued');

sub claim { # delivers up to $n jobs of the default queue; how many of @$wanted, for reconcile may have added others again
    my ($n, $consumer, $wanted) = @_;
    my %wanted = map { $_ => 1 } @$wanted;
    return scalar grep { $wanted{$_} } split /\n/, $tf->redis('FCALL', 'tf_claim', 1, 'tf:{default}', $n, $consumer);
}

sub pending { # job ids that were delivered and not done
    my @entries = $tf->redis('XPENDING', 'tf:{default}:p7', 'workers', '-', '+', 100) =~ /^(\d+-\d+)$/mg;
    return map { $tf->redis('XRANGE', 'tf:{default}:p7', $_, $_) =~ /^([0-9a-f]{8}-.*)$/m } @entries;
}

# three deaths in a row
my ($thrice) = $tf->insert_jobs(1, %running, incarnation => 999999, retry_base_ms => 1, max_retries => 10);
for my $n (1 .. 2) {
    ok(wait_until(60, sub { $tf->status_of($thrice) eq 'QUEUED' }), "loss $n: queued again");
    $tf->sql("UPDATE jobs SET status = 'RUNNING', attempt = attempt + 1, incarnation = 999999 WHERE id = '$thrice'",
        "INSERT INTO job_counts AS k VALUES (0, 'default', 'noop', 5, 'QUEUED', -1), (0, 'default', 'noop', 5, 'RUNNING', 1) "
            . 'ON CONFLICT (writer, queue, type, priority, status) DO UPDATE SET n = k.n + excluded.n');
}
ok(wait_until(60, sub { $tf->status_of($thrice) eq 'DEAD_LETTER' }), 'a job that killed three workers is dead');
is_deeply([$tf->wrong_counts], [], 'the counters are right');

# delivered to a worker that died before it could claim
$tf->redis('DEL', 'tf:{default}:p5');
my $mute = $tf->insert_worker('mute', heartbeat => "now() + interval '8 seconds'"); # not lost before we have looked
# reconcile must not find them before they are on their stream, however slow this machine is
my @given = $tf->insert_jobs(3, priority => 7, enqueued_at => "now() + interval '3 seconds'");
$tf->xadd(7, @given);
is(claim(2, $mute, \@given), 2, 'two of three are delivered to one worker');
is(claim(5, $alive, \@given), 1, '... the third to another');
sleep 5.5; # those three, and two rounds
is_deeply([$tf->stream_ids(7)], \@given, 'while both live nothing is added twice');
ok(wait_until(60, sub { $tf->log_events('scheduler', 'consumer_forgotten') }), 'entries delivered to a dead worker are taken back');
ok(wait_until(60, sub { $tf->stream_ids(7) == 3 }), '... and their jobs added again');
is(join(' ', pending()), $given[2], '... so that only the live worker holds one');
unlike($tf->redis('FCALL', 'tf_consumers', 1, 'tf:{default}'), qr/^$mute$/m, 'the dead consumer is gone');
sleep 3;
is_deeply([sort $tf->stream_ids(7)], [sort @given], '... each once');

# PostgreSQL was away for long: all heartbeats are old, and nobody has had the time to send one
$tf->stop_part('scheduler');
my $stale = $tf->insert_worker('stale', heartbeat => "now() - interval '1 hour'");
my ($replaced) = $tf->insert_jobs(1, %running, incarnation => 888888, retry_base_ms => 60000);
$tf->start_part('scheduler');
ok(wait_until(60, sub { $tf->status_of($replaced) eq 'RETRYING' }), 'a scheduler that has just begun to watch rescues what nobody holds');
ok(wait_until(60, sub { $tf->sql_value("SELECT status FROM workers WHERE incarnation = $stale") eq 'lost' }), 'and finds out who is lost');
sub second_of_day { my ($hour, $minute, $second) = $_[0]{ts} =~ /T(\d+):(\d+):([\d.]+)Z/; return 3600 * $hour + 60 * $minute + $second }
wait_until(30, sub { grep { $_->{incarnation} == $stale } $tf->log_events('scheduler', 'worker_lost') }); # after the commit
my ($up) = reverse grep { $_->{connection} eq 'leader' } $tf->log_events('scheduler', 'postgres_connected');
my ($lost) = reverse grep { $_->{incarnation} == $stale } $tf->log_events('scheduler', 'worker_lost');
cmp_ok((second_of_day($lost) - second_of_day($up)) % 86400, '>=', 3, 'when it has watched for TASKFORGE_LOST_SECONDS, not before');

done_testing;
