# Security headers, CORS by allow-list, TLS with HSTS, HTTP/2.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Auth qw(add_user token);
use TaskForge::Files qw(find_program slurp spew give_away);
use TaskForge::HTTP2;
use TaskForge::Postgres;
use TaskForge::Process qw(run);
use TaskForge::TLS;

my $GOOD = 'https://app.example.com';
my ($tls, $plain) = map { TaskForge::Stack::free_port() } 1 .. 2;
my $tf = TaskForge->start(parts => [qw(postgres redis nchan worker)], auth => 1, edit => sub {
    my ($text) = @_;
    $text =~ s{# taskforge_cors .*?;}{taskforge_cors $GOOD http://localhost:5173;} or die 'no taskforge_cors in nginx.conf';
    return $text;
});

# what conf/tls.conf.example says, with a certificate of our own
my $conf = slurp("$TaskForge::Stack::ROOT/conf/tls.conf.example");
my $ca = TaskForge::TLS->new;
my ($certificate, $key) = $ca->certificate('localhost', 'DNS:localhost,IP:127.0.0.1');
$conf =~ s{/etc/taskforge/tls/fullchain.pem}{$certificate} && $conf =~ s{/etc/taskforge/tls/key.pem}{$key} or die 'no certificate in tls.conf';
$conf =~ s/listen +443/listen 127.0.0.1:$tls/ && $conf =~ s/listen +80/listen 127.0.0.1:$plain/ && $conf =~ s/server_port = 80/server_port = $plain/
    or die 'no ports in tls.conf';
spew("$tf->{home}/conf/tls.conf", $conf);
give_away("$tf->{home}/conf/tls.conf");
$tf->start_part('nginx');

is($tf->get('/api/')->header('location') =~ s{^http://[^/]+}{}r, '/api/docs/', 'the documents are found');
for my $path ('/', '/api/v1/jobs', '/api/docs/', '/assets/nothing-here', '/livez') {
    subtest "security headers of $path" => sub {
        my $r = $tf->get($path);
        my $csp = $r->header('content-security-policy') // '';
        like($csp, qr/default-src '(self|none)'/, 'a Content-Security-Policy');
        unlike($csp, qr/unsafe|\*/, 'without inline scripts or wildcards');
        like($csp, qr/frame-ancestors 'none'/, 'no page may frame it');
        is($r->header('x-content-type-options'), 'nosniff', 'no sniffing');
        is($r->header('x-frame-options'), 'DENY', 'X-Frame-Options');
        is($r->header('referrer-policy'), 'no-referrer', 'Referrer-Policy');
        ok(!defined $r->header('strict-transport-security'), 'no HSTS without TLS');
        unlike($r->header('server') // '', qr/\d/, 'no version');
    };
}
like($tf->get('/api/v1/jobs')->header('content-security-policy'), qr/^default-src 'none'/, 'the API\'s answers load nothing');

my @curl = ('curl', '-sS', '--cacert', $ca->{ca});
my $user = add_user($tf, 'somebody', 'operator');
my %bearer = (Authorization => 'Bearer ' . token($user));

subtest 'TLS' => sub {
    my $out = run(@curl, '-D', '-', '-o', '/dev/null', "https://127.0.0.1:$tls/");
    like($out, qr{^HTTP/2 200}, 'the dashboard over TLS, in HTTP/2');
    like($out, qr/^strict-transport-security: max-age=31536000/mi, 'with HSTS');
    like(run(@curl, '-D', '-', "https://127.0.0.1:$tls/api/v1/jobs"), qr{^HTTP/2 401.*^strict-transport-security:}msi, 'the API\'s errors as well');
    like(run(@curl, '--http1.1', '-D', '-', '-o', '/dev/null', "https://127.0.0.1:$tls/"), qr{^HTTP/1.1 200}, 'and in HTTP/1.1');
    my $old = run('sh', '-c', "curl -sS -k --tls-max 1.1 https://127.0.0.1:$tls/ 2>&1 || true");
    unlike($old, qr/html/, 'no TLS 1.1');
    my $http = TaskForge::HTTP->new(port => $plain);
    my $r = $http->post('/api/v1/jobs?x=1', {}, headers => {Host => 'tf.example.com'});
    is_deeply([$r->status, $r->header('location')], [308, 'https://tf.example.com/api/v1/jobs?x=1'], 'plain HTTP is sent on, method and all');
    ok(!defined $r->header('strict-transport-security'), 'without HSTS');
    $r = TaskForge::HTTP->new(port => $tls)->get('/style.css', headers => {Host => 'tf.example.com'});
    is_deeply([$r->status, $r->header('location')], [308, "https://tf.example.com:$tls/style.css"], 'plain HTTP at the port of TLS too');
    is($tf->get('/livez')->status, 200, 'the port for this machine is as it was');
};

subtest 'events over TLS' => sub {
    my $listener = add_user($tf, 'listener', 'viewer');
    my %login = (Authorization => 'Bearer ' . token($listener));
    my $ws = TaskForge::WS->connect(socket => $ca->client($tls, 'http/1.1'), headers => \%login);
    ok($ws->greeting, '/ws');
    my $stream = TaskForge::SSE->connect(socket => $ca->client($tls, 'http/1.1'), headers => \%login);
    ok($stream->greeting, '/events/stream');
    my $h2 = TaskForge::HTTP2->new($ca->client($tls, 'h2'));
    my $id = $h2->request('GET', '/events/stream', headers => {%login, Accept => 'text/event-stream'});
    ok($h2->until(sub { $h2->{streams}{$id}{body} =~ /^data: \{"event":"connected"/m }), '/events/stream in HTTP/2');
    my $job = $tf->post('/api/v1/jobs', {type => 'noop'}, headers => \%bearer)->json->{id};
    is(scalar(grep { $_->{event} eq 'job_queued' && $_->{job}{id} eq $job } $_->events_until(30, sub { $_[0]{event} eq 'job_queued' && $_[0]{job}{id} eq $job })), 1,
        'both tell what happens') for $ws, $stream;
    ok($h2->until(sub { $h2->{streams}{$id}{body} =~ /^id: \d+-\d+-\d+\ndata: .*\Q$job\E.*\n\n/m }), 'all three do');
    my $other = $h2->request('GET', "/api/v1/jobs/$job", headers => \%bearer);
    is($h2->answer($other)->{status}, 200, 'other requests share the connection');
    $tf->sql("BEGIN; UPDATE users SET active = false WHERE id = '$listener->{id}'; SELECT pg_notify('tf_auth', 'user:$listener->{id}'); COMMIT");
    ok(wait_until(30, sub { $_->next_text(0.1); $_->{closed} }), 'the user is deactivated: they end') for $ws, $stream;
    like($h2->answer($id)->{ended}, qr/^reset/, 'in HTTP/2 the stream');
    is($h2->answer($h2->request('GET', "/api/v1/jobs/$job", headers => \%bearer))->{status}, 200, 'and nothing but the stream');
};

sub submission { my ($n, $size) = @_; return sprintf '{"type":"noop","name":"h%d","payload":{"pad":"%s"}}', $n, 'x' x $size }

subtest 'HTTP/2' => sub {
    my @workers = $tf->nginx_workers;
    my $h2 = TaskForge::HTTP2->new($ca->client($tls, 'h2'));
    my $r = $h2->answer($h2->request('POST', '/api/v1/jobs', headers => \%bearer, body => submission(0, 200_000), piece => 37));
    is($r->{status}, 202, 'a body of 200 kB in DATA frames of 37 bytes');
    my ($job) = $r->{body} =~ /"id":"([0-9a-f-]{36})"/;
    is($tf->sql_value("SELECT length(payload->>'pad') FROM jobs WHERE id = '$job'"), 200_000, 'arrives whole');
    $r = $h2->answer($h2->request('GET', "/api/v1/jobs/$job", headers => \%bearer));
    ok($r->{status} == 200 && index($r->{body}, 'x' x 200_000) > 0, 'and comes back');
    $r = $h2->answer($h2->request('POST', '/api/v1/jobs', headers => \%bearer, body => submission(0, 1_100_000)));
    is($r->{status}, 413, 'one that is too large is 413');

    my @ids = map { $h2->request('POST', '/api/v1/jobs', headers => \%bearer, body => submission($_, 20 * $_)) } 1 .. 100;
    my @answers = map { $h2->answer($_) } @ids;
    is_deeply([grep { $_->{status} != 202 } @answers], [], '100 streams at once are accepted');
    is_deeply([map { $_->{body} =~ /"name":"(h\d+)"/ } @answers], [map {"h$_"} 1 .. 100], 'each with its own answer');

    # cancelled while the statements wait for a lock
    my $before = $tf->sql_value('SELECT count(*) FROM jobs');
    open my $psql, '|-', TaskForge::Postgres::psql_command("$tf->{home}/run", 'postgres', 'taskforge') or die "psql: $!";
    $psql->autoflush;
    print $psql "BEGIN; LOCK TABLE jobs;\n";
    my $locked = "SELECT count(*) > 0 FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE relation = 'jobs'::regclass";
    wait_until(30, sub { $tf->sql_value("$locked AND mode = 'AccessExclusiveLock' AND granted") eq 't' }) or die 'no lock';
    @ids = map { $_ % 2 ? $h2->request('POST', '/api/v1/jobs', headers => \%bearer, body => submission($_, 100)) : $h2->request('GET', "/api/v1/jobs/$job", headers => \%bearer) } 1 .. 60;
    ok(wait_until(30, sub { $tf->sql_value("$locked AND application_name = 'taskforge-nginx' AND NOT granted") eq 't' }), 'statements are under way');
    my $half = $h2->request('POST', '/api/v1/jobs', headers => \%bearer, body => '{"type":', open => 1);
    $h2->cancel($_) for @ids, $half;
    my $alive = $h2->request('GET', '/livez');
    is($h2->answer($alive)->{status}, 200, 'they are cancelled, and the connection goes on');
    print $psql "COMMIT;\n";
    close $psql or die 'psql failed';
    $r = $h2->answer($h2->request('POST', '/api/v1/jobs', headers => \%bearer, body => submission(0, 10)));
    is($r->{status}, 202, 'as does everything behind them');
    cmp_ok($tf->sql_value('SELECT count(*) FROM jobs') - $before, '<=', 31, 'a cancelled submit is one job or none');
    close $h2->{socket};
    is_deeply([$tf->nginx_workers], \@workers, 'no process ended');
};

sub preflight {
    my ($origin, %headers) = @_;
    return $tf->api->request('OPTIONS', '/api/v1/jobs', headers => {Origin => $origin, 'Access-Control-Request-Method' => 'POST', %headers});
}

subtest 'preflight' => sub {
    my $r = preflight($GOOD, 'Access-Control-Request-Headers' => 'authorization, content-type');
    is($r->status, 204, 'a listed origin may ask, without credentials');
    is($r->header('access-control-allow-origin'), $GOOD, 'and is told so');
    is($r->header('access-control-allow-credentials'), 'true', 'credentials are allowed');
    like($r->header('access-control-allow-methods'), qr/\b$_\b/, "$_ is allowed") for qw(GET POST PATCH DELETE);
    like($r->header('access-control-allow-headers'), qr/\b$_\b/, "$_ may be sent") for qw(Authorization Content-Type Idempotency-Key Prefer Range X-API-Key);
    like($r->header('access-control-max-age'), qr/^\d+$/, 'and it may be remembered');
    like($r->header('vary'), qr/Origin/, 'Vary: Origin');
    is(preflight('http://localhost:5173')->status, 204, 'so may the other one');
    for my $origin ('https://evil.example.com', "$GOOD.evil.com", 'http://app.example.com', 'https://app.example.com:444', 'null', '') {
        my $bad = preflight($origin);
        is($bad->status, 403, "'$origin' may not");
        ok(!defined $bad->header("access-control-allow-$_"), "nor is it told allow-$_") for qw(origin credentials);
    }
};

subtest 'answers' => sub {
    my $r = $tf->get('/api/v1/jobs', headers => {Origin => $GOOD});
    is($r->status, 401, 'who does not log in gets 401');
    is($r->header('access-control-allow-origin'), $GOOD, 'that a page of a listed origin can read');
    is($r->header('access-control-allow-credentials'), 'true', 'with credentials');
    like($r->header('access-control-expose-headers'), qr/Retry-After.*RateLimit/, 'and these headers');
    $r = $tf->get('/api/v1/jobs', headers => {Origin => 'https://evil.example.com'});
    ok(!defined $r->header('access-control-allow-origin'), 'other origins get nothing');
    like($r->header('vary'), qr/Origin/, 'but caches are told');
    like($tf->get('/api/v1/jobs')->header('vary'), qr/Origin/, 'without an Origin too');
};

subtest 'settings that are none' => sub {
    # nginx ends at once where it finds an error, and frees nothing
    local %ENV = (%ENV, %{$tf->sanitizer_env('nginx')}, ASAN_OPTIONS => 'detect_leaks=0');
    for my $bad ('*', 'null', 'https://', 'https://a.example.com/', 'HTTPS://a.example.com', 'a.example.com', 'https://a b') {
        my $text = slurp("$tf->{home}/conf/nginx.conf");
        $text =~ s{taskforge_cors .*?;}{taskforge_cors "$bad";};
        spew("$tf->{home}/conf/bad.conf", $text);
        my $out = run('sh', '-c', '"$0" -t -p "$1" -c "$1/conf/bad.conf" 2>&1 || true', find_program('nginx'), $tf->{home});
        like($out, qr/is not an origin like/, "$bad is refused");
    }
};

done_testing;
