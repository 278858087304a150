# Jobs that wait for the network share one process, hundreds of them; whatever happens to one, the others go on.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Files qw(slurp spew);
use TaskForge::Process qw(children_of);
use TaskForge::Rows;
use TaskForge::SlowServer;

my $MANY = 500;
my $server = TaskForge::SlowServer->start;
my $tf = TaskForge->start(handlers => 1, parts => [qw(postgres redis nchan nginx scheduler)], settings => {
    TASKFORGE_IO_CONCURRENCY => 600, TASKFORGE_OUTGOING_ALLOW => '127.0.0.1', TASKFORGE_LOST_SECONDS => 12, TASKFORGE_SHUTDOWN_SECONDS => 10
});
$tf->{settings}{TASKFORGE_HANDLERS_DIR} = "$tf->{home}/handlers";
mkdir "$tf->{home}/handlers" or die $!;
spew("$tf->{home}/handlers/slow.secret", 'whsec_' . 'c2VjcmV0' x 4);
spew("$tf->{home}/handlers/slow.json", JSON::PP::encode_json({
    description => 'waits', http => $server->url('/'), secret_file => 'slow.secret', timeout_seconds => 600, retry => {base_seconds => 600} # none comes back while others are counted
}));
$tf->start_part('worker');
my $worker = $tf->part('worker');

sub name_of { my ($pid) = @_; return eval { slurp("/proc/$pid/comm") =~ s/\n//r } // '' }
sub io_executor { my ($part) = @_; my ($pid) = grep { name_of($_) eq 'tf-io-executor' } children_of(($part // $worker)->pid); return $pid }
sub slow { my (%o) = @_; return {type => 'slow', payload => {ms => delete $o{ms} // -1}, timeout_seconds => 600, %o} }
sub io { my (%o) = @_; return {type => 'test_io', payload => {%o}, timeout_seconds => 600} }
sub waits { my ($n, $why) = @_; return ok(wait_until(60, sub { $server->stats->{now} == $n }), $why) || diag('they are ' . $server->stats->{now}) }
sub count { my ($where) = @_; return $tf->sql_value("SELECT count(*) FROM jobs WHERE $where") }
sub now { return $tf->sql_value('SELECT clock_timestamp()') }
sub took { return $tf->sql_value("SELECT extract(epoch FROM finished_at - '$_[1]'::timestamptz) FROM jobs WHERE id = '$_[0]'") }

is(io_executor(), undef, 'a worker that has no such job has no process for them');

# in the meantime: a worker of its own for one that never lets the others go on
$tf->start_part('worker2', TASKFORGE_WORKER_QUEUES => 'hog', TASKFORGE_WORKER_INTERNAL => 'false');
my $beside = $tf->submit({%{slow(ms => 1)}, queue => 'hog'})->{id};
is($tf->wait_for_end($beside)->{status}, 'SUCCESS', 'a service is called');
my $hog = $tf->submit({%{io(how => 'spin')}, queue => 'hog'})->{id};
$tf->wait_for_status($hog, 'RUNNING');
my $held_up = $tf->submit({%{slow(ms => 1)}, queue => 'hog'})->{id};

# many at once
my @many = map { $_->{id} } map { $tf->submit_batch(map { slow() } 1 .. 100) } 1 .. $MANY / 100;
waits($MANY, "$MANY jobs wait for a service at the same time");
my $pid = io_executor();
my @children = children_of($worker->pid);
is(scalar @children, 3, '... in one process, beside two executors');
$pid = io_executor();
my $unknown = $tf->wait_for_end($tf->submit({type => 'api_call', payload => {url => 'http://name.slow.test/', timeout_seconds => 0.5}, max_retries => 0})->{id}, 60);
like($unknown->{error}, qr/timed? ?out/i, 'a name that is looked up for long: its job times out');
cmp_ok($tf->sql_value("SELECT extract(epoch FROM finished_at - started_at) FROM jobs WHERE id = '$unknown->{id}'"), '<', 12, '... before the lookup ends, for which nobody waits');
is(io_executor(), $pid, '... nor is the process ended for it');
SKIP: {
    skip 'sanitizers take memory of their own', 1 if $TaskForge::Stack::SANITIZED;
    my ($kb) = slurp("/proc/$pid/smaps_rollup") =~ /^Pss_Anon:\s+(\d+) kB/m;
    cmp_ok($kb, '<', 100_000, "... which takes $kb kB of memory for all of them");
}
ok(wait_until(60, sub { my ($w) = grep { $_->{hostname} eq 'test' } @{$tf->get('/api/v1/workers')->json->{items}}; $w->{active} == $MANY }),
    '... and the worker says how many it runs');
my $alone = $tf->submit({type => 'noop'})->{id};
is($tf->wait_for_end($alone)->{status}, 'SUCCESS', '... while other jobs run as ever');

my $from = now();
is($tf->post("/api/v1/jobs/$many[7]/cancel", undef)->status, 202, 'one of them is cancelled');
is($tf->wait_for_end($many[7])->{status}, 'CANCELLED', '... and ends');
cmp_ok(took($many[7], $from), '<', 15, '... soon (' . took($many[7], $from) . ' s)');
waits($MANY - 1, '... alone');
my $late = $tf->wait_for_end($tf->submit(slow(timeout_seconds => 1, max_retries => 0))->{id}, 60);
is($late->{status}, 'DEAD_LETTER', 'one that takes too long');
is($late->{error}, 'timed out after 1 s', '... has timed out');
waits($MANY - 1, '... alone');
is(io_executor(), $pid, 'no process had to go');
$server->release;
ok(wait_until(60, sub { count("type = 'slow' AND status = 'SUCCESS'") >= $MANY }), 'the others end well');
my $most = $server->stats->{most};
ok($most >= $MANY && $most <= $MANY + 1, "$MANY is what the service saw at once, perhaps with the other worker's one") or diag $most;

# whoever only lets time pass lets the others work
my $patient = $tf->submit(io(wait_ms => 600_000))->{id};
$tf->wait_for_status($patient, 'RUNNING');
is($tf->wait_for_end($tf->submit(io(wait_ms => 50))->{id}, 60)->{result}, $pid, 'jobs that pause share the process too');
is($tf->job($patient)->{status}, 'RUNNING', '... each for its own time');
my %far = map { $tf->submit(io(wait_ms => 600_000, progress => $_))->{id} => $_ } 30, 60;
ok(wait_until(60, sub { !grep { $tf->job($_)->{progress} != $far{$_} } keys %far }), '... and each says how far it has come');
$tf->post("/api/v1/jobs/$_/cancel", undef) for keys %far;
$tf->wait_for_end($_) for keys %far;
$tf->post("/api/v1/jobs/$patient/cancel", undef);
my $stopped = $tf->wait_for_end($patient);
is_deeply([@$stopped{qw(status result)}], ['CANCELLED', 'stopped'], '... a cancel ends that');

# who harms the process harms itself
my @rest = map { $_->{id} } $tf->submit_batch(map { slow(max_retries => 5) } 1 .. 20);
waits(20, 'jobs wait');
my %error = (segv => 'killed by signal 11 (SIGSEGV)', overflow => 'killed by signal 11 (SIGSEGV)');
for my $how (sort keys %error) {
    $pid = io_executor();
    my $bad = $tf->wait_for_end($tf->submit(io(how => $how, url => $server->url('/1')))->{id}, 60);
    is($bad->{error}, $error{$how}, "$how: one beside them crashes, and its attempt failed");
    like($bad->{traceback} // '', qr/ io_(?:as_told|overflow)\+.*\n/, '... the traceback tells where');
    waits(20, '... the others are begun again');
    isnt(io_executor(), $pid, '... in another process');
}
SKIP: {
    skip 'sanitizers take memory of their own', 9 if $TaskForge::Stack::SANITIZED;
    $pid = io_executor();
    my $hungry = $tf->wait_for_end($tf->submit(io(take_mb => 4000))->{id}, 60);
    is($hungry->{error}, 'out of memory', 'memory: one beside them wants more than there is, and its attempt failed');
    my $modest = $tf->wait_for_end($tf->submit(io(take_mb => 200, wait_ms => 10))->{id}, 60);
    is_deeply([@$modest{qw(status result)}], ['SUCCESS', $pid], '... one that wants much is given it, in the same process');
    waits(20, '... the others wait on');
    my $greedy = $tf->wait_for_end($tf->submit(io(take_mb => 700, wait_ms => 600_000))->{id}, 60);
    is($greedy->{error}, 'took more than 512 MB of the memory that it shares with other jobs', '... one that takes much and keeps it has failed');
    waits(20, '... the others are begun again');
    isnt(io_executor(), $pid, '... in another process');
    my @large = map { $tf->submit(io(wait_ms => 3_600_000, filler => 'x' x 800_000)) } 1 .. 30;
    my $large = join ',', map {"'$_->{id}'"} @large;
    ok(wait_until(60, sub { count("id IN ($large) AND status = 'RUNNING'") >= 20 }), 'large payloads run at once');
    ok(wait_until(60, sub { count("id IN ($large) AND status = 'QUEUED' AND attempt = 0") }), '... but not so many that their memory would not do');
    $tf->post("/api/v1/jobs/$_->{id}/cancel", undef) for reverse @large;
    ok(wait_until(60, sub { count("id IN ($large) AND status = 'CANCELLED'") == 30 }), '... and end');
}
my $spin = $tf->submit({%{io(how => 'spin')}, timeout_seconds => 1})->{id};
is($tf->wait_for_end($spin, 60)->{error}, 'timed out after 1 s', 'spin: one beside them is deaf, and times out');
waits(20, '... the others are begun again');
$spin = $tf->submit(io(how => 'spin'))->{id};
$tf->wait_for_status($spin, 'RUNNING');
$tf->post("/api/v1/jobs/$spin/cancel", undef);
is($tf->wait_for_end($spin, 60)->{status}, 'CANCELLED', 'spin: one is deaf, and is cancelled all the same');
waits(20, '... the others are begun again');
my $rest = join ',', map {"'$_'"} @rest;
ok(wait_until(60, sub { count("id IN ($rest) AND status = 'RUNNING' AND attempt = 1") == 20 && ($pid = io_executor()) }), '... all of that is no attempt of theirs');
kill 'KILL', $pid;
ok(wait_until(60, sub { count("id IN ($rest) AND status = 'RETRYING' AND error = 'killed by signal 9 (SIGKILL)'") == 20 }),
    'a process that dies and nobody knows why: all attempts failed');
waits(0, '... nobody waits');

# the worker is taken for dead
my @lost = map { $_->{id} } $tf->submit_batch(map { slow() } 1 .. 5);
waits(5, 'jobs wait');
$pid = io_executor();
$tf->sql("UPDATE workers SET status = 'lost' WHERE hostname = 'test'");
ok(wait_until(60, sub { !-e "/proc/$pid" }), 'a worker that was declared lost ends what runs elsewhere now');
my $lost = join ',', map {"'$_'"} @lost;
waits(0, '... all of it');
ok(wait_until(60, sub { count("id IN ($lost) AND status = 'RETRYING' AND attempt = 1") == 5 }), '... which is to be tried again');
my $anew = $tf->wait_for_end($tf->submit(slow(ms => 1))->{id}, 60);
is($anew->{status}, 'SUCCESS', '... it works on');

# in the meantime
my $hogged = $tf->wait_for_end($hog, 60);
is($hogged->{error}, 'kept the other jobs of its process from going on', 'one that runs on and on while others wait is ended');
is($tf->wait_for_end($held_up)->{status}, 'SUCCESS', '... and they go on');
is($tf->job($held_up)->{attempt}, 1, '... in their attempt');

# leaving
my @short = map { $_->{id} } $tf->submit_batch((map { slow(ms => 4000) } 1 .. 10), slow());
waits(11, 'jobs wait');
$worker->signal('TERM');
ok(wait_until(60, sub { !$worker->alive }), 'SIGTERM: the worker leaves');
my $endless = pop @short;
my $short = join ',', map {"'$_'"} @short;
is(count("id IN ($short) AND status = 'SUCCESS' AND attempt = 1"), 10, '... when those are done that end in time');
is_deeply([$tf->sql("SELECT status, attempt FROM jobs WHERE id = '$endless'")], [['QUEUED', 0]], '... and the other is given back');

is_deeply([$tf->wrong_counts], [], 'the counters are right');
done_testing;
