# POST /jobs/{id}/retry: a job that has ended badly gets a new life, whoever else ended well keeps theirs.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Auth qw(add_user token);

my $tf = TaskForge->start(auth => 1);
my $user = add_user($tf, 'olga', 'operator');
my $token = token($user);
my %as = (headers => {Authorization => "Bearer $token"});
sub job { my ($id) = @_; return $tf->get("/api/v1/jobs/$id", %as)->json }
sub submit { my ($body) = @_; return $tf->post('/api/v1/jobs', $body, %as)->json->{id} }
sub act { my ($id, $action) = @_; return $tf->post("/api/v1/jobs/$id/$action", undef, %as) }
sub ended { my ($id) = @_; my $job; wait_until(60, sub { $job = job($id); $job->{finished_at} && $job->{status} ne 'RUNNING' }); return $job }

# a dataset that is not there: a permanent failure, until somebody puts it there
my $id = submit({type => 'data_processing', payload => {dataset => 'late'}, name => 'late'});
my $failed = ended($id);
is($failed->{status}, 'FAILED', 'a job that fails');
is(scalar @{$failed->{errors}}, 1, 'has one error');

open my $out, '>', "$tf->{home}/data/late.csv" or die $!;
print {$out} "a,b\n1,2\n";
close $out;
my $r = act($id, 'retry');
is($r->status, 200, 'can be retried by hand');
my $fresh = $r->json;
is($fresh->{status}, 'QUEUED', 'and waits again');
is_deeply([@$fresh{qw(attempt progress error result finished_at started_at worker)}], [0, 0, (undef) x 5], 'as if it were new');
ok($fresh->{retried_at}, 'but says that it was retried');
is($fresh->{created_at}, $failed->{created_at}, 'and keeps the time it was submitted');
my $good = ended($id);
is($good->{status}, 'SUCCESS', 'it runs again');
is($good->{attempt}, 1, 'with all its attempts');
is_deeply([map { $_->{epoch} } @{$good->{errors}}], [0], 'the error of its first life is kept');

$r = act($id, 'retry');
ok($r->is_problem(409), 'a job that succeeded is not retried: 409');
like($r->json->{detail}, qr/SUCCESS/, 'which names the state');
ok(act('01939d3e-0000-7000-8000-000000000000', 'retry')->is_problem(404), 'a job that does not exist: 404');

my $later = submit({type => 'noop', delay_seconds => 3600});
ok(act($later, 'retry')->is_problem(409), 'a job that still waits is not retried: 409');
is(act($later, 'cancel')->json->{status}, 'CANCELLED', 'but a cancelled one');
is(act($later, 'retry')->json->{status}, 'QUEUED', 'is, and does not wait for its old time');
is(ended($later)->{status}, 'SUCCESS', 'it runs at once');

# two retries at once: one epoch
$tf->sql("UPDATE jobs SET status = 'DEAD_LETTER' WHERE id = '$later'");
$tf->sql("UPDATE job_counts SET n = n - 1 WHERE status = 'SUCCESS' AND type = 'noop' AND writer = (SELECT writer FROM job_counts
    WHERE status = 'SUCCESS' AND type = 'noop' AND n > 0 LIMIT 1)",
    "INSERT INTO job_counts VALUES (0, 'default', 'noop', 5, 'DEAD_LETTER', 1) ON CONFLICT (writer, queue, type, priority, status) DO UPDATE SET n = job_counts.n + 1");
my @http = map { $tf->http } 1 .. 4;
$_->send_raw($_->format_request(POST => "/api/v1/jobs/$later/retry", %as)) for @http;
my @status = sort map { $_->read_response->status } @http;
is_deeply(\@status, [200, 409, 409, 409], 'of four retries at once one wins');
is(ended($later)->{status}, 'SUCCESS', 'and the job runs once more');
is($tf->sql_value("SELECT epoch FROM jobs WHERE id = '$later'"), 2, 'in one new epoch');

my @audit = map { $_->[0] } $tf->sql("SELECT action || ' ' || actor_name FROM audit_log WHERE object = '$later' ORDER BY id");
is_deeply(\@audit, ['job.cancel olga', 'job.retry olga', 'job.retry olga'], 'the audit has each change once, with who did it');
is($tf->sql_value(q{SELECT count(*) FROM
    (SELECT queue, type, priority, status, sum(n) AS n FROM job_counts GROUP BY 1, 2, 3, 4 HAVING sum(n) <> 0) k
    FULL JOIN (SELECT queue, type, priority, status, count(*) AS n FROM jobs GROUP BY 1, 2, 3, 4) j
    USING (queue, type, priority, status) WHERE k.n IS DISTINCT FROM j.n}), 0, 'the counters equal a recount');

done_testing;
