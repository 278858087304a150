package TaskForge::Clients;

# Clients that use all of the API's ways to make and change jobs, each in a process of its own, and write every answer into the history.
# What they ask for and when follows from the seed; of which job, also from what they have been answered.

use strict;
use warnings;
use JSON::PP ();
use POSIX ();
use TaskForge::HTTP;
use TaskForge::Process qw(wait_until);
use Time::HiRes qw(sleep time);

# how often, of all operations
my @OPERATIONS = (
    [plain => 20], [batch => 6], [keyed => 6], [delayed => 8], [fails => 10], [permanent => 5], [dead => 5], [crash => 5], [snooze => 4],
    [long => 6], [longer => 3], [cancel_waiting => 5], [cancel_running => 5], [expires => 4], [webhook => 8], [paused => 4], [retry => 8], [delete => 3], [bulk => 2],
);

# tf, history, receiver; seed; seconds: how long; clients: processes; pace: seconds between two operations of one
sub start {
    my ($class, %o) = @_;
    my $self = bless {%o, pids => []}, $class;
    for my $client (1 .. $self->{clients}) {
        my $pid = fork // die "fork: $!";
        if (!$pid) {
            $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
            my $ok = eval { $self->work($client); 1 };
            print STDERR "# client $client: $@" unless $ok;
            POSIX::_exit($ok ? 0 : 1);
        }
        push @{$self->{pids}}, $pid;
    }
    return $self;
}

# Waits for all of them; true when none has failed.
sub finish {
    my ($self) = @_;
    return !grep { waitpid($_, 0) != $_ || $? } splice @{$self->{pids}};
}

sub work {
    my ($self, $client) = @_;
    my ($end, $test) = (time + $self->{seconds}, getppid);
    my @wheel = map { ($_->[0]) x $_->[1] } @OPERATIONS;
    srand $self->{seed} * 100 + $client;
    @$self{qw(client n ids http)} = ($client, 0, [], TaskForge::HTTP->new(port => $self->{tf}{port}, timeout => 10));
    while (time < $end) {
        POSIX::_exit(1) if getppid != $test;
        my $operation = "do_$wheel[rand @wheel]";
        $self->{n}++;
        $self->$operation;
        sleep $self->{pace} * (0.5 + rand);
    }
    return;
}

# One request, its answer in the history. Returns the answer, undef where there was none.
sub call {
    my ($self, $op, $method, $path, $body, %note) = @_;
    my $r = eval { $self->{http}->request($method, "/api/v1$path", $body ? (body => $body) : ()) };
    my $error = $r ? undef : $@ =~ s/\n.*//sr;
    my $job = $r && $r->status < 300 ? $r->json : undef;
    $self->{history}->note('answer', op => $op, status => $r ? $r->status + 0 : 999, $job && $job->{id} ? (id => $job->{id}) : (), %note,
        $error ? (error => $error) : ());
    return $r;
}

# The body of a job for test_history: what it does, and fields of the submission.
sub body {
    my ($self, $payload, %o) = @_;
    return {type => 'test_history', name => "client $self->{client} $self->{n}", priority => int rand 11, payload => $payload, %o};
}

# Its id, where it was accepted.
sub submit {
    my ($self, $payload, %o) = @_;
    my $r = $self->call('submit', POST => '/jobs', $self->body($payload, %o), $o{idempotency_key} ? (key => $o{idempotency_key}) : ());
    return if !$r || $r->status >= 300;
    return $r->json->{id};
}

# The same, remembered as one that may be retried.
sub submit_bad {
    my ($self, @job) = @_;
    my $id = $self->submit(@job) // return;
    push @{$self->{ids}}, $id;
    shift @{$self->{ids}} if @{$self->{ids}} > 100;
    return $id;
}

sub do_plain     { my ($self) = @_; return $self->submit({ms => rand() < 0.3 ? 40 : 0}) }
sub do_delayed   { my ($self) = @_; return $self->submit({}, delay_seconds => int(rand 30) / 10) }
sub do_fails     { my ($self) = @_; return $self->submit({do => 'fail', times => 1 + int rand 2}, max_retries => int rand 6) }
sub do_permanent { my ($self) = @_; return $self->submit_bad({do => 'permanent'}, name => $self->group) }
sub do_dead      { my ($self) = @_; return $self->submit_bad({do => 'fail', times => 99}, max_retries => int rand 2) }
sub do_snooze    { my ($self) = @_; return $self->submit({do => 'snooze'}, max_retries => int rand 3) }
sub do_long      { my ($self) = @_; return $self->submit({ms => 200 + int rand 1500}, max_retries => int rand 8) }
# Long enough that it runs elsewhere when a worker that stood still comes with its result.
sub do_longer    { my ($self) = @_; return $self->submit({ms => 3000 + int rand 6000}, max_retries => 10) }
sub do_paused    { my ($self) = @_; return $self->submit({}, queue => 'side') }
sub do_webhook   { my ($self) = @_; return $self->submit_bad({do => ('ok', 'ok', 'permanent', 'fail')[rand 4], times => 99}, max_retries => 1,
    webhook_url => $self->{receiver}->url('/sometimes/30')) }
sub do_crash     { my ($self) = @_; return $self->submit({do => 'crash', times => 1, signal => (6, 9, 11)[rand 3]}, max_retries => int rand 3) }

# For bulk actions: the name of the few jobs that one of them means.
sub group { my ($self, $ago) = @_; return "group $self->{client}." . (int($self->{n} / 40) - ($ago // 0)) }

sub do_batch {
    my ($self) = @_;
    my @jobs = map { $self->body({do => 'fail', times => int rand 2}, max_retries => 1 + int rand 3) } 1 .. 2 + rand 15;
    my $r = $self->call('batch', POST => '/jobs/batch', {jobs => \@jobs}, expected => scalar @jobs) or return;
    return if $r->status >= 300;
    $self->{history}->note('answer', op => 'submit', status => 202, id => $_) for map { $_->{job} ? $_->{job}{id} : () } @{$r->json->{items}};
    return;
}

# The same request until it is answered, and once more.
sub do_keyed {
    my ($self) = @_;
    my $key = "$self->{client}.$self->{n}";
    my %o = (idempotency_key => $key, priority => 5, metadata => {key => $key});
    for (1 .. 10) {
        last if $self->submit({}, %o);
        sleep 0.1;
    }
    return $self->submit({}, %o);
}

sub do_expires {
    my ($self) = @_;
    my $t = time + 0.2 + rand;
    my $at = POSIX::strftime('%Y-%m-%dT%H:%M:%S', gmtime $t) . sprintf '.%03dZ', ($t - int $t) * 1000;
    return $self->submit_bad({}, expires_at => $at, priority => 0, rand() < 0.5 ? (queue => 'side') : ());
}

sub cancel { my ($self, $id) = @_; return $self->call('cancel', POST => "/jobs/$id/cancel", undef, id => $id) }

sub do_cancel_waiting {
    my ($self) = @_;
    my $id = $self->submit_bad({}, delay_seconds => 2 + rand 3, name => $self->group) // return;
    return rand() < 0.3 || $self->cancel($id);
}

# Half of them take no notice, and are ended by signals.
sub do_cancel_running {
    my ($self) = @_;
    my $id = $self->submit_bad({ms => 6000, deaf => rand() < 0.5 ? JSON::PP::true : JSON::PP::false}, priority => 10, max_retries => 2) // return;
    my $r;
    wait_until(3, sub { $r = eval { $self->{http}->get("/api/v1/jobs/$id") }; $r && $r->status == 200 && $r->json->{status} ne 'QUEUED' }, 0.05);
    for (1 .. 10) {
        $r = $self->cancel($id);
        last if $r && $r->status < 500;
        sleep 0.1;
    }
    return;
}

sub do_retry {
    my ($self) = @_;
    my $ids = $self->{ids};
    my $id = $ids->[rand @$ids] // return;
    return $self->call('retry', POST => "/jobs/$id/retry", undef, id => $id);
}

sub do_delete {
    my ($self) = @_;
    my $ids = $self->{ids};
    my $id = $ids->[rand @$ids] // return;
    return $self->call('delete', DELETE => "/jobs/$id", undef, id => $id);
}

sub do_bulk {
    my ($self) = @_;
    my $action = ('retry', 'cancel')[rand 2];
    return $self->call('submit', POST => '/jobs/actions', {action => $action, filter => {q => $self->group(int rand 2)}});
}

1;
