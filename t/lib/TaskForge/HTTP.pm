package TaskForge::HTTP;

# An HTTP/1.1 client over one keep-alive connection, low enough to pipeline, to send garbage and to be slow.

use strict;
use warnings;
use Exporter 'import';
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use TaskForge::Record qw(record);
use TaskForge::Secrets qw(heard secrets_of_answer secrets_of_request);
use Time::HiRes qw(time);

our @EXPORT_OK = qw(write_all);

my $json = JSON::PP->new->utf8->canonical->allow_nonref;

# port; timeout: seconds that one answer may take (default 60)
sub new {
    my ($class, %o) = @_;
    return bless {timeout => 60, buffer => '', %o}, $class;
}

sub connect {
    my ($self) = @_;
    $self->{socket} = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}, Proto => 'tcp',
        Timeout => $self->{timeout}) or die "connect to port $self->{port}: $@\n";
    $self->{socket}->setsockopt(Socket::IPPROTO_TCP(), Socket::TCP_NODELAY(), 1);
    $self->{buffer} = '';
    return $self;
}

sub close {
    my ($self) = @_;
    my $socket = delete $self->{socket} or return;
    CORE::close $socket;
    return;
}

# All of $bytes, or dies.
sub write_all {
    my ($socket, $bytes) = @_;
    local $SIG{PIPE} = 'IGNORE';
    while (length $bytes) {
        my $n = syswrite($socket, $bytes) // die "write: $!\n";
        substr $bytes, 0, $n, '';
    }
    return;
}

sub send_raw {
    my ($self, $bytes) = @_;
    $self->connect unless $self->{socket};
    return write_all($self->{socket}, $bytes);
}

# The text of one request. A reference as body is sent as JSON; headers override the defaults, undef removes one.
sub format_request {
    my ($self, $method, $path, %o) = @_;
    secrets_of_request($path, $o{headers}, $o{body});
    my $body = ref $o{body} ? $json->encode($o{body}) : $o{body};
    my %headers = (Host => 'localhost', defined $body ? ('Content-Type' => 'application/json') : (), %{$o{headers} // {}});
    $headers{'Content-Length'} //= length $body if defined $body && !$headers{'Transfer-Encoding'};
    my $head = join '', map { defined $headers{$_} ? "$_: $headers{$_}\r\n" : () } sort keys %headers;
    return "$method $path HTTP/1.1\r\n$head\r\n" . ($body // '');
}

sub fill {
    my ($self, $end) = @_;
    my $left = $end - time;
    die "no answer within $self->{timeout} s\n" if $left <= 0 || !IO::Select->new($self->{socket})->can_read($left);
    my $n = sysread $self->{socket}, $self->{buffer}, 65536, length $self->{buffer};
    die "read: $!\n" unless defined $n;
    return $n;
}

sub take {
    my ($self, $n, $end) = @_;
    while (length $self->{buffer} < $n) {
        $self->fill($end) or die "connection closed in the middle of an answer\n";
    }
    return substr $self->{buffer}, 0, $n, '';
}

sub take_line {
    my ($self, $end) = @_;
    while ((my $at = index $self->{buffer}, "\n") < 0) {
        $self->fill($end) or die "connection closed in the middle of an answer\n";
    }
    my $line = substr $self->{buffer}, 0, 1 + index($self->{buffer}, "\n"), '';
    $line =~ s/\r?\n\z//;
    return $line;
}

# The next answer on the connection: {status, headers (lower case), body}, undef when the server closed instead.
sub read_response {
    my ($self, %o) = @_;
    my $end = time + ($o{timeout} // $self->{timeout});
    if (!length $self->{buffer} && !$self->fill($end)) {
        $self->close;
        return undef;
    }
    my $line = $self->take_line($end);
    $line =~ m{^HTTP/1\.[01] (\d{3})} or die "not HTTP: $line\n";
    my %r = (status => $1, headers => {}, body => '');
    while (length($line = $self->take_line($end))) {
        my ($name, $value) = $line =~ /^([^:\s]+):\s*(.*?)\s*$/ or die "bad header: $line\n";
        $r{headers}{lc $name} = exists $r{headers}{lc $name} ? "$r{headers}{lc $name}, $value" : $value;
    }
    my $h = $r{headers};
    if ($o{head} || $r{status} == 204 || $r{status} == 304 || $r{status} < 200) {
        # no body
    } elsif (($h->{'transfer-encoding'} // '') =~ /chunked/i) {
        while (my $size = hex($self->take_line($end) =~ s/;.*//r)) {
            $r{body} .= $self->take($size, $end);
            $self->take_line($end);
        }
        $self->take_line($end);
    } elsif (defined $h->{'content-length'}) {
        $r{body} = $self->take($h->{'content-length'}, $end);
    } else {
        1 while $self->fill($end);
        $r{body} = delete $self->{buffer};
        $self->{buffer} = '';
        $self->close;
    }
    $self->close if ($h->{connection} // '') =~ /close/i;
    return bless \%r, 'TaskForge::HTTP::Response';
}

# One request and its answer. Dies on a timeout or a broken connection; an idle connection that the server closed in
# the meantime is opened anew, as every client does. When it is closed at the very moment of sending, which no server
# can avoid and no client can tell from a loss, the message ends with "(stale)".
sub request {
    my ($self, $method, $path, %o) = @_;
    my $text = $self->format_request($method, $path, %o);
    my $reused = $self->{socket} ? 1 : 0;
    if ($reused && IO::Select->new($self->{socket})->can_read(0)) {
        $self->close;
        $reused = 0;
    }
    local $self->{timeout} = $o{timeout} // $self->{timeout};
    my $r = eval { $self->send_raw($text); $self->read_response(head => $method eq 'HEAD') };
    my $error = $@ || ($r ? '' : "connection closed without an answer\n");
    return listened($method, $path, $r) unless $error;
    $error =~ s/$/ (stale)/m if $reused && !length $self->{buffer} && $error !~ /no answer within/;
    $self->close;
    die "$method $path: $error";
}

# What is handed out is a secret from now on; in no other answer may one stand.
sub listened {
    my ($method, $path, $r) = @_;
    record_answer($method, $path, $r) if $ENV{TASKFORGE_RECORD};
    if ($method eq 'POST' && $r->{status} < 300) {
        secrets_of_answer($r->{body}) if $path =~ m{/auth/};
    } else {
        heard("$method answered $r->{status}", $r->{body});
    }
    return $r;
}

sub record_answer {
    my ($method, $path, $r) = @_;
    return unless $path =~ m{^/api/v1/} && length $r->{body} < 65536;
    my $route = $path =~ s/\?.*//r =~ s/[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}/{id}/gr;
    # of each shape: which members there are, of what kind their values are, and which words are of a fixed list
    my %members = map { $_ => 1 } $r->{body} =~ /("\w+":(?:"[A-Z_]+"|null|[\[{"tf\d-]))/g;
    record(join(' ', $method, $route, $r->{status}, sort keys %members), method => $method, path => $path, status => $r->{status} + 0,
        type => $r->{headers}{'content-type'} // '', body => $r->{body});
    return;
}

sub get    { my $self = shift; return $self->request('GET',    @_) }
sub delete { my $self = shift; return $self->request('DELETE', @_) }

sub post {
    my ($self, $path, $body, %o) = @_;
    return $self->request('POST', $path, body => $body, %o);
}

package TaskForge::HTTP::Response;

sub status { $_[0]{status} }
sub body   { $_[0]{body} }
sub header { $_[0]{headers}{lc $_[1]} }

# The body as data; undef when it is not JSON.
sub json {
    my ($self) = @_;
    return $self->{json} //= eval { $json->decode($self->{body}) };
}

# True for a well-formed problem+json answer that talks of this very status.
sub is_problem {
    my ($self, $status) = @_;
    my $p = $self->json;
    return $self->{status} == $status && ($self->header('content-type') // '') =~ m{^application/problem\+json}
        && ref $p eq 'HASH' && ($p->{status} // 0) == $status && length($p->{title} // '') && defined $p->{type};
}

1;
