# /ws and /events/stream: what a client may send, and what becomes of the others.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Events;

my $tf = TaskForge->start(parts => [qw(redis nchan nginx)]);
my $events = TaskForge::Events->new($tf);
my $nchan = join ' ', TaskForge::Process::children_of($tf->part('nchan')->pid);

# no WebSocket
my %upgrade = (Upgrade => 'websocket', Connection => 'Upgrade', 'Sec-WebSocket-Version' => 13, 'Sec-WebSocket-Key' => 'dGhlIHNhbXBsZSBub25jZQ==');
my $r = $tf->get('/ws');
ok($r->is_problem(426), 'a plain GET is 426');
is($r->header('Upgrade'), 'websocket', 'that names the protocol');
ok($tf->post('/ws', '{}')->is_problem(405), 'POST is 405');
ok($tf->get('/ws', headers => {%upgrade, Upgrade => 'h2c'})->is_problem(426), 'another protocol is 426');
$r = $tf->get('/ws', headers => {%upgrade, 'Sec-WebSocket-Version' => 8});
ok($r->is_problem(426), 'another version is 426');
is($r->header('Sec-WebSocket-Version'), 13, 'that names the version');
ok($tf->get('/ws', headers => {%upgrade, 'Sec-WebSocket-Key' => $_})->is_problem(400), "a bad key ($_) is 400") for '', 'short', '?' x 24;
ok($tf->api->request('GET', '/ws', headers => \%upgrade, body => 'x')->is_problem(400), 'a body is 400');

# message ids: they abort nchan 1.3.6
my $odd = $tf->subscribe(path => '/ws?last_event_id=1:0&x=%00', headers => {
    'If-None-Match' => '0', 'If-Modified-Since' => 'Thu, 01 Jan 1970 00:00:01 GMT', 'Last-Event-ID' => '1:0',
    'Sec-WebSocket-Protocol' => 'ws+meta.nchan', 'Sec-WebSocket-Extensions' => 'permessage-deflate'});
ok($odd->{connected}, 'a client with message ids is a client like all others');

# no event stream
my %accept = (Accept => 'text/event-stream');
ok($tf->get('/events/stream', headers => {Accept => 'application/json'})->is_problem(406), 'an event stream that is not asked for is 406');
ok($tf->api->request('POST', '/events/stream', headers => \%accept, body => '{}')->is_problem(405), 'POST is 405');
ok($tf->api->request('GET', '/events/stream', headers => \%accept, body => 'x')->is_problem(400), 'a body is 400');
ok($tf->get('/events/stream', headers => {%accept, 'Last-Event-ID' => $_})->is_problem(400), "a Last-Event-ID that is none ($_) is 400")
    for '1795342546:[1],0', '1"', '1' x 65;
my $stream = $tf->listen_to(path => '/events/stream?last_event_id=1:0', headers => {'If-None-Match' => '0', 'If-Modified-Since' => 'Thu, 01 Jan 1970 00:00:01 GMT'});
ok($stream->{connected}, 'message ids of nchan are nothing to it');

# ping
my $ws = $tf->subscribe;
$ws->send('ping');
is($ws->next_text(30), '{"event":"pong"}', 'ping is answered with pong');
is($odd->next_text(0.5), undef, 'to that client alone');

# what is no ping
$ws->send($_) for 'pong', 'PING', 'ping ', '{"event":"job_success"}', '', 'x' x 125, 'x' x 126, 'x' x 70000;
$ws->send_frame(2, "\0\xff");
$ws->write(pack('CC', 0x01, 0x83) . "\0\0\0\0abc");
$ws->write(pack('CC', 0x80, 0x83) . "\0\0\0\0def");
$ws->send_frame(9, 'are you there');
$ws->send('ping');
is($ws->next_text(30), '{"event":"pong"}', 'other messages are dropped and close nothing, fragments too');
is($odd->next_text(0.3), undef, 'nobody else sees them');
my $bytes = pack('CC', 0x81, 0x84) . "\1\2\3\4" . ("ping" ^ "\1\2\3\4");
for my $byte (split //, $bytes) { $ws->write($byte); sleep 0.01 }
is($ws->next_text(30), '{"event":"pong"}', 'a ping in nine pieces is a ping');

# frames together with the request
my $eager = TaskForge::HTTP->new(port => $tf->{port});
$eager->send_raw($eager->format_request('GET', '/ws', headers => \%upgrade) . pack('CC', 0x81, 0x82) . "\0\0\0\0no" . substr $bytes, 0, 7);
is($eager->read_response->status, 101, 'frames sent with the request');
$eager->send_raw(substr $bytes, 7);
ok(wait_until(30, sub { eval { $eager->fill(time + 1) }; $eager->{buffer} =~ /pong/ }), 'are treated like others, half ones too');
$eager->send_raw("\xff");
$eager->close;
$eager->send_raw($eager->format_request('GET', '/ws', headers => \%upgrade) . 'no frame');
ok($eager->read_response->is_problem(400), 'what is no frame is 400');
$eager->close;

# a header that announces 20 GB
my $rss = sub { my ($kb) = map { /^VmRSS:\s+(\d+)/ ? $1 : () } do { open my $in, '<', "/proc/$_[0]/status"; <$in> }; $kb };
my $before = $rss->($nchan);
my $huge = $tf->subscribe;
$huge->write(pack('CCQ>', 0x81, 0xff, 20 * 2**30) . "\0\0\0\0");
$huge->write('x' x 65536) for 1 .. 200;
sleep 0.3;
cmp_ok($rss->($nchan) - $before, '<', 4096, 'an announced 20 GB frame costs nchan no memory');

# no WebSocket frames at all
for my $garbage (["\xff" x 64, 'reserved bits'], [pack('CC', 0x81, 0x04) . 'ping', 'an unmasked frame'], [pack('CC', 0x83, 0x80) . "\0\0\0\0", 'an unknown opcode'],
    [pack('CCn', 0x89, 0xfe, 200) . "\0\0\0\0" . 'x' x 200, 'a long ping'], [pack('CC', 0x09, 0x80) . "\0\0\0\0", 'a fragmented ping'],
    ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", 'another request'], [join('', map { pack('CC', 0x81, 0x80) . "\0\0\0\0" } 1 .. 250), 'more frames in a second than anybody needs']) {
    my $bad = $tf->subscribe;
    $bad->write($garbage->[0]);
    ok(!defined $bad->next_text(30) && $bad->{closed}, "$garbage->[1]: the connection is closed");
}

$events->add(3, 1);
is_deeply([$events->arrived($ws)], [1 .. 3], 'the others go on');
is_deeply([$events->arrived($stream)], [1 .. 3], 'and an event stream sees the same');
$ws->send_frame(8, pack 'n', 1000);
ok(!defined $ws->next_text(30) && $ws->{closed}, 'a close is answered');

# a reader that reads nothing, and one that reads too slowly
my $good = $tf->subscribe;
my $stalled = $tf->subscribe;
my $slow = $tf->subscribe;
my $stalled_stream = $tf->listen_to;
my ($from, $until) = ($events->last, time + 4);
my (@got, @streamed);
# for four seconds, and until there is more than the sockets and 4 MB can hold
while (time < $until || (time < $until + 60 && ($events->last - $from) * 3000 < 20e6)) {
    $events->add(20, 16, 3000);
    # not decoded: that takes longer than anything else here
    while (my $text = $good->next_text(10)) {
        push @got, $text =~ /"n":(\d+)/;
        last if @got && $got[-1] == $events->last;
    }
    while (my $text = $stream->next_text(10)) {
        push @streamed, $text =~ /"n":(\d+)/;
        last if @streamed && $streamed[-1] == $events->last;
    }
    sysread $slow->{socket}, my $bytes, 10240;
}
is_deeply([grep { $_ > $from } @got], [$from + 1 .. $events->last], 'a client that reads gets every event while others stall');
is_deeply(\@streamed, [$from + 1 .. $events->last], 'one of an event stream too');
cmp_ok($rss->($nchan) - $before, '<', 600 * 1024, 'what others do not read is bounded');

# What the socket still holds, then the end.
sub cut {
    my ($ws) = @_;
    my ($end, $bytes) = (time + 30, 0);
    while (time < $end && !$ws->{closed}) {
        $ws->{buffer} = '';
        eval { $bytes += $ws->fill(time + 0.2); 1 } or $ws->{closed} = 'reset';
        $good->next_event(0.01);
    }
    note sprintf '%s after %d of %d bytes', $ws->{closed} // 'open', $bytes, 3000 * ($events->last - $from);
    return $ws->{closed} && $bytes < 3000 * ($events->last - $from);
}
ok(cut($stalled), 'one that reads nothing is cut');
ok(cut($slow), 'and one that reads too slowly');
ok(cut($stalled_stream), 'and an event stream that nobody reads');
$events->add(3, 1);
my $last = $events->last;
is_deeply([$events->arrived($good)], [$last - 2 .. $last], 'the others go on');
is(join(' ', TaskForge::Process::children_of($tf->part('nchan')->pid)), $nchan, 'nchan lived through all this');

$_->close for $odd, $ws, $huge, $good, $stalled, $slow, $stream, $stalled_stream;

done_testing;
