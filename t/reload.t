# nginx -s reload under load: no request fails, no event is lost or doubled beyond a resync.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

use TaskForge::Checker;
use TaskForge::Load;

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
ok(wait_until(15, sub { my @workers = $tf->nginx_workers; @workers == @at_start }), 'the old worker processes leave');

done_testing;
