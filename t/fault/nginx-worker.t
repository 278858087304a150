# kill -9 of nginx worker processes under load: what was acknowledged is done, once.
use FindBin;
use lib "$FindBin::Bin/../lib";
use TaskForge;
use TaskForge::Checker;
use TaskForge::Load;

my $tf = TaskForge->start;
$tf->expect_log(qr/worker process \d+ exited on signal 9/);
my $checker = TaskForge::Checker->watch($tf);
my $load = TaskForge::Load->start(tf => $tf, jobs => 3000, body => sub { {type => 'noop', name => "n$_[0]"} });

my $killed = 0;
for my $n (1 .. 5) {
    $load->wait_for(400 * $n);
    my @workers = $tf->nginx_workers;
    $killed += kill 'KILL', $workers[$n % @workers];
}
is($killed, 5, 'five nginx worker processes are killed under load');
ok($load->finish, '3,000 jobs are accepted all the same');
$checker->check(ids => [$load->accepted]);
ok(wait_until(30, sub { $tf->get('/readyz')->status == 200 }), 'and /readyz is 200');

done_testing;
