# WebSockets log in four ways, event streams in three; a login does not outlive its credential; pages of other origins stay out.
use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA qw(sha256_hex);
use TaskForge;
use TaskForge::Auth qw(add_user add_key token);
use TaskForge::Files qw(slurp);
use TaskForge::Process qw(halt);

my $tf = TaskForge->start(auth => 1, parts => [qw(postgres redis nchan nginx)], edit => sub {
    my ($text) = @_;
    my ($home) = $text =~ m{load_module (\S+)/bin/};
    $text =~ s{(    access_log [^\n]*\n)}{$1    log_format all '\$request|\$request_uri|\$args|\$arg_token|\$arg_ticket';\n    access_log $home/log/all.log all;\n};
    $text =~ s{(location = /ws \{)}{$1\n            taskforge_origin https://app.example;\n            taskforge_limit ws requests=500 window=60s;};
    $text =~ s{(location = /events/stream \{)}{$1\n            taskforge_cors https://app.example;};
    return $text;
});
my $user = add_user($tf, 'listener', 'viewer');
my $token = token($user);
my @secrets = ($token);

# what POST /auth/ws-ticket leaves in Redis
sub ticket {
    my $ticket = 'tft_' . join '', map { ('A' .. 'Z', 'a' .. 'z', 0 .. 9)[rand 62] } 1 .. 43;
    push @secrets, $ticket;
    my ($source, $expires) = @_;
    $tf->redis('SET', 'tf:ticket:' . sha256_hex($ticket), "$user->{id}:" . ($source // $user->{family}) . ':' . ($expires // 0), 'EX', 30);
    return $ticket;
}

# "open", or the status that refused it. class: TaskForge::WS, TaskForge::SSE
sub try {
    my (%o) = @_;
    my $class = delete $o{class} // 'TaskForge::WS';
    my $ws = eval { $class->connect(port => $tf->{port}, %o) };
    return $@ =~ /^HTTP\S+ (\d+)/ ? $1 : $@ unless $ws;
    my $event = $ws->next_event // {};
    my $answer = ($event->{event} // '') eq 'connected' || defined $event->{queued} ? 'open' : 'no greeting';
    $ws->close;
    return $answer;
}

is(try(), 401, 'nobody: 401 at the upgrade');
is(try(path => '/ws?token=nonsense'), 401, 'a bad token: 401 at the upgrade');
is(try(headers => {Authorization => "Bearer $token"}), 'open', 'with the Authorization header');
is(try(headers => {'X-API-Key' => add_key($tf, $user, 'read')}), 'open', 'with an API key');
is(try(headers => {'X-API-Key' => add_key($tf, $user, 'submit')}), 403, 'an API key that may not read does not listen');
is(try(path => "/ws?token=$token"), 'open', 'with ?token=');
my $ticket = ticket();
is(try(path => "/ws?ticket=$ticket"), 'open', 'with ?ticket=');
is(try(path => "/ws?ticket=$ticket"), 401, 'a ticket is good for once');
is(try(path => '/ws?ticket=tft_' . join('', 'A' .. 'Z', 'a' .. 'q')), 401, 'a ticket that nobody made');
is(try(path => '/ws?ticket=' . ticket(undef, int(time) - 1)), 401, 'a ticket does not outlive the token it was made with');

# the subprotocol, as a browser offers it
sub handshake {
    my ($protocols) = @_;
    my $http = $tf->http;
    $http->send_raw("GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            . "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: $protocols\r\n\r\n");
    $http->fill(time + 20) while index($http->{buffer}, "\r\n\r\n") < 0;
    return $http->{buffer};
}
my $answer = handshake("taskforge, bearer.$token");
like($answer, qr{^HTTP/1.1 101}, 'with the subprotocol bearer.<token>');
is(join(',', $answer =~ /^Sec-WebSocket-Protocol: *(.*?)\r$/mig), 'taskforge', 'answered with the one that is no secret');
like(handshake('taskforge, bearer.nonsense'), qr{^HTTP/1.1 401}, 'a bad one is refused');

# the numbers
is(try(path => '/ws/stats'), 401, 'the numbers, nobody: 401');
is(try(path => '/ws/stats', headers => {Authorization => "Bearer $token"}), 'open', 'with the Authorization header');
is(try(path => '/ws/stats', headers => {'Sec-WebSocket-Protocol' => "taskforge, bearer.$token"}), 'open', 'with the subprotocol');
is(try(path => "/ws/stats?token=$token"), 'open', 'with ?token=');
is(try(path => '/ws/stats?ticket=' . ticket()), 'open', 'with ?ticket=');
is(try(path => '/ws/stats', headers => {Authorization => "Bearer $token", Origin => 'https://evil.example'}), 403, 'a page of another origin: 403');

# event streams
sub try_stream { return try(class => 'TaskForge::SSE', @_) }
is(try_stream(), 401, 'an event stream, nobody: 401');
is(try_stream(path => '/events/stream?token=nonsense'), 401, 'a bad token: 401');
is(try_stream(headers => {Authorization => "Bearer $token"}), 'open', 'with the Authorization header');
is(try_stream(headers => {'X-API-Key' => add_key($tf, $user, 'read')}), 'open', 'with an API key');
is(try_stream(headers => {'X-API-Key' => add_key($tf, $user, 'submit')}), 403, 'an API key that may not read does not listen');
is(try_stream(path => "/events/stream?token=$token"), 'open', 'with ?token=');
$ticket = ticket();
is(try_stream(path => "/events/stream?ticket=$ticket"), 'open', 'with ?ticket=');
is(try_stream(path => "/events/stream?ticket=$ticket"), 401, 'once');
is($tf->get('/events/stream', headers => {Authorization => "Bearer $token", Accept => '*/*'})->status, 406, 'what does not say that it is one, and so would not end with its login: 406');
for my $origin ('https://app.example', 'https://evil.example') {
    my $stream = $tf->listen_to(headers => {Authorization => "Bearer $token", Origin => $origin});
    is($stream->{head} =~ /^Access-Control-Allow-Origin: (\S+)/mi ? $1 : 'nobody', $origin =~ /evil/ ? 'nobody' : $origin, "a page of $origin: CORS says who may read it");
    $stream->close;
}

# origin
my %bearer = (Authorization => "Bearer $token");
is(try(headers => {%bearer, Origin => 'https://app.example'}), 'open', 'a page of an allowed origin');
is(try(headers => {%bearer, Origin => 'http://localhost'}), 'open', 'a page of our own');
is(try(headers => {%bearer, Origin => 'https://evil.example'}), 403, 'a page of another origin: 403');
is(try(headers => {%bearer, Origin => 'null'}), 403, 'a page without an origin: 403');

# the end
sub ends { my ($ws, $seconds) = @_; return wait_until($seconds, sub { $ws->next_text(0.1); $ws->{closed} }) }
my $short = token($user, exp => int(time) + 2);
push @secrets, $short;
my $leeway = 5;
my $ws = $tf->subscribe(headers => {Authorization => "Bearer $short"});
my $stream = $tf->listen_to(headers => {Authorization => "Bearer $short"});
ok($ws->{connected}, 'a token that ends soon');
ok(ends($ws, 2 + $leeway + 20), 'the connection ends with it');
ok(ends($stream, 20), 'the event stream too');
my $staying = add_user($tf, 'staying', 'viewer');
my $other = $tf->subscribe(headers => {Authorization => 'Bearer ' . token($staying)});
$ws = $tf->subscribe(path => '/ws?ticket=' . ticket());
my $numbers = TaskForge::WS->connect(port => $tf->{port}, path => '/ws/stats?ticket=' . ticket());
$numbers->next_event;
$stream = $tf->listen_to(path => '/events/stream?ticket=' . ticket());
$tf->sql("BEGIN; UPDATE users SET active = false WHERE id = '$user->{id}'; SELECT pg_notify('tf_auth', 'user:$user->{id}'); COMMIT");
ok(ends($ws, 20), 'the user was deactivated: the connection ends');
ok(ends($stream, 20), 'the event stream too');
ok(ends($numbers, 20), 'and the numbers');
# the process that takes it may be another one, which hears of the change by itself
my $status;
wait_until(20, sub { ($status = try(headers => {%bearer})) eq '401' });
is($status, 401, 'and there is no way back in');
$other->send('ping');
is(($other->next_event // {})->{event}, 'pong', 'others notice nothing');
# a change between the check and the answer: the limit waits for a Redis that is silent
$tf->expect_log(qr/Redis/);
my $late = add_user($tf, 'latecomer', 'viewer');
my $http = $tf->http->connect;
halt($tf->part('redis')->pid);
$http->send_raw($http->format_request(GET => '/ws', headers => {Authorization => 'Bearer ' . token($late), Upgrade => 'websocket',
    Connection => 'Upgrade, close', 'Sec-WebSocket-Version' => 13, 'Sec-WebSocket-Key' => 'dGhlIHNhbXBsZSBub25jZQ=='}));
sleep 0.3;
$tf->sql("BEGIN; UPDATE users SET active = false WHERE id = '$late->{id}'; SELECT pg_notify('tf_auth', 'user:$late->{id}'); COMMIT");
sleep 0.3;
$tf->part('redis')->signal('CONT');
ok(eval { my $end = time + 20; 1 while $http->fill($end); 1 } || $@ =~ /^read:/, 'the user was deactivated during the handshake: the connection ends');
# a change while the listener cannot hear it
$tf->expect_log(qr/terminating|connection|shutting down/);
$tf->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'taskforge-nginx'; "
        . "UPDATE users SET active = false WHERE id = '$staying->{id}'; SELECT pg_notify('tf_auth', 'user:$staying->{id}')");
ok(ends($other, 30), 'what was changed while nobody listened ends connections too');

$tf->stop_part('nginx');
my $logs = join '', map { slurp($_) } glob "$tf->{home}/log/*";
like($logs, qr{/$_\?token=\*+ HTTP}, "the logs show the handshakes at /$_") for qw(ws ws/stats events/stream);
is_deeply([grep { index($logs, $_) >= 0 } @secrets], [], 'and no secret');

done_testing;
