package TaskForge::Process;

# One server process: started as an unprivileged user, tied to the life of the test, signalled by its pid only.

use strict;
use warnings;
use Exporter 'import';
use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep time);

our @EXPORT_OK = qw(unprivileged as_unprivileged children_of halt wait_until run);

# The user that servers run as: PostgreSQL refuses root, and nothing else needs it. () when we are not root.
sub unprivileged {
    return () if $> != 0;
    for my $name (qw(taskforge postgres nobody)) {
        my (undef, undef, $uid, $gid) = getpwnam $name;
        return ($uid, $gid) if defined $uid;
    }
    die "no unprivileged user (taskforge, postgres, nobody) to run servers as\n";
}

# The command that runs @command as that user, and that the kernel ends with $signal when the test dies.
sub as_unprivileged {
    my ($signal, @command) = @_;
    my ($uid, $gid) = unprivileged();
    my @drop = defined $uid ? ("--reuid=$uid", "--regid=$gid", '--clear-groups') : ();
    return ('setpriv', @drop, "--pdeathsig=$signal", @command);
}

# Calls $check until it returns true, which is returned; undef after $seconds.
sub wait_until {
    my ($seconds, $check, $pause) = @_;
    my $end = time + $seconds;
    while (1) {
        my $got = $check->();
        return $got if $got;
        return undef if time > $end;
        sleep($pause // 0.02);
    }
}

# Direct children of a process.
sub children_of {
    my ($parent) = @_;
    my @children;
    opendir my $dir, '/proc' or die "/proc: $!";
    for my $pid (grep { /^\d+$/ } readdir $dir) {
        open my $stat, '<', "/proc/$pid/stat" or next;
        my $line = <$stat> // next;
        # the command name, in parentheses, may hold anything
        push @children, $pid if $line =~ /^.*\) ([A-Z]) (\d+)/s && $2 == $parent && $1 ne 'Z';
    }
    return sort { $a <=> $b } @children;
}

# SIGSTOP, and waits until they stand still: until a process has taken the signal, the kernel may wake it, and it alone,
# for a new connection, which then waits for SIGCONT.
sub halt {
    my (@pids) = @_;
    kill 'STOP', @pids;
    wait_until(20, sub { !grep { state_of($_) !~ /[TZ]/ } @pids }) or die "@pids: not stopped by SIGSTOP\n";
    return;
}

# The letter of proc(5); Z when there is no such process.
sub state_of {
    my ($pid) = @_;
    open my $stat, '<', "/proc/$pid/stat" or return 'Z';
    return (<$stat> // '') =~ /^.*\) ([A-Z]) /s ? $1 : 'Z';
}

# Runs a command to its end, with {stdin => handle} before it if it reads; returns its output, dies with it when the
# command fails.
sub run {
    my (@command) = @_;
    my $in = ref $command[0] ? shift(@command)->{stdin} : undef;
    my $pid = open my $out, '-|';
    die "fork: $!" unless defined $pid;
    if (!$pid) {
        open STDERR, '>&', \*STDOUT;
        $in ? open STDIN, '<&', $in : open STDIN, '<', '/dev/null';
        chdir '/';
        exec { $command[0] } @command or POSIX::_exit(127);
    }
    my $text = do { local $/; <$out> } // '';
    close $out or die "@command: exit status " . ($? >> 8) . "\n$text";
    return $text;
}

# name: for messages; command: argv; env: {}; log: a file that gets stdout and stderr; stop: the signal for a graceful
# end; orphaned: the signal that the kernel sends when the test itself dies.
sub start {
    my ($class, %o) = @_;
    my $self = bless {stop => 'TERM', orphaned => 'TERM', env => {}, %o}, $class;
    my @command = as_unprivileged($self->{orphaned}, @{$self->{command}});
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        setpgrp 0, 0;
        open STDIN,  '<',  '/dev/null';
        open STDOUT, '>>', $self->{log} or POSIX::_exit(126);
        open STDERR, '>&', \*STDOUT;
        %ENV = (PATH => $ENV{PATH}, LANG => 'C.UTF-8', TZ => 'UTC', %{$self->{env}});
        delete @ENV{grep { !defined $ENV{$_} } keys %ENV};
        chdir '/';
        exec { $command[0] } @command or POSIX::_exit(127);
    }
    $self->{pid} = $pid;
    return $self;
}

sub pid { $_[0]{pid} }

# True while it runs. When it has ended, its wait status is in {status}.
sub alive {
    my ($self) = @_;
    return 0 unless $self->{pid};
    return 1 unless waitpid($self->{pid}, WNOHANG) == $self->{pid};
    ($self->{status}, $self->{pid}) = ($?, undef);
    return 0;
}

sub signal {
    my ($self, $signal) = @_;
    return $self->{pid} ? kill $signal, $self->{pid} : 0;
}

# kill -9, and waits until it is gone.
sub kill9 {
    my ($self) = @_;
    $self->signal('KILL') or return;
    wait_until(30, sub { !$self->alive }) or die "$self->{name}: survived SIGKILL\n";
    $self->{killed} = 1;
    return;
}

# Graceful end within $seconds (default 60), else SIGKILL. Returns a complaint, or undef when it left with status 0.
sub stop {
    my ($self, $seconds, $signal) = @_;
    $seconds //= 60;
    return if !$self->{pid} && $self->{killed};
    if ($self->alive) {
        $self->signal($signal // $self->{stop});
        if (!wait_until($seconds, sub { !$self->alive })) {
            $self->kill9;
            return "$self->{name} did not stop within $seconds s";
        }
    }
    return if $self->{status} == 0;
    my $signo = $self->{status} & 127;
    return "$self->{name} " . ($signo ? "died of signal $signo" : 'left with status ' . ($self->{status} >> 8));
}

1;
