package TaskForge::SlowServer;

# An HTTP server on loopback that answers each request after a while, one process for hundreds of them at once.
#
#   GET /MS: an answer after so many milliseconds (0: at once; -1: when it is released)   POST /: the same, "ms" in the payload of the message (docs/handlers.md)
#   GET /release: answers all that wait
#   GET /stats: {"now": how many wait for their answer, "most": at once so far, "served": answered}

use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use parent 'TaskForge::Server';
use Time::HiRes qw(time);

sub start { my ($class) = @_; return $class->launch(['127.0.0.1'], open => {}, now => 0, most => 0, served => 0) }

# All of them in this process.
sub serve {
    my ($self, $listening) = @_;
    my $select = $self->{select} = IO::Select->new($listening);
    while (1) {
        my ($next) = sort { $a <=> $b } map { $_->{due} // () } values %{$self->{open}};
        for my $socket ($select->can_read($next ? ($next > time ? $next - time : 0) : undef)) {
            if ($socket == $listening) {
                my $client = $socket->accept // next;
                $select->add($client);
                $self->{open}{$client} = {socket => $client, got => ''};
            }
            elsif (my $c = $self->{open}{$socket}) { $self->take($c) }
        }
        my $now = time;
        $self->answer($_, 'thank you') for grep { defined $_->{due} && $_->{due} <= $now } values %{$self->{open}};
    }
    return;
}

# What a client sent.
sub take {
    my ($self, $c) = @_;
    if (!sysread $c->{socket}, $c->{got}, 65536, length $c->{got}) {
        $self->{now}-- if $c->{waits};
        $self->{select}->remove($c->{socket});
        delete $self->{open}{$c->{socket}};
        return;
    }
    my ($method, $path, $headers, $body) = $c->{got} =~ m{\A([A-Z]+) (\S+) HTTP/1\.1\r\n(.*?)\r\n\r\n(.*)\z}s or return;
    my ($length) = $headers =~ /^content-length: *(\d+)/mi;
    return if length $body < ($length // 0);
    $c->{got} = '';
    if ($path eq '/release') { $self->answer($_, 'thank you') for grep { $_->{waits} } values %{$self->{open}} }
    return $self->answer($c, JSON::PP::encode_json({map { $_ => $self->{$_} } qw(now most served)})) if $path eq '/stats' || $path eq '/release';
    my $ms = $method eq 'POST' ? JSON::PP::decode_json($body)->{payload}{ms} // 0 : substr $path, 1;
    $c->{waits} = 1;
    $c->{due} = time + $ms / 1000 if $ms >= 0;
    $self->{now}++;
    $self->{most} = $self->{now} if $self->{now} > $self->{most};
    return;
}

sub answer {
    my ($self, $c, $text) = @_;
    if (delete $c->{waits}) {
        $self->{now}--;
        $self->{served}++;
    }
    delete $c->{due};
    syswrite $c->{socket}, join "\r\n", 'HTTP/1.1 200 OK', 'Content-Length: ' . length $text, '', $text;
    return;
}

sub stats { return $_[0]->ask('/stats') }

sub release { return $_[0]->ask('/release') }

# What GET /stats says, or what it said after all were released.
sub ask {
    my ($self, $path) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}) // die "connect: $!";
    print {$socket} "GET $path HTTP/1.1\r\nHost: x\r\n\r\n";
    my $text = '';
    while ($text !~ /\r\n\r\n\{.*\}/) {
        sysread $socket, $text, 4096, length $text or die 'no stats';
    }
    return JSON::PP::decode_json($text =~ s/\A.*\r\n//sr);
}

1;
