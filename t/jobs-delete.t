# DELETE /jobs/{id}: only what has ended can be deleted, with all that is kept about it.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

my $tf = TaskForge->start(dataset => 1, handlers => 1);

my $id = $tf->submit({type => 'data_processing', payload => {dataset => 'sales_q1'}})->{id};
$tf->wait_for_end($id);
my $r = $tf->api->delete("/api/v1/jobs/$id");
is($r->status, 204, 'a job that ended can be deleted');
is($r->body, '', 'the answer has no body');
ok($tf->get("/api/v1/jobs/$id")->is_problem(404), 'then it is gone');
ok($tf->api->delete("/api/v1/jobs/$id")->is_problem(404), 'and cannot be deleted again');
is($tf->sql_value("SELECT count(*) FROM job_logs WHERE job_id = '$id'"), 0, 'its logs are gone');

my $failed = $tf->submit({type => 'data_processing', payload => {dataset => 'missing'}})->{id};
is($tf->wait_for_end($failed)->{status}, 'FAILED', 'a failed job');
is($tf->api->delete("/api/v1/jobs/$failed")->status, 204, 'can be deleted');
is($tf->sql_value("SELECT count(*) FROM job_errors WHERE job_id = '$failed'"), 0, 'its errors are gone too');

my $later = $tf->submit({type => 'noop', delay_seconds => 3600})->{id};
ok($tf->api->delete("/api/v1/jobs/$later")->is_problem(409), 'a scheduled job cannot be deleted: 409');
my $running = $tf->submit({type => 'test_chatty', payload => {lines => 1, until => 'go'}})->{id};
$tf->wait_for_status($running, 'RUNNING');
ok($tf->api->delete("/api/v1/jobs/$running")->is_problem(409), 'a running job cannot be deleted: 409');
open my $go, '>', "$tf->{home}/data/go" or die $!;
close $go;
is($tf->wait_for_end($running)->{status}, 'SUCCESS', 'and goes on');
is($tf->sql_value('SELECT coalesce(sum(n), 0) FROM job_counts'), 2, 'the counters no longer count what was deleted');

done_testing;
