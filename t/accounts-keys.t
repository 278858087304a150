# API keys: several with names, scopes, an end; shown once; dead at once when they are revoked. And tickets for /ws.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use Digest::SHA 'sha256_hex';

my $api = '/api/v1';
# every nginx worker hears of a change by NOTIFY, moments after its commit; who heard nothing would believe the old for ever
sub soon { my ($check) = @_; wait_until(20, $check) }
my $tf = TaskForge->start(parts => [qw(postgres redis nginx)], auth => 1, edit => sub {
    $_[0] =~ s/(taskforge_accounts +[^;]*);/$1 argon2_memory=1m argon2_time=1;/r;
});

sub call { my ($headers, $method, $path, $body) = @_;
    $tf->api->request($method, "$api$path", body => $body, headers => $headers) }
sub account { my ($name) = @_;
    my %who = (username => $name, password => 'correct horse 7 battery');
    $tf->post("$api/auth/register", {%who, email => "$name\@example.com"});
    return {Authorization => 'Bearer ' . $tf->post("$api/auth/login", \%who)->json->{access_token}} }

my ($alice, $bob) = map { account($_) } qw(alice bobby);
my $r = call($alice, POST => '/auth/api-key');
is $r->status, 201, 'POST /auth/api-key makes a key';
is $r->header('cache-control'), 'no-store', '... that no cache may keep';
my $first = $r->json;
like $first->{api_key}, qr/^tfk_[0-9A-Za-z]{44}$/, '... of the documented form';
is $first->{name}, 'default', '... called default';
is call({'X-API-Key' => $first->{api_key}}, GET => '/auth/me')->json->{username}, 'alice', 'it says who calls';
is call({Authorization => "Bearer $first->{api_key}"}, GET => '/auth/me')->status, 200, '... as Bearer too';
is $tf->sql_value("SELECT encode(hash, 'hex') FROM api_keys"), sha256_hex($first->{api_key}), 'at rest it is a SHA-256';
my $second = call($alice, POST => '/auth/api-key')->json;
ok soon(sub { call({'X-API-Key' => $first->{api_key}}, GET => '/auth/me')->is_problem(401) }), 'another one takes its place at once';
is call({'X-API-Key' => $second->{api_key}}, GET => '/auth/me')->status, 200, '... and works';
is call($alice, DELETE => '/auth/api-key')->status, 204, 'DELETE /auth/api-key revokes it';
ok soon(sub { call({'X-API-Key' => $second->{api_key}}, GET => '/auth/me')->is_problem(401) }), '... at once';
ok call($alice, DELETE => '/auth/api-key')->is_problem(404), '... once';

$r = call($alice, POST => '/auth/api-keys', {name => 'deploy', scopes => ['read'], expires_in_days => 30});
is $r->status, 201, 'a key with a name, scopes and an end';
my $key = $r->json;
is_deeply $key->{scopes}, ['read'], '... says so';
ok call($alice, POST => '/auth/api-keys', {name => 'deploy'})->is_problem(409), 'a name is taken while its key lives: 409';
is call({'X-API-Key' => $key->{api_key}}, GET => '/jobs')->status, 200, 'a key that may read reads';
ok call({'X-API-Key' => $key->{api_key}}, POST => '/auth/api-key')->is_problem(403), '... but makes no keys: 403';
$r = call($alice, POST => '/auth/api-keys', {name => '', scopes => ['all'], expires_in_days => 0, x => 1});
is_deeply [sort map { $_->{pointer} } @{$r->json->{errors}}], ['#/expires_in_days', '#/name', '#/scopes', '#/x'],
    'every field that is wrong or unknown is named';
$r = call($alice, GET => '/auth/api-keys');
is_deeply [map { $_->{name} } @{$r->json->{items}}], ['deploy'], 'the list has the living keys';
unlike $r->body, qr/\Q$key->{api_key}\E|hash/, '... and nothing secret';
is_deeply call($bob, GET => '/auth/api-keys')->json->{items}, [], 'nobody sees the keys of another';
ok call($bob, DELETE => "/auth/api-keys/$key->{id}")->is_problem(404), '... or revokes them';
$tf->sql("UPDATE api_keys SET expires_at = now() - interval '1 second' WHERE id = '$key->{id}'");
my $again = call($alice, POST => '/auth/api-keys', {name => 'short', expires_in_days => 1})->json;
is call($alice, DELETE => "/auth/api-keys/$again->{id}")->status, 204, 'a key is revoked by its id';
ok call($alice, DELETE => "/auth/api-keys/$again->{id}")->is_problem(404), '... once';
is call($alice, POST => '/auth/api-keys', {name => "k$_"})->status, 201, "key $_" for 2 .. 20;
ok call($alice, POST => '/auth/api-keys', {name => 'k21'})->is_problem(409), 'twenty keys are enough: 409';

my $asked = time;
$r = call($alice, POST => '/auth/ws-ticket');
is $r->status, 201, 'a ticket';
like $r->json->{ticket}, qr/^tft_[\w-]{43}$/, '... of the documented form';
is $r->json->{expires_in}, 30, '... for 30 seconds';
my $at = 'tf:ticket:' . sha256_hex($r->json->{ticket});
my $left = $tf->redis('TTL', $at);
cmp_ok $left, '>', 25 - (time - $asked), '... in Redis, by its hash';
cmp_ok $left, '<=', 30, '... no longer than it says';
ok call($alice, POST => '/auth/logout')->status == 204, 'logout';
my $machine = {'X-API-Key' => call($bob, POST => '/auth/api-key')->json->{api_key}};
ok call($machine, POST => '/auth/logout')->is_problem(409), 'an API key has no session to end: 409';
$tf->kill_part('redis');
wait_until(30, sub { call($bob, POST => '/auth/ws-ticket')->status == 503 });
$r = call($bob, POST => '/auth/ws-ticket');
ok $r->is_problem(503), 'without Redis there are no tickets: 503';
ok $r->header('retry-after'), '... with Retry-After';

my $logs = join '', map { TaskForge::Files::slurp($_) } glob "$tf->{home}/log/*";
my $audit = $tf->sql_value("SELECT string_agg(a::text, E'\n') FROM audit_log a");
is index($logs . $audit, $_->{api_key}), -1, 'no key is in a log or in the audit' for $first, $second, $key, $again;

done_testing;
