# A handler that crashes fails its attempt, and the error tells where; one that takes too much is told so.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Rows;

my $tf = TaskForge->start(handlers => 1, settings => {TASKFORGE_EXECUTOR_MEMORY_MB => 128, TASKFORGE_EXECUTOR_FILE_MB => 16});
my %crash;
for my $how (qw(segv abort overflow exit)) {
    $crash{$how} = $tf->submit({type => 'test_crash', payload => {how => $how}, max_retries => 0})->{id};
}
my %job = map { $_ => $tf->wait_for_end($crash{$_}, 60) } keys %crash;
is($job{$_}{status}, 'DEAD_LETTER', "$_: the attempt failed") for sort keys %job;
is($job{segv}{error}, 'killed by signal 11 (SIGSEGV)', 'a bad pointer: the error names the signal');
is($job{abort}{error}, 'killed by signal 6 (SIGABRT)', 'abort() too');
is($job{overflow}{error}, 'killed by signal 11 (SIGSEGV)', 'so does a stack that overflows');
is($job{exit}{error}, 'the executor exited with status 7', 'exit(): the error names the status');
is($job{exit}{traceback}, undef, '... there is no traceback');

for my $how (qw(segv abort)) {
    my $text = $job{$how}{traceback} // '';
    like($text, qr/^#\d+ crash_as_told\+0x[0-9a-f]+ \(taskforge-worker\)$/m, "$how: the traceback names the function");
    like($text, qr/crash_as_told.*\n#\d+ crash_run\+.*\n/, '... and its caller');
    is($job{$how}{errors}[0]{traceback}, $text, '... and is kept with the attempt');
}
like($job{segv}{traceback}, qr/\A#0 crash_as_told\+/, 'the innermost frame is the first');
like($job{overflow}{traceback} // '', qr/\A(?:#\d+ crash_by_overflow\+.*\n){10}/, 'a stack that overflowed is told from a stack of its own');
is($tf->job($crash{segv})->{logs}[0]{message}, 'about to end by segv', 'what it logged before is there');

# by somebody else's hand
my $victim = $tf->submit({type => 'sleep', payload => {seconds => 60}, max_retries => 0})->{id};
# it is RUNNING since its claim; it has progress since its handler runs
wait_until(60, sub { ($tf->job($victim)->{progress} // 0) > 0 });
kill 'ILL', TaskForge::Process::children_of($tf->part('worker')->pid);
my $ill = $tf->wait_for_end($victim);
is($ill->{error}, 'killed by signal 4 (SIGILL)', 'a signal from outside is named');
like($ill->{traceback}, qr/sleep_run\+/, '... with where it was');

# too much
sub greedy { return $tf->wait_for_end($tf->submit({type => 'test_greedy', payload => {@_}})->{id}, 60) }
SKIP: {
    skip 'sanitizers take memory of their own', 3 if $TaskForge::Stack::SANITIZED;
    is(greedy(memory_mb => 64)->{result}, 64, 'TASKFORGE_EXECUTOR_MEMORY_MB: memory within the limit is given');
    my $hungry = greedy(memory_mb => 512);
    is($hungry->{status}, 'FAILED', '... more is not');
    like($hungry->{error}, qr/^out of memory after (?:[6-9]\d|1[0-2]\d) MB$/, '... and the handler can say so');
}
is(greedy(file_mb => 16)->{result}, 16, 'TASKFORGE_EXECUTOR_FILE_MB: a file within the limit is written');
is(greedy(file_mb => 32)->{error}, 'File too large after 16 MB', '... a larger one is an error, no signal');
my ($executor) = TaskForge::Process::children_of($tf->part('worker')->pid);
like(join('', TaskForge::Files::slurp("/proc/$executor/limits")), qr/^Max core file size +0 /m, 'no core files are written');

is_deeply([$tf->wrong_counts], [], 'the counters are right');
done_testing;
