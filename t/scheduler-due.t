# Jobs that become due are queued on time, put on their stream once, and announced.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Rows;

# a thousand jobs may take their time to their stream: reconcile is not to find them before, or they would be there twice
my $tf = TaskForge->start(parts => [qw(postgres redis scheduler)], settings => {TASKFORGE_RECONCILE_GRACE_MS => 5000});
$tf->expect_log(qr/redis_/);
ok(defined $tf->wait_for_lead('scheduler', 60), 'the scheduler leads');

sub late_ms { # between being due and being queued, by PostgreSQL's clock
    my ($due, @ids) = @_;
    return $tf->sql_value("SELECT max(extract(epoch FROM enqueued_at - timestamptz '$due') * 1000)::int FROM jobs WHERE id IN ("
            . join(',', map { "'$_'" } @ids) . ')');
}

my ($never) = $tf->insert_jobs(1, status => "'SCHEDULED'", run_at => "now() + interval '1 day'", enqueued_at => 'NULL');
sleep 1;

my $due = $tf->sql_value("SELECT now() + interval '2 seconds'");
my ($one) = $tf->insert_jobs(1, status => "'SCHEDULED'", run_at => "timestamptz '$due'", enqueued_at => 'NULL', priority => 8);
my ($retry) = $tf->insert_jobs(1, status => "'RETRYING'", run_at => "timestamptz '$due'", attempt => 1);
$tf->sql("SELECT pg_notify('tf_due', '')");
sleep 1;
my ($state) = $tf->sql("SELECT status, now() < timestamptz '$due' FROM jobs WHERE id = '$one'");
ok($state->[0] eq 'SCHEDULED' || $state->[1] ne 't', 'a job is not queued before its time') or diag "@$state";
ok(wait_until(30, sub { $tf->status_of($one) eq 'QUEUED' && $tf->status_of($retry) eq 'QUEUED' }), 'when due, it is queued');
my $late = late_ms($due, $one, $retry);
ok($late >= 0, 'not before its time') or diag "$late ms late";
# the best of three: the machine may have other things to do
for my $again (1, 2) {
    last if $late < 1000;
    note "$late ms late";
    my $at = $tf->sql_value("SELECT now() + interval '2 seconds'");
    my ($id) = $tf->insert_jobs(1, status => "'SCHEDULED'", run_at => "timestamptz '$at'", enqueued_at => 'NULL', priority => 7);
    $tf->sql("SELECT pg_notify('tf_due', '')");
    wait_until(30, sub { $tf->status_of($id) eq 'QUEUED' }) or last;
    $late = late_ms($at, $id);
}
cmp_ok($late, '<', 1000, 'on time');
note "$late ms late";
ok(wait_until(30, sub { join(' ', $tf->stream_ids(8)) eq $one }), 'it is on the stream of its priority, once');
ok(wait_until(30, sub { join(' ', $tf->stream_ids(5)) eq $retry }), 'so is a retry');
is(join(' ', $tf->wait_for_events($one, ['job_queued'])), 'job_queued', 'job_queued is announced, once');
is($tf->sql_value("SELECT run_at IS NULL AND attempt = 1 FROM jobs WHERE id = '$retry'"), 't', 'a retry keeps its attempt');

$due = $tf->sql_value("SELECT now() + interval '2 seconds'");
my @many = $tf->insert_jobs(1000, status => "'SCHEDULED'", run_at => "timestamptz '$due'", enqueued_at => 'NULL', priority => 2);
my @more = $tf->insert_jobs(1500, status => "'RETRYING'", run_at => "timestamptz '$due'", priority => 2, attempt => 1);
$tf->sql("SELECT pg_notify('tf_due', '')");
ok(wait_until(60, sub { $tf->stream_ids(2) >= 2500 }), '2,500 jobs due at once are all queued');
$late = late_ms($due, @many, @more);
ok($late < 15000, '... within seconds') or diag "$late ms late";
note "2,500 jobs: the last one $late ms late";
is_deeply([sort $tf->stream_ids(2)], [sort @many, @more], '... each on its stream, once');

$due = $tf->sql_value("SELECT now() + interval '2 seconds'");
my $at = "timestamptz '$due' + (g * 7919 % 3000) * interval '333 microseconds'";
$tf->insert_jobs(3000, status => "'SCHEDULED'", run_at => $at, scheduled_at => $at, enqueued_at => 'NULL', priority => 3);
$tf->sql("SELECT pg_notify('tf_due', '')");
ok(wait_until(60, sub { $tf->stream_ids(3) >= 3000 }), '3,000 jobs due within a second, in any order, are all queued');
my ($early, $out_of_order, $p99) = @{($tf->sql(
    'SELECT count(*) FILTER (WHERE enqueued_at < scheduled_at), count(*) FILTER (WHERE enqueued_at < before), '
        . 'percentile_disc(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM enqueued_at - scheduled_at) * 1000) FROM '
        . '(SELECT *, max(enqueued_at) OVER (ORDER BY scheduled_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before '
        . 'FROM jobs WHERE priority = 3) j'))[0]};
is($early, 0, '... none before its time');
is($out_of_order, 0, '... in the order of their times');
note "99 of 100 within $p99 ms";
my %place = map { ($_->[0] => $_->[1]) } $tf->sql('SELECT id, row_number() OVER (ORDER BY scheduled_at) FROM jobs WHERE priority = 3');
ok("@place{$tf->stream_ids(3)}" eq join(' ', 1 .. 3000), '... and are on their stream in that order, once each');
is($tf->status_of($never), 'SCHEDULED', 'a job of tomorrow waits');
is_deeply([$tf->wrong_counts], [], 'the counters are right');

# what sleeps until tomorrow is woken by a job of now
my ($soon) = $tf->insert_jobs(1, status => "'SCHEDULED'", run_at => 'now()', enqueued_at => 'NULL');
$tf->sql("SELECT pg_notify('tf_due', '')");
# without it, it would look in half a minute
ok(wait_until(10, sub { $tf->status_of($soon) eq 'QUEUED' }), 'a notification wakes the scheduler');

$tf->kill_part('redis');
my ($dark) = $tf->insert_jobs(1, status => "'SCHEDULED'", run_at => 'now()', enqueued_at => 'NULL', priority => 9);
$tf->sql("SELECT pg_notify('tf_due', '')");
ok(wait_until(30, sub { $tf->status_of($dark) eq 'QUEUED' }), 'Redis is away: a due job is queued in PostgreSQL all the same');
$tf->start_part('redis');
ok(wait_until(60, sub { $tf->stream_ids(9) }), 'Redis is back: it is on its stream');
is_deeply([$tf->stream_ids(9)], [$dark], '... once');
is_deeply([$tf->wrong_counts], [], 'the counters are right');

# waiting costs nothing, once what Redis had lost is on its streams again
my $ticks;
for (1 .. 3) {
    my $before = cpu();
    sleep 3;
    $ticks = cpu() - $before;
    last if $ticks < 50;
}
cmp_ok($ticks, '<', 50, 'an idle leader uses next to no processor time, in ticks of 3 s');

sub cpu {
    open my $stat, '<', '/proc/' . $tf->part('scheduler')->pid . '/stat' or die $!;
    my @field = split ' ', <$stat> =~ s/^.*\) //r;
    return $field[11] + $field[12];
}

done_testing;
