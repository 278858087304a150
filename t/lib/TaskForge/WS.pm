package TaskForge::WS;

# A WebSocket client (RFC 6455), text messages, as much as a browser's page uses.

use strict;
use warnings;
use Digest::SHA qw(sha1_base64);
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use TaskForge::HTTP qw(write_all);
use TaskForge::Record qw(record_message);
use TaskForge::Secrets qw(heard secrets_of_request);
use Time::HiRes qw(time);

my $json = JSON::PP->new->utf8;

# port, or a socket that is connected; path (default /ws); headers {}; dies with the status line when the server does not upgrade
sub connect {
    my ($class, %o) = @_;
    my $self = bless {buffer => '', queue => [], %o}, $class;
    secrets_of_request($o{path} // '', $o{headers});
    $self->{socket} //= IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $o{port}, Timeout => 20)
        or die "connect to port $o{port}: $@\n";
    my $key = encode_base64(pack('N4', map { int rand 2**32 } 1 .. 4), '');
    my %headers = (Host => 'localhost', Upgrade => 'websocket', Connection => 'Upgrade', 'Sec-WebSocket-Version' => 13,
        'Sec-WebSocket-Key' => $key, %{$o{headers} // {}});
    $self->write('GET ' . ($o{path} // '/ws') . " HTTP/1.1\r\n" . join('', map { "$_: $headers{$_}\r\n" } sort keys %headers)
            . "\r\n");
    my $end = time + 20;
    while (index($self->{buffer}, "\r\n\r\n") < 0) {
        $self->fill($end) or die(($self->{closed} // 'no answer') . " at the handshake\n");
    }
    heard('handshake answered', $self->{buffer}) if $self->{buffer} !~ m{^HTTP/1\.1 101};
    (my $head, $self->{buffer}) = split /\r\n\r\n/, $self->{buffer}, 2;
    my ($status) = $head =~ m{^(HTTP/1\.1 \d+[^\r\n]*)};
    die "$status\n" unless $status =~ m{^HTTP/1\.1 101};
    my $accept = sha1_base64($key . '258EAFA5-E914-47DA-95CA-C5AB0DC85B11') . '=';
    die "wrong Sec-WebSocket-Accept\n" unless $head =~ /^Sec-WebSocket-Accept:\s*\Q$accept\E\s*$/mi;
    return $self;
}

sub write { my ($self, $bytes) = @_; return write_all($self->{socket}, $bytes) }

# More bytes; 0 when the time is over or the server closed (then {closed} is set).
sub fill {
    my ($self, $end) = @_;
    my $left = $end - time;
    return 0 if $left < 0 || !IO::Select->new($self->{socket})->can_read($left);
    my $n = sysread $self->{socket}, $self->{buffer}, 262144, length $self->{buffer};
    $self->{closed} //= 'connection closed' unless $n;
    return $n // 0;
}

sub send_frame {
    my ($self, $opcode, $payload) = @_;
    my $n = length $payload;
    my $mask = pack 'N', int rand 2**32;
    my $length = $n < 126 ? chr(128 | $n) : $n < 65536 ? chr(254) . pack('n', $n) : chr(255) . pack('Q>', $n);
    my $masked = $payload ^ substr($mask x ($n / 4 + 1), 0, $n);
    $self->write(chr(128 | $opcode) . $length . $mask . $masked);
    return;
}

sub send { my ($self, $text) = @_; return $self->send_frame(1, $text) }

sub next_frame {
    my ($self) = @_;
    my $b = \$self->{buffer};
    return if length $$b < 2;
    my ($op, $n, $at) = (ord($$b) & 15, ord(substr $$b, 1, 1) & 127, 2);
    ($n, $at) = (unpack('n', substr $$b, 2, 2), 4) if $n == 126 && length $$b >= 4;
    ($n, $at) = (unpack('Q>', substr $$b, 2, 8), 10) if $n == 127 && length $$b >= 10;
    return if $at == 2 && $n > 125 || length $$b < $at + $n;
    my $payload = substr $$b, $at, $n;
    substr $$b, 0, $at + $n, '';
    return ($op, $payload);
}

# The next text message within $seconds (default 30); undef: none came, or the connection closed ({closed} says why).
sub next_text {
    my ($self, $seconds) = @_;
    my $end = time + ($seconds // 30);
    while (1) {
        while (my ($op, $payload) = $self->next_frame) {
            if ($op == 1) {
                record_message($self->{path} // '/ws', $payload);
                return $payload;
            }
            $self->send_frame(10, $payload) if $op == 9;
            $self->{closed} = 'close ' . (length $payload >= 2 ? unpack('n', $payload) . ' ' . substr($payload, 2) : '')
                if $op == 8;
        }
        return undef if $self->{closed} || !$self->fill($end);
    }
}

# {"event":"connected"}, or undef; an event of the same moment may come before it, and stays the next one.
sub greeting {
    my ($self) = @_;
    my ($early, $end) = ($self->{early} = [], time + 30);
    while (my $text = $self->next_text($end - time)) {
        my $event = $json->decode($text);
        return $event if $event->{event} eq 'connected';
        push @$early, $event;
    }
    return undef;
}

# The next message as data.
sub next_event {
    my ($self, $seconds) = @_;
    return shift @{$self->{early}} if @{$self->{early} // []};
    my $text = $self->next_text($seconds) // return undef;
    return $json->decode($text);
}

# Reads until $check->($event) is true and returns all events read, in order; the last one is the wanted one if it
# came: an array that ends otherwise means that the time was over.
sub events_until {
    my ($self, $seconds, $check) = @_;
    my ($end, @events) = (time + $seconds);
    while (my $event = $self->next_event($end - time)) {
        push @events, $event;
        last if $check->($event);
    }
    return @events;
}

sub close {
    my ($self) = @_;
    eval { $self->send_frame(8, pack 'n', 1000) };
    CORE::close(delete $self->{socket}) if $self->{socket};
    return;
}

1;
