# GET /jobs/{id}/logs: what the handler wrote, attempt by attempt.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

my $tf = TaskForge->start(dataset => 1);

my $id = $tf->submit({type => 'data_processing', payload => {dataset => 'sales_q1', operation => 'aggregate'}})->{id};
is($tf->wait_for_end($id)->{status}, 'SUCCESS', 'a job that logs ends');
my $r = $tf->get("/api/v1/jobs/$id/logs");
is($r->status, 200, 'its logs can be read');
my $lines = $r->json->{items};
is(scalar @$lines, $tf->sql_value("SELECT count(*) FROM job_logs WHERE job_id = '$id'"), 'all lines that were written are shown');
ok(@$lines > 0, 'there is at least one');
for my $line (@$lines) {
    is($line->{attempt}, 1, 'a line says of which attempt it is');
    like($line->{timestamp}, qr/Z$/, 'when it was written');
    like($line->{level}, qr/^(debug|info|warning|error)$/, 'its level');
    ok(length $line->{message}, 'and what it says');
}
my $quiet = $tf->submit({type => 'noop'})->{id};
$tf->wait_for_end($quiet);
is_deeply($tf->get("/api/v1/jobs/$quiet/logs")->json->{items}, [], 'a job that logs nothing has an empty list');
ok($tf->get('/api/v1/jobs/01939d3e-0000-7000-8000-000000000000/logs')->is_problem(404), 'a job that does not exist is 404');
ok($tf->get('/api/v1/jobs/xyz/logs')->is_problem(404) || $tf->get('/api/v1/jobs/xyz/logs')->is_problem(422), 'a bad id is a problem');

done_testing;
