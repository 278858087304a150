# POST /jobs/{id}/cancel of a job that runs: the API stores the wish and tells the worker. (How the worker stops it:
# jobs-cancel-running.t.)
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

# no worker: the job is made to run by hand, so that nobody ends it meanwhile
my $tf = TaskForge->start(parts => [qw(postgres redis nginx)]);
$tf->sql("INSERT INTO job_types VALUES ('sleep', '', '{}', 3, 60, 1000, 1000, false, now())");
my $id = $tf->submit({type => 'sleep', payload => {seconds => 60}})->{id};
$tf->sql("UPDATE jobs SET status = 'RUNNING', attempt = 1, incarnation = 4711, worker = 'w', started_at = now() WHERE id = '$id'",
    "UPDATE job_counts SET status = 'RUNNING' WHERE status = 'QUEUED'");
sub cancel { return $tf->post("/api/v1/jobs/$id/cancel", undef) }

my $r = cancel();
is($r->status, 202, 'cancelling a running job is accepted');
is($r->json->{status}, 'RUNNING', 'it still runs');
ok($r->json->{cancel_requested}, 'but is asked to stop');
ok(!$r->json->{finished_at}, 'and has no end yet');
ok(wait_until(20, sub { $tf->redis('XRANGE', 'tf:ctl', '-', '+') =~ /^w\n4711$/m }), 'its worker is told');
is(cancel()->status, 202, 'asking again is no error');
is($tf->sql_value("SELECT sum(n) FROM job_counts WHERE status = 'RUNNING'"), 1, 'it still counts as running');
is($tf->sql_value("SELECT count(*) FROM job_throughput WHERE status = 'CANCELLED'"), 0, 'and not as ended');
is($tf->sql_value("SELECT count(*) FROM audit_log WHERE action = 'job.cancel' AND object = '$id'"), 2, 'the audit has both');

$tf->sql("UPDATE jobs SET status = 'SUCCESS', finished_at = now() WHERE id = '$id'",
    "UPDATE job_counts SET status = 'SUCCESS' WHERE status = 'RUNNING'");
$r = cancel();
ok($r->is_problem(409), 'when the job has ended first: 409');
like($r->json->{detail}, qr/SUCCESS/, 'which names the state');

done_testing;
