# A queue with a limit never holds more waiting jobs than that, however many clients and nginx processes there are.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Rows;

my $api = '/api/v1';
my $tf = TaskForge->start(parts => [qw(postgres redis nginx)], edit => sub { $_[0] =~ s/^worker_processes .*/worker_processes 3;/mr });
$tf->sql("INSERT INTO job_types VALUES ('noop', 'nothing', '{}', 3, 60, 1000, 60000, false, now())");

sub limit { my ($name, $n) = @_; return $tf->api->request('PATCH', "$api/queues/$name", body => {max_length => $n}) }
sub waiting { my ($name) = @_; return $tf->sql_value("SELECT count(*) FROM jobs WHERE queue = '$name' AND status IN ('QUEUED', 'SCHEDULED', 'RETRYING')") }
sub submit { my ($name, %more) = @_; return $tf->post("$api/jobs", {type => 'noop', queue => $name, %more}) }

# Every client has one submit under way at all times; returns how often each status came.
sub flood {
    my ($name, $clients, $each) = @_;
    my @clients = map { $tf->http } 1 .. $clients;
    my %seen;
    my $request = $tf->api->format_request('POST', "$api/jobs", body => {type => 'noop', queue => $name});
    for (1 .. $each) {
        for my $c (@clients) { $c->connect unless $c->{socket}; $c->send_raw($request) }
        $seen{$_->read_response->status}++ for @clients;
    }
    return \%seen;
}

is(limit('small', 50)->json->{max_length}, 50, 'a queue gets a limit before it has a job');
is_deeply(flood('small', 24, 5), {202 => 50, 429 => 70}, '24 clients at once: as many are accepted as the limit says');
is(waiting('small'), 50, '... and as many wait');
my $r = submit('small');
ok($r->is_problem(429), 'one more: 429');
like($r->header('Retry-After'), qr/^[1-9][0-9]*$/, '... with Retry-After');
like($r->json->{detail}, qr/full/, '... and why');
ok(submit('small', delay_seconds => 600)->is_problem(429), 'a job for later is no way around it');
is(submit('other')->status, 202, 'another queue takes jobs');
is($tf->get("$api/queues/small")->json->{length}, 50, 'GET /queues shows the length that the limit is about');

# room
my @ids = map { $_->[0] } $tf->sql("SELECT id FROM jobs WHERE queue = 'small' LIMIT 7");
is($tf->post("$api/jobs/$_/cancel", undef)->status, 200, 'a waiting job is cancelled') for @ids;
ok(wait_until(30, sub { submit('small'); waiting('small') >= 50 }, 0.1), '... and its place is free soon');
flood('small', 12, 2) for 1 .. 2;
is(waiting('small'), 50, '... each place once');

# batches
limit('pair', 3);
my $batch = sub { my ($n, %o) = @_; $tf->post("$api/jobs/batch", {%o, jobs => [map { {type => 'noop', queue => 'pair'} } 1 .. $n]}) };
$r = $batch->(4, atomic => true);
ok($r->is_problem(429), 'all or none of four where three fit: none');
is(waiting('pair'), 0, '... really none');
$r = $batch->(5);
is_deeply([@{$r->json}{qw(accepted rejected)}], [3, 2], 'otherwise as many as fit');
is_deeply([map { $_->{problem} ? $_->{problem}{status} : 202 } @{$r->json->{items}}], [202, 202, 202, 429, 429], '... each is told');
ok($batch->(2)->is_problem(429), 'where none fits the answer is 429');
$r = $tf->post("$api/jobs/batch", {jobs => [{type => 'noop', queue => 'pair'}, {type => 'nonsense'}, {type => 'noop', queue => 'other'}]});
is_deeply([map { $_->{problem} ? $_->{problem}{status} : 202 } @{$r->json->{items}}], [429, 422, 202], 'a full queue, a bad job and a good one');

# a submit that is refused for another reason takes no place
limit('keys', 2);
my %same = (type => 'noop', queue => 'keys', idempotency_key => 'once');
is($tf->post("$api/jobs", \%same)->status, 202, 'a job with an idempotency key');
is($tf->post("$api/jobs", \%same)->status, 200, '... again: the same job') for 1 .. 3;
is(submit('keys')->status, 202, '... which took one place only');
ok(submit('keys')->is_problem(429), 'then the queue is full');

# nginx: reload, a killed process, a restart
my @old = $tf->reload;
delete $tf->{api};
ok(wait_until(30, sub { my @now = $tf->nginx_workers; !grep { my $pid = $_; grep { $_ == $pid } @old } @now }), 'nginx reloads');
is_deeply(flood('small', 6, 3), {429 => 18}, 'a reload forgets nothing');
limit('tough', 40);
my ($victim) = $tf->nginx_workers;
$tf->expect_log(qr/worker process $victim exited on signal 9/);
kill 'KILL', $victim;
ok(wait_until(30, sub { my @now = $tf->nginx_workers; @now == 3 && !grep { $_ == $victim } @now }), 'a worker process is killed and replaced');
my $got = flood('tough', 12, 5);
is($got->{202}, 40, 'after a worker process was killed the limit holds');
# ... and one that ends at once while its submits wait for the database
limit('held', 30);
open my $lock, '|-', TaskForge::Postgres::psql_command("$tf->{home}/run", 'postgres', 'taskforge') or die $!;
print {$lock} "SET idle_in_transaction_session_timeout = 0;\nBEGIN;\nLOCK TABLE jobs IN SHARE MODE;\n";
$lock->flush;
ok(wait_until(30, sub { $tf->sql_value("SELECT count(*) FROM pg_locks WHERE relation = 'jobs'::regclass AND mode = 'ShareLock' AND granted") }), 'no job can be written');
my @stuck = map { $tf->http } 1 .. 12;
$_->send_raw($_->format_request('POST', "$api/jobs", body => {type => 'noop', queue => 'held'})) for @stuck;
my $writing = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'WITH%INSERT INTO jobs%' AND pid <> pg_backend_pid()";
ok(wait_until(30, sub { $tf->sql_value($writing) }), 'submits are on their way');
my @gone = $tf->nginx_workers;
kill 'TERM', @gone;
ok(wait_until(30, sub { my @now = $tf->nginx_workers; @now == 3 && !grep { my $pid = $_; grep { $_ == $pid } @gone } @now }), 'the processes are ended and replaced');
close $lock;
delete $tf->{api};
ok(wait_until(30, sub { !$tf->sql_value($writing) }), 'what they had sent is written');
limit('held', 30); # reads the table anew
ok(wait_until(30, sub { flood('held', 4, 1); waiting('held') >= 30 }), 'what they had on their way takes no place for ever');
is(waiting('held'), 30, '... nor is there one too many');
delete $tf->{api};
$tf->stop_part('nginx');
$tf->start_part('nginx');
is_deeply(flood('small', 12, 2), {429 => 24}, 'nginx restarts: it counts before it takes the first job');
is_deeply([map { waiting($_) } qw(small tough)], [50, 40], 'not one too many anywhere');

# no limit
is(limit('small', undef)->status, 200, 'the limit is taken away');
is_deeply(flood('small', 6, 2), {202 => 12}, '... and everything is accepted at once');
limit('small', 10);
ok(submit('small')->is_problem(429), 'a limit below what waits refuses, and drops nothing');
is(waiting('small'), 62, '... as one can see');

# the table has an end
$tf->sql("INSERT INTO queues (name, max_length) SELECT 'q' || n, 5 FROM generate_series(1, 128 - (SELECT count(*) FROM queues WHERE max_length IS NOT NULL)) n");
ok(limit('overmuch', 5)->is_problem(409), 'more than 128 queues cannot have a limit: 409');
ok($tf->post("$api/queues/overmuch/drain", undef)->is_problem(409), '... or drain');
is(limit('tough', 41)->status, 200, 'one that has a limit can change it');
is($tf->post("$api/queues/overmuch/pause", undef)->status, 200, 'pausing is no matter of limits');

# while a worker works
$tf->sql("DELETE FROM queues WHERE name LIKE 'q%'");
limit('busy', 20);
is_deeply(flood('busy', 8, 5), {202 => 20, 429 => 20}, 'a limit holds at once, also in a place that other queues have just left');
$tf->start_part('worker', TASKFORGE_WORKER_QUEUES => 'busy');
my ($accepted, $most) = (20, 0);
# without those that a slow executor gave back to the queue: they are jobs that come back, and are not refused
my $fresh = "SELECT count(*) FROM jobs WHERE queue = 'busy' AND status = 'QUEUED' AND enqueued_at = created_at";
ok(wait_until(60, sub { $accepted += flood('busy', 8, 5)->{202} // 0; my $n = $tf->sql_value($fresh); $most = $n if $n > $most; $accepted >= 200 }, 0),
    'under a worker 200 jobs go through a queue of 20');
cmp_ok($most, '<=', 20, '... and never do more than 20 wait');
ok(wait_until(30, sub { waiting('busy') == 0 }), '... and all are begun');
is($tf->sql_value("SELECT count(*) FROM jobs WHERE queue = 'busy'"), $accepted, 'each accepted job is there, and no other');

# what a bulk action does counts, too
my $act = sub { $tf->wait_for_end($tf->post("$api/jobs/actions", {action => $_[0], filter => {queue => 'pair'}})->json->{id}) };
is($act->('cancel')->{result}{changed}, 3, 'all jobs of a full queue are cancelled at once');
my $let_in = 0;
ok(wait_until(30, sub { $let_in += (flood('pair', 2, 1)->{202} // 0); $let_in >= 3 }), '... which makes room');
is(waiting('pair'), 3, '... for as many');
is_deeply([$tf->wrong_counts], [], 'the counters are right');

done_testing;
