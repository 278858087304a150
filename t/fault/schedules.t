# Three schedulers, a schedule that fires every second, and leaders that are killed or stand still: each tick fires once.
use FindBin;
use lib "$FindBin::Bin/../lib";
use TaskForge;
use TaskForge::Rows;

# no worker dies here: one that a busy machine keeps waiting is not lost
my $tf = TaskForge->start(parts => [qw(postgres redis worker scheduler)], settings => {TASKFORGE_LOST_SECONDS => 60});
$tf->expect_log(qr/postgres_|redis_|statement_failed/);
my @names = qw(scheduler scheduler2 scheduler3);
$tf->start_part($_) for @names[1, 2];

wait_until(20, sub { $tf->sql_value(q{SELECT count(*) FROM job_types WHERE type = 'noop'}) }) or die "no worker\n";

my $id = '01890000-0000-7000-8000-000000000001';
$tf->sql(
    qq{INSERT INTO schedules (id, name, cron, time_zone, jitter_seconds, overlap, catch_up_seconds, job, template, next_run_at)
       VALUES ('$id', 'every second', '* * * * * *', 'Europe/Berlin', 0, 'allow', 600, '{}',
               '{"type":"noop","queue":"default","priority":5,"payload":{}}', date_trunc('second', now()) + interval '1 second')},
    "SELECT pg_notify('tf_schedules', '')");

# the one of @_ that was elected last and not deposed since
sub leader {
    my ($leader, $since) = (undef, '');
    for my $name (grep { $tf->part($_)->alive } @_) {
        my ($last) = (sort { $a->[0] cmp $b->[0] } map { my $e = $_; map { ["$_->{ts}", $e] } $tf->log_events($name, $e) }
            qw(started leader_elected leader_deposed))[-1];
        ($leader, $since) = ($name, $last->[0]) if $last && $last->[1] eq 'leader_elected' && $last->[0] gt $since;
    }
    return $leader;
}
sub wait_for_leader {
    my (@not) = @_;
    my ($name, %not) = (undef, map { $_ => 1 } @not);
    return wait_until(30, sub { $name = leader(grep { !$not{$_} } @names) }) ? $name : undef;
}
sub ticks { return $tf->sql_value('SELECT count(*) FROM schedule_ticks') }
sub goes_on { my $from = ticks(); return wait_until(30, sub { ticks() >= $from + 3 }) }

ok(wait_until(30, sub { ticks() >= 3 }), 'it fires');
for my $n (1 .. 4) {
    my $name = wait_for_leader() or die "nobody leads\n";
    $tf->kill_part($name);
    ok(goes_on(), "kill -9 of the leader, number $n: another one goes on");
    $tf->start_part($name);
}

my $stopped = wait_for_leader();
$tf->part($stopped)->signal('STOP');
sleep 2;
$tf->part($stopped)->signal('CONT');
ok(goes_on(), 'SIGSTOP of the leader for 2 seconds: it goes on');

$stopped = wait_for_leader();
$tf->part($stopped)->signal('STOP');
ok(wait_for_leader($stopped), 'SIGSTOP of the leader for good: another one leads within seconds');
ok(goes_on(), '... and goes on');
$tf->part($stopped)->signal('CONT');
ok(goes_on(), 'SIGCONT: two that lead for a moment harm nobody');

# the last one leads on its own
$tf->kill_part($_) for grep { $_ ne $stopped } @names;
ok(goes_on(), 'two of three are dead: the third one goes on');

$tf->sql("UPDATE schedules SET paused = true, next_run_at = NULL, revision = revision + 1 WHERE id = '$id'");
my ($ticks, $seconds, $jobs, $wrong) = @{($tf->sql(q{SELECT count(*), extract(epoch FROM max(tick) - min(tick))::int + 1,
    count(DISTINCT job_id), count(*) FILTER (WHERE outcome <> 'fired') FROM schedule_ticks}))[0]};
is($wrong, 0, "all $ticks ticks fired");
is($ticks, $seconds, 'one tick for each second, none left out');
is($jobs, $ticks, 'one job for each tick');
is($tf->sql_value("SELECT count(*) FROM jobs WHERE schedule_id = '$id'"), $ticks, 'no job without a tick');
is($tf->sql_value('SELECT count(*) FROM schedule_ticks t LEFT JOIN jobs j ON j.id = t.job_id WHERE j.id IS NULL'), 0, 'no tick without its job');
ok(wait_until(60, sub { $tf->sql_value("SELECT count(*) FROM jobs WHERE status <> 'SUCCESS'") == 0 }), 'every job has run')
    or diag map { "@$_\n" } $tf->sql("SELECT id, status, created_at FROM jobs WHERE status <> 'SUCCESS'");
is($tf->sql_value('SELECT max(attempt) FROM jobs'), 1, '... once');
is_deeply([$tf->wrong_counts], [], 'the counters are right');

done_testing;
