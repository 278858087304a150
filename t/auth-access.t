# The access phase: which credentials are taken, what each may do, and that a change is heard at once.
use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA qw(sha256_hex);
use TaskForge;
use TaskForge::Auth qw(add_user add_family add_key api_key bearer claims_of rsa_key sign_hs256 sign_rs256 token unsigned $SECRET);
use TaskForge::Files qw(slurp spew);

my $NONE = '00000000-0000-7000-8000-000000000000';

my $tf = TaskForge->start(auth => 1, parts => [qw(postgres redis nginx)], edit => sub {
    my ($text) = @_;
    my ($home) = $text =~ m{load_module (\S+)/bin/};
    rsa_key("$home/conf/idp");
    spew("$home/conf/old.key", "old-secret-old-secret-old-secret-old\n");
    spew("$home/html.txt", "page of \$taskforge_user\n");
    $text =~ s{(taskforge_jwt_key [^\n]*\n)}{$1
    taskforge_jwt_key  last-year HS256 file:$home/conf/old.key verify;
    taskforge_jwt_key  idp RS256 file:$home/conf/idp.pub verify issuer=https://idp.example;
    log_format  all '\$request|\$request_uri|\$args|\$http_referer|\$arg_token|\$taskforge_user|\$taskforge_job_id|\$taskforge_request_id';
    access_log  $home/log/all.log all;
};
    $text =~ s{(location = /livez)}{location /files/ \{
            taskforge_auth on;
            alias $home/;
        \}
        location /optional \{
            taskforge_auth optional;
            set \$before_the_check "\$taskforge_user \$taskforge_role";
            add_header X-User "\$taskforge_user \$taskforge_role";
            alias $home/html.txt;
        \}
        location /admins \{
            taskforge_auth on;
            taskforge_require admin;
            alias $home/html.txt;
        \}
        $1};
    return $text;
});
my $home = $tf->{home};
my (%secrets, %user);
$user{$_} = add_user($tf, $_, $_) for qw(viewer operator admin);

sub jobs { my ($credential) = @_; return $tf->get('/api/v1/jobs', bearer($credential)) }

sub refused {
    my ($credential, $text, $why) = @_;
    $secrets{$credential} = 1;
    my $r = jobs($credential);
    ok($r->is_problem(401), "$why: 401") or diag($r->status . ' ' . $r->body);
    like($r->json->{detail} // '', qr/$text/, "$why: says so");
    is($r->header('www-authenticate'), 'Bearer realm="taskforge", error="invalid_token"', "$why: RFC 6750");
    return;
}

my $r = $tf->get('/api/v1/jobs');
ok($r->is_problem(401), 'nobody: 401 as problem+json');
is($r->header('www-authenticate'), 'Bearer realm="taskforge"', 'and how to log in');
is($tf->get('/api/v1/nothing/here')->status, 401, 'who is not logged in does not learn what exists');

# tokens
my %token = map { $_ => token($user{$_}) } keys %user;
$secrets{$_} = 1 for values %token;
is(jobs($token{viewer})->status, 200, 'an access token is taken');
is(jobs($token{viewer})->status, 200, 'and again, out of memory');
is(jobs(sign_hs256('old-secret-old-secret-old-secret-old', {kid => 'last-year'}, claims_of($user{viewer})))->status, 200,
    'a token of the key before this one still verifies');
is(jobs(sign_rs256("$home/conf/idp", {kid => 'idp'}, claims_of($user{viewer}, iss => 'https://idp.example', fam => undef, use => undef)))->status,
    200, 'so does an outside issuer\'s');

refused('nonsense', 'malformed', 'no token');
refused(token($user{viewer}, exp => int(time) - 60), 'expired', 'expired');
refused(token($user{viewer}, exp => undef), 'no access token', 'without an end');
refused(token($user{viewer}, nbf => int(time) + 600), 'not valid yet', 'from the future');
refused(token($user{viewer}, iss => 'somebody'), 'another issuer', 'of another issuer');
refused(token($user{viewer}, aud => 'elsewhere'), 'another audience', 'for another audience');
refused(token($user{viewer}, use => 'refresh'), 'no access token', 'of another use');
refused(token($user{viewer}, sub => $NONE), 'no longer valid', 'of nobody');
refused(sign_hs256('x' x 48, {}, claims_of($user{admin})), 'signature', 'signed with another secret');
refused(sign_hs256($SECRET, {kid => 'next-year'}, claims_of($user{admin})), 'not known', 'of an unknown key');
refused(unsigned($user{admin}, 'none'), 'malformed|algorithm', 'alg none');
refused(unsigned($user{admin}, 'HS256') . 'AAAA', 'signature', 'without a real signature');
refused(sign_hs256(slurp("$home/conf/idp.pub"), {kid => 'idp'}, claims_of($user{admin}, iss => 'https://idp.example')), 'algorithm',
    'HS256 with the RSA public key');
refused(sign_rs256("$home/conf/idp", {kid => 'idp'}, claims_of($user{admin})), 'another issuer', 'the outside issuer speaks for itself only');
refused('tfr_' . 'Nobodys' x 6 . '1', 'malformed', 'a refresh token');
refused('e' x 5000, 'too long', 'too long');

# roles
my $job = {type => 'noop'};
is($tf->post('/api/v1/jobs', $job, bearer($token{viewer}))->status, 403, 'a viewer does not submit');
like($tf->post('/api/v1/jobs', $job, bearer($token{viewer}))->json->{detail}, qr/operator/, 'and learns which role does');
isnt($tf->post('/api/v1/jobs', $job, bearer($token{operator}))->status, 403, 'an operator does');
is($tf->get('/admins', bearer($token{operator}))->status, 403, 'taskforge_require admin keeps an operator out');
ok($tf->get('/admins', bearer($token{operator}))->is_problem(403), '... and says so as the API does, since taskforge_problems is on in the server');
is($tf->get('/admins', bearer($token{admin}))->status, 200, 'and lets an admin in');

# any location
is($tf->get('/files/html.txt')->status, 401, 'a file behind taskforge_auth');
is($tf->get('/files/html.txt', bearer($token{viewer}))->body, "page of \$taskforge_user\n", 'is for who logs in');
is($tf->get('/optional')->header('x-user'), '', 'optional: nobody is nobody');
is($tf->get('/optional', bearer($token{viewer}))->header('x-user'), 'viewer viewer', 'optional: somebody is known');
is($tf->get('/optional', bearer('bad'))->status, 401, 'optional: a bad credential is bad');

# API keys
my %key = map { $_ => add_key($tf, $user{admin}, $_) } qw(read submit manage);
$secrets{$_} = 1 for values %key;
sub with_key { my ($key) = @_; return (headers => {'X-API-Key' => $key}) }
my %may = (read => [200, 403, 403], submit => [200, 422, 403], manage => [200, 422, 404]);
for my $scope (sort keys %may) {
    my @got = ($tf->get('/api/v1/jobs', with_key($key{$scope}))->status,
        $tf->post('/api/v1/jobs', {}, with_key($key{$scope}))->status,
        $tf->api->delete("/api/v1/jobs/$NONE", with_key($key{$scope}))->status);
    is("@got", "@{$may{$scope}}", "a key with the scope $scope: reads, submits, deletes");
}
is(jobs($key{read})->status, 200, 'a key as Bearer is a key');
my $weak = add_key($tf, $user{viewer}, 'manage');
is($tf->post('/api/v1/jobs', $job, with_key($weak))->status, 403, 'a key may not more than its owner');
like($tf->get('/api/v1/jobs', with_key(api_key()))->json->{detail}, qr/not known/, 'a key of nobody');
(my $typo = $key{read}) =~ s/.\z/-/;
like($tf->get('/api/v1/jobs', with_key($typo))->json->{detail}, qr/mistyped/, 'a typo is told from its checksum');
is($tf->get('/api/v1/jobs', with_key(add_key($tf, $user{admin}, 'read', expires => "now() - interval '1 second'")))->status, 401, 'an expired key');
ok(wait_until(20, sub { $tf->sql_value("SELECT count(*) FROM api_keys WHERE last_used_at IS NOT NULL") >= 3 }), 'the last use of a key is noted');

# a change is heard at once: who heard nothing would believe the old for ever
sub all_workers { my ($credential) = @_; return join ' ', sort map { my $h = $tf->http; my $s = $h->get('/api/v1/jobs', bearer($credential))->status; $s } 1 .. 8 }
my $fired = add_user($tf, 'fired', 'operator');
my $badge = token($fired);
is(all_workers($badge), '200 ' x 7 . '200', 'every worker process knows the user');
$tf->sql("BEGIN; UPDATE users SET active = false WHERE id = '$fired->{id}'; SELECT pg_notify('tf_auth', 'user:$fired->{id}'); COMMIT");
ok(wait_until(20, sub { all_workers($badge) eq '401 ' x 7 . '401' }), 'deactivated: refused everywhere at once');
my $out = add_user($tf, 'leaver', 'viewer');
my $left = token($out);
is(jobs($left)->status, 200, 'a login');
$tf->sql("UPDATE refresh_families SET revoked_at = now() WHERE id = '$out->{family}'; SELECT pg_notify('tf_auth', 'family:$out->{family}')");
ok(wait_until(20, sub { all_workers($left) eq '401 ' x 7 . '401' }), 'logged out: its access token is refused at once');
is(jobs(token({%$out, family => add_family($tf, $out)}))->status, 200, 'another login of the same user goes on');
my $lost = $tf->sql_value("SELECT id FROM api_keys WHERE hash = decode('" . sha256_hex($key{submit}) . "', 'hex')");
$tf->sql("UPDATE api_keys SET revoked_at = now() WHERE id = '$lost'; SELECT pg_notify('tf_auth', 'key:$lost')");
ok(wait_until(20, sub { $tf->http->get('/api/v1/jobs', with_key($key{submit}))->status == 401 }), 'a revoked key is refused at once');
my $raised = add_user($tf, 'raised', 'viewer');
my $old = token($raised);
is($tf->post('/api/v1/jobs', {}, bearer($old))->status, 403, 'a viewer');
$tf->sql("UPDATE users SET role = 'operator' WHERE id = '$raised->{id}'; SELECT pg_notify('tf_auth', 'user:$raised->{id}')");
ok(wait_until(20, sub { $tf->post('/api/v1/jobs', {}, bearer($old))->status == 422 }), 'the role of now counts, not that of the token');

# without PostgreSQL
$tf->expect_log(qr/terminating|connection|shutting down/);
is(jobs($token{viewer})->status, 200, 'known');
$tf->kill_part('postgres'); # at once: a shutdown may take as long as that moment
is($tf->get('/optional', bearer($token{viewer}))->status, 200, 'what is known is believed for a moment');
ok(wait_until(30, sub { $tf->get('/optional', bearer($token{viewer}))->status == 503 }), 'but for seconds only: 503');
is($tf->get('/optional', bearer($token{viewer}))->header('retry-after'), 1, 'with Retry-After');
is(jobs(token($user{viewer}, exp => int(time) - 60))->status, 401, 'what is bad in itself is bad without PostgreSQL');
$tf->start_part('postgres');
ok(wait_until(60, sub { jobs($token{viewer})->status == 200 }), 'and it comes back by itself');

# nothing secret in any log
$secrets{$SECRET} = 1;
my $mark = token($user{viewer}, jti => 'query');
$secrets{$mark} = 1;
$tf->get("/files/html.txt?token=$mark", headers => {Accept => 'text/event-stream', Referer => "http://localhost/?a=b&token=$mark"});
$tf->get("/livez?token=$mark");
$tf->get("/api/nothing-there?token=$mark"); # a file, and no taskforge_auth: error_log shows the request
$tf->get("/files/nothing-there?x=1&token=$mark&y=2", bearer($token{viewer}));
$tf->get("/api/v1/$_->[0]", headers => {Authorization => "Bearer $token{viewer}", 'X-Request-ID' => $_->[1]})
    for ["jobs/$NONE", 'not one word'], ['queues/reports', 'from-the-client'];
my $broken = $tf->http;
$broken->send_raw("GET /ws?token=$mark HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
eval { $broken->fill(time + 2) };
$tf->stop_part('nginx');
my $logs = join '', map { slurp($_) } glob "$home/log/*";
like($logs, qr{/files/nothing-there\?x=1&token=\*+&y=2}, 'the logs show the request');
like($logs, qr{open\(\) .*/api/nothing-there\?token=\*+ HTTP}, '... where nobody is asked who calls, too');
like($logs, qr{^GET /api/v1/jobs/$NONE HTTP.*\|viewer\|$NONE\|[0-9a-f]{32}$}m, '... the user, the job, and an id of the request');
like($logs, qr{^GET /api/v1/queues/reports HTTP.*\|viewer\|-?\|from-the-client$}m, '... no job where the path names none, and the id that the client gave');
my @found = grep { index($logs, $_) >= 0 } keys %secrets;
is_deeply(\@found, [], 'and no secret');

done_testing;
