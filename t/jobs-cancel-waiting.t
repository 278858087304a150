# POST /jobs/{id}/cancel of a job that does not run yet: it never runs.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

my $tf = TaskForge->start(parts => [qw(postgres redis nchan nginx worker scheduler)], handlers => 1, settings => {TASKFORGE_WORKER_CONCURRENCY => 1});

sub cancel { my ($id) = @_; return $tf->post("/api/v1/jobs/$id/cancel", undef) }

# one executor, busy for as long as we like: everything behind it waits
my $busy = $tf->submit({type => 'test_chatty', payload => {lines => 1, until => 'go'}})->{id};
$tf->wait_for_status($busy, 'RUNNING');

my @ids = map { $tf->submit({type => 'noop'})->{id} } 1 .. 3;
my $r = cancel($ids[1]);
is($r->status, 200, 'a queued job can be cancelled');
is($r->json->{status}, 'CANCELLED', 'the answer is the cancelled job');
ok($r->json->{finished_at}, 'which has an end');
ok(cancel($ids[1])->is_problem(409), 'cancelling it again is 409');

my $later = $tf->submit({type => 'noop', delay_seconds => 3600})->{id};
is($tf->job($later)->{status}, 'SCHEDULED', 'a job for later is scheduled');
is(cancel($later)->json->{status}, 'CANCELLED', 'a scheduled job can be cancelled');

open my $go, '>', "$tf->{home}/data/go" or die $!;
close $go;
is($tf->wait_for_end($busy)->{status}, 'SUCCESS', 'the running job is not disturbed');
is($tf->wait_for_end($_)->{status}, 'SUCCESS', 'the jobs around the cancelled one run') for @ids[0, 2];
my $job = $tf->job($ids[1]);
is($job->{status}, 'CANCELLED', 'the cancelled one stays cancelled');
is($job->{attempt}, 0, 'and was never tried');
ok(cancel($ids[0])->is_problem(409), 'a job that ended cannot be cancelled: 409');
ok(cancel('01939d3e-0000-7000-8000-000000000000')->is_problem(404), 'a job that does not exist: 404');
is($tf->job($ids[0])->{status}, 'SUCCESS', 'a refused cancel changes nothing');

done_testing;
