package TaskForge::HTTP2;

# An HTTP/2 client (RFC 9113) that a test can lead frame by frame: many streams at once, bodies in pieces, cancelled requests.
# Of headers it writes literals and reads the status alone.

use strict;
use warnings;
use IO::Select;
use TaskForge::HTTP qw(write_all);
use TaskForge::Secrets qw(heard secrets_of_request);
use Time::HiRes qw(time);

my %TYPE = (DATA => 0, HEADERS => 1, RST_STREAM => 3, SETTINGS => 4, PING => 6, GOAWAY => 7, WINDOW_UPDATE => 8);
my %NAME = reverse %TYPE;
# RFC 7541, appendix A
my %STATUS = (8 => 200, 9 => 204, 10 => 206, 11 => 304, 12 => 400, 13 => 404, 14 => 500);

# socket: connected, and agreed on h2
sub new {
    my ($class, $socket) = @_;
    my $self = bless {socket => $socket, buffer => '', last => -1, window => 65535, initial => 65535, streams => {}}, $class;
    $self->write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" . frame('SETTINGS', 0, 0, '') . frame('WINDOW_UPDATE', 0, 0, pack 'N', 2**30));
    return $self;
}

sub frame {
    my ($type, $flags, $stream, $payload) = @_;
    return substr(pack('N', length $payload), 1) . pack('CCN', $TYPE{$type}, $flags, $stream) . $payload;
}

sub write { my ($self, $bytes) = @_; return write_all($self->{socket}, $bytes) }

sub literal {
    my ($text) = @_;
    my $n = length $text;
    return chr($n) . $text if $n < 127;
    $n -= 127;
    my $bytes = chr 127;
    for (; $n >= 128; $n >>= 7) { $bytes .= chr($n & 127 | 128) }
    return $bytes . chr($n) . $text;
}

# Begins a request; returns its stream. body: text, sent in DATA frames of at most "piece" bytes (default 16384); open: more
# of the body would follow
sub request {
    my ($self, $method, $path, %o) = @_;
    secrets_of_request($path, $o{headers}, $o{body});
    my $id = $self->{last} += 2;
    my %header = (%{$o{headers} // {}}, defined $o{body} ? ('content-type' => 'application/json') : ());
    my @fields = (':method' => $method, ':scheme' => 'https', ':authority' => 'localhost', ':path' => $path, map { (lc $_ => $header{$_}) } sort keys %header);
    my $block = '';
    while (my ($name, $value) = splice @fields, 0, 2) { $block .= "\0" . literal($name) . literal($value) }
    $self->{streams}{$id} = {window => $self->{initial}, body => ''};
    my $ends = !defined $o{body} && !$o{open};
    $self->write(frame('HEADERS', 4 | ($ends ? 1 : 0), $id, $block));
    $self->send_body($id, $o{body}, $o{piece} // 16384, $o{open}) if defined $o{body};
    return $id;
}

# As the windows allow.
sub send_body {
    my ($self, $id, $body, $piece, $open) = @_;
    my $stream = $self->{streams}{$id};
    my $end = time + 30;
    while (length $body) {
        my ($n) = sort { $a <=> $b } $piece, length $body, $self->{window}, $stream->{window};
        if ($n > 0) {
            $self->write(frame('DATA', !$open && $n == length $body ? 1 : 0, $id, substr $body, 0, $n, ''));
            $self->{window} -= $n;
            $stream->{window} -= $n;
        }
        return if $stream->{ended};
        # also while there is room: nobody else reads what comes
        $self->take($n > 0 ? time : $end) or $n > 0 or die "stream $id: no room for its body\n";
    }
    return;
}

# RST_STREAM, CANCEL
sub cancel { my ($self, $id) = @_; $self->write(frame('RST_STREAM', 0, $id, pack 'N', 8)); return }

# Takes what is there, or comes until $end; false: nothing.
sub take {
    my ($self, $end) = @_;
    my $left = $end - time;
    return 0 unless IO::Select->new($self->{socket})->can_read($left > 0 ? $left : 0);
    sysread $self->{socket}, $self->{buffer}, 262144, length $self->{buffer} or die "connection closed\n";
    while (length $self->{buffer} >= 9) {
        my $length = unpack 'N', "\0" . substr $self->{buffer}, 0, 3;
        last if length $self->{buffer} < 9 + $length;
        my $frame = substr $self->{buffer}, 0, 9 + $length, '';
        my ($type, $flags, $id) = unpack 'x3CCN', $frame;
        $self->took($NAME{$type} // '', $flags, $id & 0x7fffffff, substr $frame, 9);
    }
    return 1;
}

sub took {
    my ($self, $type, $flags, $id, $payload) = @_;
    my $stream = $self->{streams}{$id} // {};
    if ($type eq 'HEADERS') {
        $stream->{status} //= status_of($payload);
    } elsif ($type eq 'DATA') {
        $stream->{body} .= $payload;
        $self->write(join '', map { frame('WINDOW_UPDATE', 0, $_, pack 'N', length $payload) } 0, $flags & 1 ? () : $id) if length $payload;
    } elsif ($type eq 'RST_STREAM') {
        $stream->{ended} = 'reset ' . unpack 'N', $payload;
    } elsif ($type eq 'SETTINGS' && !($flags & 1)) {
        my %setting = unpack '(nN)*', $payload;
        if (defined(my $initial = $setting{4})) {
            $_->{window} += $initial - $self->{initial} for values %{$self->{streams}};
            $self->{initial} = $initial;
        }
        $self->write(frame('SETTINGS', 1, 0, ''));
    } elsif ($type eq 'WINDOW_UPDATE') {
        ($id ? $stream : $self)->{window} += unpack 'N', $payload;
    } elsif ($type eq 'PING' && !($flags & 1)) {
        $self->write(frame('PING', 1, 0, $payload));
    } elsif ($type eq 'GOAWAY') {
        die 'GOAWAY, error ' . unpack('x4N', $payload) . "\n";
    }
    $stream->{ended} //= 'end' if $flags & 1 && $type =~ /^(?:HEADERS|DATA)$/;
    return;
}

# Indexed, or a literal whose name is indexed; nginx does not compress it.
sub status_of {
    my ($block) = @_;
    my $first = ord $block;
    return $STATUS{$first & 127} if $first & 128;
    return $block =~ /^.\x03(\d{3})/s ? $1 : die "the first header is no :status\n";
}

# Reads until $check is true; dies after $seconds (default 30).
sub until {
    my ($self, $check, $seconds) = @_;
    my $end = time + ($seconds // 30);
    until ($check->()) { $self->take($end) or die "no answer in time\n" }
    return 1;
}

# The answer: {status, body, ended}.
sub answer {
    my ($self, $id, $seconds) = @_;
    my $stream = $self->{streams}{$id};
    $self->until(sub { $stream->{ended} }, $seconds);
    heard('HTTP/2 answered', $stream->{body});
    return delete $self->{streams}{$id};
}

1;
