# Partitions are made ahead and dropped behind, jobs go sooner where a rule says so, and the counters stay right.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Rows;

my $tf = TaskForge->start(parts => [qw(postgres redis)]);
my $week = "date_trunc('week', now() AT TIME ZONE 'UTC')";

# weeks as they were made long ago; the schema's owner owns them
sub make_week {
    my ($ago) = @_;
    my $day = $tf->sql_value("SELECT to_char($week - $ago * interval '7 days', 'YYYYMMDD')");
    for my $parent (qw(jobs job_errors job_logs job_files job_file_chunks)) {
        $tf->sql("CREATE TABLE ${parent}_$day (LIKE $parent INCLUDING ALL)", "ALTER TABLE ${parent}_$day OWNER TO taskforge_owner",
            "DO \$\$ BEGIN EXECUTE format('ALTER TABLE $parent ATTACH PARTITION ${parent}_$day FOR VALUES FROM (%L) TO (%L)', "
                . "uuid_floor(timestamp '$day' AT TIME ZONE 'UTC'), uuid_floor((timestamp '$day' + interval '7 days') AT TIME ZONE 'UTC')); END \$\$");
    }
    return $day;
}
my ($old, $older, $recent) = (make_week(20), make_week(30), make_week(2));

my %at = map { ($_ => "timestamptz '$_ 12:00+00'") } $old, $older, $recent;
my @gone = map { $tf->insert_jobs(40, status => "'$_'", created_at => $at{$old}, finished_at => $at{$old}) } qw(SUCCESS FAILED DEAD_LETTER CANCELLED);
$tf->sql("INSERT INTO job_errors (job_id, epoch, attempt, at, error) VALUES ('$gone[0]', 0, 1, now(), 'x')",
    "INSERT INTO job_logs (job_id, epoch, attempt, seq, at, level, message) VALUES ('$gone[0]', 0, 1, 0, now(), 'info', 'x')");
$tf->insert_jobs(10, status => "'SUCCESS'", created_at => $at{$older});
my ($waiting) = $tf->insert_jobs(1, status => "'SCHEDULED'", created_at => $at{$older}, run_at => "now() + interval '1 hour'");
$tf->insert_jobs(10, status => "'SUCCESS'", created_at => $at{$recent});
$tf->sql("INSERT INTO job_throughput VALUES (now() - interval '49 hours', 0, 'SUCCESS', 1, 1, 1), (now() - interval '47 hours', 0, 'SUCCESS', 1, 1, 1)");
$tf->insert_worker('gone', status => 'lost', heartbeat => "now() - interval '8 days'");
$tf->insert_worker('quiet', status => 'quiet');
my $ahead = $tf->sql_value("SELECT to_char($week + interval '28 days', 'YYYYMMDD')");
is($tf->sql_value("SELECT to_regclass('jobs_$ahead') IS NULL"), 't', 'no partition for the week in four weeks yet');
my ($stray) = $tf->insert_jobs(1, status => "'SCHEDULED'", created_at => "timestamptz '$ahead 12:00+00'", run_at => "now() + interval '1 hour'");
is($tf->sql_value('SELECT count(*) FROM jobs_default'), 1, 'a job from a host whose clock is weeks ahead is in the default partition');
is($tf->sql_value("SELECT count(*) FROM jobs_$old"), 160, 'an old week is full');
is_deeply([$tf->wrong_counts], [], 'the counters are right before');

# a lock that is not had at once is asked for again a minute later
$tf->start_part('scheduler');
ok(wait_until(150, sub { $tf->sql_value("SELECT to_regclass('jobs_$ahead') IS NOT NULL") eq 't' }), 'partitions are made four weeks ahead');
is($tf->sql_value("SELECT to_regclass('${_}_$ahead') IS NOT NULL"), 't', "... for $_") for qw(job_errors job_logs job_files job_file_chunks);
is($tf->sql_value("SELECT tableoid::regclass FROM jobs WHERE id = '$stray'"), "jobs_$ahead", 'and the job from the future moves in');
ok(wait_until(150, sub { $tf->sql_value("SELECT count(*) FROM pg_class WHERE relname LIKE '%\\_$old'") == 0 }),
    'a week older than the retention whose jobs have all ended is dropped, with its errors and logs');
is($tf->sql_value("SELECT count(*) FROM jobs WHERE created_at < now() - interval '60 days'"), 11, 'a week with a job that still waits is kept');
is($tf->status_of($waiting), 'SCHEDULED', 'that job still waits');
is($tf->sql_value("SELECT count(*) FROM jobs_$recent"), 10, 'a week within the retention is kept');
is_deeply([$tf->wrong_counts], [], 'the counters are right after');
ok(wait_until(150, sub { $tf->sql_value('SELECT count(*) FROM job_throughput') == 1 }), 'minutes older than 48 hours are forgotten');
ok(wait_until(150, sub { $tf->sql_value('SELECT string_agg(pool, \' \') FROM workers') eq 'quiet' }), 'workers gone for a week are forgotten');

# dropped in the middle: what was detached is finished by whoever comes next
$tf->stop_part('scheduler');
my $half = make_week(25);
$tf->insert_jobs(7, status => "'SUCCESS'", created_at => "timestamptz '$half 12:00+00'");
is($tf->sql_value("SELECT drop_partitions(interval '30 days')"), 1, 'the first step detaches');
is($tf->sql_value("SELECT count(*) FROM jobs WHERE created_at = timestamptz '$half 12:00+00'"), 0, '... the jobs are gone');
is_deeply([$tf->wrong_counts], [], '... but still counted');
$tf->start_part('scheduler2');
ok(wait_until(150, sub { $tf->sql_value("SELECT count(*) FROM pg_class WHERE relname LIKE '%\\_$half'") == 0 }), 'the next leader finishes it');
is_deeply([$tf->wrong_counts], [], '... and the counters are right');

# rules that say sooner
$tf->stop_part('scheduler2');
sub ago { my ($days) = @_; return "now() - interval '$days days'" }
sub ended { # created and ended so many days ago; n of them
    my ($status, $queue, $created, $finished, $n) = @_;
    return $tf->insert_jobs($n // 1, status => "'$status'", queue => "'$queue'", created_at => ago($created), updated_at => ago($finished),
        finished_at => ago($finished));
}
sub there { my (@ids) = @_; return $tf->sql_value("SELECT count(*) FROM jobs WHERE id IN (" . join(',', map { "'$_'" } @ids) . ')') }
sub rules { my ($json) = @_; return $tf->sql("INSERT INTO queues (name, retention_days) VALUES ('short', '$json')
    ON CONFLICT (name) DO UPDATE SET retention_days = excluded.retention_days") }
rules('{"SUCCESS": 1, "FAILED": 5}');
my @many = ended('SUCCESS', 'short', 3, 2, 2500);
my ($slow) = ended('SUCCESS', 'short', 3, 0.5);
my ($failed, $old_failed) = (ended('FAILED', 'short', 3, 2), ended('FAILED', 'short', 7, 6));
my ($cancelled, $old_cancelled) = (ended('CANCELLED', 'other', 2, 2), ended('CANCELLED', 'other', 5, 4));
my @other = (ended('SUCCESS', 'other', 9, 9), ended('DEAD_LETTER', 'short', 9, 9));
my ($later) = $tf->insert_jobs(1, status => "'SCHEDULED'", queue => "'short'", created_at => ago(3), run_at => "now() + interval '1 hour'");
my ($sent) = $tf->insert_jobs(1, status => "'SUCCESS'", type => "'webhook'", queue => "'_webhooks'", finished_at => 'now()', parent_id => "'$old_failed'");
for my $id ($old_failed, $failed) {
    $tf->sql("INSERT INTO job_errors (job_id, epoch, attempt, at, error) VALUES ('$id', 0, 1, now(), 'x')",
        "INSERT INTO job_logs (job_id, epoch, attempt, seq, at, level, message) VALUES ('$id', 0, 1, 0, now(), 'info', 'x')",
        "INSERT INTO job_files VALUES ('$id', 'x', nextval('job_file_ids'), 0, 1, 'text/plain', 1, sha256('x'), now())",
        "INSERT INTO job_file_chunks VALUES ('$id', currval('job_file_ids'), 0, 'x')",
        "INSERT INTO webhook_deliveries VALUES ('$id', '$sent')");
}
is_deeply([$tf->wrong_counts], [], 'the counters are right before');
$tf->start_part('scheduler3', TASKFORGE_RETENTION_CANCELLED_DAYS => 3);
ok(wait_until(30, sub { $tf->log_events('scheduler3', 'jobs_deleted') }), 'jobs go before their week does');
is(($tf->log_events('scheduler3', 'jobs_deleted'))[0]{count}, 2502, '... and are counted in the log');
is(there(@many), 0, 'a queue keeps successes for a day: older ones are gone');
is(there($slow), 1, '... but for a job that ended later, though it was submitted as long ago');
is_deeply([there($failed), there($old_failed)], [1, 0], 'it keeps failures for longer');
is_deeply([there($cancelled), there($old_cancelled)], [1, 0], 'where a queue says nothing, the setting holds');
is(there(@other), 2, '... and what neither speaks of stays');
is_deeply([map { $tf->sql_value("SELECT string_agg(DISTINCT job_id::text, ' ') FROM $_ WHERE job_id IN ('$failed', '$old_failed')") }
        qw(job_errors job_logs job_files job_file_chunks webhook_deliveries)], [($failed) x 5], 'errors, logs, files and deliveries go with their job, and only they');
is_deeply([$tf->wrong_counts], [], 'the counters are right after');
my $step = q(SELECT looked || ' ' || deleted FROM retention_step('{"CANCELLED": 3}', 1000));
is($tf->sql_value($step), '0 0', 'what was looked at once is not looked at again');

# a day later
$tf->sql("UPDATE jobs SET finished_at = finished_at - interval '1 day' WHERE id = '$slow'",
    "UPDATE jobs SET status = 'SUCCESS', finished_at = now() WHERE id = '$later'",
    "UPDATE job_counts SET n = n + CASE status WHEN 'SUCCESS' THEN 1 ELSE -1 END "
        . "WHERE writer = 0 AND queue = 'short' AND status IN ('SUCCESS', 'SCHEDULED')",
    "UPDATE retention_later SET look_at = look_at - interval '1 day 2 hours'");
ok($tf->upkeep, 'a day later');
is_deeply([there($slow), there($later)], [0, 1], '... the one that ended late is gone, and one that was scheduled then has just ended');
$tf->sql("UPDATE jobs SET finished_at = finished_at - interval '1 day' WHERE id = '$later'",
    "UPDATE retention_later SET look_at = look_at - interval '1 day'");
$tf->sql("INSERT INTO job_ranges (low, high, jobs, young, levels, queues, creators, names)
    VALUES ('00000000-0000-7000-8000-000000000000', '00000000-0001-7000-8000-000000000000', 1000, false, 0, '{}', '{}', 'gone')");
ok($tf->upkeep, 'one more day later');
is($tf->sql_value("SELECT count(*) FROM job_ranges WHERE names = 'gone'"), 0, 'a range that lists search in is forgotten with its last job');
is(there($later), 0, '... so is that');

rules('{"FAILED": 1, "DEAD_LETTER": 0.5}');
ok($tf->upkeep, 'with another rule');
is_deeply([there($failed), there(@other)], [0, 1], '... what was looked at before goes when the new one says so');
$tf->sql('UPDATE queues SET retention_days = NULL');
$tf->stop_part('scheduler3');
is($tf->sql_value(q(SELECT looked FROM retention_step('{}', 1000))), 0, 'without rules nothing is looked at');
is($tf->sql_value('SELECT count(*) FROM retention_walks, retention_later'), 0, '... nor remembered');
is_deeply([$tf->wrong_counts], [], 'the counters are right');

done_testing;
