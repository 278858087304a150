# kill -9 of the leading scheduler under load: another leads within seconds, nothing due is forgotten.
use FindBin;
use lib "$FindBin::Bin/../lib";
use TaskForge;
use TaskForge::Checker;
use TaskForge::Load;

my $tf = TaskForge->start;
$tf->start_part('scheduler2');
my $checker = TaskForge::Checker->watch($tf);
my $load = TaskForge::Load->start(tf => $tf, jobs => 2500, pace => 0.002, body => sub {
    return {type => 'noop', $_[0] % 3 ? (delay_seconds => ($_[0] % 7) / 2) : ()};
});

my $killed = 0;
for my $n (1 .. 4) {
    $load->wait_for(450 * $n);
    my $name = $n % 2 ? 'scheduler' : 'scheduler2';
    $tf->kill_part($name);
    $killed++;
    sleep 0.5;
    $tf->start_part($name);
}
is($killed, 4, 'four schedulers are killed under load');
ok($load->finish, '2,500 jobs are accepted, most of them for later');
$checker->check(ids => [$load->accepted]);
is($tf->sql_value('SELECT count(*) FROM jobs WHERE started_at < scheduled_at'), 0, 'none ran before its time');

done_testing;
