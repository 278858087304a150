# Immediate restarts of PostgreSQL under load: 503 meanwhile, and every 202 is kept.
use FindBin;
use lib "$FindBin::Bin/../lib";
use TaskForge;
use TaskForge::Checker;
use TaskForge::Load;

my $tf = TaskForge->start;
my $checker = TaskForge::Checker->watch($tf);
my $load = TaskForge::Load->start(tf => $tf, jobs => 3000, pace => 0.001, body => sub {
    return {type => 'noop', max_retries => 20, retry => {base_seconds => 0.2, max_seconds => 1}};
});

my $restarts = 0;
for my $n (1 .. 3) {
    $load->wait_for(700 * $n);
    $tf->part('postgres')->stop(60, 'QUIT');
    $restarts++;
    sleep 0.5 if $n == 2;
    $tf->start_part('postgres');
}
is($restarts, 3, 'three immediate restarts under load');
ok($load->finish, '3,000 jobs are accepted in the end');
my %refused = map { $_ => 1 } $load->refused;
is(join(' ', sort keys %refused), '503', 'meanwhile submits are answered 503, none hangs, none is dropped');
$checker->check(ids => [$load->accepted]);

done_testing;
