# Priorities without starvation: a low job ends under a flood of critical ones, and a flood of low ones delays no high job.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Rows;

# every FAIR_EVERY-th claim begins with the level whose first job is oldest, with at least one job and at most a quarter of the claim
my $FAIR_EVERY = 16;
my $api = '/api/v1';
my $tf = TaskForge->start(parts => [qw(postgres redis nginx)]);
my $base = 'tf:{default}';

# puts jobs of one level on the stream, as the API does; returns their ids
sub enqueue { my ($priority, $n) = @_; my @ids = $tf->insert_jobs($n, priority => $priority); $tf->xadd($priority, @ids); return @ids }
$tf->start_part('worker', TASKFORGE_WORKER_CONCURRENCY => 1);
$tf->post("$api/queues/default/pause", undef);

# the claims themselves: one job each, so that an order is an order
sub claims {
    my ($n, $size) = @_;
    return map { my @ids = $tf->redis('FCALL', 'tf_claim', 1, $base, $size // 1, 'test') =~ /^([0-9a-f]{8}-[0-9a-f-]{27})$/mg; [@ids] } 1 .. $n;
}
$tf->stop_part('worker');
delete $tf->{parts}{worker};
$tf->redis('DEL', "$base:paused");
my ($low) = enqueue(0, 1);
sleep 0.01; # stream entries are ordered by milliseconds
my %critical = map { $_ => 1 } enqueue(10, 400);
my @order = map { @$_ } claims(3 * $FAIR_EVERY);
my ($at) = grep { $order[$_] eq $low } 0 .. $#order;
ok(defined $at, 'a low job is claimed under a flood of critical ones');
cmp_ok($at, '<', $FAIR_EVERY, "... within $FAIR_EVERY claims once it is the oldest");
is(scalar(grep { $critical{$_} } @order), 3 * $FAIR_EVERY - 1, '... and all other claims go to the critical ones');
my ($second) = enqueue(0, 1);
my @older = grep { $critical{$_} } map { @$_ } claims(2 * $FAIR_EVERY);
is(scalar @older, 2 * $FAIR_EVERY, 'a low job does not overtake critical ones that are older');
my $ahead = keys(%critical) - (5 * $FAIR_EVERY - 1);
enqueue(10, 400);
@order = map { @$_ } claims(80, 8);
($at) = grep { $order[$_] eq $second } 0 .. $#order;
ok(defined $at, '... and is claimed before those that are younger');
cmp_ok($at, '<=', $ahead + 8 * $FAIR_EVERY, "... but for $FAIR_EVERY claims at most");

# the other way round
$tf->redis('DEL', map { "$base:p$_" } 0 .. 10);
my %low = map { $_ => 1 } enqueue(0, 600);
sleep 0.01;
my ($high) = enqueue(8, 1);
@order = map { @$_ } claims(3);
($at) = grep { $order[$_] eq $high } 0 .. $#order;
ok(defined $at && $at <= 1, 'a high job waits for at most one claim of a flood of low ones');

# the whole way, with a worker
$tf->sql('TRUNCATE jobs, job_counts');
$tf->redis('DEL', map { "$base:p$_" } 0 .. 10);
$tf->start_part('scheduler');
$tf->post("$api/queues/default/pause", undef);
my ($ours) = map { $_->{id} } $tf->submit({type => 'noop', priority => 'low'});
my @flood = map { $tf->submit_batch(map { {type => 'noop', priority => 'critical'} } 1 .. 1000) } 1 .. 4;
$tf->post("$api/queues/default/resume", undef);
$tf->start_part('worker', TASKFORGE_WORKER_CONCURRENCY => 1);
is($tf->wait_for_end($ours, 60)->{status}, 'SUCCESS', 'a low job ends under a flood of critical ones');
ok(wait_until(120, sub { !$tf->sql_value("SELECT count(*) FROM jobs WHERE status <> 'SUCCESS'") }), '... and so do they');
my $before = $tf->sql_value("SELECT count(*) FROM jobs WHERE priority = 10 AND started_at < (SELECT started_at FROM jobs WHERE id = '$ours')");
cmp_ok($before, '<', 3000, "... most of them after it: $before before");

# the worker, which runs short jobs, reads ahead: several in one claim, of which the highest run first
$tf->post("$api/queues/default/pause", undef);
my @levels = (0, 5, 8, 10, 1, 9);
$tf->submit_batch(map { {type => 'sleep', payload => {seconds => 0.05}, priority => $_} } @levels);
$tf->redis('SET', "$base:turn", 0); # the claim that follows is no fair one
$tf->post("$api/queues/default/resume", undef);
ok(wait_until(60, sub { $tf->sql_value("SELECT count(*) FROM jobs WHERE type = 'sleep' AND status = 'SUCCESS'") == @levels }), 'jobs of six levels run');
is(join(' ', map { $_->[0] } $tf->sql("SELECT priority FROM jobs WHERE type = 'sleep' ORDER BY started_at")), join(' ', sort { $b <=> $a } @levels), '... the highest first');

done_testing;
