# nginx -s reload under load: no request fails, no event is lost or doubled beyond a resync.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

use TaskForge::Checker;
use TaskForge::Load;

my $tf = TaskForge->start;
my $checker = TaskForge::Checker->watch($tf);
my $ws = $tf->subscribe;

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
$ws->events_until(30, sub {
    my ($event) = @_;
    $resync++ if $event->{event} eq 'resync';
    $doubled++ if $event->{seq} && $seq{$event->{seq}}++;
    push @{$seen{$event->{job}{id}}}, $event->{event} if $event->{job};
    keys %seen >= @ids && !grep { !grep { $_ eq 'job_success' } @{$seen{$_} // []} } @ids;
});
is($doubled // 0, 0, 'no event comes twice');
my @short = grep { join(' ', @{$seen{$_} // []}) ne 'job_queued job_running job_success' } @ids;
ok(!@short || $resync, 'no event is lost, or a resync says so') or diag scalar(@short), ' jobs, e.g. ', join ' ', $short[0], @{$seen{$short[0]} // []};
is($ws->{closed}, undef, 'the subscriber stays connected');
$ws->close;

$checker->check(ids => \@ids);
my $old = wait_until(15, sub { $tf->nginx_workers <= 4 });
ok($old, 'the old worker processes leave');

done_testing;
