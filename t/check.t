# tools/check, which ./taskforge check runs: it finds what is wrong with the books, and says what and where.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Rows;
use TaskForge::Process qw(as_unprivileged);

my $tf = TaskForge->start(parts => [qw(postgres redis)]);
my $home = $tf->{home};

# Its exit code, and all it says.
sub check {
    my (%env) = @_;
    my %all = (DATABASE_URL => "host=$home/run dbname=taskforge user=taskforge_owner", REDIS_URL => "unix://$home/run/redis.sock",
        PSQL => "$home/share/sql/psql", %env);
    # by standard input: the file may be where only we can read
    open my $program, '<', "$FindBin::Bin/../tools/check" or die "tools/check: $!";
    my $pid = open(my $out, '-|') // die "fork: $!";
    if (!$pid) {
        @ENV{keys %all} = values %all;
        open STDIN, '<&', $program or die;
        open STDERR, '>&', \*STDOUT or die;
        chdir '/';
        my @command = as_unprivileged('KILL', 'perl', '-', 20, 10);
        exec @command or die;
    }
    my $text = do { local $/; <$out> } // '';
    close $out;
    return ($? >> 8, $text);
}

# A statement that makes one thing wrong, what is said of it, and one that mends it.
sub finds {
    my ($what, $break, $says, $mend) = @_;
    $tf->sql($break);
    my ($code, $text) = check();
    is($code, 1, "$what: found");
    like($text, $says, '... and said where') or diag $text;
    my $problems = () = $text =~ /^  /mg;
    is($problems, 1, '... and nothing else') or diag $text;
    $tf->sql($mend);
    return;
}

my $alive = $tf->insert_worker('alive', heartbeat => "now() + interval '1 hour'"); # as long as this test may take
my $gone = $tf->insert_worker('gone', status => 'lost', heartbeat => "now() - interval '1 hour'");
my $old = "now() - interval '1 hour'";
my ($waits, $held, $later) = map { $tf->insert_jobs(1, %$_) } {enqueued_at => $old}, {status => "'RUNNING'", incarnation => $alive, updated_at => $old},
    {status => "'SCHEDULED'", run_at => "now() + interval '1 hour'"};
$tf->insert_jobs(2); # of this moment: on their way to their stream
$tf->xadd(5, $waits);
my ($code, $text) = check();
is($code, 0, 'nothing is wrong') or diag $text;
is($text, "counters of 5 jobs: ok\nrunning and due jobs, workers: ok\n1 waiting jobs and their streams: ok\naudit: ok\n", '... and it says what it saw');

# and stay so, however long the rest takes
$tf->sql("UPDATE jobs SET enqueued_at = now() + interval '1 hour' WHERE status = 'QUEUED' AND enqueued_at > now() - interval '30 minutes'");

finds('a counter that is wrong', 'UPDATE job_counts SET n = n + 2 WHERE writer = 0 AND status = \'QUEUED\'',
    qr/^  counter of queue default, type noop, priority 5, QUEUED: 5, but there are 3 jobs$/m, 'UPDATE job_counts SET n = n - 2 WHERE status = \'QUEUED\'');
finds('a job that no living worker holds', "UPDATE jobs SET incarnation = $gone WHERE id = '$held'",
    qr/^  job $held is RUNNING without a living worker since \d{4}-/m, "UPDATE jobs SET incarnation = $alive WHERE id = '$held'");
finds('a job that is due and stays', "UPDATE jobs SET run_at = $old WHERE id = '$later'",
    qr/^  1 jobs are SCHEDULED although due, the oldest since \d{4}-/m, "UPDATE jobs SET run_at = now() + interval '1 hour' WHERE id = '$later'");
finds('a worker that beats no more, and nobody minds', "UPDATE workers SET status = 'quiet' WHERE incarnation = $gone",
    qr{^  worker test/gone is quiet, but its last heartbeat was at \d{4}-}m, "UPDATE workers SET status = 'lost' WHERE incarnation = $gone");
$tf->sql("SELECT audit(NULL, 'x', NULL, 'a', 'b', NULL)");
finds('a row of the audit that was changed', "UPDATE audit_log SET actor_name = 'y'", qr/^  row 1: this row was changed$/m,
    "UPDATE audit_log SET actor_name = 'x'");

$tf->redis('DEL', 'tf:{default}:p5');
($code, $text) = check();
is($code, 1, 'a job that its stream does not hold: found');
like($text, qr/^  job $waits waits in queue default, level 5, and is not on its stream$/m, '... and named');
# more than Redis gives at once
my @many = $tf->insert_jobs(10_020, enqueued_at => $old, priority => 2);
while (my @some = splice @many, 0, 1002) { $tf->xadd(2, @some[0 .. 1000]) }
($code, $text) = check();
my @named = $text =~ /^  job \S+ waits in queue default, level 2, /mg;
is(scalar(@named), 5, 'of 10 among 10,020 five are named');
like($text, qr/^  \.\.\. and 5 more of that level$/m, '... and the others counted');

$tf->stop_part('redis');
($code, $text) = check();
is($code >= 1, 1, 'without Redis it fails');
like($text, qr/Redis/, '... and says so');

done_testing;
