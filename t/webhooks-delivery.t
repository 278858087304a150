# Webhooks meet the world: receivers that fail, are slow, want to be left alone; names that lead inside; TLS; a worker that is killed.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Files qw(spew);
use TaskForge::Process qw(run);
use TaskForge::Receiver;
use TaskForge::Stack;

my $tls = TaskForge::Stack::free_port(1);
my ($receiver, $certs);

# Certificates of an authority of our own, and of nobody.
sub certificates {
    my ($home) = @_;
    my @openssl = ('sh', '-c', 'exec openssl "$@" 2>/dev/null', 'sh'); # it is chatty
    my @new = (@openssl, qw(req -x509 -newkey rsa:2048 -nodes -days 2 -batch));
    run(@new, '-subj', '/CN=an authority', '-addext', 'basicConstraints=critical,CA:TRUE', '-keyout', "$home/ca.key", '-out', "$home/ca.pem");
    spew("$home/leaf.ext", "subjectAltName=IP:127.0.0.2\n");
    run(@openssl, qw(req -newkey rsa:2048 -nodes -batch -subj /CN=leaf -keyout), "$home/leaf.key", '-out', "$home/leaf.csr");
    run(@openssl, qw(x509 -req -days 2 -CAcreateserial -in), "$home/leaf.csr", '-CA', "$home/ca.pem", '-CAkey', "$home/ca.key",
        '-extfile', "$home/leaf.ext", '-out', "$home/leaf.pem");
    run(@new, '-subj', '/CN=nobody', '-addext', 'subjectAltName=IP:127.0.0.2', '-keyout', "$home/self.key", '-out', "$home/self.pem");
    return;
}

my $tf = TaskForge->start(parts => [qw(postgres redis)], settings => {
    TASKFORGE_OUTGOING_ALLOW => '127.0.0.2', TASKFORGE_WORKER_CONCURRENCY => 6,
    # a proxy is nobody's business
    http_proxy => 'http://127.0.0.1:1', https_proxy => 'http://127.0.0.1:1', ALL_PROXY => 'http://127.0.0.1:1',
}, edit => sub {
    my ($text) = @_;
    my $servers = join '', map {
        my ($name, $port) = @$_;
        "server { listen 127.0.0.2:$port ssl; ssl_certificate $certs/$name.pem; ssl_certificate_key $certs/$name.key; location / { proxy_pass http://127.0.0.2:$receiver->{port}; proxy_http_version 1.1; } }\n"
    } ['leaf', $tls], ['self', $tls + 1];
    return $text =~ s/\}\s*\z/$servers}\n/r;
});
$certs = "$tf->{home}/conf";
certificates($certs);
chmod 0644, glob "$certs/*.key";
$receiver = TaskForge::Receiver->start($tf->{home});
$tf->{settings}{TASKFORGE_OUTGOING_CA_FILE} = "$certs/ca.pem";
$tf->start_part($_) for qw(nginx scheduler worker);

sub submit { my ($url, %more) = @_; return $tf->submit({type => 'noop', webhook_url => $url, %more})->{id} }

# The one delivery of a job, once $check is true of it.
sub delivery {
    my ($id, $check) = @_;
    my $delivery = {attempts => []};
    wait_until(90, sub { ($delivery) = @{$tf->get("/api/v1/jobs/$id/webhooks")->json->{items}}; $delivery && $check->($delivery) });
    return $delivery;
}

sub ended   { my ($id) = @_; return delivery($id, sub { $_[0]{finished_at} && $_[0]{status} =~ /SUCCESS|FAILED|DEAD_LETTER/ }) }
sub waiting { my ($id) = @_; return delivery($id, sub { $_[0]{status} eq 'RETRYING' }) }

# What waits for its next attempt is due now.
sub hurry {
    my ($delivery) = @_;
    $tf->sql("UPDATE jobs SET run_at = now() WHERE id = '$delivery->{id}' AND status = 'RETRYING'", q{SELECT pg_notify('tf_due', '')});
    return;
}

my $hanging = submit($receiver->url('/hang'));
my %job = map { $_ => submit($receiver->url($_)) } qw(/status/410 /status/404 /later/429/600 /later/503/900 /later/503/100000 /huge /binary /cut /slow /status/204),
    '/redirect?' . $receiver->url('/inside');
$job{closed} = submit('http://127.0.0.2:1/');
$job{localhost} = submit("http://localhost:$receiver->{port}/localhost");
$job{dns} = submit('http://nosuch.invalid/');
$job{leaf} = submit("https://127.0.0.2:$tls/tls/leaf");
$job{self} = submit('https://127.0.0.2:' . ($tls + 1) . '/tls/self');
$job{'/flaky/2'} = submit($receiver->url('/flaky/2')); # the last: what it says at first lasts for five seconds

# ---- a receiver that fails, and comes back
my $flaky = waiting($job{'/flaky/2'});
is($flaky->{attempts}[0]{status_code}, 500, 'a receiver that fails is tried again');
is($flaky->{attempts}[0]{response}, 'not yet', '... what it said is kept');
# from when that was written; an attempt is older than its row, by as much as the machine is slow
my $delay = $tf->sql_value("SELECT extract(epoch FROM run_at - updated_at) FROM jobs WHERE id = '$flaky->{id}' AND status = 'RETRYING'") // 0;
cmp_ok($delay, '>', 4, '... after about 5 seconds at first');
cmp_ok($delay, '<', 6, '... and not much later');
hurry($flaky);
$flaky = delivery($job{'/flaky/2'}, sub { @{$_[0]{attempts}} == 2 && $_[0]{status} eq 'RETRYING' });
hurry($flaky);
$flaky = ended($job{'/flaky/2'});
is($flaky->{status}, 'SUCCESS', 'at last it takes it');
is_deeply([map { $_->{status_code} } @{$flaky->{attempts}}], [500, 500, 200], '... and every attempt is on record');
my %ids = map { $_->{headers}{'webhook-id'} => 1 } $receiver->requests('/flaky/2');
is_deeply([keys %ids], [$flaky->{webhook_id}], 'the id is the same in all of them');

# ---- answers
my $gone = ended($job{'/status/410'});
is($gone->{status}, 'FAILED', '410 Gone ends it');
is(scalar @{$gone->{attempts}}, 1, '... at once');
is($gone->{attempts}[0]{error}, 'HTTP 410', '... and says why');
is(waiting($job{'/status/404'})->{attempts}[0]{status_code}, 404, 'any other status is tried again');
for my $case (['/later/429/600', 600], ['/later/503/900', 900], ['/later/503/100000', 7200]) {
    my ($path, $seconds) = @$case;
    my $later = waiting($job{$path});
    my ($at, $next) = map { $tf->sql_value("SELECT extract(epoch FROM '$_'::timestamptz)") } $later->{attempts}[0]{at}, $later->{next_attempt_at};
    cmp_ok(abs($next - $at - $seconds), '<', 5, "Retry-After: $path is waited for $seconds s");
}
is(ended($job{'/status/204'})->{status}, 'SUCCESS', '204 is a success');
my $huge = ended($job{'/huge'});
is($huge->{status}, 'SUCCESS', 'an answer of 20 MB is a success');
is(length $huge->{attempts}[0]{response}, 1024, '... of which 1 KB is kept');
my $binary = waiting($job{'/binary'});
is(length $binary->{attempts}[0]{response}, 256, 'an answer of any bytes is kept as a text');
my $cut = waiting($job{'/cut'});
like($cut->{attempts}[0]{error}, qr/^no answer after \d+ ms: ./, 'a connection that is closed: no answer');
is($cut->{attempts}[0]{status_code}, undef, '... and no status');
like(waiting($job{closed})->{attempts}[0]{error}, qr/^no answer after \d+ ms: .*connect/i, 'nobody listens: no answer');
like(waiting($job{dns})->{attempts}[0]{error}, qr/^no answer after \d+ ms: .*resolv/i, 'no such name: no answer, it may come');
is(ended($job{'/slow'})->{status}, 'SUCCESS', 'who is slow is waited for');

# ---- the way inside
my $redirect = waiting($job{'/redirect?' . $receiver->url('/inside')});
is($redirect->{attempts}[0]{status_code}, 302, 'a redirect is an answer like any other');
my $localhost = ended($job{localhost});
is($localhost->{status}, 'FAILED', 'a name that leads to a loopback address is refused for good');
like($localhost->{attempts}[0]{error}, qr/^refused: localhost: \S*(?:127\.0\.0\.1|::1) is a loopback address$/, '... and the error says why');

# ---- TLS
my $leaf = ended($job{leaf});
is($leaf->{status}, 'SUCCESS', 'https with a certificate of TASKFORGE_OUTGOING_CA_FILE') or diag(explain($leaf->{attempts}));
is(scalar(my @tls = $receiver->requests('/tls/leaf')), 1, '... arrives');
like(waiting($job{self})->{attempts}[0]{error}, qr/^no answer .*certificate/i, 'a certificate of nobody: no answer');
is(scalar(@tls = $receiver->requests('/tls/self')), 0, '... and nothing was sent');

# ---- no end of patience
my $hung = delivery($hanging, sub { $_[0]{status} eq 'RETRYING' });
like($hung->{attempts}[0]{error}, qr/^no answer after (?:1[5-9]|2\d)\d{3} ms: /, 'who does not answer within 15 seconds is tried again');

# ---- the worker is killed in the middle
my $id = submit($receiver->url('/slow/6?killed'));
ok(wait_until(60, sub { $receiver->requests('/slow/6?killed') }), 'a delivery is under way');
$tf->kill_part('worker');
like(delivery($id, sub { 1 })->{status}, qr/^(?:RUNNING|RETRYING)$/, 'its worker is killed');
$tf->start_part('worker');
hurry(waiting($id));
is(ended($id)->{status}, 'SUCCESS', 'another one delivers it');
my @sent = $receiver->requests('/slow/6?killed');
is(scalar @sent, 2, '... so the receiver has it twice');
is($sent[1]{headers}{'webhook-id'}, $sent[0]{headers}{'webhook-id'}, '... under one id');

is_deeply([grep { $_->{to} ne '127.0.0.2' } $receiver->requests], [], 'no connection ever went to an address that was not allowed');
is(scalar(my @inside = $receiver->requests('/inside')), 0, '... and no redirect was followed');

done_testing;
