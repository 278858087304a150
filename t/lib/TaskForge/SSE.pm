package TaskForge::SSE;

# A client of server-sent events, as a browser's EventSource reads them.

use strict;
use warnings;
use parent 'TaskForge::WS';
use IO::Socket::INET;
use TaskForge::Record qw(record_message);
use TaskForge::Secrets qw(heard secrets_of_request);
use Time::HiRes qw(time);

# port, or a socket that is connected; path (default /events/stream); headers {}; dies with the status line when it is no stream
sub connect {
    my ($class, %o) = @_;
    my $self = bless {buffer => '', text => '', comments => 0, queue => [], %o}, $class;
    secrets_of_request($o{path} // '', $o{headers});
    $self->{socket} //= IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $o{port}, Timeout => 20)
        or die "connect to port $o{port}: $@\n";
    my %headers = (Host => 'localhost', Accept => 'text/event-stream', %{$o{headers} // {}});
    $self->write('GET ' . ($o{path} // '/events/stream') . " HTTP/1.1\r\n"
            . join('', map { "$_: $headers{$_}\r\n" } sort keys %headers) . "\r\n");
    my $end = time + 20;
    while (index($self->{buffer}, "\r\n\r\n") < 0) {
        $self->fill($end) or die(($self->{closed} // 'no answer') . " before the answer\n");
    }
    heard('the stream answered', $self->{buffer}) if $self->{buffer} !~ m{^HTTP/1\.1 200};
    (my $head, $self->{buffer}) = split /\r\n\r\n/, $self->{buffer}, 2;
    die "$1\n" if $head =~ m{^(HTTP/1\.1 (?!200)[^\r\n]*)};
    die "no event stream: $head\n" unless $head =~ m{^Content-Type: text/event-stream}mi && $head =~ /^Transfer-Encoding: chunked/mi;
    $self->{head} = $head;
    return $self;
}

# Takes the chunks that are there whole.
sub dechunk {
    my ($self) = @_;
    while ($self->{buffer} =~ /^([0-9a-f]+)\r\n/i) {
        my ($length, $at) = (hex $1, $+[0]);
        return if length $self->{buffer} < $at + $length + 2;
        $self->{text} .= substr $self->{buffer}, $at, $length;
        substr $self->{buffer}, 0, $at + $length + 2, '';
        $self->{closed} //= 'the end' unless $length;
    }
    return;
}

# The data of the next message within $seconds (default 30); its id is in {id}. undef: none came, or it is over ({closed}).
sub next_text {
    my ($self, $seconds) = @_;
    my $end = time + ($seconds // 30);
    while (1) {
        $self->dechunk;
        while ($self->{text} =~ s/^(.*?\n)\n//s) {
            my @data;
            for my $line (split /\n/, $1) {
                my ($field, $value) = $line =~ /^([^:]*):? ?(.*)$/;
                $self->{comments}++ if $field eq '';
                $self->{id} = $value if $field eq 'id';
                push @data, $value if $field eq 'data';
            }
            next unless @data;
            my $text = join "\n", @data;
            record_message($self->{path} // '/events/stream', $text);
            return $text;
        }
        return undef if $self->{closed} || !$self->fill($end);
    }
}

sub close {
    my ($self) = @_;
    CORE::close(delete $self->{socket}) if $self->{socket};
    return;
}

1;
