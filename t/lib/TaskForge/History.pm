package TaskForge::History;

# What happened to a stack, for TaskForge::Invariants: one file in its data directory, to which clients, whoever breaks things, and the
# handler test_history append a line each, with one write(2); what the receiver of webhooks got; and what PostgreSQL says in the end.

use strict;
use warnings;
use JSON::PP;
use TaskForge::Files qw(slurp spew);
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC time);

my $json = JSON::PP->new->utf8->canonical->allow_nonref;

sub new {
    my ($class, $tf) = @_;
    my $self = bless {tf => $tf, file => "$tf->{home}/data/history"}, $class;
    spew($self->{file}, '');
    chmod 0666, $self->{file} or die "$self->{file}: $!";
    return $self;
}

# The clock of handlers, which nobody steps.
sub now { return clock_gettime(CLOCK_MONOTONIC) }

sub note {
    my ($self, $kind, %event) = @_;
    if (!$self->{out} || $self->{writer} != $$) {
        open $self->{out}, '>>', $self->{file} or die "$self->{file}: $!";
        $self->{writer} = $$;
    }
    my $line = $json->encode({kind => $kind, at => now(), %event}) . "\n";
    syswrite($self->{out}, $line) == length $line or die "$self->{file}: $!";
    return;
}

sub lines {
    my ($self, @kinds) = @_;
    my $wanted = join '|', @kinds;
    return map { $json->decode($_) } grep { !$wanted || /"kind":"(?:$wanted)"/ } split /\n/, slurp($self->{file});
}

# The names of the columns are those of Invariants.
my %ROWS = (
    job => q{SELECT id, status, epoch, attempt, max_retries, queue, type, priority, webhook_url AS webhook, schedule_id AS schedule, metadata->>'key' AS key,
        extract(epoch FROM expires_at) AS expires_at, extract(epoch FROM scheduled_at) AS scheduled_at FROM jobs},
    change => 'SELECT id, was, now, epoch, attempt, incarnation, nullif(asked, false) AS asked, left(error, 200) AS error,
        extract(epoch FROM at) AS at FROM watch_changes ORDER BY n',
    error => 'SELECT job_id AS id, epoch, attempt FROM job_errors',
    delivery => q{SELECT w.delivery_id AS id, w.job_id AS of, j.payload->>'id' AS message
        FROM webhook_deliveries w JOIN jobs j ON j.id = w.delivery_id},
    tick => q{SELECT s.name AS schedule, extract(epoch FROM t.tick) AS tick, t.outcome, t.job_id AS id,
        substring(s.cron FROM '^[*]/([0-9]+) ')::int AS every FROM schedule_ticks t JOIN schedules s ON s.id = t.schedule_id},
    count => 'SELECT queue, type, priority, status, sum(n) AS n FROM job_counts GROUP BY 1, 2, 3, 4 HAVING sum(n) <> 0',
    throughput => q{SELECT status, sum(n) AS n FROM job_throughput WHERE status NOT IN ('QUEUED', 'SCHEDULED') GROUP BY 1},
);

# Everything, once all jobs have ended. receiver: TaskForge::Receiver
sub events {
    my ($self, $receiver) = @_;
    my @events = $self->lines;
    my $clocks = now() - time;
    for my $kind (sort keys %ROWS) {
        push @events, map { {%{$json->decode($_->[0])}, kind => $kind} } $self->{tf}->sql("SELECT row_to_json(r) FROM ($ROWS{$kind}) r");
    }
    $_->{clock} = $_->{at} + $clocks for grep { $_->{kind} eq 'change' } @events;
    push @events, map { {kind => 'hook', message => $_->{headers}{'webhook-id'}, status => $_->{status}, at => $_->{at} + $clocks} } $receiver->requests;
    return @events;
}

1;
