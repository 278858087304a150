package TaskForge::Server;

# The base of the harness's HTTP/1.1 servers on loopback. Each connection has a process of its own, so that one that hangs holds up
# nobody; all of them end with the object. A class says what a request gets:
#
#   use parent 'TaskForge::Server';
#   sub start { my ($class) = @_; return $class->launch(['127.0.0.1'], colour => 'blue') }
#   sub respond { my ($self, $client, $request) = @_; return $self->reply($client, $request, 200, $self->{colour}, 'X-A: b') }
#
# A request is {method, target, path, query, headers => {lower case}, body, to (the address), at}.

use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use POSIX ();
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use TaskForge::Files qw(slurp);
use TaskForge::Stack;
use Time::HiRes qw(time);

my $json = JSON::PP->new->latin1->canonical->allow_nonref;

# Listens on the addresses, on one port, which is in {port}. fields: of the object; record: a file that requests are written to.
sub launch {
    my ($class, $addresses, %fields) = @_;
    for (1 .. 100) {
        my $port = TaskForge::Stack::free_port();
        my @sockets = map { IO::Socket::INET->new(LocalAddr => $_, LocalPort => $port, Listen => 1024, ReuseAddr => 1) // () } @$addresses;
        next if @sockets < @$addresses;
        my $self = bless {%fields, port => $port, owner => $$}, $class;
        $self->{record} .= ".$port" if defined $self->{record};
        $self->{pid} = fork // die "fork: $!";
        # of both, since neither waits for the other
        setpgrp $self->{pid}, $self->{pid};
        return $self if $self->{pid};
        $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
        $SIG{PIPE} = 'IGNORE';
        eval { $self->serve(@sockets); 1 } or warn "$class: $@";
        POSIX::_exit(0);
    }
    die "no free port\n";
}

sub url { my ($self, $target, $address) = @_; return 'http://' . ($address // '127.0.0.1') . ":$self->{port}$target" }

sub serve {
    my ($self, @sockets) = @_;
    local $SIG{CHLD} = 'IGNORE';
    my $select = IO::Select->new(@sockets);
    while (1) {
        for my $socket ($select->can_read) {
            my $client = $socket->accept // next;
            if (!(fork // die "fork: $!")) {
                local $SIG{CHLD} = 'DEFAULT';
                srand;
                $client->setsockopt(IPPROTO_TCP, TCP_NODELAY, 1);
                eval { 1 while $self->exchange($client); 1 } or warn ref $self, ": $@";
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
    my $request = read_request($client) // return 0;
    return $self->respond($client, $request);
}

# undef: the client is gone.
sub read_request {
    my ($client) = @_;
    my $line = read_line($client) // return;
    my ($method, $target) = $line =~ /^([A-Z]+) (\S+) HTTP\/1\.1\r\n$/ or die "not HTTP: $line";
    my ($path, $query) = split /\?/, $target, 2;
    my %request = (method => $method, target => $target, path => $path, query => $query // '', at => time, to => $client->sockhost, body => '', headers => {});
    while (defined($line = read_line($client)) && $line ne "\r\n") {
        my ($name, $value) = $line =~ /^([^:\s]+):\s*(.*?)\r\n$/ or die "not a header: $line";
        die "twice: $name\n" if exists $request{headers}{lc $name};
        $request{headers}{lc $name} = $value;
    }
    return unless defined $line;
    my $length = $request{headers}{'content-length'} // 0;
    while (length $request{body} < $length) {
        read($client, $request{body}, $length - length $request{body}, length $request{body}) or return;
    }
    return \%request;
}

sub read_line {
    my ($client) = @_;
    my $line = <$client> // return;
    return $line =~ /\n\z/ ? $line : undef;
}

# With Content-Length; true when the connection goes on.
sub reply {
    my ($self, $client, $request, $status, $body, @headers) = @_;
    print {$client} join "\r\n", "HTTP/1.1 $status X", @headers, 'Content-Length: ' . length $body, '', $request->{method} eq 'HEAD' ? '' : $body;
    return $client->flush;
}

# Writes a request down, with the status of its answer.
sub record {
    my ($self, $request, $status) = @_;
    open my $out, '>>', $self->{record} or die "$self->{record}: $!";
    syswrite $out, $json->encode({%$request, status => $status}) . "\n";
    return close $out;
}

# What was written down so far, oldest first; with a target, what came for it.
sub requests {
    my ($self, $target) = @_;
    return () unless -e $self->{record};
    # the last line may be half written
    my @requests = map { /\n\z/ ? $json->decode($_) : () } split /^/, slurp($self->{record});
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
