# kill -9 of executor processes under load: a failed attempt each, at most, and the daemon goes on.
use FindBin;
use lib "$FindBin::Bin/../lib";
use TaskForge;
use TaskForge::Checker;
use TaskForge::Load;

# no daemon dies here: one that a busy machine keeps waiting is not lost
my $tf = TaskForge->start(settings => {TASKFORGE_LOST_SECONDS => 60});
my $checker = TaskForge::Checker->watch($tf);
my $load = TaskForge::Load->start(tf => $tf, jobs => 2000, pace => 0.002, body => sub {
    return {$_[0] % 10 ? (type => 'noop') : (type => 'sleep', payload => {seconds => 0.05}), max_retries => 20, retry => {base_seconds => 0.2, max_seconds => 1}};
});

my $daemon = $tf->part('worker')->pid;
my $killed = 0;
for my $n (1 .. 15) {
    $load->wait_for(100 * $n);
    my @executors = TaskForge::Process::children_of($daemon);
    $killed += kill 'KILL', $executors[$n % @executors] if @executors;
}
ok($killed >= 10, "$killed executors are killed under load");
ok($load->finish, '2,000 jobs are accepted');
$checker->check(ids => [$load->accepted]);
is($tf->part('worker')->pid, $daemon, 'the daemon is the same');
ok($tf->part('worker')->alive, 'and lives');
my ($errors) = $tf->sql_value('SELECT count(*) FROM job_errors');
ok($errors <= $killed, "an executor's death costs at most one attempt ($errors for $killed)");
is($tf->sql_value("SELECT count(*) FROM job_errors WHERE error !~ 'signal 9|SIGKILL|[Kk]illed'"), 0, 'whose error names the signal');

done_testing;
