# The judge of t/fault/storm.t: a history without fault has no violation, and each kind of violation is found.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Invariants;

my %kind = (queue => 'default', type => 'test_history', priority => 5);

sub job    { return {kind => 'job', id => 'j', %kind, epoch => 0, attempt => 1, max_retries => 1, @_} }
sub change { my ($was, $now, %o) = @_; return {kind => 'change', id => 'j', was => $was, now => $now, epoch => 0, attempt => 0, incarnation => 7, at => 1, clock => 100, %o} }
sub run {
    my ($from, $to, $outcome, %o) = @_;
    my %run = (id => 'j', epoch => 0, attempt => 1, incarnation => 7, pid => 100, %o);
    return ({kind => 'start', at => $from, %run}, {kind => 'beat', at => $to, %run}, $outcome ? {kind => 'end', at => $to, outcome => $outcome, %run} : ());
}
sub claimed { return (change(undef, 'QUEUED'), change('QUEUED', 'RUNNING', attempt => 1, @_)) }
sub ended { my ($now, %o) = @_; return change('RUNNING', $now, attempt => 1, %o) }
sub error { return {kind => 'error', id => 'j', epoch => 0, attempt => 1, @_} }

# What is counted of the jobs and changes among @_, added to them.
sub counted {
    my (@events) = @_;
    my %n;
    $n{$_->{status}}++ for grep { $_->{kind} eq 'job' } @events;
    my %ended;
    $ended{$_->{now}}++ for grep { $_->{kind} eq 'change' && $_->{now} !~ /^(QUEUED|SCHEDULED|RUNNING)$/ } @events;
    return (@events, (map { {kind => 'count', %kind, status => $_, n => $n{$_}} } keys %n),
        map { {kind => 'throughput', status => $_, n => $ended{$_}} } keys %ended);
}

sub fine {
    my ($promise, @events) = @_;
    return is_deeply([TaskForge::Invariants->violations(counted(@events))], [], "fine: $promise");
}

# The history has this violation, and no other.
sub broken {
    my ($promise, $violation, @events) = @_;
    my @found = TaskForge::Invariants->violations(counted(@events));
    return ok(@found && !grep({ !/$violation/ } @found), "found: $promise") || diag map {"$_\n"} "not only $violation:", @found;
}

my @success = (job(status => 'SUCCESS'), claimed(), run(1, 2, 'ok'), ended('SUCCESS'));
my $accepted = {kind => 'answer', op => 'submit', status => 202, id => 'j'};
fine('a job that succeeds', @success, $accepted);

# a failure, a loss of its worker, a snooze, a give-back, a cancel, a retry
my $lost = 'worker lost: a/b stopped sending heartbeats';
my @retried = (job(status => 'SUCCESS', attempt => 2), claimed(), run(1, 2, 'retry'), ended('RETRYING', error => 'x'), error(), change('RETRYING', 'QUEUED', attempt => 1),
    change('QUEUED', 'RUNNING', attempt => 2), run(3, 4, 'ok', attempt => 2), change('RUNNING', 'SUCCESS', attempt => 2));
my @lost = (job(status => 'SUCCESS', attempt => 2), claimed(), run(1, 9, 'ok'), ended('RETRYING', error => $lost), error(), change('RETRYING', 'QUEUED', attempt => 1),
    change('QUEUED', 'RUNNING', attempt => 2, incarnation => 8), run(3, 4, 'ok', attempt => 2, incarnation => 8, pid => 200),
    change('RUNNING', 'SUCCESS', attempt => 2, incarnation => 8));
my @returned = (claimed(), run(1, 2, 'snooze'), change('RUNNING', 'SCHEDULED'), change('SCHEDULED', 'QUEUED'), change('QUEUED', 'RUNNING', attempt => 1), run(3, 4),
    change('RUNNING', 'QUEUED'), change('QUEUED', 'RUNNING', attempt => 1));
my @cancelled = (job(status => 'CANCELLED', attempt => 0), change(undef, 'SCHEDULED'), change('SCHEDULED', 'CANCELLED'));
my @again = (job(status => 'SUCCESS', epoch => 1, attempt => 1), @cancelled[1, 2], change('CANCELLED', 'QUEUED', epoch => 1),
    change('QUEUED', 'RUNNING', epoch => 1, attempt => 1), run(1, 2, 'ok', epoch => 1), change('RUNNING', 'SUCCESS', epoch => 1, attempt => 1));
my $hit = {kind => 'fault', incarnation => 7};
fine('one that succeeds the second time', @retried);
fine('one whose worker stood still and went on, while another one ran it', @lost, $hit);
fine('one that was snoozed and given back', job(status => 'SUCCESS'), @returned, run(5, 6, 'ok'), ended('SUCCESS'));
fine('one that was cancelled', @cancelled, {kind => 'answer', op => 'cancel', status => 200, id => 'j'});
fine('one that was retried', @again, {kind => 'answer', op => 'retry', status => 200, id => 'j'});
fine('one whose claim PostgreSQL forgot', job(status => 'SUCCESS'), claimed(), run(1, 2, 'ok'), run(3, 4, 'ok'), ended('SUCCESS'),
    {kind => 'fault', postgres => 1, at => 2});
my @killed = (job(status => 'DEAD_LETTER', max_retries => 0), claimed(), run(1, 2), ended('DEAD_LETTER', error => 'killed by signal 9 (SIGKILL)'), error());
fine('one whose process was killed', @killed, {kind => 'fault', pid => 100});

# I1
broken('a job that was accepted and is not there', 'I1 lost', @success, {%$accepted, id => 'lost'});
broken('a job that is gone', 'I1 j: is gone', @success[1 .. $#success]);
fine('a job that was deleted', @success[1 .. $#success], $accepted, {%$accepted, op => 'delete', status => 204});
broken('a job that was deleted, and is there', 'I1 j: was deleted', @success, {%$accepted, op => 'delete', status => 204});
broken('a job that does not end', 'I1 j: (has not ended|ended 0)', job(status => 'RUNNING'), claimed(), run(1, 2));
broken('two answers with one job', 'I1 j: two', @success, $accepted, $accepted);
broken('one key with two jobs', 'I1 other: the key', @success, {%{$cancelled[0]}, id => 'other'}, (map { {%$_, id => 'other'} } @cancelled[1, 2]),
    {%$accepted, key => 'k'}, {%$accepted, key => 'k', id => 'other'});
broken('a row that is not what was seen of it', 'I1 j: ended as', job(status => 'FAILED'), @success[1 .. $#success]);

broken('one key with two jobs, of which nobody was told', 'I1 other: the key', (map { $_->{kind} eq 'job' ? {%$_, key => 'k'} : $_ } @success),
    {%{$cancelled[0]}, id => 'other', key => 'k'}, map { {%$_, id => 'other'} } @cancelled[1, 2]);

# I2
broken('a job that succeeded and runs again', 'I[124] j: (SUCCESS -> QUEUED|ended 2)', job(status => 'SUCCESS', attempt => 2), @success[1 .. $#success],
    change('SUCCESS', 'QUEUED', attempt => 1), change('QUEUED', 'RUNNING', attempt => 2), run(3, 4, 'ok', attempt => 2), change('RUNNING', 'SUCCESS', attempt => 2));
broken('a change that nobody saw', 'I2 j: RETRYING -> QUEUED, but', grep { ($_->{now} // '') ne 'RETRYING' } @retried);
broken('a retry in the same epoch', 'I[123] j:', map { $_->{kind} eq 'job' || $_->{kind} eq 'change' ? {%$_, epoch => 0} : $_ } @again);
broken('a cancel that was forgotten', 'I2 j: RUNNING -> RETRYING although', map { ($_->{now} // '') eq 'RETRYING' ? {%$_, asked => 1} : $_ } @retried);
broken('a cancel that was answered, and did not happen', 'I2 j: its cancel', @success, {kind => 'answer', op => 'cancel', status => 202, id => 'j'});
broken('a retry that was answered, and did not happen', 'I2 j: 2 retries', @again, ({kind => 'answer', op => 'retry', status => 200, id => 'j'}) x 2);
broken('a job that starts before its time', 'I2 j: started before', job(status => 'SUCCESS', scheduled_at => 2), @success[1 .. $#success]);
my @late = (claimed(), change('RUNNING', 'SCHEDULED'), change('SCHEDULED', 'CANCELLED', error => 'expired: not started before then'));
fine('one that expired after it had been put off', job(status => 'CANCELLED', attempt => 0), @late);
broken('a job that expires after it has started', 'I2 j: expired after', job(status => 'CANCELLED', attempt => 0), @late, run(1, 2));
broken('a job that starts after it has expired', 'I2 j: started after', job(status => 'SUCCESS', expires_at => 0.5), @success[1 .. $#success]);

# I3
broken('a run that nobody claimed', 'I3 j: run 0.1 of incarnation 9 started 1 times with 0', @success, run(3, 4, '', incarnation => 9));
broken('two runs of one claim', 'I3 j: run 0.1 of incarnation 7 started 2 times with 1', @success[0 .. 2], run(1, 2, 'ok'), run(3, 4, 'ok'), ended('SUCCESS'));
broken('two runs at a time, while the first one held its lease', 'I3 j: runs 0.1 and 0.2 overlap',
    map { $_->{kind} =~ /^(beat|end)$/ && $_->{attempt} == 1 ? {%$_, at => 3.5} : $_ } @retried);
broken('a success that no handler had', 'I3 j: run 0.1 succeeded, but', grep { $_->{kind} ne 'end' } @success);
broken('a success that somebody else brought', 'I3 j: run 0.1 succeeded, but', @success[0 .. $#success - 1], ended('SUCCESS', clock => 1.5));
broken('a success that was lost', 'I[34] j:', @killed[0, 1, 2], run(1, 2, 'ok'), @killed[-2, -1]);

# I4
broken('more attempts than allowed', 'I4 j: (attempt 2, with 0|RUNNING -> RETRYING after attempt 1 of 1)', job(status => 'SUCCESS', attempt => 2, max_retries => 0), @retried[1 .. $#retried]);
broken('a dead letter with retries left', 'I4 j: RUNNING -> DEAD_LETTER after attempt 1 of 6', job(status => 'DEAD_LETTER', max_retries => 5), @killed[1 .. $#killed],
    {kind => 'fault', pid => 100});
broken('a graceful stop that costs an attempt', 'I4 j:', job(status => 'SUCCESS'), (map { ($_->{was} // '') eq 'RUNNING' && $_->{now} eq 'QUEUED' ? {%$_, attempt => 1} : $_ } @returned),
    run(5, 6, 'ok'), ended('SUCCESS'));
broken('a worker that is taken for dead and was not touched', 'I4 j: attempt 1 burnt', @lost);
broken('an attempt that fails without a reason', 'I4 j: attempt burnt without', @killed);
broken('an attempt that leaves no error', 'I4 j: attempt 1 left no error', grep { $_->{kind} ne 'error' } @retried);

# I5
sub tick { return {kind => 'tick', schedule => 's', tick => 10, outcome => 'fired', id => 'j', every => 1, @_} }
my @fired = map { $_->{kind} eq 'job' ? {%$_, schedule => 's'} : $_ } @success;
fine('a schedule', @fired, tick(), tick(tick => 11, outcome => 'skipped_overlap', id => undef));
broken('a tick that fires twice', 'I5 s at 10: (fired twice|its job)', @fired, tick(), tick());
broken('a tick without a job', 'I5 s at 11: fired without', @fired, tick(), tick(tick => 11, id => undef));
broken('a job without a tick', 'I5 j: no tick', @fired);
broken('a tick that is left out', 'I5 s: no tick between 10 and 12', @fired, tick(), tick(tick => 12, outcome => 'skipped_overlap', id => undef));
broken('a tick that is given up', 'I5 s at 11: skipped_missed', @fired, tick(), tick(tick => 11, outcome => 'skipped_missed', id => undef));

# I6
broken('a counter that is wrong', 'I6 default test_history 5 RUNNING: counted wrongly by -1', @success, {kind => 'count', %kind, status => 'RUNNING', n => 1});
broken('a throughput that is wrong', 'I6 throughput FAILED: counted wrongly by -1', @success, {kind => 'throughput', status => 'FAILED', n => 1});

# I7: the delivery is a job as well
my @told = ((map { $_->{kind} eq 'job' ? {%$_, webhook => 'http://x'} : $_ } @success), {kind => 'delivery', id => 'd', of => 'j', message => 'm'});
my @delivery = map { $_->{kind} eq 'job' ? {%$_, id => 'd'} : {%$_, id => 'd'} } job(status => 'SUCCESS'), claimed(), ended('SUCCESS');
$delivery[0] = {%{$delivery[0]}, %kind, type => 'webhook'};
sub told {
    my (@more) = @_;
    my @events = (@told, @delivery, @more);
    # counted() knows one type
    return (@events, {kind => 'count', %kind, status => 'SUCCESS', n => -1}, {kind => 'count', %kind, type => 'webhook', status => 'SUCCESS', n => 1});
}
my $hook = {kind => 'hook', message => 'm', status => 200, at => 1};
fine('a webhook', told($hook));
broken('a webhook that is not sent', 'I7 j: ended 1 times and has 0', (map { $_->{kind} eq 'job' ? {%$_, webhook => 'http://x'} : $_ } @success));
broken('a webhook that is said to be delivered, and is not', 'I7 j: its webhook d was never taken', told({%$hook, status => 503}));
broken('a delivery that is not recorded', 'I7 j: its webhook d was received 2 times', told($hook, $hook));
broken('a webhook out of nowhere', 'I7 n: received', told($hook, {%$hook, message => 'n'}));

done_testing;
