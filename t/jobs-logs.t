# GET /jobs/{id}/logs: what the handler wrote, attempt by attempt.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

my $tf = TaskForge->start(dataset => 1, handlers => 1, settings => {TASKFORGE_LOG_LINES_MAX => 40});

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

# while the handler runs
my $chatty = $tf->submit({type => 'test_chatty', payload => {lines => 100, until => 'enough'}})->{id};
my $messages = sub { [map { $_->{message} } @{$tf->get("/api/v1/jobs/$chatty/logs")->json->{items}}] };
ok(wait_until(60, sub { @{$messages->()} > 40 }), 'lines can be read soon after they were written');
is($tf->job($chatty)->{status}, 'RUNNING', '... while their job still runs');
is_deeply($messages->(), [(map {"line $_"} 1 .. 40), 'more than 40 lines; the rest is not kept'], 'so many are kept as the setting says, and the last one says so');
is($tf->get("/api/v1/jobs/$chatty/logs")->json->{items}[40]{level}, 'warning', '... as a warning');
open my $out, '>', "$tf->{home}/data/enough" or die $!;
close $out;
is($tf->wait_for_end($chatty)->{status}, 'SUCCESS', 'a job with too many lines succeeds all the same');
is(scalar @{$messages->()}, 41, 'its end adds no line');

ok($tf->get('/api/v1/jobs/01939d3e-0000-7000-8000-000000000000/logs')->is_problem(404), 'a job that does not exist is 404');
ok($tf->get('/api/v1/jobs/xyz/logs')->is_problem(404) || $tf->get('/api/v1/jobs/xyz/logs')->is_problem(422), 'a bad id is a problem');

done_testing;
