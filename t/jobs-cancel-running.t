# A running job stops within a second of POST /jobs/{id}/cancel, whatever its handler does; nobody else notices.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Rows;

# no heartbeat helps: the order comes over Redis
my $tf = TaskForge->start(handlers => 1, parts => [qw(postgres redis nchan nginx scheduler)], settings => {TASKFORGE_HEARTBEAT_SECONDS => 5, TASKFORGE_LOST_SECONDS => 12});
# time to listen, however long the handler gets no processor: no signal helps
my $worker = $tf->start_part('worker', TASKFORGE_CANCEL_GRACE_MS => 20_000);

sub run_one { my $id = $tf->submit({timeout_seconds => 600, @_})->{id}; $tf->wait_for_status($id, 'RUNNING'); return $id }
sub cancel { return $tf->post("/api/v1/jobs/$_[0]/cancel", undef) }

# How long the worker took: from the request, by PostgreSQL's clock alone, so that a busy machine is not counted twice.
sub took { return $tf->sql_value("SELECT extract(epoch FROM finished_at - '$_[1]'::timestamptz) FROM jobs WHERE id = '$_[0]'") }
sub now { return $tf->sql_value('SELECT clock_timestamp()') }

# a handler that listens
my @before = sort(TaskForge::Process::children_of($worker->pid));
my $polite = run_one(type => 'sleep', payload => {seconds => 600});
my $from = now();
my $r = cancel($polite);
is($r->status, 202, 'cancelling a running job is accepted');
ok($r->json->{cancel_requested}, '... and the job says that it was requested');
my $job = $tf->wait_for_end($polite);
is($job->{status}, 'CANCELLED', 'a handler that looks whether it is cancelled ends its job');
cmp_ok(took($polite, $from), '<', 5, '... without waiting for a heartbeat (' . took($polite, $from) . ' s)');
is($job->{attempt}, 1, '... in the attempt that ran');
ok($job->{finished_at}, '... and the job says when');
is_deeply($job->{errors}, [], 'that is no failure');
my @told = qw(job_queued job_running job_cancelled);
is_deeply([$tf->wait_for_events($polite, \@told, qr/^job_progress$/)], \@told, 'it is announced');
is_deeply([sort(TaskForge::Process::children_of($worker->pid))], \@before, 'no process had to go');
is(cancel($polite)->status, 409, 'an ended job cannot be cancelled again');

# one that does not listen to anything, and has started a process
$tf->stop_part('worker');
$worker = $tf->start_part('worker');
my $bad = run_one(type => 'test_stubborn');
my ($child, $neighbour);
ok(wait_until(20, sub { ($child) = map { $_->{message} =~ /^child (\d+)/ ? $1 : () } @{$tf->job($bad)->{logs}}; $child }), 'a handler ignores SIGTERM');
$neighbour = run_one(type => 'sleep', payload => {seconds => 600});
$from = now();
is(cancel($bad)->status, 202, 'it is cancelled');
is($tf->wait_for_end($bad)->{status}, 'CANCELLED', 'it ends all the same');
cmp_ok(took($bad, $from), '<', 15, '... soon (' . took($bad, $from) . ' s)');
ok(wait_until(20, sub { !-e "/proc/$child" }), '... and what it had started is gone');
is($tf->job($neighbour)->{status}, 'RUNNING', 'the job in the other executor still runs');
ok(wait_until(20, sub { 2 == scalar(my @now = TaskForge::Process::children_of($worker->pid)) }), 'the executor is replaced');

# claimed, but not begun
my @short = map { $_->{id} } $tf->submit_batch(map { {type => 'noop'} } 1 .. 20);
$tf->wait_for_end($_) for @short;
my @many = map { $_->{id} } $tf->submit_batch(map { {type => 'sleep', payload => {seconds => 600}} } 1 .. 3);
my $hog = $tf->wait_for_status($many[0], 'RUNNING');
ok(wait_until(20, sub { $tf->sql_value("SELECT count(*) FROM jobs WHERE type = 'sleep' AND status = 'RUNNING'") >= 2 }), 'jobs that fill the worker');
for my $id (@many) {
    like(cancel($id)->status, qr/^20[02]$/, 'one of them is cancelled, wherever it is');
    is($tf->wait_for_end($id)->{status}, 'CANCELLED', '... and ends CANCELLED');
}
is($tf->job($neighbour)->{status}, 'RUNNING', 'the neighbour still runs');

# success wins when it is first
cancel($neighbour);
is($tf->wait_for_end($neighbour)->{status}, 'CANCELLED', 'and can be cancelled itself');
my %ended;
for (1 .. 30) {
    my $id = run_one(type => 'sleep', payload => {seconds => 0.2});
    sleep 0.03 * ($_ % 8);
    my $status = cancel($id)->status;
    my $end = $tf->wait_for_end($id);
    $ended{"$status $end->{status}"}++;
}
is_deeply([grep { !/^(?:202 (?:CANCELLED|SUCCESS)|409 SUCCESS)$/ } keys %ended], [], 'a cancel that races success: one wins, and the answer fits (' .
    join(', ', map {"$_: $ended{$_}"} sort keys %ended) . ')');

# what was to run again does not
my $failing = run_one(type => 'sleep', payload => {seconds => 600}, timeout_seconds => 5);
$tf->sql("UPDATE jobs SET cancel_requested = true WHERE id = '$failing'"); # and nobody tells the worker before it times out
my $over = $tf->wait_for_end($failing, 60);
is($over->{status}, 'CANCELLED', 'a failed attempt is not tried again when the cancel was requested');
is($over->{run_at}, undef, '... it is due at no time');

# the heartbeat finds what Redis lost
my $unheard = run_one(type => 'sleep', payload => {seconds => 600});
$tf->sql("UPDATE jobs SET cancel_requested = true WHERE id = '$unheard'");
is($tf->wait_for_end($unheard, 60)->{status}, 'CANCELLED', 'an order that never came over Redis is found with the heartbeat');

# a worker that dies
my $orphan = run_one(type => 'test_stubborn');
kill 'STOP', $worker->pid;
cancel($orphan);
$tf->kill_part('worker');
is($tf->wait_for_end($orphan, 60)->{status}, 'CANCELLED', 'a job of a dead worker is cancelled rather than tried again');

is_deeply([$tf->wrong_counts], [], 'the counters are right');
done_testing;
