# What an admin tells workers: the order is in PostgreSQL, tf:ctl wakes the worker, the audit knows who gave it.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Rows;

my $api = '/api/v1';
my $tf = TaskForge->start(parts => [qw(postgres redis nginx)]);
my $incarnation = $tf->insert_worker('idle');
my $id = $tf->sql_value('SELECT id FROM workers');

sub order { my ($action, $body) = @_; return $tf->post("$api/workers/$id/$action", $body) }
sub desired { return ($tf->sql("SELECT desired_status, desired_concurrency FROM workers WHERE id = '$id'"))[0] }
sub ctl { my @lines = split /\n/, $tf->redis('XRANGE', 'tf:ctl', '-', '+'); return grep { /^\d+$/ } @lines }

my $r = order('quiet');
is($r->status, 202, 'quiet is an order: 202');
is_deeply([@{$r->json}{qw(id status desired_status)}], [$id, 'online', 'quiet'], '... with the worker, which has not heard it yet');
is_deeply(desired(), ['quiet', undef], '... in its row');
ok(wait_until(30, sub { ctl() }), '... and on tf:ctl');
is_deeply([ctl()], [$incarnation], '... for this incarnation');
is(order('resume')->json->{desired_status}, 'online', 'resume');
$r = order('concurrency', {concurrency => 7});
is($r->status, 202, 'concurrency');
is_deeply([@{$r->json}{qw(concurrency desired_concurrency desired_status)}], [1, 7, 'online'], '... beside the other order');
for ({concurrency => 0}, {concurrency => 1025}, {concurrency => '4'}, {concurrency => 2.5}, {}, {concurrency => 2, now => true}) {
    ok(order('concurrency', $_)->is_problem(422), JSON::PP->new->canonical->encode($_) . ': 422');
}
is_deeply(desired(), ['online', 7], '... which changes nothing');
is(order('stop')->json->{desired_status}, 'stopping', 'stop');
ok(order($_->[0], $_->[1])->is_problem(409), "$_->[0] of a worker that stops: 409") for ['quiet'], ['resume'], ['stop'], ['concurrency', {concurrency => 2}];
is_deeply([map { $_->[0] } $tf->sql("SELECT action FROM audit_log WHERE object = '$id' ORDER BY id")],
    [map { "worker.$_" } qw(quiet resume concurrency stop)], 'the audit has the orders that were given, and no others');
is($tf->sql_value("SELECT detail->>'concurrency' FROM audit_log WHERE action = 'worker.concurrency'"), 7, '... and what they said');

for my $status (qw(offline lost)) {
    $tf->sql("UPDATE workers SET status = '$status', desired_status = NULL");
    ok(order('quiet')->is_problem(409), "a worker that is $status takes no order: 409");
}
$r = $tf->post("$api/workers/00000000-0000-7000-8000-000000000000/quiet", undef);
ok($r->is_problem(404), 'a worker that does not exist: 404');

# who registers anew has no orders
$tf->sql("UPDATE workers SET hostname = 'test', pool = 'default', status = 'online', desired_status = 'quiet', desired_concurrency = 3, stuck_since = now()");
$tf->start_part('worker');
is_deeply([@{$tf->get("$api/workers/$id")->json}{qw(status desired_status desired_concurrency stuck_since)}], ['online', undef, undef, undef],
    'a worker that registers anew has no orders and is not stuck');

# and a real one obeys
sub shown { return $tf->get("$api/workers/$id")->json }
sub reaches { my ($field, $value) = @_; return wait_until(30, sub { shown()->{$field} eq $value }) }
# RUNNING are also those that the worker holds for a moment; one whose handler runs has progress
sub running { return $tf->sql_value("SELECT count(*) FROM jobs WHERE status = 'RUNNING' AND progress > 0") }
sub runs { my ($id) = @_; return $tf->sql_value("SELECT status = 'RUNNING' AND progress > 0 FROM jobs WHERE id = '$id'") eq 't' }
sub nap { return map { $tf->submit({type => 'sleep', payload => {seconds => 120}})->{id} } 1 .. shift }

order('quiet');
ok(reaches(status => 'quiet'), 'quiet: the worker is quiet');
my $job = $tf->submit({type => 'noop'})->{id};
sleep 1.5; # more than a heartbeat: it has every chance to be wrong
is($tf->status_of($job), 'QUEUED', '... and claims nothing');
order('resume');
is($tf->wait_for_end($job)->{status}, 'SUCCESS', 'resume: it claims again');
ok(reaches(status => 'online'), '... and is online');

my @naps = nap(5);
ok(wait_until(30, sub { running() == 2 }), 'two executors run two jobs');
order('concurrency', {concurrency => 4});
ok(wait_until(30, sub { running() == 4 }), 'concurrency 4: four run, while the worker works');
ok(reaches(concurrency => 4), '... and that is what its row says');
order('concurrency', {concurrency => 1});
ok(reaches(concurrency => 1), 'concurrency 1');
is(running(), 4, '... harms none that runs');
$tf->post("$api/jobs/$_/cancel", undef) for grep { runs($_) } @naps;
ok(wait_until(30, sub { $tf->sql_value("SELECT count(*) FROM jobs WHERE type = 'sleep' AND status = 'CANCELLED'") == 4 }), '... the four are cancelled');
ok(wait_until(30, sub { 1 == grep { $tf->status_of($_) eq 'RUNNING' } @naps }), '... and when they have ended one runs');
$tf->post("$api/jobs/$_/cancel", undef) for @naps;

# without Redis an order comes with the heartbeat
$tf->expect_log(qr/redis/);
$tf->stop_part('redis');
is(order('quiet')->status, 202, 'an order while Redis is away');
ok(reaches(status => 'quiet'), '... is obeyed all the same');
$tf->start_part('redis');
is(order('resume')->status, 202, 'and when it is back');
ok(reaches(status => 'online'), '... the next one as well');

order('stop');
my $worker = $tf->part('worker');
ok(wait_until(30, sub { !$worker->alive }), 'stop: the worker leaves');
is($worker->{status}, 0, '... with status 0');
is(shown()->{status}, 'offline', '... and is offline');
is($tf->api->delete("$api/workers/$id")->status, 204, '... and can be forgotten');

done_testing;
