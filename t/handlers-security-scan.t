# security_scan against servers on loopback: what it says of their TLS and certificates is what openssl says; who is not on the list
# is not looked at.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Files qw(slurp spew);
use TaskForge::Process qw(run);
use TaskForge::WebServer;
use IO::Socket::INET;

my $tf = TaskForge->start(settings => {TASKFORGE_SCAN_TARGETS => '127.0.0.1, localhost', TASKFORGE_WORKER_CONCURRENCY => 4, TASKFORGE_LOST_SECONDS => 60});
my $dir = "$tf->{home}/tls";
mkdir $dir or die $!;

sub openssl { my (@arguments) = @_; return run('sh', '-c', 'exec openssl "$@" 2>/dev/null', 'sh', @arguments) }

# A certificate of nobody; start and end as openssl ca takes them, or days.
sub certificate {
    my ($name, @more) = @_;
    openssl(qw(req -x509 -newkey rsa:2048 -nodes -batch -subj), "/CN=$name", '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1',
        '-keyout', "$dir/$name.key", '-out', "$dir/$name.pem", @more);
    return;
}
certificate('good', qw(-days 90));
certificate('other', qw(-days 90));
openssl(qw(req -newkey rsa:1024 -nodes -batch -subj /CN=expired -keyout), "$dir/expired.key", '-out', "$dir/expired.csr");
spew("$dir/ca.cnf", "[ca]\ndefault_ca=x\n[x]\ndatabase=$dir/index\nnew_certs_dir=$dir\nserial=$dir/serial\ndefault_md=sha1\npolicy=p\n[p]\ncommonName=supplied\n");
spew("$dir/index", q{});
spew("$dir/serial", "01\n");
openssl(qw(ca -batch -selfsign -notext -startdate 20200101000000Z -enddate 20200201000000Z -config), "$dir/ca.cnf", '-keyfile', "$dir/expired.key",
    '-in', "$dir/expired.csr", '-out', "$dir/expired.pem");

chmod 0644, glob "$dir/*.key"; # servers run as somebody else

my %port = map { ($_ => TaskForge::Stack::free_port()) } qw(good old expired anonymous closed);
my %server = (
    good => [qw(good -www -tls1_3), '-cert_chain', "$dir/other.pem"],
    old => [qw(other -www -tls1_1)],
    expired => [qw(expired -www)],
    anonymous => [qw(good -www -tls1_2 -serverpref -cipher), 'AECDH-AES256-SHA:ECDHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0'], # first a cipher without a certificate
);
# what Debian's settings forbid
spew("$dir/weak.cnf", "openssl_conf=a\n[a]\nssl_conf=b\n[b]\nsystem_default=c\n[c]\nMinProtocol=TLSv1\nCipherString=ALL:\@SECLEVEL=0\n");
my @servers;
for my $name (sort keys %server) {
    my ($certificate, @arguments) = @{$server{$name}};
    push @servers, TaskForge::Process->start(name => "openssl-$name", log => "$tf->{home}/log/openssl-$name.log", command => [
        '/usr/bin/env', "OPENSSL_CONF=$dir/weak.cnf", '/usr/bin/openssl', 's_server', '-accept', "127.0.0.1:$port{$name}", '-cert', "$dir/$certificate.pem", '-key', "$dir/$certificate.key", @arguments]);
}
my $web = TaskForge::WebServer->start($tf->{home}, {
    '/bare' => {html => '<p>x', headers => ['Server: Toy/1.2', 'Set-Cookie: a=secret; Path=/', 'Set-Cookie: __Host-b=2; Secure; HttpOnly; SameSite=Lax', 'Access-Control-Allow-Origin: *']},
    '/armed' => {status => 301, headers => ['Location: https://localhost/', "Content-Security-Policy: frame-ancestors 'self'", 'X-Content-Type-Options: nosniff',
        'Referrer-Policy: no-referrer', 'Permissions-Policy: camera=()', 'Server: toy', 'Set-Cookie: __Host-c=1; Path=/; Secure; HttpOnly; SameSite=Strict']},
    '/hang' => {hang => 1},
});
for my $name (keys %server) {
    wait_until(30, sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port{$name}) }) or die "$name does not listen\n" . $tf->tail("openssl-$name");
}

sub scan { my ($target, %payload) = @_; return $tf->submit({type => 'security_scan', payload => {target => $target, timeout => 30, %payload}})->{id} }

sub result_of {
    my ($id) = @_;
    my $job = $tf->wait_for_end($id, 90);
    is($job->{status}, 'SUCCESS', 'SUCCESS') or diag($job->{error});
    return $job->{result} // {};
}

sub ids { my ($result) = @_; my %seen; return [sort grep { !$seen{$_}++ } map { $_->{id} } @{$result->{findings}}] }

my $http = "127.0.0.1:$web->{port}";
my @written = qw(2130706441 127.9 0177.0.0.9 0x7f.9 0x7f000009); # 127.0.0.9, as not everybody would write it
my %job = (
    (map { ($_ => scan("localhost:$port{$_}", scan_type => 'tls')) } qw(good old expired anonymous)),
    ports => scan('127.0.0.1', scan_type => 'ports', ports => [@port{qw(good closed)}, $web->{port}, 1 .. 300]),
    bare => scan("http://$http/bare", scan_type => 'headers'), cookies => scan("http://$http/bare", scan_type => 'cookies'),
    (map { ("plain $_" => scan("https://localhost:$port{good}/$_", scan_type => 'headers', http_port => $_ eq 'none' ? $port{closed} : $web->{port})) } qw(bare armed none)),
    armed => scan("http://$http/armed"), full => scan("https://localhost:$port{good}/", ports => [$port{good}]),
    refused => scan("127.0.0.2:$port{good}"), metadata => scan('169.254.169.254', scan_type => 'ports'), public => scan('192.0.2.1', scan_type => 'ports'),
    six => scan('[::ffff:127.0.0.9]', scan_type => 'ports'), nat64 => scan('[64:ff9b::7f00:9]', scan_type => 'ports'), loopback6 => scan('[::1]', scan_type => 'ports'),
    (map { ("written $_" => scan($_, scan_type => 'ports')) } @written), tls => scan('http://localhost/', scan_type => 'tls'),
    gone => scan("localhost:$port{closed}", scan_type => 'tls'), dead => scan("localhost:$port{closed}", ports => [$port{closed}]),
);
# the page's command, for a server that is here
my ($curl) = grep { /"security_scan"/ } slurp("$FindBin::Bin/../docs/handlers.md") =~ /^```sh\n(.*?)^```$/msg;
$curl =~ s/127\.0\.0\.1:3000/127.0.0.1:$tf->{port}/;
$curl =~ s/www\.example\.com/localhost:$port{good}/ or die 'the page has another example';
{
    local $ENV{TOKEN} = 'none';
    $job{page} = JSON::PP::decode_json(scalar qx($curl))->{id};
}

# ---- TLS, by openssl
sub s_client {
    my ($name, @arguments) = @_;
    my $text = qx(openssl s_client -connect 127.0.0.1:$port{$name} -servername localhost @arguments </dev/null 2>/dev/null);
    return $text =~ /Cipher is (?!\(NONE\))(\S+)/ ? $1 : undef;
}
my %versions = (good => ['TLSv1.3'], old => ['TLSv1.1'], expired => [qw(TLSv1.3 TLSv1.2 TLSv1.1 TLSv1.0)], anonymous => ['TLSv1.2']);
for my $name (sort keys %versions) {
    my $result = result_of($job{$name});
    my $tls = $result->{tls};
    is_deeply([map { $_->{version} } @{$tls->{protocols}}], $versions{$name}, "$name: the versions");
    my $newest = $tls->{protocols}[0];
    my $option = {'TLSv1.3' => '-tls1_3', 'TLSv1.1' => '-tls1_1 -cipher ALL:@SECLEVEL=0', 'TLSv1.2' => '-tls1_2 -cipher ALL:@SECLEVEL=0'}->{$newest->{version}};
    my $cipher = s_client($name, $option);
    ok(scalar(grep { $_ eq $cipher } @{$newest->{ciphers}}), "$name: openssl's cipher is among those found") or diag explain $newest, $cipher;
    my $certificate = $tls->{certificate};
    my ($end) = qx(openssl x509 -in $dir/$server{$name}[0].pem -noout -enddate -dateopt iso_8601) =~ /notAfter=(.*)Z/;
    is($certificate->{not_after} =~ s/T/ /r =~ s/\.\d+Z$//r, $end, "$name: the certificate ends when openssl says");
    like($certificate->{subject}, qr/CN=$server{$name}[0]$/, '... its subject');
    is($certificate->{self_signed}, true, '... is self-signed');
    is($certificate->{trusted}, false, '... and not trusted');
    is($certificate->{key_bits}, $name eq 'expired' ? 1024 : 2048, '... its key');
    is($certificate->{name_matches}, $name eq 'expired' ? false : true, '... its name');
    my $summary = $result->{summary};
    is($summary->{high} + $summary->{medium} + $summary->{low} + $summary->{info} + $summary->{critical}, scalar @{$result->{findings}}, '... findings are counted');
    is_deeply(ids($result), {good => ['certificate-self-signed'], old => [qw(certificate-self-signed tls-no-modern-protocol tls-old-protocol tls-weak-cipher)],
        anonymous => [qw(certificate-self-signed tls-no-modern-protocol tls-weak-cipher)]}->{$name}, "$name: findings")
        if $name ne 'expired';
    is_deeply([grep { !/^tls-weak-cipher$/ } @{ids($result)}], [qw(certificate-expired certificate-name certificate-self-signed certificate-weak-key certificate-weak-signature tls-old-protocol)],
        "$name: findings") if $name eq 'expired';
}
is($tf->job($job{anonymous})->{result}{tls}{protocols}[0]{ciphers}[0], 'AECDH-AES256-SHA', '... though the first cipher was one without a certificate');
my $good = result_of($job{full});
is_deeply([map { $_->{port} } @{$good->{open_ports}}], [$port{good}], 'full: ports');
is_deeply([sort @{$good->{tls}{protocols}[0]{ciphers}}], [qw(TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256)], '... every cipher of TLS 1.3');
is_deeply($good->{tls}{certificate}{names}, ['localhost'], '... the names of the certificate');
is_deeply([map { $_->{subject} } @{$good->{tls}{certificate}{chain}}], ['CN=good', 'CN=other'], '... and all the certificates that the server sends');
is($good->{headers}{status}, 200, '... headers, though the certificate is not trusted');
ok(scalar(grep { $_->{id} eq 'header-hsts' } @{$good->{findings}}), '... and that HSTS is missing');
is_deeply([sort { $a <=> $b } map { $_->{port} } @{result_of($job{ports})->{open_ports}}], [sort { $a <=> $b } $port{good}, $web->{port}, grep { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $_) } 1 .. 300],
    'open and closed ports');
is(result_of($job{page})->{tls}{protocols}[0]{version}, 'TLSv1.3', 'the command of docs/handlers.md');

# ---- headers and cookies
is_deeply(ids(result_of($job{bare})), [sort qw(header-cors header-csp header-frames header-nosniff header-permissions-policy header-referrer-policy header-server http-not-redirected)], 'headers that are missing');
my $cookies = result_of($job{cookies});
is_deeply($cookies->{cookies}, [{name => 'a', secure => false, http_only => false, same_site => false}, {name => '__Host-b', secure => true, http_only => true, same_site => true}], 'cookies');
is_deeply(ids($cookies), [qw(cookie-httponly cookie-prefix cookie-samesite cookie-secure)], '... what is wrong with them');
unlike(JSON::PP->new->encode($cookies), qr/secret/, '... their values are not told');
my $armed = result_of($job{armed});
is_deeply([grep { !/^port-/ } @{ids($armed)}], [], 'nothing to say of a server that does well');

is_deeply([@$armed{qw(score grade)}], [100, 'A'], '... its score');
my $dead = result_of($job{dead});
is_deeply([@$dead{qw(open_ports tls score grade)}, scalar @{$dead->{errors}}], [[], undef, undef, undef, 2], 'nobody there: no grade for that');
like(join("\n", map { $_->{message} } @{$tf->job($job{dead})->{logs}}), qr/^localhost: 1 ports\nlocalhost: TLS at port $port{closed}\nlocalhost: port $port{closed}: Connection refused\n/, '... and the log says so');
is_deeply([@$cookies{qw(score grade)}], [100 - 2 * 10 - 2 * 3, 'C'], '... and that of one that does not') or diag explain $cookies->{summary};
my $plain = result_of($job{'plain bare'});
is_deeply($plain->{http}, {port => $web->{port}, status => 200, location => undef}, 'plain HTTP beside https: that it answers');
is(scalar(grep { $_->{id} eq 'http-not-redirected' } @{$plain->{findings}}), 1, '... is a finding');
$plain = result_of($job{'plain armed'});
is($plain->{http}{location}, 'https://localhost/', '... that it leads to https');
is(scalar(grep { $_->{id} eq 'http-not-redirected' } @{$plain->{findings}}), 0, '... is none');
$plain = result_of($job{'plain none'});
is_deeply([exists $plain->{http}, $plain->{http}], [1 == 1, undef], '... nor that nothing answers');

# ---- who may not be looked at
for my $name (qw(refused metadata public six nat64 loopback6 tls), map {"written $_"} @written) {
    my $job = $tf->wait_for_end($job{$name}, 60);
    is("$job->{status} $job->{attempt}", 'FAILED 1', "$name: refused");
    like($job->{error}, $name eq 'tls' ? qr/^payload: "target" must be a host or begin with https/ : $name =~ /^written/ ? qr/^payload: "target" must/
        : qr/^refused: \S+ \S+ is not on the list TASKFORGE_SCAN_TARGETS$/, '... and the error says why');
}
like($tf->job($job{$_->[0]})->{error}, qr/^refused: \Q$_->[1]\E is/, "... $_->[0]: with the address as people write it")
    for [refused => '127.0.0.2: 127.0.0.2'], [six => '::ffff:127.0.0.9: 127.0.0.9'], [loopback6 => '::1: ::1'];
is($tf->wait_for_status($job{gone}, 'RETRYING', 60)->{status}, 'RETRYING', 'a port that is closed is tried again');
is($tf->post('/api/v1/jobs', {type => 'security_scan', payload => $_})->status, 422, 'refused when it is submitted')
    for {}, {target => 'localhost', ports => []}, {target => 'localhost', scan_type => 'all'}, {target => 'localhost', ports => [0]};

# it waits for 30 s at most
$job{hang} = scan("http://$http/hang", scan_type => 'headers');
wait_until(30, sub { $web->requests('/hang') });
$tf->post("/api/v1/jobs/$job{hang}/cancel");
is($tf->wait_for_end($job{hang}, 30)->{status}, 'CANCELLED', 'a scan of a silent server is cancelled');

# ---- an empty list: nothing
$tf->start_part('worker2', TASKFORGE_SCAN_TARGETS => '', TASKFORGE_WORKER_POOL => 'none', TASKFORGE_WORKER_QUEUES => 'none');
my $none = $tf->wait_for_end(scan_in('none'), 60);
like("$none->{status}: $none->{error}", qr/^FAILED: nothing may be scanned: TASKFORGE_SCAN_TARGETS is empty$/, 'without a list nothing may be scanned');

sub scan_in { my ($queue) = @_; return $tf->submit({type => 'security_scan', queue => $queue, payload => {target => '127.0.0.1'}})->{id} }

$_->stop for @servers;
done_testing;
