# Partitions are made ahead and dropped behind, and the counters stay right.
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
    for my $parent (qw(jobs job_errors job_logs)) {
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

$tf->start_part('scheduler');
ok(wait_until(20, sub { $tf->sql_value("SELECT to_regclass('jobs_$ahead') IS NOT NULL") eq 't' }), 'partitions are made four weeks ahead');
is($tf->sql_value("SELECT to_regclass('${_}_$ahead') IS NOT NULL"), 't', "... for $_") for qw(job_errors job_logs);
is($tf->sql_value("SELECT tableoid::regclass FROM jobs WHERE id = '$stray'"), "jobs_$ahead", 'and the job from the future moves in');
ok(wait_until(20, sub { $tf->sql_value("SELECT count(*) FROM pg_class WHERE relname LIKE '%\\_$old'") == 0 }),
    'a week older than the retention whose jobs have all ended is dropped, with its errors and logs');
is($tf->sql_value("SELECT count(*) FROM jobs WHERE created_at < now() - interval '60 days'"), 11, 'a week with a job that still waits is kept');
is($tf->status_of($waiting), 'SCHEDULED', 'that job still waits');
is($tf->sql_value("SELECT count(*) FROM jobs_$recent"), 10, 'a week within the retention is kept');
is_deeply([$tf->wrong_counts], [], 'the counters are right after');
ok(wait_until(10, sub { $tf->sql_value('SELECT count(*) FROM job_throughput') == 1 }), 'minutes older than 48 hours are forgotten');
ok(wait_until(10, sub { $tf->sql_value('SELECT string_agg(pool, \' \') FROM workers') eq 'quiet' }), 'workers gone for a week are forgotten');

# dropped in the middle: what was detached is finished by whoever comes next
$tf->stop_part('scheduler');
my $half = make_week(25);
$tf->insert_jobs(7, status => "'SUCCESS'", created_at => "timestamptz '$half 12:00+00'");
is($tf->sql_value("SELECT drop_partitions(interval '30 days')"), 1, 'the first step detaches');
is($tf->sql_value("SELECT count(*) FROM jobs WHERE created_at = timestamptz '$half 12:00+00'"), 0, '... the jobs are gone');
isnt(scalar($tf->wrong_counts), 0, '... but still counted');
$tf->start_part('scheduler2');
ok(wait_until(20, sub { $tf->sql_value("SELECT count(*) FROM pg_class WHERE relname LIKE '%\\_$half'") == 0 }), 'the next leader finishes it');
is_deeply([$tf->wrong_counts], [], '... and the counters are right');

done_testing;
