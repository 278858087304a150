package TaskForge::WebServer;

# An HTTP server on loopback for whoever is to fetch something: pages as a test wants them, and answers that are slow, broken,
# huge or packed. Writes down every request.
#
#   my $web = TaskForge::WebServer->start($home, {'/a' => 'text', '/b' => {json => {x => 1}}, '/shop/*' => sub { my ($request) = @_; ... }});
#   $web->url('/a'); $web->requests('/a');
#
# A route is the text of an answer (text/plain; what begins with "<" is text/html), an answer, or a sub that makes one of the
# request (called in the connection's process: what it changes stays there). The longest "/beginning*" that fits is taken where no
# path fits exactly. An answer is a hash:
#
#   status => 200   headers => ["X-A: b", ...]   type => 'text/plain'   body => 'bytes'   json => any value   html => 'text'
#   gzip => 1       the body is packed
#   chunks => [..]  the body in chunks of its own, a sub makes the next ('' or undef: the end)
#   delay => 1.5    seconds before the answer   pause => 0.1   between chunks
#   huge => bytes   a body of so many "x", with Content-Length   bomb => bytes   so many zeros, packed with gzip
#   length => n     what Content-Length says, whatever is true; undef: nothing, and the connection ends the body
#   cut => n        the connection is closed after so many bytes of the body   raw => 'bytes'   all of the answer, as it is
#   hang => 1       no answer at all
#
# A request is TaskForge::Server's, with args => {name => value} and number (from 1, of this target).
#
# Without a route there is, for everybody:
#   /ok  /echo (the request as JSON)  /json  /gzip  /chunked  /binary (500, any bytes)  /slow/SECONDS  /hang  /drip (a byte every 0.1 s)
#   /status/503  /flaky/2 (503 twice, then 200)  /later/429/600 (status and Retry-After)  /redirect/307?URL  /chain/3 (redirects)  /loop
#   /huge/BYTES  /bomb/BYTES  /headers/BYTES (of headers)  /cut  /empty (closes without an answer)  /garbage (is not HTTP)
#   /bad-gzip  /bad-chunk

use strict;
use warnings;
use Compress::Raw::Zlib qw(Z_OK Z_BEST_SPEED WANT_GZIP);
use IO::Compress::Gzip qw(gzip);
use JSON::PP ();
use parent 'TaskForge::Server';
use TaskForge::Files qw(slurp);
use Time::HiRes qw(sleep);

my $PIECE = 65536; # bytes
my $json = JSON::PP->new->latin1->canonical->allow_nonref;

my %FIXED = (
    ok       => sub { 'ok' },
    echo     => sub { {json => $_[0]} },
    json     => sub { {json => {name => 'TaskForge', list => [1, 2.5, 'three', undef, JSON::PP::true()], nested => {'a b' => {c => 'd'}}}} },
    gzip     => sub { {json => {packed => JSON::PP::true(), filler => 'y' x 10_000}, gzip => 1} },
    chunked  => sub { {chunks => ['one ', 'two ', 'three']} },
    binary   => sub { {status => 500, body => join('', map { chr } 0 .. 255), type => 'application/octet-stream'} },
    slow     => sub { {body => 'slow', delay => $_[1]} },
    hang     => sub { {hang => 1} },
    drip     => sub { {chunks => [('.') x 600], pause => 0.1} },
    status   => sub { {status => $_[1], body => "status $_[1]"} },
    flaky    => sub { $_[0]{number} > $_[1] ? 'at last' : {status => 503, body => 'not yet'} },
    later    => sub { {status => $_[1], body => 'later', headers => ["Retry-After: $_[2]"]} },
    redirect => sub { {status => $_[1], body => 'elsewhere', headers => ["Location: $_[0]{query}"]} },
    chain    => sub { $_[1] > 0 ? {status => 302, headers => ['Location: /chain/' . ($_[1] - 1)]} : 'arrived' },
    loop     => sub { {status => 302, headers => ['Location: /loop']} },
    huge     => sub { {huge => $_[1]} },
    bomb     => sub { {bomb => $_[1]} },
    headers  => sub { {body => 'many', headers => [map { "X-Filler-$_: " . 'z' x 1000 } 1 .. $_[1] / 1000]} },
    cut      => sub { {body => 'half of it is missing', cut => 10} },
    empty    => sub { {raw => ''} },
    garbage  => sub { {raw => "SSH-2.0-OpenSSH_9.2\r\n"} },
    'bad-gzip'  => sub { {body => "\x1f\x8b\x08 this is not gzip at all", headers => ['Content-Encoding: gzip']} },
    'bad-chunk' => sub { {raw => "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nnot a chunk\r\n"} },
);

# Listens on 127.0.0.1 and 127.0.0.2. dir: where the requests are written.
sub start {
    my ($class, $dir, $routes) = @_;
    return $class->launch(['127.0.0.1', '127.0.0.2'], record => "$dir/requests", routes => $routes // {});
}

sub respond {
    my ($self, $client, $request) = @_;
    $self->complete($request);
    my $answer = $self->decide($request);
    $answer = {body => $answer} if !ref $answer;
    $self->record($request, $answer->{status} // 200);
    sleep $answer->{delay} if $answer->{delay};
    if ($answer->{hang}) { sleep 300; return 0 }
    if (defined $answer->{raw}) { print {$client} $answer->{raw}; return 0 }
    return send_answer($client, $request->{method}, $answer);
}

# Adds what the routes want of a request.
sub complete {
    my ($self, $request) = @_;
    $request->{args} = {};
    for my $pair (split /&/, $request->{query}) {
        my ($name, $value) = map { s/\+/ /gr =~ s/%([0-9a-fA-F]{2})/chr hex $1/ger } split(/=/, $pair, 2), '';
        $request->{args}{$name} = $value;
    }
    my $key = $json->encode($request->{target});
    $request->{number} = 1 + (() = (-e $self->{record} ? slurp($self->{record}) : '') =~ /"target":\Q$key\E/g);
    return;
}

sub decide {
    my ($self, $request) = @_;
    my ($routes, $path) = ($self->{routes}, $request->{path});
    my ($key) = exists $routes->{$path} ? $path
        : sort { length $b <=> length $a } grep { /^(.*)\*\z/ && index($path, $1) == 0 } keys %$routes;
    return ref $routes->{$key} eq 'CODE' ? $routes->{$key}->($request) : $routes->{$key} if defined $key;
    my ($kind, @more) = split m{/}, substr $path, 1;
    return $FIXED{$kind // ''} ? $FIXED{$kind}->($request, @more) : {status => 404, body => "no such page: $path"};
}

sub send_answer {
    my ($client, $method, $answer) = @_;
    my @headers = @{$answer->{headers} // []};
    my $body = $answer->{body} // $answer->{html} // (exists $answer->{json} ? $json->encode($answer->{json}) : '');
    my $type = $answer->{type} // (exists $answer->{json} ? 'application/json' : defined $answer->{html} || $body =~ /^</ ? 'text/html; charset=utf-8' : 'text/plain');
    utf8::encode($body) if utf8::is_utf8($body);
    if ($answer->{gzip}) {
        my $plain = $body;
        gzip(\$plain, \$body) or die 'gzip';
        push @headers, 'Content-Encoding: gzip';
    }
    push @headers, 'Content-Encoding: gzip' if $answer->{bomb};
    push @headers, "Content-Type: $type" unless grep { /^content-type:/i } @headers;
    my $length = exists $answer->{length} ? $answer->{length} : $answer->{bomb} ? undef : $answer->{huge} // length $body;
    my $end = !defined $length && !$answer->{chunks} || defined $answer->{cut};
    push @headers, $answer->{chunks} ? 'Transfer-Encoding: chunked' : defined $length ? "Content-Length: $length" : (), $end ? 'Connection: close' : ();
    print {$client} join("\r\n", 'HTTP/1.1 ' . ($answer->{status} // 200) . ' X', @headers, '', '');
    $client->flush or return 0;
    return 1 if $method eq 'HEAD' || ($answer->{status} // 200) == 204 || ($answer->{status} // 200) == 304;
    return send_chunks($client, $answer) && !$end if $answer->{chunks};
    return send_much($client, $answer->{huge}) && !$end if $answer->{huge};
    return send_bomb($client, $answer->{bomb}) if $answer->{bomb};
    print {$client} defined $answer->{cut} ? substr $body, 0, $answer->{cut} : $body;
    return $client->flush && !$end;
}

sub send_chunks {
    my ($client, $answer) = @_;
    my $chunks = $answer->{chunks};
    my @left = ref $chunks eq 'ARRAY' ? @$chunks : ();
    my $sent = 0;
    while (defined(my $chunk = ref $chunks eq 'CODE' ? $chunks->() : shift @left)) {
        last if $chunk eq '';
        utf8::encode($chunk) if utf8::is_utf8($chunk);
        return 0 if defined $answer->{cut} && $sent + length $chunk > $answer->{cut};
        $sent += length $chunk;
        print {$client} sprintf("%x\r\n", length $chunk), $chunk, "\r\n";
        $client->flush or return 0;
        sleep $answer->{pause} if $answer->{pause};
    }
    print {$client} "0\r\n\r\n";
    return $client->flush;
}

sub send_much {
    my ($client, $left) = @_;
    my $piece = 'x' x $PIECE;
    for (; $left > 0; $left -= $PIECE) {
        print {$client} $left < $PIECE ? substr $piece, 0, $left : $piece or return 0;
    }
    return $client->flush;
}

sub send_bomb {
    my ($client, $left) = @_;
    my $zeros = "\0" x (16 * $PIECE);
    my ($z) = Compress::Raw::Zlib::Deflate->new(-Level => Z_BEST_SPEED, -WindowBits => WANT_GZIP, -AppendOutput => 0);
    for (; $left > 0; $left -= length $zeros) {
        my $packed = '';
        $z->deflate($left < length $zeros ? substr($zeros, 0, $left) : $zeros, $packed) == Z_OK or die 'deflate';
        print {$client} $packed or return 0;
        $client->flush or return 0;
    }
    $z->flush(my $end = '') == Z_OK or die 'deflate';
    print {$client} $end;
    $client->flush;
    return 0;
}

# ---- a streaming endpoint as OpenAI's

# Its routes. key: what a request must be authorized with. The name of the model says what it does:
#   any    streams the words of the last message (or of the prompt) back, `pause` seconds apart, and the usage if that is asked for
#   silent does not tell the usage     cut   breaks off after two words     mute   says nothing for a minute
#   split  the events in pieces of three bytes, with CRLF, comments and an event of another kind between them
#   error  a stream with an error in it     html  is no stream     deep  an event nested 5,000 deep     busy  429, Retry-After 600     down  500     wrong  400
#   json   says {"answer": 42}     endless   words without end
sub openai {
    my (%o) = @_;
    my $answer = sub { my ($request) = @_; return openai_answer($request, %o) };
    return ('/v1/chat/completions' => $answer, '/v1/completions' => $answer, '/v1/models' => {json => {object => 'list', data => []}});
}

sub openai_error { my ($status, $type, $message, @headers) = @_; return {status => $status, json => {error => {message => $message, type => $type, param => undef, code => undef}}, headers => \@headers} }

sub openai_answer {
    my ($request, %o) = @_;
    return openai_error(401, 'invalid_request_error', 'Incorrect API key provided') if defined $o{key} && ($request->{headers}{authorization} // '') ne "Bearer $o{key}";
    my $asked = eval { JSON::PP::decode_json($request->{body}) } // return openai_error(400, 'invalid_request_error', 'not JSON');
    my $model = $asked->{model} // return openai_error(400, 'invalid_request_error', 'you must provide a model parameter');
    return openai_error(400, 'invalid_request_error', 'temperature must be at most 2') if $model eq 'wrong';
    return openai_error(429, 'rate_limit_exceeded', 'Rate limit reached', 'Retry-After: 600') if $model eq 'busy';
    return openai_error(500, 'server_error', 'The server had an error') if $model eq 'down';
    return {html => '<html>login</html>'} if $model eq 'html';
    my $chat = $request->{path} =~ /chat/;
    my $said = $model eq 'json' ? '{"answer": 42}' : $chat ? $asked->{messages}[-1]{content} : $asked->{prompt};
    my @words = $said =~ /(\s*\S+)/g;
    my $finish = defined $asked->{max_tokens} && @words > $asked->{max_tokens} ? 'length' : 'stop';
    $#words = $asked->{max_tokens} - 1 if $finish eq 'length';
    my $read = () = join(' ', $chat ? map { $_->{content} } @{$asked->{messages}} : $asked->{prompt}) =~ /\S+/g;
    my $usage = {prompt_tokens => $read, completion_tokens => scalar @words, total_tokens => $read + @words};
    my %common = (id => 'chatcmpl-1', created => 1_700_000_000, model => "$model-2024");
    if (!$asked->{stream}) {
        my $choice = {index => 0, finish_reason => $finish, $chat ? (message => {role => 'assistant', content => join '', @words}) : (text => join '', @words)};
        return {json => {%common, object => $chat ? 'chat.completion' : 'text_completion', choices => [$choice], $model eq 'silent' ? () : (usage => $usage)}, delay => $o{pause}};
    }
    my $event = sub {
        my ($text, $why, %more) = @_;
        my $choice = {index => 0, finish_reason => $why, $chat ? (delta => defined $text ? {content => $text} : {}) : (text => $text // '')};
        return 'data: ' . JSON::PP->new->utf8->canonical->encode({%common, object => 'chat.completion.chunk', choices => [$choice], %more}) . "\n\n";
    };
    my $i = 0;
    return {type => 'text/event-stream', pause => $o{pause} // 0.02, chunks => sub { $event->(' word' . $i++, undef) }} if $model eq 'endless';
    my @events = map { $event->($_, undef) } @words;
    @events = ($events[0], qq(data: {"error": {"message": "The server is overloaded", "type": "server_error"}}\n\n)) if $model eq 'error';
    unshift @events, 'data: ' . '[' x 5000 . ']' x 5000 . "\n\n" if $model eq 'deep';
    push @events, $event->(undef, $finish);
    push @events, 'data: ' . $json->encode({%common, object => 'chat.completion.chunk', choices => [], usage => $usage}) . "\n\n"
        if $asked->{stream_options}{include_usage} && $model ne 'silent';
    push @events, "data: [DONE]\n\n";
    my $cut = $model eq 'cut' ? length $events[0] . $events[1] : undef;
    @events = (sub { sleep 60; '' }) if $model eq 'mute';
    @events = (": welcome\r\n\r\nevent: ping\r\ndata: {}\r\n\r\n", map { (": still here\r\n", s/\n/\r\n/gr) } @events) if $model eq 'split';
    @events = join('', @events) =~ /(.{1,3})/gs if $model eq 'split';
    return {type => 'text/event-stream', pause => $model eq 'split' ? 0 : $o{pause}, cut => $cut, chunks => sub { my $next = shift @events; return ref $next ? $next->() : $next }};
}

1;
