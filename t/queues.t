# Queues as an operator sees and steers them: depths and ages, pause, resume, drain, that Redis may forget all of it, and that names
# which nobody uses any more are forgotten.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Rows;

my $api = '/api/v1';
my $tf = TaskForge->start(parts => [qw(postgres redis nginx worker scheduler)],
    settings => {TASKFORGE_WORKER_QUEUES => 'default,reports,tenant-*', TASKFORGE_WORKER_CONCURRENCY => 1});

sub queue { my ($name) = @_; return $tf->get("$api/queues/$name")->json }
sub act   { my ($name, $action) = @_; return $tf->post("$api/queues/$name/$action", undef) }
sub patch { my ($name, $body) = @_; return $tf->api->request('PATCH', "$api/queues/$name", body => $body) }
sub submit { my ($queue, $priority) = @_; return $tf->submit({type => 'noop', queue => $queue, priority => $priority})->{id} }
sub ends { my ($id) = @_; return $tf->wait_for_end($id)->{status} }
sub paused_in_redis { my ($name) = @_; return $tf->redis('EXISTS', "tf:{$name}:paused") }

# what is there
is_deeply([sort map { $_->{name} } @{$tf->get("$api/queues")->json->{items}}], [qw(default reports)], 'a queue that a worker serves is listed');
my $q = queue('reports');
is_deeply([@$q{qw(state paused waiting scheduled retrying running length max_length oldest_age_seconds levels workers note updated_by)}],
    ['active', false, 0, 0, 0, 0, 0, undef, undef, [], 1, undef, undef], 'an empty one');
ok($tf->get("$api/queues/nobody")->is_problem(404), 'a queue that nothing knows: 404');
ok($tf->get("$api/queues/a%20b")->is_problem(404), 'what cannot be the name of a queue: 404');
ok($tf->get("$api/queues/" . 'x' x 65)->is_problem(404), '... nor can a longer one');
is($tf->get("$api/queues/reports/pause")->header('Allow'), 'POST, OPTIONS', 'GET of an action: 405 that says POST');

# pause
my $r = act('reports', 'pause');
is($r->status, 200, 'pause is answered with the queue');
is_deeply([@{$r->json}{qw(state paused)}], ['paused', true], '... which is paused');
is(paused_in_redis('reports'), 1, '... for Redis as well');
my @held = (submit('reports', 'low'), submit('reports', 'critical'), submit('reports', 'critical'));
my $later = $tf->submit({type => 'noop', queue => 'reports', delay_seconds => 3600})->{id};
is(ends(submit('default', 5)), 'SUCCESS', 'another queue goes on');
is_deeply([map { $tf->status_of($_) } @held], [qw(QUEUED QUEUED QUEUED)], 'what was submitted to the paused one waits');
$q = queue('reports');
is_deeply([@$q{qw(waiting scheduled length)}], [3, 1, 4], 'what waits and what is scheduled is counted');
is_deeply([map { [@$_{qw(priority waiting)}] } @{$q->{levels}}], [[10, 2], [2, 1]], '... by level, the highest first');
sleep 0.05;
my $age = queue('reports')->{oldest_age_seconds};
cmp_ok($age, '>', 0.04, 'the oldest has an age in seconds');
cmp_ok($age, '<', 300, '... that is its own');
is($q->{levels}[1]{oldest_age_seconds}, $q->{oldest_age_seconds}, '... and is found in its level');

# Redis loses it, and hears old news
$tf->redis('FLUSHALL');
ok(wait_until(60, sub { paused_in_redis('reports') }), 'FLUSHALL: the queue is paused again');
# ... as many as the round found whose grace was over; nobody reads a paused level, so the others come when it is resumed
ok(wait_until(60, sub { $tf->redis('XLEN', 'tf:{reports}:p10') >= 1 }), '... and has its jobs again');
$tf->kill_part('redis');
$tf->wipe_redis;
$tf->start_part('redis');
ok(wait_until(30, sub { paused_in_redis('reports') }), 'Redis restarts empty: the queue is paused again');
is(ends(submit('default', 5)), 'SUCCESS', '... while another one works');
is_deeply([map { $tf->status_of($_) } @held], [qw(QUEUED QUEUED QUEUED)], '... and what waited still does');
is($tf->redis('FCALL', 'tf_pause', 1, 'tf:{reports}', 0, 1), 0, 'a message older than what Redis knows');
is(paused_in_redis('reports'), 1, '... changes nothing');

# resume
$r = act('reports', 'resume');
is($r->json->{state}, 'active', 'resume');
is_deeply([map { ends($_) } @held], [qw(SUCCESS SUCCESS SUCCESS)], 'what waited runs');
is(act('reports', 'resume')->status, 200, 'resume of a queue that is not paused is no error');
ok(wait_until(30, sub { queue('reports')->{waiting} == 0 }), 'nothing waits any more');

# whatever Redis believes, PostgreSQL is right in the end
$tf->redis('SET', 'tf:{reports}:paused', 1);
my $stuck = submit('reports', 5);
ok(wait_until(60, sub { !paused_in_redis('reports') }), 'a pause that PostgreSQL knows nothing of ends');
is(ends($stuck), 'SUCCESS', '... and wakes the worker');

# drain
act('reports', 'pause');
my $last = submit('reports', 5);
$r = act('reports', 'drain');
is($r->json->{state}, 'draining', 'drain');
$r = $tf->post("$api/jobs", {type => 'noop', queue => 'reports'});
ok($r->is_problem(503), 'a draining queue takes no job: 503');
like($r->header('Retry-After'), qr/^[1-9][0-9]*$/, '... with Retry-After');
like($r->json->{detail}, qr/draining/, '... and why');
is(ends($last), 'SUCCESS', 'what waited runs');
is($tf->post("$api/jobs", {type => 'noop'})->status, 202, 'another queue takes jobs');
$r = $tf->post("$api/jobs/batch", {jobs => [{type => 'noop'}, {type => 'noop', queue => 'reports'}]});
is($r->status, 202, 'a batch for both');
is_deeply([$r->json->{accepted}, $r->json->{items}[1]{problem}{status}], [1, 503], '... is refused by the item');
act('reports', 'resume');
is(ends(submit('reports', 5)), 'SUCCESS', 'after resume it takes jobs again');

# settings
$r = patch('reports', {note => 'monthly figures', max_length => 1000});
is_deeply([@{$r->json}{qw(note max_length)}], ['monthly figures', 1000], 'PATCH sets note and limit');
is_deeply([@{patch('reports', {max_length => undef})->json}{qw(note max_length)}], ['monthly figures', undef], '... null takes the limit away, the note stays');
is_deeply(patch('reports', {retention_days => {SUCCESS => 0.25, FAILED => 90}})->json->{retention_days}, {SUCCESS => 0.25, FAILED => 90},
    'PATCH sets how long jobs are kept');
act('reports', 'pause');
is(queue('reports')->{note}, 'monthly figures', 'so it does when the queue is paused');
is(queue('reports')->{retention_days}{FAILED}, 90, '... as does that');
is(patch('reports', {retention_days => undef})->json->{retention_days}, undef, '... until it is taken away');
act('reports', 'resume');
for ([{max_length => 0}, 'max_length'], [{max_length => '5'}, 'max_length'], [{max_length => 1.5}, 'max_length'], [{max_length => 3e9}, 'max_length'],
    [{note => 5}, 'note'], [{note => 'x' x 501}, 'note'],
    (map { [{retention_days => $_}, 'retention_days'] } 5, {}, [], {RUNNING => 1}, {success => 1}, {SUCCESS => 0}, {SUCCESS => 3651}, {SUCCESS => '1'},
        {SUCCESS => 1, FAILED => undef}), [{paused => true}, 'paused']) {
    my ($body, $field) = @$_;
    $r = patch('reports', $body);
    ok($r->is_problem(422), JSON::PP->new->canonical->encode($body) =~ s/x{20,}/xx../r . ': 422');
    is($r->json->{errors}[0]{pointer}, "#/$field", '... that points at it');
}
ok(patch('reports', {})->is_problem(422), 'nothing to change: 422');
ok(patch('reports', [])->is_problem(422), 'no object: 422');
is_deeply([@{queue('reports')}{qw(note max_length)}], ['monthly figures', undef], 'none of it changed anything');

# the list
is(act('_webhooks', 'pause')->status, 200, 'an internal queue can be paused too');
is_deeply([map { $_->{name} } @{$tf->get("$api/queues")->json->{items}}], [qw(default reports)], 'it is not in the list');
ok(scalar(grep { $_->{name} eq '_webhooks' } @{$tf->get("$api/queues?internal=1")->json->{items}}), '... unless asked for');
my $page = $tf->get("$api/queues?limit=1")->json;
is_deeply([map { $_->{name} } @{$page->{items}}, @{$tf->get("$api/queues?limit=1&cursor=$page->{next_cursor}")->json->{items}}],
    [qw(default reports)], 'page by page');
ok($tf->get("$api/queues?$_")->is_problem(422), "queues?$_ is refused") for qw(limit=0 internal=yes cursor=a%20b colour=red);

# the audit
my @audit = map { $_->[0] } $tf->sql("SELECT action FROM audit_log WHERE object = 'reports' ORDER BY id");
is_deeply([@audit[0 .. 6]], [map { "queue.$_" } qw(pause resume resume pause drain resume change)], 'each change is in the audit');
is_deeply([$tf->wrong_counts], [], 'the counters are right');

# names that nobody uses any more
my @tenants = map { "tenant-$_" } 1 .. 30;
sub counted { return map { $_->[0] } $tf->sql("SELECT DISTINCT queue FROM job_counts WHERE queue ~ '^(tenant|nowhere)' ORDER BY 1") }
sub in_redis { my %seen; return sort grep { !$seen{$_}++ } map { /\{((?:tenant|nowhere)[^}]*)\}/ ? $1 : () } split /\n/, $tf->redis('KEYS', 'tf:*') }
sub listed { return grep { /^(?:tenant|nowhere)/ } map { $_->{name} } @{$tf->get("$api/queues?limit=500")->json->{items}} }
sub run_one_each { my @jobs = map { $_->{id} } $tf->submit_batch(map { {type => 'noop', queue => $_} } @_); return map { ends($_) eq 'SUCCESS' ? $_ : () } @jobs }
sub remove { return scalar grep { $tf->api->delete("$api/jobs/$_")->status == 204 } @_ }
sub reading { my ($table, $column) = @_; return $tf->sql_value("SELECT $column FROM pg_stat_user_tables WHERE relname = '$table'") }

sub complaints { # so far, in the logs of the daemons
    my %of = map { ($_ => 0) } qw(redis_error statement_failed claim_failed claim_unreadable);
    for my $event (keys %of) { for my $part (qw(worker scheduler)) { my @lines = $tf->log_events($part, $event); $of{$event} += @lines } }
    return map { "$_ $of{$_}" } sort keys %of;
}

my @complaints = complaints();
my @ran = run_one_each(@tenants);
is(scalar @ran, 30, 'jobs of thirty queues that a pattern of a worker means');
my ($held_back, $lost) = map { $tf->submit({type => 'noop', queue => $_})->{id} } qw(nowhere nowhere-else);
is($tf->post("$api/jobs/$_/cancel", undef)->status, 200, 'one that no worker serves') for $held_back, $lost;
patch('tenant-1', {note => 'a rule'});
act('tenant-2', $_) for qw(pause resume);
act('tenant-3', $_) for qw(pause resume);
is(remove(@ran[0 .. 28], $held_back, $lost), 31, 'all jobs but that of one queue are deleted');
# what happened long ago: a job whose entry nobody took, and a change that was taken back
$tf->redis('DEL', 'tf:{nowhere-else}:p5');
$tf->redis('XADD', 'tf:{nowhere-else}:p5', '1-1', 'i', $lost);
$tf->sql("UPDATE queues SET updated_at = now() - interval '2 days', version = 1 WHERE name = 'tenant-3'");
my @stay = qw(nowhere tenant-1 tenant-2 tenant-30);
ok(wait_until(60, sub { $tf->redis('SET', 'tf:{tenant-3}:version', 1, 'XX'); $tf->upkeep && "@{[counted()]}" eq "@stay" }), 'upkeep forgets the counters of the others') or diag join ' ', counted();
is_deeply([in_redis()], \@stay, '... and all that Redis has of them');
is_deeply([listed()], [qw(tenant-1 tenant-2 tenant-30)], 'a rule, a change of today and a job are reasons to know a queue');
is($tf->sql_value("SELECT string_agg(name, ' ' ORDER BY name) FROM queues WHERE name LIKE 'tenant%'"), 'tenant-1 tenant-2', 'what came back to nothing is no rule');
ok(scalar($tf->log_events('scheduler', 'queues_forgotten')), 'the log counts them');
is_deeply([$tf->wrong_counts], [], 'the counters are right');
is(scalar run_one_each(@tenants[2 .. 5]), 4, 'a queue that was forgotten is as good as a new one');

# somebody counts on one row of a group: that group stays, the others go, and nobody waits
$tf->sql("INSERT INTO job_counts SELECT writer, queue, 'noop', 5, 'SUCCESS', CASE writer WHEN 0 THEN 1 ELSE -1 END "
    . "FROM unnest('{0,40}'::int[]) writer, unnest('{tenant-a,tenant-b}'::text[]) queue");
open my $lock, '|-', TaskForge::Postgres::psql_command("$tf->{home}/run", 'postgres', 'taskforge') or die $!;
$lock->autoflush;
print $lock "BEGIN; UPDATE job_counts SET n = n + 1 WHERE queue = 'tenant-a' AND writer = 0;\n";
my $locks = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND query LIKE '%tenant-a%'";
ok(wait_until(30, sub { $tf->sql_value($locks) == 1 }), 'a transaction counts on');
is($tf->sql_value("SET lock_timeout = '2s'; SELECT forget_queues('{tenant-a,tenant-b}')"), 1, 'a group of which a row is held stays, and nobody waits for it');
print $lock "ROLLBACK;\n";
close $lock;
is($tf->sql_value("SELECT string_agg(DISTINCT queue, ' ') FROM job_counts WHERE queue ~ '^tenant-[ab]\$'"), 'tenant-a', '... it alone');
is($tf->sql_value("SELECT forget_queues('{tenant-a}')"), 1, '... until it is free');

# jobs come and go while all of it is forgotten over and over
my $deleted = reading('job_counts', 'n_tup_del');
my $pid = fork // die "fork: $!";
if (!$pid) {
    my $ok = eval {
        $tf->{api} = undef;
        for (1 .. 10) {
            my @some = run_one_each(@tenants[10 .. 19]);
            die "@some" unless @some == 10 && remove(@some) == 10;
            $tf->sql("DO \$\$ BEGIN FOR i IN 1 .. 300 LOOP FOR w IN 0 .. 1 LOOP INSERT INTO job_counts AS k "
                . "VALUES (w, 'tenant-c', 'noop', 5, 'SUCCESS', 1 - 2 * w) ON CONFLICT (writer, queue, type, priority, status) "
                . "DO UPDATE SET n = k.n + excluded.n; COMMIT; END LOOP; END LOOP; END \$\$");
        }
        1;
    };
    print STDERR "# $@" unless $ok;
    POSIX::_exit($ok ? 0 : 1);
}
my ($names, $ended) = (join ',', 'tenant-c', @tenants[10 .. 19]);
until (($ended = waitpid $pid, POSIX::WNOHANG()) != 0) {
    $tf->sql("DO \$\$ BEGIN FOR i IN 1 .. 200 LOOP PERFORM forget_queues('{$names}'); COMMIT; END LOOP; END \$\$", "SELECT pg_notify('tf_upkeep', '')");
    $tf->redis('FCALL', 'tf_forget_queue', 1, "tf:{$_}", 3600000) for @tenants[10 .. 19];
}
is($?, 0, 'submits, runs and deletes go on while counters and streams are forgotten all the time');
ok(wait_until(60, sub { reading('job_counts', 'n_tup_del') > $deleted + 20 }), '... which they were');
is_deeply([$tf->wrong_counts], [], '... and the counters equal a recount');
is_deeply([complaints()], \@complaints, 'nobody complained about any of it');

done_testing;
