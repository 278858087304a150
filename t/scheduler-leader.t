# Any number of schedulers may run: one leads, a dead one is replaced in seconds, a stopped one at once.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Rows;

my $tf = TaskForge->start(parts => [qw(postgres redis scheduler)]);
$tf->expect_log(qr/postgres_|redis_/);

sub leaders { return $tf->sql_value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted") }

ok(defined $tf->wait_for_lead('scheduler', 60), 'a scheduler alone leads');
$tf->start_part('scheduler2');
sleep 2.5;
is(scalar($tf->log_events('scheduler2', 'leader_elected')), 0, 'a second one follows');
is(leaders(), 1, 'one lock is held');

my ($before) = $tf->insert_jobs(1, status => "'SCHEDULED'", run_at => "now() + interval '3 seconds'", enqueued_at => 'NULL');
$tf->kill_part('scheduler');
my $took = $tf->wait_for_lead('scheduler2', 60);
ok(defined $took && $took < 15, 'kill -9 of the leader: the follower leads within seconds');
note sprintf 'took over after %.2f s', $took // -1;
ok(wait_until(30, sub { $tf->status_of($before) eq 'QUEUED' }), 'a job scheduled under the old leader is queued by the new one');
wait_until(30, sub { grep { $_ eq $before } $tf->stream_ids(5) }); # after the commit
is_deeply([grep { $_ eq $before } $tf->stream_ids(5)], [$before], '... and on its stream, once');

$tf->start_part('scheduler');
sleep 1.5;
my $start = time;
$tf->part('scheduler2')->signal('TERM');
ok(wait_until(30, sub { !$tf->part('scheduler2')->alive }), 'SIGTERM ends the leader');
my $left = time - $start;
# the sanitizers look for leaks first
ok($left < ($TaskForge::Stack::SANITIZED ? 15 : 5), 'SIGTERM: it leaves at once') or diag $left;
is($tf->part('scheduler2')->{status}, 0, 'SIGTERM: with status 0');
$took = $tf->wait_for_lead('scheduler', 60, 2);
ok(defined $took && $took < 15, 'SIGTERM: the follower leads within seconds');

$tf->sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted");
ok(wait_until(30, sub { $tf->log_events('scheduler', 'leader_deposed') }), 'a leader whose session ends is no leader any more');
ok(defined $tf->wait_for_lead('scheduler', 60, 3), '... and runs for the lead again');

$tf->kill_part('postgres');
ok(wait_until(30, sub { $tf->log_events('scheduler', 'leader_deposed') >= 2 }), 'PostgreSQL dies: no leader');
sleep 1;
ok($tf->part('scheduler')->alive, 'PostgreSQL is away: the scheduler stays');
$tf->start_part('postgres');
ok(defined $tf->wait_for_lead('scheduler', 60, 4), 'PostgreSQL is back: it leads again');
my ($after) = $tf->insert_jobs(1, status => "'SCHEDULED'", run_at => 'now()', enqueued_at => 'NULL');
$tf->sql("SELECT pg_notify('tf_due', '')");
ok(wait_until(30, sub { $tf->status_of($after) eq 'QUEUED' }), '... and works');

subtest 'settings' => sub {
    my $scheduler = "$tf->{home}/bin/taskforge-scheduler";
    my $run = sub {
        my ($env, @args) = @_;
        local %ENV = (PATH => $ENV{PATH}, %{$tf->sanitizer_env('scheduler')}, %{$tf->{settings}}, %$env);
        delete @ENV{grep { !defined $ENV{$_} } keys %ENV};
        open my $out, '-|', 'sh', '-c', 'exec "$@" 2>&1', 'sh', $scheduler, @args or die $!;
        my $text = do { local $/; <$out> } // '';
        close $out;
        return ($? >> 8, $text);
    };
    my ($status, $text) = $run->({}, '-t');
    is($status, 0, '-t: good settings') or diag $text;
    like($text, qr/settings are ok/, '-t: says so');
    ($status, $text) = $run->({}, '-V');
    like($text, qr/^taskforge-scheduler \d+\.\d+/, '-V: the version');
    my @bad = (
        ['no DATABASE_URL', {DATABASE_URL => undef}, qr/DATABASE_URL is required/],
        ['a broken DATABASE_URL', {DATABASE_URL => 'postgresql://u:secret@h:port:1/%'}, qr/DATABASE_URL is not a valid/],
        ['a broken REDIS_URL', {REDIS_URL => 'http://x'}, qr/REDIS_URL: expected redis:/],
        ['no library', {TASKFORGE_REDIS_LIBRARY => '/nonexistent'}, qr{TASKFORGE_REDIS_LIBRARY: /nonexistent: No such file}],
        ['a library that is none', {TASKFORGE_REDIS_LIBRARY => '/etc/passwd'}, qr/does not begin with/],
        ['a number that is none', {TASKFORGE_LOST_SECONDS => 'soon'}, qr/TASKFORGE_LOST_SECONDS: "soon" is not an integer/],
        ['a number out of range', {TASKFORGE_POISON_LIMIT => 0}, qr/TASKFORGE_POISON_LIMIT/],
        ['an unknown log level', {TASKFORGE_LOG_LEVEL => 'loud'}, qr/TASKFORGE_LOG_LEVEL/],
    );
    for (@bad) {
        my ($what, $env, $says) = @$_;
        ($status, $text) = $run->($env, '-t');
        is($status, 1, "$what: status 1");
        like($text, $says, "$what: says which");
        unlike($text, qr/secret/, "$what: no password");
    }
    ($status, $text) = $run->({}, '-c', '/nonexistent', '-t');
    is($status, 1, 'no such file: status 1');
    ($status, $text) = $run->({}, '--what');
    is($status, 2, 'an unknown option: status 2');
};

done_testing;
