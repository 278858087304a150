# /ws and /events/stream: a subscriber sees what happens to jobs, in order, also across a reload of the API.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

my $tf = TaskForge->start;

my $ws = $tf->subscribe;
ok($ws->{connected}, 'a subscriber is told that nothing is missed from here on');
my $other = $tf->subscribe;
my $stream = $tf->listen_to;
ok($stream->{connected}, 'of an event stream too');

# What comes until the answer to a ping has: events may come before it.
sub pong { my ($ws, $seconds) = @_; return grep { $_->{event} eq 'pong' } $ws->events_until($seconds, sub { $_[0]{event} eq 'pong' }) }

sub story {
    my ($ws, $id, $last) = @_;
    my @events = $ws->events_until(60, sub { ($_[0]{job}{id} // '') eq $id && $_[0]{event} eq $last });
    return grep { ($_->{job}{id} // '') eq $id } @events;
}

my $id = $tf->submit({type => 'noop', name => 'seen', priority => 'high'})->{id};
my @events = story($ws, $id, 'job_success');
is(join(' ', map { $_->{event} } @events), 'job_queued job_running job_success', 'a subscriber sees job_queued, job_running, job_success');
is(join(' ', map { $_->{event} } story($other, $id, 'job_success')), 'job_queued job_running job_success', 'and so does every other');
is(join(' ', map { $_->{event} } story($stream, $id, 'job_success')), 'job_queued job_running job_success', 'and an event stream');
is($stream->{id}, $events[-1]{seq}, 'whose ids are the seq of the events');
for my $event (@events) {
    like($event->{seq}, qr/^\d+-\d+-\d+$/, "$event->{event} has a seq");
    like($event->{ts}, qr/Z$/, 'a time');
    for my $field (qw(id name type queue priority status attempt max_retries progress error duration_seconds)) {
        ok(exists $event->{job}{$field}, "and job.$field");
    }
}
is(join(' ', map { $_->{job}{status} } @events), 'QUEUED RUNNING SUCCESS', 'the status of the job goes along');
my @seqs = map { [split /-/, $_->{seq}] } @events;
ok(!grep({ my ($a, $b) = @seqs[$_, $_ + 1]; ($a->[0] <=> $b->[0] || $a->[1] <=> $b->[1] || $a->[2] <=> $b->[2]) >= 0 } 0 .. $#seqs - 1), 'seq ascends');

$ws->send('ping');
is(scalar(pong($ws, 30)), 1, 'ping is answered with pong');
is(scalar(pong($other, 0.5)), 0, 'to that client alone');

my $nap = $tf->submit({type => 'sleep', payload => {seconds => 3}})->{id};
my @nap = map { $_->{event} } story($ws, $nap, 'job_success');
ok(grep({ $_ eq 'job_progress' } @nap), 'a longer job shows progress');
my $bad = $tf->submit({type => 'data_processing', payload => {dataset => 'missing'}})->{id};
my ($failed) = (story($ws, $bad, 'job_failed'))[-1];
like($failed->{job}{error}, qr/missing/, 'job_failed carries the error');
my $later = $tf->submit({type => 'noop', delay_seconds => 3600})->{id};
$tf->post("/api/v1/jobs/$later/cancel", undef);
is(join(' ', map { $_->{event} } story($ws, $later, 'job_cancelled')), 'job_queued job_cancelled', 'a cancelled job says so');

my @ids = map { $_->{id} } $tf->submit_batch(map { {type => 'noop'} } 1 .. 500);
my (%seen, %left);
@left{@ids} = ();
$ws->events_until(60, sub {
    my ($event) = @_;
    $seen{$event->{job}{id}} .= " $event->{event}" if $event->{job};
    delete $left{$event->{job}{id}} if $event->{event} eq 'job_success';
    !%left;
});
is(scalar(grep { ($seen{$_} // '') eq ' job_queued job_running job_success' } @ids), 500, '500 jobs at once: three events each, in order, none lost or doubled');

# a browser that was away says what it saw last
my $missed = $tf->submit({type => 'noop'})->{id};
story($ws, $missed, 'job_success'); # told, so nobody hears of it who comes later
my $back = $tf->listen_to(headers => {'Last-Event-ID' => $stream->{id}});
my ($resync) = grep { $_->{event} eq 'resync' } $back->events_until(30, sub { $_[0]{event} eq 'resync' });
is_deeply($resync, {event => 'resync', since => $stream->{id}}, 'with Last-Event-ID: resync, and from where on to ask');
my $since = $tf->get("/api/v1/events?since=$resync->{since}&limit=5000")->json->{items};
is(scalar(grep { $_->{job} && $_->{job}{id} eq $missed && $_->{event} eq 'job_success' } @$since), 1, 'GET /events has what was missed');
story($stream, $missed, 'job_success');

$tf->reload;
my $after = $tf->submit({type => 'noop'})->{id};
is(join(' ', map { $_->{event} } story($ws, $after, 'job_success')), 'job_queued job_running job_success', 'a subscriber survives a reload of the API');
is(scalar(story($_, $after, 'job_success')), 3, 'and event streams do') for $stream, $back;
$ws->send('ping');
is(scalar(pong($ws, 30)), 1, 'and can still speak');
my $new = $tf->subscribe;
is($new->{connected}{event}, 'connected', 'a new subscriber comes in after the reload');
my $both = $tf->submit({type => 'noop'})->{id};
is(scalar(story($new, $both, 'job_success')), 3, 'and sees events');

is($tf->get('/ws')->status =~ /^4/ ? 'refused' : 'accepted', 'refused', 'a request that is no WebSocket is refused');
$_->close for $ws, $other, $new, $stream, $back;

done_testing;
