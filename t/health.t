# /livez, /readyz, /health: whether the process lives, whether it can serve, and which part is down.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

my $tf = TaskForge->start;

is($tf->get('/livez')->status, 200, '/livez is 200');
ok(wait_until(30, sub { $tf->get('/readyz')->status == 200 }), '/readyz becomes 200');
my $r = $tf->get('/health');
is($r->status, 200, '/health is 200');
like($r->header('content-type'), qr{^application/json}, 'and JSON');
ok(length $r->json->{version}, 'it names the version');
for my $path (qw(/livez /readyz /health)) {
    is($tf->api->request('HEAD', $path)->status, 200, "HEAD $path works");
    my $r = $tf->api->request('DELETE', $path);
    is($r->status, 405, "DELETE $path is 405");
    like($r->header('allow') // '', qr/GET/, 'with Allow');
}

$tf->redis(qw(CONFIG SET maxmemory 1));
is($tf->post('/api/v1/jobs', {type => 'noop'})->status, 202, 'with a full Redis jobs are taken');
ok(wait_until(30, sub { $tf->get('/health')->json->{status} eq 'degraded' }), '... but /health says so');
like($tf->get('/health')->json->{parts}{redis}{detail}, qr/does not take/, '... and of what');
is($tf->get('/readyz')->status, 200, '/readyz stays 200');
$tf->redis(qw(CONFIG SET maxmemory 0));
ok(wait_until(60, sub { $tf->get('/health')->json->{status} eq 'ok' }), 'and all is well when it has room again');

ok(wait_until(30, sub { $tf->get('/health')->json->{parts}{events}{status} eq 'up' }), 'nchan is up');
$tf->kill_part('nchan');
ok(wait_until(60, sub { $tf->get('/health')->json->{status} eq 'degraded' }), 'without nchan /health says so');
is_deeply($tf->get('/health')->json->{parts}{events}, {status => 'down', detail => 'no connection to nchan'}, '... and of what');
is($tf->get('/readyz')->status, 200, '/readyz stays 200');
$tf->start_part('nchan');
ok(wait_until(60, sub { $tf->get('/health')->json->{status} eq 'ok' }), 'and all is well when it is back');

$tf->kill_part('redis');
ok(wait_until(30, sub { $tf->get('/readyz')->status == 503 }), 'without Redis /readyz becomes 503');
my $problem = $tf->get('/readyz');
ok($problem->is_problem(503), 'a problem');
like($problem->body, qr/redis/i, 'that names Redis');
ok(defined $problem->header('retry-after'), 'with Retry-After');
is($tf->get('/livez')->status, 200, '/livez stays 200');
$tf->start_part('redis');
ok(wait_until(60, sub { $tf->get('/readyz')->status == 200 }), 'and 200 again when Redis is back');

$tf->part('postgres')->stop(60, 'QUIT');
ok(wait_until(30, sub { $tf->get('/readyz')->status == 503 }), 'without PostgreSQL /readyz becomes 503');
like($tf->get('/readyz')->body, qr/postgresql/i, 'and names PostgreSQL');
is($tf->get('/livez')->status, 200, '/livez stays 200');
$tf->start_part('postgres');
ok(wait_until(60, sub { $tf->get('/readyz')->status == 200 }), 'and 200 again when PostgreSQL is back');

done_testing;
