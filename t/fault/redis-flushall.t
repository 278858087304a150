# kill -9 of Redis under load and its return with the AOF, then FLUSHALL: no job is forgotten, none runs twice.
use FindBin;
use lib "$FindBin::Bin/../lib";
use TaskForge;
use TaskForge::Checker;
use TaskForge::Load;

my $tf = TaskForge->start;
my $checker = TaskForge::Checker->watch($tf);
my $load = TaskForge::Load->start(tf => $tf, jobs => 3000, pace => 0.001, body => sub { {type => 'noop', priority => $_[0] % 11} });

$load->wait_for(500);
$tf->kill_part('redis');
$load->wait_for(900);
$tf->start_part('redis');
$load->wait_for(1500);
is($tf->redis('FLUSHALL'), 'OK', 'Redis is killed, comes back, and is emptied while jobs wait in it');
$load->wait_for(2200);
is($tf->redis('FLUSHALL'), 'OK', 'and again');
ok($load->finish, '3,000 jobs are accepted all the same');
is(join('; ', $load->refused), '', 'nobody was refused');
$checker->check(ids => [$load->accepted]);

done_testing;
