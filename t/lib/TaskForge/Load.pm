package TaskForge::Load;

# Clients that submit jobs as fast as they are answered, from processes of their own, and write down every answer: what
# got a 202 is owed a result, whatever is killed meanwhile.

use strict;
use warnings;
use JSON::PP;
use POSIX ();
use TaskForge::Files qw(slurp spew);
use TaskForge::HTTP;
use TaskForge::Process qw(wait_until);
use Time::HiRes qw(sleep time);

# tf: the stack; jobs: how many 202s to collect, or the most of them where stop_submitting ends it; clients: processes (default 4); body: sub ($n) -> the body of job $n;
# pace: seconds between the submits of one client (default 0); seconds: the longest it may take (default 300)
sub start {
    my ($class, %o) = @_;
    my $self = bless {clients => 4, seconds => 300, pace => 0, pids => [], %o}, $class;
    for my $client (1 .. $self->{clients}) {
        my $pid = fork // die "fork: $!";
        if (!$pid) {
            $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
            my $ok = eval { $self->client($client); 1 };
            print STDERR "# load client $client: $@" unless $ok;
            POSIX::_exit($ok ? 0 : 1);
        }
        push @{$self->{pids}}, $pid;
    }
    return $self;
}

sub file { my ($self, $client) = @_; return "$self->{tf}{home}/load.$client" }

sub enough { my ($self) = @_; return "$self->{tf}{home}/load.enough" }

# The clients leave with what they have.
sub stop_submitting { my ($self) = @_; spew($self->enough, ''); return }

# Lines of the file: "<id>" for a 202, "~" for a keep-alive connection that was closed at the moment of sending (RFC 9112
# section 9.3.1: a client has to expect it), "! <what>" for anything else.
sub client {
    my ($self, $client) = @_;
    my $share = int($self->{jobs} / $self->{clients}) + ($client <= $self->{jobs} % $self->{clients} ? 1 : 0);
    my $end = time + $self->{seconds};
    my $http = TaskForge::HTTP->new(port => $self->{tf}{port}, timeout => 30);
    open my $out, '>>', $self->file($client) or die "load: $!";
    my ($n, $test) = (0, getppid);
    for (my $accepted = 0; $accepted < $share && !-e $self->enough;) {
        POSIX::_exit(1) if getppid != $test;
        die "only $accepted of $share jobs were accepted within $self->{seconds} s\n" if time > $end;
        my $r = eval { $http->post('/api/v1/jobs', $self->{body}->($n++ * $self->{clients} + $client)) };
        if ($r && $r->status == 202 && $r->body =~ /"id":"([0-9a-f-]{36})"/) {
            syswrite $out, "$1\n";
            $accepted++;
            sleep $self->{pace} if $self->{pace};
        } elsif (!$r && $@ =~ /\(stale\)/) {
            syswrite $out, "~\n";
        } else {
            syswrite $out, '! ' . ($r ? $r->status : $@ =~ s/\n.*//sr) . "\n";
            sleep 0.05;
        }
    }
    return;
}

sub lines {
    my ($self) = @_;
    return map { split /\n/ } map { slurp($_) } grep { -e } map { $self->file($_) } 1 .. $self->{clients};
}

# The ids of all jobs that got a 202 so far.
sub accepted { return grep { !/^[!~]/ } $_[0]->lines }

# What the others got so far, as texts.
sub refused { return map { substr $_, 2 } grep {/^!/} $_[0]->lines }

# Waits until $n jobs were accepted.
sub wait_for {
    my ($self, $n) = @_;
    wait_until($self->{seconds}, sub { $self->accepted >= $n }) or die "load: fewer than $n jobs were accepted\n";
    return;
}

# Waits for the clients; true when each got its share, or was told that it is enough.
sub finish {
    my ($self) = @_;
    my $ok = 1;
    for my $pid (splice @{$self->{pids}}) {
        waitpid $pid, 0;
        $ok = 0 if $?;
    }
    return $ok;
}

1;
