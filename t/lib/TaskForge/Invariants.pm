package TaskForge::Invariants;

# Whether a history keeps the promises I1 to I7 of docs/reliability.md. It knows nothing of servers: events go in, and what is wrong
# with them comes out, so that t/history.t can show it every kind of broken history.
#
# An event is a hash with a kind:
#   job       a row as it is at the end: id status epoch attempt max_retries type queue priority webhook schedule expires_at scheduled_at key
#   change    of a status, in the order of the list: id was (undef: new) now epoch attempt (both after it) incarnation asked (a cancel, before
#             it) error at clock (the same moment by the clock of start)
#   error     a row of job_errors: id epoch attempt
#   start, beat, end   by the handler of test_history: id epoch attempt incarnation pid at (another clock), outcome
#   answer    to a client: op status id, key; op: submit, cancel, retry, delete, others
#   delivery  of a webhook: id (a job) of (the job that ended) message
#   hook      what the receiver got: message status (its answer) at (the clock of start)
#   tick      of a schedule: schedule tick (seconds) outcome id every (seconds; 0: ticks may be missing)
#   count     of job_counts: queue type priority status n; throughput  of job_throughput: status n
#   fault     incarnation, pid (what may have lost its jobs), postgres (at: what was not flushed may be gone)

use strict;
use warnings;

our %TERMINAL = map { $_ => 1 } qw(SUCCESS FAILED DEAD_LETTER CANCELLED);

my %ALLOWED = map { my ($was, @now) = @$_; $was => {map { $_ => 1 } @now} } (
    ['',           qw(QUEUED SCHEDULED)],
    ['SCHEDULED',  qw(QUEUED CANCELLED)],
    ['RETRYING',   qw(QUEUED CANCELLED)],
    ['QUEUED',     qw(RUNNING CANCELLED)],
    ['RUNNING',    qw(SUCCESS RETRYING DEAD_LETTER FAILED CANCELLED QUEUED SCHEDULED)],
    map { [$_, 'QUEUED'] } qw(FAILED DEAD_LETTER CANCELLED),
);
my $LOST = qr/stopped sending heartbeats/;
# how long a claim may wait in PostgreSQL's memory, and a job in a worker before its handler starts
my $FORGOTTEN_SECONDS = 5;
# between the two clocks
my $DRIFT_SECONDS = 0.1;

# Every violation as "I<n> <what it is about>: <what is wrong>".
sub violations {
    my ($class, @events) = @_;
    my $self = bless {found => [], jobs => {}, killed => {}, hit => {}, crashes => []}, $class;
    $self->sort_out($_) for @events;
    for my $id (sort keys %{$self->{jobs}}, grep { !$self->{jobs}{$_} } keys %{$self->{changes}}) {
        my $job = $self->{jobs}{$id};
        $self->violated(1, $id, 'is gone') if !$job && !$self->{deleted}{$id};
        $self->life($job) if $job;
        $self->runs($job) if $job && $job->{type} eq 'test_history';
        $self->webhooks($job) if $job && $job->{webhook};
    }
    $self->answers;
    $self->ticks;
    $self->counters;
    $self->received;
    return @{$self->{found}};
}

sub violated {
    my ($self, $n, $id, $what) = @_;
    push @{$self->{found}}, "I$n $id: $what";
    return;
}

sub sort_out {
    my ($self, $e) = @_;
    my $kind = $e->{kind};
    if ($kind eq 'job') { $self->{jobs}{$e->{id}} = $e }
    elsif ($kind eq 'change') { push @{$self->{changes}{$e->{id}}}, $e }
    elsif ($kind eq 'error') { $self->{errors}{$e->{id}}{"$e->{epoch}.$e->{attempt}"} = 1 }
    elsif ($kind eq 'start') { push @{$self->{runs}{$e->{id}}}, $self->{run_of}{$e->{pid}} = {%$e, last => $e->{at}, outcome => ''} }
    elsif ($kind eq 'beat' || $kind eq 'end') {
        my $run = $self->{run_of}{$e->{pid}};
        return $self->violated(3, $e->{id}, "$kind of a run that did not start") if !$run || $run->{id} ne $e->{id};
        $run->{last} = $e->{at} if $e->{at} > $run->{last};
        $run->{outcome} = $e->{outcome} if $kind eq 'end';
    } elsif ($kind eq 'fault') {
        $self->{hit}{$e->{incarnation}} = 1 if $e->{incarnation};
        $self->{killed}{$e->{pid}} = 1 if $e->{pid};
        push @{$self->{crashes}}, $e->{at} if $e->{postgres};
    } elsif ($kind eq 'answer' && $e->{op} eq 'delete') {
        # without an answer nobody knows
        $self->{deleted}{$e->{id}} = 1 if $e->{status} < 300 || $e->{status} >= 500;
        push @{$self->{answer}}, $e;
    } elsif ($kind eq 'delivery') {
        push @{$self->{deliveries}{$e->{of}}}, $e;
        $self->{delivery}{$e->{message}} = $e;
    } else { push @{$self->{$kind}}, $e }
    return;
}

sub fence { my ($e) = @_; return "$e->{epoch}.$e->{attempt}" }

# I1, I2, I4: each change follows from the one before it.
sub life {
    my ($self, $job) = @_;
    my $id = $job->{id};
    my @changes = @{$self->{changes}{$id} // []} or return $self->violated(1, $id, 'nobody saw it come');
    my ($was, $epoch, $attempt, %ends) = ('', 0, 0);
    for my $c (@changes) {
        my $change = ($c->{was} // 'new') . " -> $c->{now}";
        $self->violated(2, $id, "$change, but it was " . ($was || 'not there')) if ($c->{was} // '') ne $was;
        $self->violated(2, $id, "$change is not allowed") if !$ALLOWED{$c->{was} // ''}{$c->{now}};
        my $retried = $TERMINAL{$c->{was} // ''};
        $self->violated(2, $id, "$change in epoch $c->{epoch} after epoch $epoch") if $c->{epoch} != $epoch + ($retried ? 1 : 0);
        $self->attempt($job, $c, $change, $retried ? 0 : $attempt);
        ($was, $epoch, $attempt) = @$c{qw(now epoch attempt)};
        $ends{$epoch}++ if $TERMINAL{$was};
    }
    $self->violated(1, $id, "ended as $was, and is $job->{status}") if $was ne $job->{status} || $epoch != $job->{epoch};
    $self->violated(1, $id, "has not ended: $was") if !$TERMINAL{$was};
    $self->violated(1, $id, 'ended ' . ($ends{$_} // 0) . " times in epoch $_") for grep { ($ends{$_} // 0) != 1 } 0 .. $epoch;
    $self->dates($job, @changes);
    return;
}

# I4 for one change. attempt: before it.
sub attempt {
    my ($self, $job, $c, $change, $attempt) = @_;
    my $id = $job->{id};
    my $expected = $c->{now} eq 'RUNNING' ? $attempt + 1 : ($c->{was} // '') eq 'RUNNING' && $c->{now} =~ /^(QUEUED|SCHEDULED)$/ ? $attempt - 1 : $attempt;
    $self->violated(4, $id, "$change makes attempt $attempt attempt $c->{attempt}") if $c->{attempt} != $expected;
    $self->violated(4, $id, "attempt $c->{attempt}, with $job->{max_retries} retries") if $c->{attempt} > $job->{max_retries} + 1;
    return if ($c->{was} // '') ne 'RUNNING';
    $self->violated(2, $id, "$change although somebody had asked to cancel it") if $c->{asked} && !$TERMINAL{$c->{now}};
    return if $c->{now} !~ /^(RETRYING|FAILED|DEAD_LETTER)$/;
    $self->violated(4, $id, "attempt $attempt left no error") if !$self->{errors}{$id}{fence($c)};
    $self->violated(4, $id, "$change after attempt $attempt of " . ($job->{max_retries} + 1))
        if $c->{now} ne 'FAILED' && ($c->{now} eq 'DEAD_LETTER') != ($attempt > $job->{max_retries});
    $self->violated(4, $id, "attempt $attempt burnt: \"$c->{error}\", and nothing happened to incarnation $c->{incarnation}")
        if ($c->{error} // '') =~ $LOST && !$self->{hit}{$c->{incarnation}};
    return;
}

# Neither before its time nor after.
sub dates {
    my ($self, $job, @changes) = @_;
    my ($first) = grep { $_->{now} eq 'RUNNING' } @changes;
    my ($expired) = grep { $_->{now} eq 'CANCELLED' && ($_->{error} // '') =~ /^expired/ } @changes;
    # a claim that was given back before its handler began does not count
    my @began = grep { $expired && $_->{epoch} == $expired->{epoch} && !$self->forgotten($_) } @{$self->{runs}{$job->{id}} // []};
    $self->violated(2, $job->{id}, 'expired after it had started') if $expired && ($expired->{attempt} || @began);
    return if !$first || $first->{epoch};
    $self->violated(2, $job->{id}, 'started before its time') if $job->{scheduled_at} && $first->{at} < $job->{scheduled_at};
    $self->violated(2, $job->{id}, 'started after it had expired') if $job->{expires_at} && $first->{at} > $job->{expires_at};
    return;
}

# A claim that PostgreSQL acknowledged and had not flushed when it was killed: it does not know it any more.
sub forgotten {
    my ($self, $run) = @_;
    return scalar grep { abs($run->{at} - $_) < $FORGOTTEN_SECONDS } @{$self->{crashes}};
}

# I3: what the handlers wrote, against what PostgreSQL knows.
sub runs {
    my ($self, $job) = @_;
    my ($id, %claims, %exits, %started, %done) = ($job->{id});
    for my $c (@{$self->{changes}{$id} // []}) {
        push @{$claims{fence($c)}}, $c if $c->{now} eq 'RUNNING';
        next if ($c->{was} // '') ne 'RUNNING';
        my $given_back = $c->{now} =~ /^(QUEUED|SCHEDULED)$/ ? 1 : 0;
        push @{$exits{"$c->{epoch}." . ($c->{attempt} + $given_back)}}, $c;
    }
    my @runs = sort { $a->{at} <=> $b->{at} } @{$self->{runs}{$id} // []};
    for my $run (@runs) {
        my ($fence, $incarnation) = (fence($run), $run->{incarnation});
        my $claims = grep { $_->{incarnation} == $incarnation } @{$claims{$fence} // []};
        my $started = $started{$fence}{$incarnation} += $self->forgotten($run) ? 0 : 1;
        $self->violated(3, $id, "run $fence of incarnation $incarnation started $started times with $claims claims") if $started > $claims;
        $self->result($job, $run, @{$exits{$fence} // []});
        push @{$done{$fence}}, $run->{last} if $run->{outcome} eq 'ok';
    }
    for my $fence (keys %exits) {
        my @won = grep { $_->{now} eq 'SUCCESS' } @{$exits{$fence}};
        $self->violated(3, $id, "run $fence succeeded " . @won . ' times') if @won > 1;
        $self->violated(3, $id, "run $fence succeeded, but its handler did not, or had not yet")
            if @won && !grep { $_ <= $won[0]{clock} + $DRIFT_SECONDS } @{$done{$fence} // []};
        $self->burnt($id, $_, grep { fence($_) eq $fence } @runs) for grep { $_->{now} =~ /^(RETRYING|FAILED|DEAD_LETTER)$/ } @{$exits{$fence}};
    }
    for my $late (0 .. $#runs) {
        $self->apart($id, $_, $runs[$late], @{$exits{fence($_)} // []}) for @runs[0 .. $late - 1];
    }
    return;
}

# Two runs of one job are at work at the same time only where the first one lost its lease. exits: of the first one's fence
sub apart {
    my ($self, $id, $early, $late, @exits) = @_;
    return if $early->{last} <= $late->{at} || $self->forgotten($early) || grep { ($_->{error} // '') =~ $LOST } @exits;
    return $self->violated(3, $id, 'runs ' . fence($early) . ' and ' . fence($late) . ' overlap, and the first one held its lease');
}

# A handler that came to its end is believed, unless its executor or its lease was lost meanwhile. exits: of its fence
sub result {
    my ($self, $job, $run, @exits) = @_;
    return if $run->{outcome} ne 'ok' || $self->{killed}{$run->{pid}} || $self->forgotten($run);
    # the job may be given back, or the wish for a cancel be served, between the last word and the result
    return if grep { $_->{now} =~ /^(SUCCESS|QUEUED)$/ || $_->{now} eq 'CANCELLED' && $_->{asked} || ($_->{error} // '') =~ $LOST } @exits;
    return $self->violated(3, $job->{id}, 'the success of run ' . fence($run) . ' is lost');
}

# A failed attempt has a reason: the handler said so, its process was killed, or its lease was lost (which I4 looks at).
sub burnt {
    my ($self, $id, $exit, @runs) = @_;
    my $error = $exit->{error} // '';
    return if $error =~ $LOST;
    my $killed = $error =~ /^killed by signal/;
    my %reason = $exit->{now} eq 'FAILED' ? (permanent => 1) : $killed ? (crash => 1) : (retry => 1);
    # one that is killed before its handler's first word
    return if $killed && !@runs;
    return if grep { $reason{$_->{outcome}} || $killed && $self->{killed}{$_->{pid}} } @runs;
    return $self->violated(4, $id, "attempt burnt without a reason: $exit->{now}, \"$error\"");
}

# What clients were told.
sub answers {
    my ($self) = @_;
    my (%key, %retried, %ids);
    for my $job (grep { defined $_->{key} } map { $self->{jobs}{$_} } sort keys %{$self->{jobs}}) {
        my $first = $key{$job->{key}} //= $job->{id};
        $self->violated(1, $job->{id}, "the key $job->{key} made $first, too") if $first ne $job->{id};
    }
    for my $a (@{$self->{answer}}) {
        my ($op, $status, $id) = @$a{qw(op status id)};
        next if $status >= 300 || !defined $id;
        my @changes = @{$self->{changes}{$id} // []};
        if ($op eq 'submit') {
            $self->violated(1, $id, "was answered $status and is not there") if !$self->{jobs}{$id} && !$self->{deleted}{$id};
            $self->violated(1, $id, 'two answers 202 name it') if $status == 202 && $ids{$id}++;
            my $first = defined $a->{key} ? $key{$a->{key}} //= $id : $id;
            $self->violated(1, $id, "the key $a->{key} made $first, too") if $first ne $id;
        } elsif ($op eq 'cancel') {
            $self->violated(2, $id, "its cancel was answered $status")
                if !grep { $status == 200 ? $_->{now} eq 'CANCELLED' : $_->{asked} } @changes;
        } elsif ($op eq 'retry') {
            $retried{$id}++;
        } elsif ($op eq 'delete') {
            $self->violated(1, $id, 'was deleted and is there') if $self->{jobs}{$id};
        }
    }
    for my $id (grep { $self->{jobs}{$_} } keys %retried) {
        my $epochs = $self->{jobs}{$id}{epoch};
        $self->violated(2, $id, "$retried{$id} retries were answered, and it is in epoch $epochs") if $epochs < $retried{$id};
    }
    return;
}

# I5
sub ticks {
    my ($self) = @_;
    my (%seen, %job, %of);
    for my $t (@{$self->{tick}}) {
        my $name = "$t->{schedule} at $t->{tick}";
        $self->violated(5, $name, 'fired twice') if $seen{$t->{schedule}}{$t->{tick}}++;
        $of{$t->{schedule}} = $t;
        $self->violated(5, $name, $t->{outcome}) if $t->{outcome} !~ /^(fired|skipped_overlap)$/;
        next if $t->{outcome} ne 'fired';
        $self->violated(5, $name, 'fired without a job') if !defined $t->{id} || !$self->{jobs}{$t->{id}};
        $self->violated(5, $name, 'its job is that of another tick') if defined $t->{id} && $job{$t->{id}}++;
    }
    for my $schedule (sort keys %seen) {
        my $every = $of{$schedule}{every} or next;
        my @ticks = sort { $a <=> $b } keys %{$seen{$schedule}};
        $self->violated(5, $schedule, "no tick between $ticks[$_ - 1] and $ticks[$_]") for grep { $ticks[$_] - $ticks[$_ - 1] != $every } 1 .. $#ticks;
    }
    for my $job (grep { $_->{schedule} } values %{$self->{jobs}}) {
        $self->violated(5, $job->{id}, 'no tick made it') if !$job{$job->{id}};
    }
    return;
}

# I6
sub counters {
    my ($self) = @_;
    my (%n, %ended);
    $n{join ' ', @$_{qw(queue type priority status)}}++ for values %{$self->{jobs}};
    $n{join ' ', @$_{qw(queue type priority status)}} -= $_->{n} for @{$self->{count}};
    $ended{$_->{now}}++ for grep { $_->{now} !~ /^(QUEUED|SCHEDULED|RUNNING)$/ } map { @$_ } values %{$self->{changes}};
    $ended{$_->{status}} -= $_->{n} for @{$self->{throughput}};
    $self->violated(6, $_, "counted wrongly by $n{$_}") for sort grep { $n{$_} } keys %n;
    $self->violated(6, "throughput $_", "counted wrongly by $ended{$_}") for sort grep { $ended{$_} } keys %ended;
    return;
}

# I7: of one job that wants to be told of.
sub webhooks {
    my ($self, $job) = @_;
    my $ends = grep { $TERMINAL{$_->{now}} } @{$self->{changes}{$job->{id}} // []};
    my @deliveries = @{$self->{deliveries}{$job->{id}} // []};
    $self->violated(7, $job->{id}, "ended $ends times and has " . @deliveries . ' deliveries') if $ends != @deliveries;
    return;
}

# I7: what was received against what was recorded.
sub received {
    my ($self) = @_;
    my (%got, %thanked);
    for my $h (@{$self->{hook}}) {
        $got{$h->{message}} += $self->forgotten($h) ? 0 : 1;
        $thanked{$h->{message}}++ if $h->{status} < 300;
    }
    $self->violated(7, $_, 'received, but nobody sent it') for sort grep { !$self->{delivery}{$_} } keys %got;
    for my $d (values %{$self->{delivery}}) {
        my ($job, $got) = ($self->{jobs}{$d->{id}}, $got{$d->{message}} // 0);
        next if !$job; # I1 says so
        my @changes = @{$self->{changes}{$d->{id}} // []};
        my $given_back = grep { ($_->{was} // '') eq 'RUNNING' && $_->{now} =~ /^(QUEUED|SCHEDULED)$/ } @changes;
        my $recorded = $given_back + keys(%{$self->{errors}{$d->{id}} // {}}) + ($job->{status} eq 'SUCCESS' ? 1 : 0);
        $self->violated(7, $d->{of}, "its webhook $d->{id} was never taken: $job->{status}") if !$thanked{$d->{message}};
        $self->violated(7, $d->{of}, "its webhook $d->{id} was received $got times, and $recorded attempts are recorded") if $got > $recorded;
    }
    return;
}

1;
