package TaskForge::Events;

# Numbered events, added to tf:events by hand, so that a test can say exactly which arrived.

use strict;
use warnings;
use Exporter 'import';
use IO::Socket::UNIX;

our @EXPORT_OK = qw(numbers relaying_worker);

# tf: the stack
sub new {
    my ($class, $tf) = @_;
    # what is made up here is not as the API's document says
    delete $ENV{TASKFORGE_RECORD};
    return bless {tf => $tf, n => 0}, $class;
}

sub last { $_[0]{n} }

# Adds $entries entries of $per events each in one go; size: bytes of padding in each.
sub add {
    my ($self, $entries, $per, $size) = @_;
    my $redis = IO::Socket::UNIX->new(Peer => "$self->{tf}{home}/run/redis.sock") or die "redis.sock: $!\n";
    my $pad = 'x' x ($size // 0);
    for (1 .. $entries) {
        my $e = join "\n", map { $self->{n}++; qq({"event":"job_queued","ts":"x","job":{"n":$self->{n},"pad":"$pad"}}) } 1 .. $per;
        my @command = (qw(XADD tf:events MAXLEN ~ 8192 * e), $e);
        print $redis "*" . @command . "\r\n" . join('', map { '$' . length($_) . "\r\n$_\r\n" } @command);
        # an answer to every command, in order: Redis has them all before we go on
        $redis->flush;
        my $answer = <$redis>;
        die "XADD: $answer" unless $answer =~ /^\$/;
        <$redis>;
    }
    return $self->{n};
}

# Of events as they came: their numbers, and the names of others.
sub numbers { return map { $_->{job}{n} // $_->{event} } @_ }

# What arrives until the last added event has.
sub arrived {
    my ($self, $ws, $seconds) = @_;
    return numbers($ws->events_until($seconds // 30, sub { ($_[0]{job}{n} // 0) == $self->{n} }));
}

# What arrives until the subscriber is up to date. A relay that was behind leaves out what it skips, says resync, and goes
# on with what comes then: so something has to come. seconds: how long the first events may take (default 20)
sub caught_up {
    my ($self, $ws, $seconds) = @_;
    my @got = $self->arrived($ws, $seconds // 20);
    for (1 .. 5) {
        last if @got && $got[-1] eq $self->{n};
        $self->add(1, 1);
        push @got, $self->arrived($ws, 6);
    }
    return @got;
}

# The process that said last that it relays.
sub relaying_worker {
    my ($tf) = @_;
    open my $in, '<', "$tf->{home}/log/nginx-error.log" or return 0;
    my @pids = map { /(\d+)#\d+: taskforge relay: this process relays/ ? $1 : () } <$in>;
    return $pids[-1] // 0;
}

1;
