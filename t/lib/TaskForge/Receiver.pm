package TaskForge::Receiver;

# An HTTP server on loopback that receives webhooks: writes down every request and answers as the path says. Each connection has a
# process of its own, so that one that hangs holds up nobody.
#
#   /ok  /slow (200 after 2 s)  /hang (no answer)  /huge (200 and 20 MB)  /cut (closes without an answer)
#   /status/503  /flaky/2 (500 twice, then 200)  /sometimes/30 (503 in 30 of 100)  /later/429/600 (status and Retry-After)  /redirect?URL  /binary (500, any bytes)

use strict;
use warnings;
use TaskForge::Stack ();
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use TaskForge::Files qw(slurp);
use Time::HiRes qw(sleep time);

my $json = JSON::PP->new->utf8(0)->latin1->canonical;

# Listens on 127.0.0.1 and 127.0.0.2, on one port. dir: where the requests are written.
sub start {
    my ($class, $dir) = @_;
    for (1 .. 100) {
        my $port = TaskForge::Stack::free_port();
        my @sockets = map { IO::Socket::INET->new(LocalAddr => $_, LocalPort => $port, Listen => 64, ReuseAddr => 1) // () } '127.0.0.1', '127.0.0.2';
        next if @sockets < 2;
        my $self = bless {port => $port, file => "$dir/received.$port", owner => $$}, $class;
        $self->{pid} = fork // die "fork: $!";
        if (!$self->{pid}) {
            setpgrp;
            $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
            eval { $self->serve(@sockets) };
            require POSIX;
            POSIX::_exit(0);
        }
        return $self;
    }
    die "no free port\n";
}

sub serve {
    my ($self, @sockets) = @_;
    local $SIG{CHLD} = 'IGNORE';
    my $select = IO::Select->new(@sockets);
    while (1) {
        for my $socket ($select->can_read) {
            my $client = $socket->accept // next;
            if (!(fork // die "fork: $!")) {
                srand;
                eval { 1 while $self->exchange($client) };
                require POSIX;
                POSIX::_exit(0);
            }
            close $client;
        }
    }
    return;
}

# One request and its answer; false when the connection is done with.
sub exchange {
    my ($self, $client) = @_;
    my $line = <$client> // return 0;
    my ($method, $target) = $line =~ /^([A-Z]+) (\S+) HTTP\/1\.1\r\n$/ or die "not HTTP: $line";
    my %headers;
    while (defined($line = <$client>) && $line ne "\r\n") {
        my ($name, $value) = $line =~ /^([^:]+):\s*(.*?)\r\n$/ or die "not a header: $line";
        die "twice: $name" if exists $headers{lc $name};
        $headers{lc $name} = $value;
    }
    my $body = '';
    my $length = $headers{'content-length'} // 0;
    while (length $body < $length) {
        read($client, $body, $length - length $body, length $body) or die 'cut off';
    }
    my ($status, $text, @headers) = $self->decide($target);
    open my $out, '>>', $self->{file} or die "$self->{file}: $!";
    syswrite $out, $json->encode({method => $method, target => $target, headers => \%headers, body => $body, at => time, to => $client->sockhost,
        status => $status}) . "\n";
    close $out;
    return $self->answer($client, $target, $status, $text, @headers);
}

# Status, body and headers of the answer.
sub decide {
    my ($self, $target) = @_;
    my ($status, $body, @headers) = (200, 'thank you');
    if ($target =~ m{^/status/(\d+)}) { ($status, $body) = ($1, "status $1") }
    elsif ($target =~ m{^/flaky/(\d+)}) { ($status, $body) = (500, 'not yet') if $1 > grep { $_->{target} eq $target } $self->requests }
    elsif ($target =~ m{^/sometimes/(\d+)}) { ($status, $body) = (503, 'not now') if rand(100) < $1 }
    elsif ($target =~ m{^/later/(\d+)/(\d+)}) { ($status, @headers) = ($1, "Retry-After: $2") }
    elsif ($target =~ m{^/redirect\?(.*)}) { ($status, @headers) = (302, "Location: $1") }
    elsif ($target =~ m{^/binary}) { ($status, $body) = (500, join '', map { chr } 0 .. 255) }
    elsif ($target =~ m{^/huge}) { $body = 'x' x 20_000_000 }
    return ($status, $body, @headers);
}

sub answer {
    my ($self, $client, $target, $status, $body, @headers) = @_;
    if ($target =~ m{^/slow}) { sleep 2 }
    elsif ($target =~ m{^/hang}) { sleep 120; return 0 }
    elsif ($target =~ m{^/cut}) { return 0 }
    local $SIG{PIPE} = 'IGNORE';
    print {$client} join "\r\n", "HTTP/1.1 $status X", @headers, 'Content-Length: ' . length $body, '', $body;
    return $client->flush;
}

sub url { my ($self, $target) = @_; return "http://127.0.0.2:$self->{port}$target" }

# What came so far, oldest first; with a target, what came for it.
sub requests {
    my ($self, $target) = @_;
    return () unless -e $self->{file};
    # the last line may be half written
    my @requests = map { /\n\z/ ? $json->decode($_) : () } split /^/, slurp($self->{file});
    return grep { !defined $target || $_->{target} eq $target } @requests;
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $!);
    return if $self->{owner} != $$;
    kill 'KILL', -$self->{pid};
    waitpid $self->{pid}, 0;
    return;
}

1;
