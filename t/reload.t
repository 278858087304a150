# nginx -s reload under load: no request fails, no event is lost or doubled beyond a resync.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

use TaskForge::Checker;
use TaskForge::Load;
use TaskForge::Process qw(halt);

my $tf = TaskForge->start;
my $checker = TaskForge::Checker->watch($tf);
my $ws = $tf->subscribe;
my @at_start = $tf->nginx_workers;

my $load = TaskForge::Load->start(tf => $tf, jobs => 3000, pace => 0.001, body => sub { {type => 'noop', name => "n$_[0]"} });
my $reloads = 0;
for my $n (1 .. 4) {
    $load->wait_for(600 * $n);
    $tf->reload;
    $reloads++;
}
is($reloads, 4, 'four reloads under load');
ok($load->finish, '3,000 jobs are accepted');
is(join('; ', $load->refused), '', 'no request fails');
my @ids = $load->accepted;

my (%seen, %seq, $doubled, $resync);
my %left = map { $_ => 1 } @ids;
$ws->events_until(30, sub {
    my ($event) = @_;
    $resync++ if $event->{event} eq 'resync';
    $doubled++ if $event->{seq} && $seq{$event->{seq}}++;
    push @{$seen{$event->{job}{id}}}, $event->{event} if $event->{job};
    delete $left{$event->{job}{id}} if $event->{event} eq 'job_success';
    !%left;
});
is($doubled // 0, 0, 'no event comes twice');
my @short = grep { join(' ', @{$seen{$_} // []}) ne 'job_queued job_running job_success' } @ids;
ok(!@short || $resync, 'no event is lost, or a resync says so') or diag scalar(@short), ' jobs, e.g. ', join ' ', $short[0], @{$seen{$short[0]} // []};
is($ws->{closed}, undef, 'the subscriber stays connected');
$ws->close;

$checker->check(ids => \@ids);
ok(wait_until(20, sub { my @workers = $tf->nginx_workers; @workers == @at_start }), 'the old worker processes leave');

# new processes, and a PostgreSQL that takes its time to take their connections
my $postgres = $tf->part('postgres')->pid;
halt($postgres);
my %old = map { $_ => 1 } $tf->reload;
wait_until(20, sub { !grep { $old{$_} } $tf->nginx_workers }) or die 'the old worker processes stay';
my $http = $tf->http(timeout => 20);
$http->send_raw($http->format_request('POST', '/api/v1/jobs', body => {type => 'noop'}));
sleep 1.5;
kill 'CONT', $postgres;
is($http->read_response->status, 202, 'a request that comes before the new process has its connections waits for them');

done_testing;
