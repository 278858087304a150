# POST /jobs/actions: cancel, retry or delete every job of a filter, as a job of its own.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Auth qw(add_user token);
use TaskForge::Rows;

# so much time to stop between two transactions that the test can stand between them
my $tf = TaskForge->start(auth => 1, settings => {TASKFORGE_WORKER_CONCURRENCY => 3, TASKFORGE_CANCEL_GRACE_MS => 50000});
my $user = add_user($tf, 'olga', 'operator');
my $other = add_user($tf, 'otto', 'operator');
sub as { my ($who) = @_; return (headers => {Authorization => 'Bearer ' . token($who)}) }
my %olga = as($user);
sub job { my ($id) = @_; return $tf->get("/api/v1/jobs/$id", %olga)->json }
sub actions { my ($body, %as) = @_; return $tf->post('/api/v1/jobs/actions', $body, %olga, %as) }
sub batch {
    my ($n, $body, %as) = @_;
    my $r = $tf->post('/api/v1/jobs/batch', {jobs => [map { $body } 1 .. $n]}, %olga, %as);
    die $r->body unless $r->status == 202;
    return map { $_->{job}{id} } @{$r->json->{items}};
}
sub count_of { my ($where) = @_; return $tf->sql_value("SELECT count(*) FROM jobs WHERE $where") }

# Keeps a job from being changed until what is returned is closed.
sub hold {
    my ($id) = @_;
    open my $psql, '|-', TaskForge::Postgres::psql_command("$tf->{home}/run", 'postgres', 'taskforge') or die $!;
    print {$psql} "SET idle_in_transaction_session_timeout = 0;\nBEGIN;\nSELECT FROM jobs WHERE id = '$id' FOR UPDATE;\n";
    $psql->flush;
    wait_until(30, sub { $tf->sql_value("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND query LIKE '%$id%'") }) or die "no lock\n";
    return $psql;
}

# Whether an action cannot go on for that.
sub stands { return $tf->sql_value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'taskforge-executor' AND wait_event_type = 'Lock'") }

# Submits the action and waits for its end; returns its job.
sub done {
    my ($body, %as) = @_;
    my $r = actions($body, %as);
    is($r->status, 202, 'it is accepted') or diag $r->body;
    is($r->header('location'), '/api/v1/jobs/' . $r->json->{id}, 'and says where to look');
    my $job;
    ok(wait_until(60, sub { $job = job($r->json->{id}); $job->{status} =~ /SUCCESS|FAILED|DEAD|CANCELLED/ }), 'it ends');
    return $job;
}

my $bad = {type => 'data_processing', payload => {dataset => 'nowhere'}, max_retries => 0};
my @failed = batch(1000, {%$bad, name => 'first half'});
push @failed, batch(300, {%$bad, name => 'second half', priority => 'low'}, as($other));
my @kept = batch(5, {type => 'noop'});
ok(wait_until(60, sub { count_of("status = 'FAILED'") == @failed && count_of("status = 'SUCCESS'") == @kept }), 'jobs that failed, and some that did not');

# dry run
my $r = actions({action => 'retry', filter => {status => 'FAILED', q => 'SECOND'}, dry_run => true});
is($r->status, 200, 'a dry run answers at once');
is_deeply([@{$r->json}{qw(action count more)}], ['retry', 300, false], 'with how many jobs it would change');
is_deeply($r->json->{sample}, [@failed[1000 .. 1009]], 'and the first of them');
is(actions({action => 'retry', filter => {created_by => 'me'}, dry_run => true})->json->{count}, 1000, '"me" are my own jobs');
is(actions({action => 'retry', filter => {created_by => 'me'}, dry_run => true}, as($other))->json->{count}, 300, 'or those of somebody else');
is(actions({action => 'delete', filter => {type => 'noop'}, dry_run => true})->json->{count}, 5, 'only jobs in states that the action can change count');
is(actions({action => 'retry', filter => {priority => 'low', queue => 'default', status => ['FAILED']}, dry_run => true})->json->{count}, 300, 'by priority and queue');
is(actions({action => 'retry', filter => {ids => [@failed[0, 1, 1], $kept[0]]}, dry_run => true})->json->{count}, 2, 'by ids');
is(actions({action => 'retry', filter => {created_before => '2020-01-01T00:00:00Z'}, dry_run => true})->json->{count}, 0, 'by time: none');
is(count_of("status = 'FAILED'"), @failed + 0, 'nothing has changed');

# its worker dies between two transactions, when what it has retried has failed again
my $hold = hold($failed[1299]);
my $broken = actions({action => 'retry', filter => {q => 'second'}})->json;
ok(wait_until(60, sub { stands() }), 'an action is in its second transaction');
ok(wait_until(60, sub { count_of("name = 'second half' AND status = 'FAILED' AND epoch = 1") == 250 }), 'what it retried in the first has run, and failed again');
$tf->kill_part('worker');
ok(wait_until(60, sub { !stands() }), 'its worker dies: the server gives its transaction up');
close $hold;
$tf->start_part('worker');
ok(wait_until(60, sub { job($broken->{id})->{status} eq 'RETRYING' }), 'the action is to be tried again');
$tf->sql("UPDATE jobs SET run_at = now() WHERE id = '$broken->{id}'", 'NOTIFY tf_due');
ok(wait_until(60, sub { job($broken->{id})->{status} eq 'SUCCESS' }), '... and goes on');
is(job($broken->{id})->{attempt}, 2, '... in a second attempt');
ok(wait_until(60, sub { count_of("name = 'second half' AND status = 'FAILED' AND epoch = 1") == 300 }), 'every job was retried once, and none twice');

# retry
open my $out, '>', "$tf->{home}/data/nowhere.csv" or die $!;
print {$out} "a,b\n1,2\n";
close $out;
my $bulk = done({action => 'retry', filter => {status => 'FAILED'}});
is($bulk->{status}, 'SUCCESS', 'bulk retry succeeds');
is($bulk->{type}, 'bulk_action', 'as a job of its own type');
is_deeply($bulk->{result}, {action => 'retry', matched => 1300, changed => 1300, skipped => 0}, 'it says how many it changed');
ok(wait_until(120, sub { count_of("type = 'data_processing' AND status = 'SUCCESS'") == @failed }), 'all of them run again, and now succeed');
is(count_of("type = 'data_processing' AND epoch <> 1 + (name = 'second half')::int"), 0, 'each in one new life');

# delete
$bulk = done({action => 'delete', filter => {q => 'first'}});
is($bulk->{result}{changed}, 1000, 'bulk delete');
is(count_of("name = 'first half'"), 0, 'deletes them');
is($tf->sql_value("SELECT count(*) FROM job_errors e WHERE NOT EXISTS (SELECT FROM jobs WHERE id = job_id)"), 0, 'with their errors');
is(count_of("name = 'second half'"), 300, 'and nothing else');

# cancel: what waits and what runs
my @later = batch(20, {type => 'noop', delay_seconds => 3600, name => 'later'});
my ($running) = batch(1, {type => 'sleep', payload => {seconds => 300}, name => 'running'});
wait_until(60, sub { job($running)->{status} eq 'RUNNING' });
$bulk = done({action => 'cancel', all => true});
is_deeply($bulk->{result}, {action => 'cancel', matched => 21, changed => 21, skipped => 0, asked_to_stop => 1}, 'bulk cancel of everything spares itself');
is(count_of("status = 'CANCELLED' AND name = 'later'"), 20, 'what waited is cancelled');
ok(job($running)->{cancel_requested}, 'what runs is asked to stop');
is($tf->sql_value("SELECT w.incarnation FROM workers w") , ($tf->redis('XRANGE', 'tf:ctl', '-', '+') =~ /^w\n(\d+)/m)[0], 'through its worker');

# cancel of the bulk job itself
my @many = batch(1000, {type => 'noop', delay_seconds => 3600, name => 'many'});
$hold = hold($many[600]);
$bulk = actions({action => 'cancel', filter => {q => 'many'}})->json;
ok(wait_until(60, sub { stands() }), 'an action is in its third transaction of four');
is($tf->post("/api/v1/jobs/$bulk->{id}/cancel", undef, %olga)->status, 202, 'it is cancelled itself');
ok(wait_until(60, sub { grep { $_->{job_id} eq $bulk->{id} } $tf->log_events('worker', 'attempt_cancelled') }), '... and hears of it');
close $hold;
ok(wait_until(60, sub { job($bulk->{id})->{status} eq 'CANCELLED' }), '... so it ends CANCELLED, behind that transaction');
is_deeply(job($bulk->{id})->{result}, {action => 'cancel', matched => 750, changed => 750, skipped => 0, asked_to_stop => 0}, '... and says what it has done');
is(count_of("name = 'many' AND status = 'CANCELLED'"), 750, '... which it has');
is(count_of("name = 'many' AND status = 'SCHEDULED'"), 250, '... and left the rest alone');
$r = $tf->post('/api/v1/jobs', {type => 'bulk_action', payload => {action => 'cancel', all => true}}, %olga);
ok($r->is_problem(422), 'nobody submits a bulk action as a common job');
unlike($r->json->{detail}, qr/bulk_action/, 'and it is not among the types offered');
ok($tf->post('/api/v1/jobs', {type => 'noop', queue => '_taskforge'}, %olga)->is_problem(422), 'nor anything to its queue');

# the list
is(scalar(grep { $_->{type} eq 'bulk_action' } @{$tf->get('/api/v1/jobs?limit=500', %olga)->json->{items}}), 0, 'the list of jobs is free of TaskForge\'s own');
is(scalar(@{$tf->get('/api/v1/jobs?queue=_taskforge', %olga)->json->{items}}), 5, 'unless somebody asks for them');
is($tf->get('/api/v1/jobs?created_by=me&count=exact&limit=1', %olga)->json->{total}, 1026, 'created_by=me lists my own jobs');
is($tf->get('/api/v1/jobs?count=exact&limit=1', %olga)->json->{total}, 1326, 'the total knows no internal jobs either');
is($tf->get('/api/v1/jobs?count=exact&limit=1&internal=1', %olga)->json->{total}, 1331, 'internal=1 has them all');

# the books
my @audit = map { $_->[0] } $tf->sql("SELECT action || ' ' || actor_name FROM audit_log WHERE action LIKE 'bulk.%' ORDER BY id");
is_deeply(\@audit, [map { ("bulk.$_ olga", "bulk.$_.done olga") } qw(retry retry delete cancel cancel)], 'the audit has the beginning and the end of each');
is_deeply([map { $_->[0] } $tf->sql("SELECT detail->>'changed' FROM audit_log WHERE action LIKE 'bulk.%.done' ORDER BY id")], [50, 1300, 1000, 21, 750], 'with the counts');
is($tf->sql_value('SELECT count(*) FROM audit_verify()'), 0, 'and holds');
is($tf->sql_value(q{SELECT count(*) FROM
    (SELECT queue, type, priority, status, sum(n) AS n FROM job_counts GROUP BY 1, 2, 3, 4 HAVING sum(n) <> 0) k
    FULL JOIN (SELECT queue, type, priority, status, count(*) AS n FROM jobs GROUP BY 1, 2, 3, 4) j
    USING (queue, type, priority, status) WHERE k.n IS DISTINCT FROM j.n}), 0, 'the counters equal a recount');

# bad input
for (
    ['an empty filter', {action => 'delete', filter => {}}, '#/filter'],
    ['no filter', {action => 'delete'}, '#/filter'],
    ['an unknown action', {action => 'explode', all => true}, '#/action'],
    ['no action', {all => true}, '#/action'],
    ['an unknown field', {action => 'retry', all => true, filters => {}}, '#/filters'],
    ['an unknown condition', {action => 'retry', filter => {stat => 'FAILED'}}, '#/filter/stat'],
    ['an unknown status', {action => 'retry', filter => {status => 'BROKEN'}}, '#/filter/status'],
    ['a status that the action cannot change', {action => 'retry', filter => {status => 'SUCCESS'}}, '#/filter/status'],
    ['no status at all', {action => 'retry', filter => {status => []}}, '#/filter/status'],
    ['a filter that is no object', {action => 'retry', filter => [1]}, '#/filter'],
    ['a number as type', {action => 'retry', filter => {type => 1}}, '#/filter/type'],
    ['a level that does not exist', {action => 'retry', filter => {priority => 11}}, '#/filter/priority'],
    ['a time without a zone', {action => 'retry', filter => {created_after => '2026-01-01 00:00'}}, '#/filter/created_after'],
    ['ids that are none', {action => 'retry', filter => {ids => ['x']}}, '#/filter/ids'],
    ['too many ids', {action => 'retry', filter => {ids => [($kept[0]) x 1001]}}, '#/filter/ids'],
    ['a user that is none', {action => 'retry', filter => {created_by => 'olga'}}, '#/filter/created_by'],
    ['dry_run as text', {action => 'retry', all => true, dry_run => 'yes'}, '#/dry_run'],
) {
    my ($what, $body, $pointer) = @$_;
    $r = actions($body);
    ok($r->is_problem(422), "$what: 422") or diag $r->body;
    is($r->json->{errors}[0]{pointer}, $pointer, 'which says where');
}

done_testing;
