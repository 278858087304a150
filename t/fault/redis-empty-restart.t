# kill -9 of Redis under load, and its return from nothing: functions, groups and streams are made anew.
use FindBin;
use lib "$FindBin::Bin/../lib";
use TaskForge;
use TaskForge::Checker;
use TaskForge::Load;

my $tf = TaskForge->start;
my $checker = TaskForge::Checker->watch($tf);
my $load = TaskForge::Load->start(tf => $tf, jobs => 3000, pace => 0.001, body => sub { {type => 'noop', priority => $_[0] % 11} });

for my $n (1 .. 3) {
    $load->wait_for(700 * $n);
    $tf->kill_part('redis');
    $tf->wipe_redis;
    sleep 0.5;
    $tf->start_part('redis');
}
ok($load->finish, '3,000 jobs are accepted while Redis dies three times and comes back with nothing');
is(join('; ', $load->refused), '', 'nobody was refused');
$checker->check(ids => [$load->accepted]);

done_testing;
