# nginx -s reload under load: no request fails, no event is lost or doubled beyond a resync.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

use TaskForge::Checker;
use TaskForge::Load;
use TaskForge::Process qw(halt);

# the request at the end waits for the first connection, or its failure
my $tf = TaskForge->start(edit => sub { $_[0] =~ s/(taskforge_database +"[^"]*")/$1 connect_timeout=60s/r });
my $checker = TaskForge::Checker->watch($tf);
my $ws = $tf->subscribe;
my @at_start = $tf->nginx_workers;

my (%seen, %seq, %succeeded, $doubled, $resync);
sub took {
    my ($event) = @_;
    $resync++ if $event->{event} eq 'resync';
    $doubled++ if $event->{seq} && $seq{$event->{seq}}++;
    push @{$seen{$event->{job}{id}}}, $event->{event} if $event->{job};
    $succeeded{$event->{job}{id}} = 1 if $event->{event} eq 'job_success';
    return 0;
}

my $load = TaskForge::Load->start(tf => $tf, jobs => 3000, pace => 0.001, body => sub { {type => 'noop', name => "n$_[0]"} });
# who takes nothing is cut, so events are read all the while
sub hear { return $ws->events_until(0.1, \&took) }
sub accepted { my ($n) = @_; return wait_until(60, sub { hear(); $load->accepted >= $n }) }
my $reloads = 0;
for my $n (1 .. 4) {
    accepted(600 * $n) or die "fewer than 600 * $n jobs were accepted\n";
    $tf->reload(\&hear);
    $reloads++;
}
is($reloads, 4, 'four reloads under load');
accepted(3000);
ok($load->finish, '3,000 jobs are accepted');
is(join('; ', $load->refused), '', 'no request fails');
my @ids = $load->accepted;

my %left = map { $_ => 1 } grep { !$succeeded{$_} } @ids;
$ws->events_until(60, sub { took($_[0]); delete $left{$_[0]{job}{id} // ''} if $_[0]{event} eq 'job_success'; !%left }) if %left;
is($doubled // 0, 0, 'no event comes twice');
# a busy machine may give a job back that was claimed, and has not begun for a second
my @short = grep { join(' ', @{$seen{$_} // []}) !~ /^(?:job_queued job_running )+job_success$/ } @ids;
ok(!@short || $resync, 'no event is lost, or a resync says so') or diag scalar(@short), ' jobs, e.g. ', join ' ', $short[0], @{$seen{$short[0]} // []};
is($ws->{closed}, undef, 'the subscriber stays connected');
$ws->close;

$checker->check(ids => \@ids);
ok(wait_until(60, sub { my @workers = $tf->nginx_workers; @workers == @at_start }), 'the old worker processes leave');

# new processes, and a PostgreSQL that takes its time to take their connections
my $postgres = $tf->part('postgres')->pid;
halt($postgres);
my %old = map { $_ => 1 } $tf->reload;
wait_until(60, sub { !grep { $old{$_} } $tf->nginx_workers }) or die 'the old worker processes stay';
my $http = $tf->http(timeout => 60);
$http->send_raw($http->format_request('POST', '/api/v1/jobs', body => {type => 'noop'}));
sleep 1.5;
kill 'CONT', $postgres;
is($http->read_response->status, 202, 'a request that comes before the new process has its connections waits for them');

done_testing;
