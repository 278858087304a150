# A handler that finds that it is too early asks to be run later: that is no failure and costs no attempt.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Rows;

my $tf = TaskForge->start(handlers => 1);

my $id = $tf->submit({type => 'test_snooze', payload => {until => 'ready', seconds => 2}, max_retries => 0})->{id};
my $job = $tf->wait_for_status($id, 'SCHEDULED');
is($job->{status}, 'SCHEDULED', 'a snoozed job is SCHEDULED');
is($job->{attempt}, 0, '... no attempt is counted');
cmp_ok($job->{snoozes}, '>=', 1, '... but the snooze is');
is($job->{error}, undef, '... there is no error');
is($job->{started_at}, undef, '... it has not started');
ok($job->{run_at} gt $job->{updated_at}, '... run_at says when it is due');
ok(wait_until(60, sub { $tf->job($id)->{snoozes} >= 3 }), 'it comes back, and may snooze again');
open my $out, '>', "$tf->{home}/data/ready" or die $!;
close $out;
$job = $tf->wait_for_end($id);
is("$job->{status} $job->{attempt}", 'SUCCESS 1', 'in the end it succeeds, in its first attempt');
is_deeply($job->{errors}, [], 'there is no error of any attempt');
my @said = map { $_->{message} } @{$tf->get("/api/v1/jobs/$id/logs")->json->{items}};
is_deeply(\@said, [('not yet') x $job->{snoozes}, 'it is there'], 'what it logged each time is kept, in order');
my @told = (('job_queued', 'job_running', 'job_queued') x $job->{snoozes}, qw(job_queued job_running job_success));
is_deeply([$tf->wait_for_events($id, \@told)], \@told, 'each change is announced');
# one that snoozes for months
my $chatty = $tf->submit({type => 'test_snooze', payload => {until => 'never', seconds => 1}})->{id};
ok(wait_until(30, sub { $tf->job($chatty)->{snoozes} }), 'a job that snoozes without end');
$tf->sql("INSERT INTO job_logs (job_id, epoch, attempt, seq, at, level, message) SELECT '$chatty', 0, 1, g, now(), 'info', 'old ' || g "
        . 'FROM generate_series(1, 1500) g');
ok(wait_until(30, sub { $tf->sql_value("SELECT count(*) FROM job_logs WHERE job_id = '$chatty' AND seq <= 1500") <= 1000 }),
    '... keeps as many lines of its earlier runs as one attempt may have');
is($tf->sql_value("SELECT message FROM job_logs WHERE job_id = '$chatty' ORDER BY seq DESC OFFSET 0 LIMIT 1"), 'not yet', '... the newest of them');
is($tf->sql_value("SELECT count(*) FROM job_logs WHERE job_id = '$chatty' AND message = 'old 1500'"), 1, '... and not the oldest');
$tf->post("/api/v1/jobs/$chatty/cancel", undef);
$tf->wait_for_end($chatty);
is($tf->sql_value("SELECT sum(n) FROM job_throughput WHERE status = 'SCHEDULED'"), undef, 'a snooze is not counted as a submission');
is_deeply([$tf->wrong_counts], [], 'the counters are right');

done_testing;
