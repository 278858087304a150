# api_call: what it sends and gets is what curl sends and gets; answers are judged as the job says; nobody reaches what the
# settings do not allow; a secret goes where it belongs and nowhere else.
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Files qw(give_away slurp spew);
use TaskForge::Inside qw(inside);
use TaskForge::Secrets qw(secret);
use TaskForge::Stack;
use TaskForge::TLS;
use TaskForge::WebServer;

my $ca = TaskForge::TLS->new;
my ($certificate, $key) = $ca->certificate('leaf', 'IP:127.0.0.2');
my ($strange, $strange_key) = $ca->certificate('strange', 'IP:127.0.0.3');
my ($tls, $wrong_tls) = (TaskForge::Stack::free_port(), TaskForge::Stack::free_port());
my $web;
my $tf = TaskForge->start(parts => [qw(postgres redis)], settings => {
    TASKFORGE_OUTGOING_ALLOW => '127.0.0.2', TASKFORGE_OUTGOING_CA_FILE => $ca->{ca}, TASKFORGE_WORKER_CONCURRENCY => 6, TASKFORGE_LOST_SECONDS => 60,
    http_proxy => 'http://127.0.0.1:1', ALL_PROXY => 'http://127.0.0.1:1', # a proxy is nobody's business
}, edit => sub {
    my ($text) = @_;
    my $servers = join '', map { "server { listen 127.0.0.2:$_->[0] ssl; ssl_certificate $_->[1]; ssl_certificate_key $_->[2];
        location / { proxy_pass http://127.0.0.2:$web->{port}; proxy_http_version 1.1; } }\n" } [$tls, $certificate, $key], [$wrong_tls, $strange, $strange_key];
    return $text =~ s/\}\s*\z/$servers}\n/r;
});
my $home = $tf->{home};
$web = TaskForge::WebServer->start($home, {
    '/control' => {body => "\x01" x 900_000, type => 'text/plain'}, '/latin' => {body => "caf\xe9 \xff"},
    '/deep'    => {body => '[' x 5000 . ']' x 5000, type => 'application/json'},
    '/twice'   => {body => 'x', headers => ['X-One: a', 'x-one: b', 'X-Two: c']},
    '/scheme'  => {json => {ok => JSON::PP::true(), n => 3, big => 1e3, list => [{id => 7}, 'x'], "it's" => {'' => 'empty'}}},
    '/repos/nginx/nginx' => {json => {name => 'nginx', owner => {login => 'nginx'}}},
    '/order'   => {body => '{"z": 1.10, "a": 12345678901234567, "m": "\u00e9"}', type => 'application/problem+json'},
});
my $other = TaskForge::WebServer->start($home);
sub url { my ($target) = @_; return $web->url($target, '127.0.0.2') }

# ---- the operator's secrets
my $token = secret('s3cr3t/"t0ken"-' . join '', map { ('a' .. 'z')[rand 26] } 1 .. 16);
mkdir "$home/connections";
my %connection = (crm => {hosts => ['127.0.0.2'], allow_http => true}, strict => {hosts => ['127.0.0.2']}, elsewhere => {hosts => ['.example.com'], allow_http => true},
    header => {hosts => ['127.0.0.0/8'], header => 'X-Token', allow_http => true});
for my $name (keys %connection) {
    spew("$home/connections/$name.json", JSON::PP->new->encode({secret => {value => $token, %{$connection{$name}}}}));
    chmod 0600, "$home/connections/$name.json";
    give_away("$home/connections/$name.json");
}
$tf->{settings}{TASKFORGE_CONNECTIONS_DIR} = "$home/connections";
$tf->start_part($_) for qw(nginx scheduler worker);
wait_until(60, sub { $tf->post('/api/v1/jobs', {type => 'api_call', payload => {url => url('/ok')}})->status == 202 }) or die "the type is not known\n";

my (%id, %sent);
# what is tried again waits until it was looked at
my %later = (max_retries => 0, retry => {base_seconds => 900, max_seconds => 900});
sub call { my ($name, $payload, %more) = @_; return $id{$name} = $tf->submit({type => 'api_call', payload => $payload, %later, %more})->{id} }
sub ended { my ($name) = @_; return $tf->wait_for_end($id{$name}, 60) }
sub retrying { my ($name) = @_; return $tf->wait_for_status($id{$name}, 'RETRYING', 60) }

# All are on their way before the first is looked at.
call('json', {url => url('/json')});
call('gzip', {endpoint => url('/gzip')});
call('chunked', {url => url('/chunked')});
call('binary', {url => url('/binary'), expected_status => [500]});
call('latin', {url => url('/latin')});
call('order', {url => url('/order')});
call('deep', {url => url('/deep')});
call('twice', {url => url('/twice')});
call('echo', {url => url('/echo?x=1'), json => {a => [1, 'é'], b => undef}, method => 'PUT', query => {q => 'a b&c=é', n => [1, 2.5, true]},
    headers => {'X-Custom' => 'yes', 'X-Empty' => '', Accept => 'text/x'}});
call('text', {url => url('/echo'), body => 'hällo'});
call('keyed', {url => url('/echo'), method => 'POST', headers => {'idempotency-key' => 'mine', 'Content-Type' => 'text/x', 'User-Agent' => 'me'}, body => ''});
call('head', {url => url('/huge/5000'), method => 'HEAD'});
call('options', {url => url('/echo'), method => 'OPTIONS'});
call('delete', {url => url('/echo'), method => 'DELETE'});
call('chain', {url => url('/chain/3'), follow_redirects => 3});
call('chain short', {url => url('/chain/3'), follow_redirects => 2});
call('redirect', {url => url('/chain/1')});
call('loop', {url => url('/loop'), follow_redirects => 10});
call('307', {url => url('/redirect/307?/echo'), follow_redirects => 1, body => 'again'});
call('missing', {url => url('/nope')});
call('wanted', {url => url('/nope'), expected_status => [200, '4xx']});
call('unwanted', {url => url('/ok'), expected_status => [201]});
call('huge', {url => url('/huge/20000000')});
call('bomb', {url => url('/bomb/1000000000')});
call('control', {url => url('/control')});
call('headers', {url => url('/headers/90000')});
call('tls', {url => "https://127.0.0.2:$tls/echo", headers => {'X-Token' => 'a {{secret:strict}} b {{secret:header}}'}});
call('tls name', {url => "https://127.0.0.2:$wrong_tls/echo"});
call('hang', {url => url('/hang'), timeout_seconds => 300});
my $traced = $tf->post('/api/v1/jobs', {type => 'api_call', payload => {url => url('/echo?trace')}}, headers => {traceparent => '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'})->json;
my %again = (max_retries => 2, retry => {strategy => 'exponential', base_seconds => 1, max_seconds => 1, jitter => false});
call('flaky', {url => url('/flaky/1'), method => 'PATCH', body => 'x'}, %again);
call('later', {url => url('/later/429/600')}, %again);
call('busy', {url => url('/status/503')}, max_retries => 1);
call('final', {url => url('/status/503?2'), retry_on => []}, max_retries => 1);
call('listed', {url => url('/status/404'), retry_on => [404]}, max_retries => 1);
call("slow", {url => url('/hang?1'), timeout_seconds => 0.3}, max_retries => 1);
call("broken $_", {url => url("/$_")}, max_retries => 1) for qw(cut empty garbage bad-gzip bad-chunk);
call('closed', {url => 'http://127.0.0.2:' . TaskForge::Stack::free_port() . '/'}, max_retries => 1);

# ---- as curl
sub curl {
    my (@arguments) = @_;
    open my $out, '-|', 'curl', '-sS', '--compressed', '-w', "\n%{http_code} %{num_redirects} %{url_effective}", @arguments or die "curl: $!";
    my $text = do { local $/; <$out> };
    my ($body, $status, $redirects, $url) = $text =~ /^(.*)\n(\d+) (\d+) (\S+)\z/s or die "curl: $text";
    return ($body, $status, $redirects, $url);
}
sub same_as_curl {
    my ($name, $target, @arguments) = @_;
    my ($body, @rest) = curl(@arguments, url($target));
    my $job = ended($name);
    is($job->{status}, 'SUCCESS', "$name: SUCCESS") or diag($job->{error});
    my $result = $job->{result};
    is_deeply([@$result{qw(status_code redirects url)}], \@rest, '... status, redirects and URL are those that curl gets');
    exists $result->{json} ? is_deeply($result->{json}, JSON::PP::decode_json($body), '... and so is the JSON') : is($result->{body}, $body, '... and so is the body');
    is($result->{body_truncated}, false, '... all of it');
    return $result;
}
my $result = same_as_curl('json', '/json');
is_deeply([sort keys %$result], [sort qw(status_code headers json body_truncated bytes duration_ms url redirects)], 'the members of a result');
is_deeply([@{$result->{headers}}{qw(content-type content-length)}], ['application/json', $result->{bytes}], '... the headers, and the bytes');
same_as_curl('gzip', '/gzip');
same_as_curl('chunked', '/chunked');
same_as_curl('chain', '/chain/3', '-L');
is(ended('307')->{result}{json}{body}, 'again', 'a 307 repeats method and body');
is(ended('order')->{status}, 'SUCCESS', 'JSON by its media type');
like($tf->get("/api/v1/jobs/$id{order}")->body, qr/\Q"json":{"z": 1.10, "a": 12345678901234567, "m": "\E(?:\\u00e9|\xc3\xa9)\Q"}\E/, '... is given as it came') or diag($tf->get("/api/v1/jobs/$id{order}")->body);
is(ended('latin')->{result}{body}, 'caf? ?', 'bytes that are no UTF-8');
is(ended('binary')->{result}{bytes}, 256, 'any bytes');
is(length ended('deep')->{result}{body}, 10_000, 'JSON that is too deep is a text');
is(ended('twice')->{result}{headers}{'x-one'}, 'a, b', 'a header that is there twice');

my $echo = ended('echo')->{result}{json};
is($echo->{method}, 'PUT', 'the method');
is($echo->{target}, '/echo?x=1&n=1&n=2.5&n=true&q=a%20b%26c%3D%C3%A9', '... the query, encoded') or is($echo->{target}, '/echo?x=1&q=a%20b%26c%3D%C3%A9&n=1&n=2.5&n=true', '... in any order');
is_deeply(JSON::PP->new->decode($echo->{body}), {a => [1, 'é'], b => undef}, '... the JSON');
is_deeply([@{$echo->{headers}}{qw(x-custom x-empty accept content-type host)}], ['yes', '', 'text/x', 'application/json', "127.0.0.2:$web->{port}"], '... the headers');
ok(!exists $echo->{headers}{'idempotency-key'}, '... no key for what may be repeated anyway');
my $text = ended('text')->{result}{json};
is_deeply([$text->{method}, $text->{body}, $text->{headers}{'content-type'}, $text->{headers}{'idempotency-key'}],
    ['POST', 'hällo', 'text/plain; charset=utf-8', $id{text}], 'a body makes it a POST, with the job\'s id as its key');
my $keyed = ended('keyed')->{result}{json};
is_deeply([@{$keyed->{headers}}{qw(idempotency-key content-type user-agent content-length)}], ['mine', 'text/x', 'me', '0'], 'the job\'s own headers win');
is_deeply([@{ended('head')->{result}}{qw(status_code body bytes)}], [200, '', 0], 'HEAD');
is(ended($_)->{result}{json}{method}, uc, uc) for qw(options delete);
is_deeply([map { $_->{headers}{traceparent} =~ /^00-(\w+)/ } $web->requests('/echo?trace')], ['0af7651916cd43dd8448eb211c80319c'], 'the trace of the submit goes on')
    if $tf->wait_for_end($traced->{id}, 60);

# ---- statuses
sub fails { my ($name, $status, $error) = @_; my $job = ended($name); is($job->{status}, $status, "$name: $status"); like($job->{error}, $error, '... and why'); return }
fails('missing', 'FAILED', qr{^HTTP 404, expected 2xx: no such page: /nope$});
is(ended('wanted')->{result}{status_code}, 404, 'a 404 that is expected');
fails('unwanted', 'FAILED', qr/^HTTP 200, expected \[201\]: ok$/);
fails('redirect', 'FAILED', qr{^HTTP 302, expected 2xx, a redirect to /chain/0$});
fails('chain short', 'FAILED', qr{^HTTP 302, expected 2xx, after 2 redirects to http\S+/chain/1, a redirect to /chain/0$});
fails('loop', 'FAILED', qr{^HTTP 302, expected 2xx, after 10 redirects});
fails('final', 'FAILED', qr/^HTTP 503/);
is(scalar(() = $web->requests('/loop')), 11, '... and no more');
for my $case (['busy', qr/^HTTP 503, expected 2xx: status 503$/], ['listed', qr/^HTTP 404/], ['slow', qr/^no answer after \d{3,4} ms: /], ['closed', qr/^no answer after \d+ ms: .*(?:refused|connect)/i],
    map { ["broken $_", qr/^no answer after \d+ ms: /] } qw(cut empty garbage bad-gzip bad-chunk)) {
    my $job = retrying($case->[0]);
    is($job->{status}, 'RETRYING', "$case->[0]: is tried again");
    like($job->{error}, $case->[1], '... and why');
}
is($tf->sql_value("SELECT extract(epoch FROM run_at - finished_at)::int FROM jobs WHERE id = '" . retrying('later')->{id} . "'"), 600, 'Retry-After is done');
is(ended('flaky')->{status}, 'SUCCESS', 'a second attempt');
is_deeply([map { $_->{headers}{'idempotency-key'} } $web->requests('/flaky/1')], [$id{flaky}, $id{flaky}], '... has the same Idempotency-Key');

# ---- bounds
for my $name (qw(huge bomb control)) {
    my $job = ended($name);
    is($job->{status}, 'SUCCESS', "$name: an answer that is longer than a result") or diag($job->{error});
    is($job->{result}{body_truncated}, true, '... is cut');
    cmp_ok(length($tf->sql_value("SELECT result FROM jobs WHERE id = '$id{$name}'")), '<=', 1 << 20, '... and the result fits');
}
fails('headers', 'DEAD_LETTER', qr/^no answer after \d+ ms: the answer's headers are too long/);
$tf->post("/api/v1/jobs/$id{hang}/cancel", {});
is(ended('hang')->{status}, 'CANCELLED', 'a call that hangs is cancelled');

# ---- assertions
my @holds = map { {path => $_->[0], $_->[1] => $_->[2]} } ['$.ok', equals => true], ['$.n', equals => 3], ['$["n"]', at_least => 3], ['$.n', at_most => 3.5],
    ['$.list[0].id', equals => 7], ['$.list[-1]', not_equals => 'y'], ['$.list', contains => {id => 7}], ['$', contains => 'n'], ['$.list[1]', contains => 'x'],
    ['$["it\'s"][""]', equals => 'empty'], [q($['it\\'s']), exists => true], ['$.nothing', exists => false], ['$.list[2]', exists => false], ['$.big', equals => 1000];
call('asserted', {url => url('/scheme'), assertions => \@holds});
my @wrong = ([{path => '$.n', equals => 4}, qr/^HTTP 200, 1 of 1 assertions failed: \$\.n must equal 4, is 3$/],
    [{path => '$.n', at_least => 1, at_most => 2}, qr/\$\.n must be at most 2, is 3$/], [{path => '$.gone', equals => JSON::PP::null()}, qr/\$\.gone must equal null, is not there$/],
    [{path => '$.ok', not_equals => true}, qr/must not equal true, is true/], [{path => '$.list', contains => 'y'}, qr/must contain "y", is \[\{"id":7\},"x"\]$/],
    [{path => '$.n', exists => false}, qr/must exist: false, is 3/], [{path => '$.ok', at_least => 0}, qr/must be at least 0, is true/]);
call("wrong $_", {url => url('/scheme'), assertions => [$wrong[$_][0]]}, max_retries => 1) for 0 .. $#wrong;
call('no json', {url => url('/ok'), assertions => [{path => '$', exists => true}]});
call('again', {url => url('/scheme'), assertions => [{path => '$.n', equals => 4}], retry_on => ['assertions']}, max_retries => 1);
$result = ended('asserted')->{result};
is_deeply([map { $_->{ok} } @{$result->{assertions}}], [(true) x @holds], 'assertions that hold') or diag(explain(ended('asserted')));
is_deeply([@{$result->{assertions}}[1, 6, 12]], [{path => '$.n', ok => true, actual => 3}, {path => '$.list', ok => true, actual => [{id => 7}, 'x']},
    {path => '$.list[2]', ok => true}], '... are in the result with what was there');
fails("wrong $_", 'FAILED', $wrong[$_][1]) for 0 .. $#wrong;
fails('no json', 'FAILED', qr/\$ must exist: true, is not there \(no JSON: /);
is(retrying('again')->{status}, 'RETRYING', 'retry_on: failed assertions too, for who waits for something');

# ---- the page's example
my ($printed) = slurp("$FindBin::Bin/../docs/handlers.md") =~ /^## api_call\n\n```sh\n(curl .*?)```$/ms;
$printed =~ s/127\.0\.0\.1:3000/127.0.0.1:$tf->{port}/ or die 'no port';
$printed =~ s{https://api\.github\.com/repos/nginx/nginx}{url('/repos/nginx/nginx')}e or die 'no URL';
$id{page} = JSON::PP::decode_json(`TOKEN=none; $printed`)->{id};
is_deeply(ended('page')->{result}{assertions}, [{path => '$.owner.login', ok => true, actual => 'nginx'}], 'the example of docs/handlers.md') or diag(explain(ended('page')));

# ---- payloads that are none
my @bad = (
    [{method => 'GET'}, 422], [{url => url('/'), method => 'TRACE'}, 422], [{url => url('/'), follow_redirects => 11}, 422], [{url => url('/'), expected_status => ['6xx']}, 422],
    [{url => url('/'), assertions => [{path => '$'}]}, 422], [{url => url('/'), headers => {a => 1}}, 422], [{url => url('/'), timeout => 3}, 422], [{url => url('/'), timeout_seconds => 0}, 422],
    [{url => url('/'), retry_on => ['all']}, 422],
    [{url => url('/'), endpoint => url('/')}, qr/needs "url" or "endpoint"/], [{url => 'ftp://127.0.0.2/'}, qr/"url" must begin with http/], [{url => '/api/users'}, qr/"url" must begin with http/],
    [{url => "http://u:p\@127.0.0.2/"}, qr/"url" must not hold a user name/], [{url => url('/'), body => 'x', json => 1}, qr/exclude each other/],
    [{url => url('/'), method => 'GET', body => 'x'}, qr/a GET request has no body/], [{url => url('/'), query => {a => {}}}, qr/"query": a must be a text/],
    [{url => url('/'), assertions => [{path => '$.a[*]', exists => true}]}, qr/"assertions": number 1 has no JSON path: byte 5: an index or a quoted name/],
    (map { [{url => url('/'), headers => {$_ => 'x'}}, qr/"headers": \Q$_\E: may not be set/] } qw(Host host Content-Length Transfer-Encoding Connection TE Upgrade Proxy-Authorization Expect)),
    (map { [{url => url('/'), headers => {'X-A' => $_}}, qr/X-A: must not hold line ends/] } "a\r\nHost: evil", "a\nb", "a\x7f"),
    (map { [{url => url('/'), headers => {$_ => 'x'}}, qr/is no name of a header/] } "a b", "a:", "a\r\nb", ''),
    [{url => url('/'), headers => {A => '{{secret:none}}'}}, qr/A: there is no secret named "none"/], [{url => url('/'), headers => {A => '{{secret:crm'}}, qr/A: "\{\{secret:" is not closed/],
    [{url => url('/'), headers => {A => '{{secret:strict}}'}}, qr/A: the secret strict is for https alone/],
    [{url => url('/'), headers => {A => '{{secret:elsewhere}}'}}, qr/A: the secret elsewhere is not for this host/],
    [{url => 'http://api.example.com.evil.example/', headers => {A => '{{secret:elsewhere}}'}}, qr/A: the secret elsewhere is not for this host/],
    [{url => url('/'), headers => {A => '{{secret:header}}'}}, qr/A: the secret header is not for this header/],
);
my @refused = grep { $_->[1] eq '422' } @bad;
is($tf->post('/api/v1/jobs', {type => 'api_call', payload => $_->[0]})->status, 422, 'refused at once: ' . JSON::PP->new->canonical->encode($_->[0])) for @refused;
@bad = grep { ref $_->[1] } @bad;

# ---- what may not be called, by its address, by a name, by way of a redirect
my @inside = (inside($web->{port}), 'file:///etc/passwd', 'gopher://127.0.0.2/');
my @jobs = $tf->submit_batch(map { {type => 'api_call', max_retries => 0, payload => $_} } (map { $_->[0] } @bad), (map { {url => $_} } @inside),
    map { {url => url("/redirect/302?$_"), follow_redirects => 5, headers => {'X-Token' => '{{secret:crm}}'}} } @inside);
for my $case (@bad) {
    my $job = $tf->wait_for_end((shift @jobs)->{id}, 60);
    like("$job->{status} $job->{error}", qr/^FAILED payload: .*$case->[1]/s, 'refused: ' . JSON::PP->new->canonical->encode($case->[0]) =~ s/[^ -~]/?/gr);
}
for my $from ('', ' of a redirect') {
    for my $url (@inside) {
        my $job = $tf->wait_for_end((shift @jobs)->{id}, 60);
        like("$job->{status} $job->{error}", $from ? qr/^FAILED (?:refused: |no )/ : qr/^FAILED (?:refused: |payload: "url" must )/, "refused: the URL$from $url");
    }
}
is_deeply([grep { $_->{to} ne '127.0.0.2' || $_->{path} eq '/inside' } $web->requests], [], '... and nothing came there');

# ---- secrets
fails('tls name', 'DEAD_LETTER', qr/^no answer after \d+ ms: .*certificate/i);
is(ended('tls')->{result}{json}{headers}{'x-token'}, 'a *** b ***', 'a secret goes out over TLS, and does not come back') or diag(explain(ended('tls')));
is((grep { $_->{headers}{'x-token'} // '' eq "a $token b $token" } $web->requests('/echo'))[0]{headers}{'x-token'}, "a $token b $token", '... the server has got it');
call('secret', {url => url('/echo?secret'), headers => {Authorization => 'Bearer {{secret:crm}}', 'X-Open' => 'not {{secret}}'}});
call('away', {url => url('/redirect/302?' . $other->url('/echo', '127.0.0.2')), follow_redirects => 1, headers => {'X-Key' => '{{secret:crm}}', Cookie => 'a=b', 'X-Other' => 'c'}});
call('told', {url => url('/echo'), headers => {Authorization => 'Bearer {{secret:crm}}'}, expected_status => [201]});
is_deeply([@{ended('secret')->{result}{json}{headers}}{qw(authorization x-open)}], ['Bearer ***', 'not {{secret}}'], 'a secret is blotted out');
is(($web->requests('/echo?secret'))[0]{headers}{authorization}, "Bearer $token", '... the server has got it');
is_deeply([@{ended('away')->{result}{json}{headers}}{qw(x-key cookie x-other)}], [undef, undef, 'c'], 'a redirect to another origin gets neither the secret nor the cookie');
fails('told', 'FAILED', qr/^HTTP 200, expected \[201\]: .*Bearer \*\*\*/);

done_testing;
