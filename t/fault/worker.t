# kill -9 of worker daemons under load: their jobs are tried again elsewhere.
use FindBin;
use lib "$FindBin::Bin/../lib";
use TaskForge;
use TaskForge::Checker;
use TaskForge::Load;

my $tf = TaskForge->start;
$tf->start_part('worker2');
my $checker = TaskForge::Checker->watch($tf);
my $load = TaskForge::Load->start(tf => $tf, jobs => 2000, pace => 0.002, body => sub {
    return {$_[0] % 10 ? (type => 'noop') : (type => 'sleep', payload => {seconds => 0.05}), max_retries => 20, retry => {base_seconds => 0.2, max_seconds => 1}};
});

my $killed = 0;
for my $n (1 .. 4) {
    $load->wait_for(350 * $n);
    my $name = $n % 2 ? 'worker' : 'worker2';
    my @executors = TaskForge::Process::children_of($tf->part($name)->pid);
    $tf->kill_part($name);
    $killed++;
    ok(wait_until(5, sub { !grep { -e "/proc/$_" && TaskForge::Files::slurp("/proc/$_/stat") !~ /\) Z / } @executors }), 'a killed daemon takes its executors with it');
    # one comes back under its own name at once, the other stays away until it is declared lost
    $tf->start_part($name) if $n != 3;
}
is($killed, 4, 'four worker daemons are killed under load');
ok($load->finish, '2,000 jobs are accepted');
$checker->check(ids => [$load->accepted]);
is($tf->sql_value("SELECT status FROM workers WHERE hostname = 'test'"), 'lost', 'the one that did not come back is lost');

done_testing;
