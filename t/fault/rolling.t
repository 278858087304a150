# A new version comes in: nginx reloads, workers and schedulers restart one after the other, and nobody notices. No
# request fails, no attempt is burnt, every job runs once.
use FindBin;
use lib "$FindBin::Bin/../lib";
use TaskForge;
use TaskForge::Checker;
use TaskForge::Load;

# nobody dies here: a worker that a busy machine keeps waiting is not lost
my $tf = TaskForge->start(settings => {TASKFORGE_LOST_SECONDS => 60});
$tf->start_part($_) for qw(worker2 scheduler2);
my $checker = TaskForge::Checker->watch($tf);
my $load = TaskForge::Load->start(tf => $tf, jobs => 100_000, pace => 0.005, body => sub {
    my ($n) = @_;
    return {type => 'noop', $n % 5 ? () : (delay_seconds => ($n % 7) / 2)} if $n % 23;
    return {type => 'sleep', payload => {seconds => 0.2}};
});

# longer than a worker waits before it leaves, also where the restart comes late: these are given back
my @long = map { $tf->submit({type => 'sleep', payload => {seconds => 12}, timeout_seconds => 600, priority => 'critical'})->{id} } 1 .. 2;
wait_until(30, sub { $tf->sql_value("SELECT count(*) FROM jobs WHERE status = 'RUNNING' AND payload->>'seconds' = '12'") == 2 })
    or die "the long jobs do not start\n";

sub restart { my ($name) = @_; $tf->stop_part($name); return $tf->start_part($name) }

my $restarted = 0;
for my $name (qw(nginx worker scheduler worker2 scheduler2 nginx worker scheduler)) {
    my $before = $load->accepted;
    $name eq 'nginx' ? $tf->reload : restart($name);
    # the next one leaves once the load has gone through with this one
    $load->wait_for($before + 100);
    $restarted++;
}
$load->stop_submitting;
is($restarted, 8, 'nginx reloads twice, four daemons restart one after the other, two of them twice');
ok($load->finish, '... under load');
is(join('; ', $load->refused), '', 'no request fails');
my @ids = ($load->accepted, @long);
note scalar(@ids), ' jobs';

$checker->check(ids => \@ids);
is($tf->sql_value("SELECT count(*) FROM jobs WHERE status <> 'SUCCESS' OR attempt <> 1 OR epoch <> 0 OR worker_losses <> 0"), 0,
    'every job succeeds in its first attempt');
is($tf->sql_value('SELECT count(*) FROM job_errors'), 0, '... without an error');
cmp_ok($tf->sql_value("SELECT count(*) FROM watch_changes WHERE was = 'RUNNING' AND now = 'QUEUED'"), '>', 0,
    'jobs that a leaving worker could not end were given back');

done_testing;
