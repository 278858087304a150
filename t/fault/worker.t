# kill -9 of worker daemons under load: their jobs are tried again elsewhere. One that hangs and comes back cannot end them.
use FindBin;
use lib "$FindBin::Bin/../lib";
use TaskForge;
use TaskForge::Checker;
use TaskForge::Load;
use TaskForge::Process qw(halt);
use TaskForge::Rows;

# longer than a busy machine keeps one waiting that lives
my $tf = TaskForge->start(handlers => 1, settings => {TASKFORGE_LOST_SECONDS => 8});
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
    ok(wait_until(30, sub { !grep { -e "/proc/$_" && TaskForge::Files::slurp("/proc/$_/stat") !~ /\) Z / } @executors }), 'a killed daemon takes its executors with it');
    # one comes back under its own name at once, the other stays away until it is declared lost
    $tf->start_part($name) if $n != 3;
}
is($killed, 4, 'four worker daemons are killed under load');
ok($load->finish, '2,000 jobs are accepted');
$checker->check(ids => [$load->accepted]);
ok(wait_until(30, sub { $tf->sql_value("SELECT status FROM workers WHERE hostname = 'test'") eq 'lost' }), 'the one that did not come back is lost');

# a daemon that hangs for longer than its lease, while its executor ends the job
my $file = "$tf->{home}/data/go";
sub put { open my $out, '>', $file or die $!; close $out; return }
$tf->stop_part('worker2');
my $hangs = $tf->start_part('worker');
my $id = $tf->submit({type => 'test_chatty', payload => {lines => 1, until => 'go'}, max_retries => 3, retry => {base_seconds => 600, max_seconds => 600}})->{id};
is($tf->wait_for_status($id, 'RUNNING')->{worker}, 'test/default', 'a job runs');
$tf->start_part('worker2');
halt($hangs->pid);
put();
my $job = $tf->wait_for_status($id, 'RETRYING', 60);
is($job->{status}, 'RETRYING', 'its worker is stopped for longer than the lease: the job is rescued');
is($job->{error}, 'worker lost: test/default stopped sending heartbeats', '... and says why');
unlink $file or die $!;
$tf->sql("UPDATE jobs SET run_at = now() WHERE id = '$id'", 'NOTIFY tf_due');
ok(wait_until(60, sub { $job = $tf->job($id); $job->{status} eq 'RUNNING' }), 'it runs again');
is("$job->{worker} $job->{attempt}", 'test2/default 2', '... elsewhere');
$hangs->signal('CONT');
ok(wait_until(60, sub { $tf->log_events('worker', 'declared_lost') }), 'the stopped worker goes on, and finds that it was given up');
ok(wait_until(60, sub { $tf->sql_value("SELECT count(*) FROM workers WHERE pid = $hangs->{pid} AND status = 'online'") }), '... so it registers anew');
$job = $tf->job($id);
is("$job->{status} $job->{worker} $job->{attempt}", 'RUNNING test2/default 2', 'the success that it had in hand ends nothing');
put();
$job = $tf->wait_for_end($id, 60);
is("$job->{status} $job->{attempt}", 'SUCCESS 2', 'the second attempt does');
is_deeply([$tf->wait_for_events($id, ['job_success'], qr/^job_(?!success|failed)/)], ['job_success'], '... once');
is_deeply([map {"$_->{attempt} $_->{worker}"} @{$job->{errors}}], ['1 test/default'], 'the first is kept as a failed one');
is_deeply([$tf->wrong_counts], [], 'the counters are right');

done_testing;
