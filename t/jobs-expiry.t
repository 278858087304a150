# A job with expires_at starts by then, or never.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Rows;
use POSIX qw(strftime);

my $tf = TaskForge->start;
my $events = $tf->subscribe;

sub in_seconds { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + $_[0])) }

sub submit {
    my (%job) = @_;
    my $r = $tf->post('/api/v1/jobs', {type => 'noop', %job});
    is($r->status, 202, $job{name}) or diag $r->body;
    return $r->json->{id};
}

sub job { return $tf->get("/api/v1/jobs/$_[0]")->json }
sub ended { my ($id) = @_; return wait_until(60, sub { my $j = job($id); $j->{finished_at} && $j->{status} ne 'RETRYING' ? $j : undef }) }

ok(wait_until(60, sub { $tf->get('/api/v1/jobs')->status == 200 && $tf->post('/api/v1/jobs', {type => 'noop'})->status == 202 }), 'ready');

my $at = in_seconds(5);
my $nobody = submit(name => 'nobody serves its queue', queue => 'nobody', expires_at => $at);
my $late = submit(name => 'due in time, but nobody comes', queue => 'nobody', delay_seconds => 1, expires_at => $at);
my $early = submit(name => 'starts in time', expires_at => in_seconds(600));
my $long = submit(name => 'runs past its expiry', type => 'sleep', payload => {seconds => 12}, expires_at => in_seconds(10));

is(ended($early)->{status}, 'SUCCESS', 'in time: it runs');
for my $id ($nobody, $late) {
    my $job = ended($id);
    is($job->{status}, 'CANCELLED', 'not started in time: cancelled');
    (my $text = $at) =~ s/Z$//;
    like($job->{error}, qr/^expired: not started before \Q$text\E/, '... and says why');
    is($job->{attempt}, 0, '... without an attempt');
}
my %cancelled;
ok(wait_until(60, sub {
    my $e = $events->next_event(0.2);
    $cancelled{$e->{job}{id}} = 1 if $e && $e->{event} eq 'job_cancelled';
    return $cancelled{$nobody} && $cancelled{$late};
}), 'events tell');
is(ended($long)->{status}, 'SUCCESS', 'what has started does not expire');

my $again = $tf->post("/api/v1/jobs/$nobody/retry");
is($again->status, 200, 'retried by hand') or diag $again->body;
is($again->json->{expires_at}, undef, '... it has no expiry any more');

# a worker that may run one of its type at a time has the others for a moment, and puts them off
$tf->stop_part('worker');
$tf->start_part('worker', TASKFORGE_TYPE_CONCURRENCY => 'sleep=1');
my @limited = map { submit(name => "sleep $_", type => 'sleep', payload => {seconds => 600}, timeout_seconds => 700, expires_at => in_seconds(30)) } 1 .. 3;
my @them;
ok(wait_until(120, sub { @them = map { job($_) } @limited; 2 == grep { $_->{status} eq 'CANCELLED' } @them }), 'what was put off has not started: it expires');
is(scalar(grep { ($_->{error} // '') =~ /^expired: / && $_->{attempt} == 0 && $_->{snoozes} == 0 } @them), 2, '... without an attempt or a snooze');
my ($runs) = grep { $_->{status} ne 'CANCELLED' } @them;
is($runs->{status}, 'RUNNING', 'the one that runs does not');
$tf->post("/api/v1/jobs/$runs->{id}/cancel", undef);
ended($runs->{id});

is($tf->post('/api/v1/jobs', {type => 'noop', expires_at => '2001-01-01T00:00:00Z'})->status, 422, 'one that has passed is refused');
ok(wait_until(20, sub { $tf->sql_value("SELECT count(*) FROM job_expiry WHERE expires_at < now()") == 0 }), 'nothing of it is left');
is_deeply([$tf->wrong_counts], [], 'the counters agree');
$events->close;

done_testing;
