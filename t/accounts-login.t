# Accounts: registration, login, refresh tokens that rotate, logout, passwords, and what stops guessing.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

my $api = '/api/v1';
# every nginx worker hears of a change by NOTIFY, moments after its commit; who heard nothing would believe the old for ever
sub soon { my ($check) = @_; wait_until(20, $check) }
my $tf = TaskForge->start(parts => [qw(postgres redis nginx)], auth => 1, edit => sub {
    # cheap hashes, so that many fit into a test
    $_[0] =~ s/(taskforge_accounts +[^;]*);/$1 argon2_memory=1m argon2_time=1 lockout=5 lockout_time=6s lockout_address=30;/r;
});

sub put { my ($http, @request) = @_; $http->send_raw($http->format_request(@request)) }
sub register { $tf->post("$api/auth/register", {username => $_[0], email => "$_[0]\@example.com", password => $_[1]}) }
sub login { $tf->post("$api/auth/login", {username => $_[0], password => $_[1]}) }
# with what edit says now
sub restart { $tf->stop_part('nginx'); $tf->start_part('nginx') }
sub refresh { $tf->post("$api/auth/refresh", {refresh_token => $_[0]}) }
sub as { my ($token, $method, $path, $body) = @_;
    $tf->api->request($method, "$api$path", body => $body, headers => {Authorization => "Bearer $token"}) }
sub audited { $tf->sql_value("SELECT count(*) FROM audit_log WHERE action = '$_[0]'") }

my $secret = 'correct horse 7 battery';
my $r = register('alice', $secret);
is $r->status, 201, 'who registers gets an account';
is $r->json->{role}, 'viewer', '... as a viewer, as the setting says';
my $id = $r->json->{id};
like $id, qr/^[0-9a-f]{8}-[0-9a-f]{4}-7/, '... with a UUIDv7';
unlike $r->body, qr/password|hash|argon/, '... and its answer holds nothing of the password';
like $tf->sql_value("SELECT password_hash FROM users WHERE id = '$id'"), qr/^\$argon2id\$v=19\$m=1024,t=1,p=1\$/,
    'at rest it is an argon2id hash';
ok register('ALICE', $secret)->is_problem(409), 'a name is taken in any case of its letters: 409';
ok $tf->post("$api/auth/register", {username => 'other', email => 'Alice@Example.com', password => $secret})->is_problem(409),
    'so is an address: 409';
for my $weak ('short', '1234567890', 'vvvvvvvvvvvv', 'Password123', 'bobby-the-2nd', 'bobby-the-2nd@example.com', 'k7' x 65) {
    my $r = register('bobby-the-2nd', $weak);
    is $r->status, 422, "\"$weak\" is no password: 422";
    is $r->json->{errors}[0]{pointer}, '#/password', '... with a pointer';
}
$r = $tf->post("$api/auth/register", {username => 'a', email => 'b', role => 'admin'});
is_deeply [sort map { $_->{pointer} } @{$r->json->{errors}}], ['#/email', '#/password', '#/role', '#/username'],
    'every field that is wrong, missing or unknown is named at once';
ok $tf->api->request('POST', "$api/auth/login", body => '[]', headers => {'Content-Type' => 'application/json'})->is_problem(422),
    'a body that is no object: 422';

$r = login('alice', $secret);
is $r->status, 200, 'the password opens the account';
is_deeply [sort keys %{$r->json}], [qw(access_token expires_in refresh_token token_type)], '... with a pair of tokens';
is $r->header('cache-control'), 'no-store', '... that no cache may keep';
my $pair = $r->json;
is $pair->{expires_in}, 900, 'access for 15 minutes';
is as($pair->{access_token}, GET => '/auth/me')->json->{username}, 'alice', 'the token says who calls';
is $tf->post("$api/auth/login", {email => 'ALICE@example.com', password => $secret})->status, 200, 'the address opens it too';
ok $tf->post("$api/auth/login", {username => 'alice', email => 'a@b.c', password => $secret})->is_problem(422), 'but not both: 422';

my $wrong = login('alice', 'wrong wrong wrong');
my $nobody = login('nobody', 'wrong wrong wrong');
is $wrong->status, 401, 'a wrong password: 401';
is $wrong->body, $nobody->body, 'a name that nobody has gets the same answer, to the byte';
like $wrong->header('www-authenticate'), qr/^Bearer realm="taskforge"/, '... with WWW-Authenticate';

# refresh tokens
$r = refresh($pair->{refresh_token});
is $r->status, 200, 'a refresh token gives a new pair';
my $next = $r->json;
isnt $next->{refresh_token}, $pair->{refresh_token}, '... with another refresh token';
ok refresh($pair->{refresh_token})->is_problem(409), 'the old one again, at once: 409, as two tabs may do that';
is refresh($next->{refresh_token})->status, 200, '... and the family lives';
$tf->sql("UPDATE refresh_tokens SET used_at = used_at - interval '11 seconds'");
ok refresh($pair->{refresh_token})->is_problem(401), 'the old one again, later: 401, somebody has a copy';
ok soon(sub { as($next->{access_token}, GET => '/auth/me')->is_problem(401) }), '... and every token of the family is dead at once';
is audited('auth.reuse'), 1, '... and it is in the audit';
ok refresh('tfr_' . 'Nobodys' x 6 . '1')->is_problem(401), 'a token that nobody gave out: 401';
ok refresh($pair->{access_token})->is_problem(401), 'an access token refreshes nothing: 401';

# of many at once one wins
$pair = login('alice', $secret)->json;
my @http = map { $tf->http } 1 .. 8;
put($_, 'POST', "$api/auth/refresh", body => {refresh_token => $pair->{refresh_token}}) for @http;
my @status = sort map { $_->read_response->status } @http;
is_deeply \@status, [200, (409) x 7], 'eight refreshes of one token at the same time: one wins, seven get 409';

$pair = login('alice', $secret)->json;
is as($pair->{access_token}, POST => '/auth/logout')->status, 204, 'logout';
ok soon(sub { as($pair->{access_token}, GET => '/auth/me')->is_problem(401) }), '... ends the access token at once';
ok refresh($pair->{refresh_token})->is_problem(401), '... and the refresh token';

# passwords
my ($here, $there) = map { login('alice', $secret)->json->{access_token} } 1, 2;
ok as($here, POST => '/auth/password', {current_password => 'not the one I have', new_password => 'a new one, longer'})
    ->is_problem(422), 'a password is changed only by who knows it';
ok as($here, POST => '/auth/password', {current_password => $secret, new_password => 'alice'})->is_problem(422),
    '... to one that is good enough';
is_deeply([sort map { $_->{pointer} } @{as($here, POST => '/auth/password', {current_password => 1, new_password => 'alice', x => 1})->json->{errors}}],
    ['#/current_password', '#/new_password', '#/x'], '... and who errs hears of all errors at once');
is as($here, POST => '/auth/password', {current_password => $secret, new_password => 'a new one, longer'})->status, 204,
    'then it is changed';
is as($here, GET => '/auth/me')->status, 200, '... this session goes on';
ok soon(sub { as($there, GET => '/auth/me')->is_problem(401) }), '... all others end';
ok login('alice', $secret)->is_problem(401), 'the old one opens nothing';
$secret = 'a new one, longer';

# guessing
is login('alice', $secret)->status, 200, 'a good login';
login('alice', 'guess number ' . $_)->status for 1 .. 5;
$r = login('alice', $secret);
is $r->status, 429, 'after five wrong passwords even the right one waits: 429';
cmp_ok $r->header('retry-after'), '<=', 6, '... with Retry-After';
login('nobody-at-all', 'guess number ' . $_) for 1 .. 5;
is login('nobody-at-all', 'guess number 6')->body =~ s/nobody//r, $r->body, 'a name that nobody has is locked in the same way';
wait_until(30, sub { audited('auth.lock') == 1 });
is audited('auth.lock'), 1, 'the account itself is locked too, for every host';
ok wait_until(30, sub { login('alice', $secret)->status == 200 }), 'the lock ends by itself';
$tf->sql("CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''trouble''; END'",
    'CREATE TRIGGER trouble BEFORE INSERT ON refresh_families FOR EACH ROW EXECUTE FUNCTION trouble()');
is join(' ', map { login('alice', $secret)->status } 1 .. 6), '503 ' x 5 . '503', 'the right password while the database is in trouble: 503';
$tf->sql('DROP TRIGGER trouble ON refresh_families', 'DROP FUNCTION trouble()');
is login('alice', $secret)->status, 200, '... and none of them counts as a wrong one';
my $last;
$last = login("guest$_", 'one password for all')->status for 1 .. 31;
is $last, 429, 'one address that tries many names is stopped as well';

# stronger settings
$tf->{edit} = sub { $_[0] =~ s/(taskforge_accounts +[^;]*);/$1 argon2_memory=2m argon2_time=2;/r };
restart();
is login('alice', $secret)->status, 200, 'the password still opens the account under stronger settings';
like $tf->sql_value("SELECT password_hash FROM users WHERE id = '$id'"), qr/m=2048,t=2,p=1/, '... and its hash has grown';
is login('alice', $secret)->status, 200, '... and opens it again';

# bounded
$tf->{edit} = sub { $_[0] =~ s/queue=16/queue=2/r };
restart();
@http = map { $tf->http(timeout => 60) } 1 .. 12;
put($_, 'POST', "$api/auth/login", body => {username => "x$_", password => 'whatever it is'}) for @http;
my %seen;
for (@http) { my $r = $_->read_response; $seen{$r->status}++; $seen{retry}++ if $r->status == 503 && $r->header('retry-after') }
cmp_ok $seen{503} // 0, '>', 0, 'more passwords at a time than there is room for: 503';
is $seen{retry}, $seen{503}, '... with Retry-After';
is $seen{503} + $seen{401}, 12, '... and the others are answered';

# nothing of it is in a log, an answer's error or the audit
my $logs = join '', map { TaskForge::Files::slurp($_) } glob "$tf->{home}/log/*";
my $audit = $tf->sql_value("SELECT string_agg(a::text, E'\\n') FROM audit_log a");
for my $word ($secret, 'correct horse', $next->{refresh_token}, $pair->{access_token}) {
    is index($logs, $word), -1, 'a secret is in no log';
    is index($audit, $word), -1, '... nor in the audit';
}
is $tf->sql_value('SELECT count(*) FROM audit_verify()'), 0, 'the audit is whole';

done_testing;
