# GET /jobs/{id}: the whole job, with the errors of each attempt.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

my $tf = TaskForge->start;

my $id = $tf->submit({type => 'sleep', payload => {seconds => 0.3}, name => 'nap'})->{id};
my $job = $tf->wait_for_end($id);
is($job->{status}, 'SUCCESS', 'the job ended');
is_deeply($job->{result}, {seconds => 0.3}, 'its result is shown');
is($job->{progress}, 100, 'progress is 100');
is($job->{attempt}, 1, 'after one attempt');
is($job->{worker}, 'test/default', 'worker says who ran it');
is_deeply($job->{errors}, [], 'there are no errors');
is($job->{error}, undef, 'and no last error');
my $ran = $tf->sql_value("SELECT extract(epoch FROM finished_at - started_at) FROM jobs WHERE id = '$id'");
ok($job->{duration_seconds} >= 0.3 && abs($job->{duration_seconds} - $ran) < 0.01, 'duration_seconds is how long it ran') or diag "$job->{duration_seconds}, $ran";
like($job->{$_}, qr/Z$/, "$_ is set") for qw(created_at updated_at started_at finished_at);
ok($job->{started_at} lt $job->{finished_at}, 'it started before it finished');
for my $field (qw(id name type queue priority priority_value status payload result error traceback errors attempt max_retries progress worker
    created_by metadata created_at updated_at scheduled_at started_at finished_at duration_seconds cancel_requested traceparent)) {
    ok(exists $job->{$field}, "the answer has $field");
}

my $bad = $tf->wait_for_end($tf->submit({type => 'data_processing', payload => {dataset => 'missing'}})->{id});
is($bad->{status}, 'FAILED', 'a file that is not there is a permanent failure');
like($bad->{error}, qr/^missing\.csv: no such file/, 'error says why');
is(scalar @{$bad->{errors}}, 1, 'errors[] has one entry for its one attempt');
is($bad->{errors}[0]{attempt}, 1, 'numbered from 1');
is($bad->{errors}[0]{error}, $bad->{error}, 'with the same text');
like($bad->{errors}[0]{at}, qr/Z$/, 'and the time');

ok($tf->get('/api/v1/jobs/01939d3e-0000-7000-8000-000000000000')->is_problem(404), 'an id that does not exist is 404');
my $head = $tf->api->request('HEAD', "/api/v1/jobs/$id");
is($head->status, 200, 'HEAD answers like GET');
is($head->body, '', 'without a body');
is($tf->get('/api/v1/jobs/' . uc $id)->json->{id}, $id, 'an id in upper case is the same id');

done_testing;
