# Without PostgreSQL nothing is acknowledged: 503 with Retry-After at once, and all is well when it is back.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Files qw(slurp);

my $tf = TaskForge->start;

my $id = $tf->submit({type => 'noop'})->{id};
$tf->wait_for_end($id);

# a crash: all connections break, nothing is flushed
$tf->part('postgres')->stop(10, 'QUIT');

my @requests = (
    ['POST', '/api/v1/jobs', {type => 'noop'}], ['POST', '/api/v1/jobs/batch', {jobs => [{type => 'noop'}]}], ['GET', '/api/v1/jobs'],
    ['GET', "/api/v1/jobs/$id"], ['GET', "/api/v1/jobs/$id/logs"], ['POST', "/api/v1/jobs/$id/cancel"], ['DELETE', "/api/v1/jobs/$id"],
    ['GET', '/api/v1/jobs/metrics/summary'],
);
my ($asked, @slow) = 0;
for my $round (1, 2) {
    for (@requests) {
        my ($method, $path, $body) = @$_;
        my $begin = time;
        my $r = $tf->api->request($method, $path, defined $body ? (body => $body) : ());
        my $took = time - $begin;
        ok($r->is_problem(503), "$method $path is a 503 problem") or diag $r->status, ' ', $r->body;
        ok(($r->header('retry-after') // '') =~ /^[1-9]\d*$/, 'with Retry-After');
        $asked++;
        push @slow, sprintf '%s %.0f ms', $path, $took * 1000 if $took >= 1;
        unlike($r->body, qr/SELECT|INSERT|socket|\/run\//i, 'and says nothing about the inside');
    }
}
# nobody waits for PostgreSQL; a busy machine may hold one of them up
cmp_ok(scalar @slow, '<=', $asked / 8, 'at once') or diag join ', ', @slow;

$tf->start_part('postgres');
my $again = wait_until(60, sub { my $r = $tf->post('/api/v1/jobs', {type => 'noop'}); $r->status == 202 && $r->json->{id} });
ok($again, 'when it is back submits are accepted, without a restart');
like(slurp("$tf->{home}/log/nginx-error.log"), qr/\[error\].*PostgreSQL connection lost.*\[notice\].*connected to PostgreSQL/s, 'the log says when it went, and when it came back');
# every process has connections of its own, and each waits a second at most before it tries again
ok(wait_until(60, sub { 11 == grep { $_->get("/api/v1/jobs/$id")->status == 200 } $tf->api, map { $tf->http } 1 .. 10 }), 'and jobs can be read, in every process');
is($tf->wait_for_end($again, 60)->{status}, 'SUCCESS', 'and jobs run: worker and scheduler found it again too');
is($tf->job($id)->{status}, 'SUCCESS', 'what was there before is there');
my $later = $tf->submit({type => 'noop', delay_seconds => 1})->{id};
is($tf->wait_for_end($later, 60)->{status}, 'SUCCESS', 'scheduled jobs become due again');

done_testing;
