# Security headers, CORS by allow-list, TLS with HSTS.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Files qw(find_program slurp spew give_away);
use TaskForge::Process qw(run);

my $GOOD = 'https://app.example.com';
my $tls = TaskForge::Stack::free_port();
my $tf;
$tf = TaskForge->start(parts => [qw(postgres redis)], auth => 1, edit => sub {
    my ($text) = @_;
    $text =~ s{# taskforge_cors .*?;}{taskforge_cors $GOOD http://localhost:5173;} or die 'no taskforge_cors in nginx.conf';
    return $text;
});

# what conf/tls.conf.example says, with a certificate of our own
my $conf = slurp("$TaskForge::Stack::ROOT/conf/tls.conf.example");
run('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=localhost',
    '-keyout', "$tf->{home}/conf/key.pem", '-out', "$tf->{home}/conf/fullchain.pem");
$conf =~ s{/etc/taskforge/tls/}{$tf->{home}/conf/}g;
$conf =~ s/listen +443/listen 127.0.0.1:$tls/;
spew("$tf->{home}/conf/tls.conf", $conf);
give_away("$tf->{home}/conf/key.pem", "$tf->{home}/conf/fullchain.pem", "$tf->{home}/conf/tls.conf");
$tf->start_part('nginx');

for my $path ('/', '/style.css', '/api/v1/jobs', '/nothing-here', '/livez') {
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

subtest 'TLS' => sub {
    my $out = run('curl', '-sS', '-k', '-D', '-', '-o', '/dev/null', "https://127.0.0.1:$tls/");
    like($out, qr{^HTTP/\S+ 200}, 'the dashboard over TLS');
    like($out, qr/^strict-transport-security: max-age=31536000/mi, 'with HSTS');
    like(run('curl', '-sS', '-k', '-D', '-', "https://127.0.0.1:$tls/api/v1/jobs"), qr/^strict-transport-security:/mi, 'the API\'s errors as well');
    my $old = run('sh', '-c', "curl -sS -k --tls-max 1.1 https://127.0.0.1:$tls/ 2>&1 || true");
    unlike($old, qr/html/, 'no TLS 1.1');
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
    like($r->header('access-control-allow-headers'), qr/\b$_\b/, "$_ may be sent") for qw(Authorization Content-Type Idempotency-Key X-API-Key);
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
