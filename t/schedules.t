# Schedules over the API: made, shown, changed, paused, run, deleted; and what the scheduler makes of them.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Rows;

my $api = '/api/v1';
my $tf = TaskForge->start(parts => [qw(postgres redis nginx worker scheduler)], auth => 1, edit => sub {
    my ($text) = @_;
    $text =~ s/(taskforge_accounts +[^;]*);/$1 argon2_memory=1m argon2_time=1;/;
    return $text =~ s/^\s*taskforge_limit [^\n]*\n//mgr; # so many requests in a row are no attack here
});
my %who = (username => 'root', password => 'correct horse 7 battery');
my $root = $tf->post("$api/auth/register", {%who, email => 'root@example.com'})->json->{id};
$tf->sql("UPDATE users SET role = 'admin'");
my $token = $tf->post("$api/auth/login", \%who)->json->{access_token};
sub call {
    my ($method, $path, $body) = @_;
    return $tf->api->request($method, "$api$path", $body ? (body => $body) : (), headers => {Authorization => "Bearer $token"});
}
sub pointers { return [sort map { $_->{pointer} } @{$_[0]->json->{errors}}] }
sub detail { my ($r, $pointer) = @_; return (map { $_->{detail} } grep { $_->{pointer} eq $pointer } @{$r->json->{errors}})[0] // '' }
sub ticks { return @{call(GET => "/schedules/$_[0]/ticks?limit=500")->json->{items}} }
sub audited { return [map { $_->{action} } @{call(GET => "/audit?object=$_[0]")->json->{items}}] }
ok(wait_until(20, sub { $tf->sql_value("SELECT count(*) FROM job_types WHERE type = 'noop'") }), 'a worker knows noop');

subtest 'preview' => sub {
    my $runs = sub { my $r = call(POST => '/schedules/preview', {@_}); return $r->status == 200 ? $r->json->{next_runs} : $r->body };
    my $ten = $runs->(cron => '0 9 * * MON-FRI', time_zone => 'Europe/Berlin', after => '2026-11-20T10:00:00Z');
    is(scalar @$ten, 10, 'the next ten firings');
    is_deeply([@$ten[0 .. 1]], ['2026-11-23T08:00:00.000000Z', '2026-11-24T08:00:00.000000Z'], '... in the time zone');
    is($runs->(cron => '30 2 * * *', time_zone => 'America/New_York', after => '2026-03-08T00:00:00Z')->[0],
        '2026-03-08T07:00:00.000000Z', 'a time that clocks leave out: when the gap ends');
    is($runs->(cron => '@every 1h', after => '2026-01-01T00:30:00+01:00')->[0], '2026-01-01T00:00:00.000000Z', 'without a time zone: UTC');
    is_deeply($runs->(cron => '0 0 29 2 *', after => '9996-03-01T00:00:00Z'), [], 'never again: an empty list');
    my $r = call(POST => '/schedules/preview', {cron => '61 * * * *', time_zone => 'Mars/Olympus', after => 'noon', x => 1});
    ok($r->is_problem(422), 'what is wrong: 422');
    is_deeply(pointers($r), ['#/after', '#/cron', '#/time_zone', '#/x'], '... each of it named');
    is(detail($r, '#/cron'), 'minute, at 1: 61 is not from 0 to 59', '... with field and position');
    is_deeply(pointers(call(POST => '/schedules/preview', {})), ['#/cron'], 'an expression is required');
};

my %nightly = (
    name => 'nightly', description => 'every night', cron => '0 3 * * *', time_zone => 'Europe/Berlin', jitter_seconds => 600,
    overlap => 'queue', catch_up_seconds => 3600,
    job => {type => 'noop', queue => 'night', priority => 'low', max_retries => 7, timeout_seconds => 30, name => 'clean',
        payload => {n => 1, deep => {list => [1, 2]}}, metadata => {team => 'ops'}, retry => {base_seconds => 2, jitter => true}},
);
my $r = call(POST => '/schedules', \%nightly);
is($r->status, 201, 'a schedule is made: 201') or diag $r->body;
my $nightly = $r->json;
my $id = $nightly->{id};
is($r->header('location'), "$api/schedules/$id", 'Location');
is_deeply({map { $_ => $nightly->{$_} } keys %nightly}, \%nightly, 'the answer shows what was asked for');
is(scalar @{$nightly->{next_runs}}, 10, '... and the next ten firings');
is($nightly->{next_runs}[0], $nightly->{next_run_at}, '... which begin with the next one');
is_deeply($nightly->{next_runs}, call(POST => '/schedules/preview', {cron => '0 3 * * *', time_zone => 'Europe/Berlin'})->json->{next_runs},
    '... as the preview has them');
is_deeply([@$nightly{qw(created_by paused builtin last_tick last_outcome last_job_id)}], [$root, false, false, undef, undef, undef],
    'its other fields');
is_deeply(call(GET => "/schedules/$id")->json, $nightly, 'GET shows the same');
is_deeply(audited($id), ['schedule.create'], 'it is in the audit');
is_deeply([ticks($id)], [], 'no ticks yet');
my @names = map { $_->{name} } @{call(GET => '/schedules')->json->{items}};
is_deeply(\@names, ['nightly', 'taskforge.reconcile', 'taskforge.rescue', 'taskforge.upkeep'], 'the list: newest first, the built-in ones last');
my $page = call(GET => '/schedules?limit=1')->json;
is(call(GET => "/schedules?limit=1&cursor=$page->{next_cursor}")->json->{items}[0]{name}, 'taskforge.reconcile', 'page by page');

subtest 'defaults' => sub {
    my $s = call(POST => '/schedules', {name => 'plain', cron => '@daily', job => {type => 'noop'}})->json;
    is_deeply([@$s{qw(time_zone jitter_seconds overlap catch_up_seconds description)}], ['UTC', 0, 'skip', 60, undef], 'defaults');
    is(call(DELETE => "/schedules/$s->{id}")->status, 204, 'deleted');
};

subtest 'what is refused' => sub {
    my %good = (name => 'x', cron => '* * * * *', job => {type => 'noop'});
    my @bad = (
        ['nothing', {}, '#/cron', '#/job', '#/name'],
        ['an unknown field', {%good, colour => 1}, '#/colour'],
        ['wrong types', {name => 1, cron => 2, time_zone => 3, jitter_seconds => 'a', overlap => 4, catch_up_seconds => '5', description => [], job => 6},
            '#/catch_up_seconds', '#/cron', '#/description', '#/jitter_seconds', '#/job', '#/name', '#/overlap', '#/time_zone'],
        ['out of range', {%good, name => 'n' x 201, jitter_seconds => -1, catch_up_seconds => 9}, '#/catch_up_seconds', '#/jitter_seconds', '#/name'],
        ['a policy that is none', {%good, overlap => 'maybe'}, '#/overlap'],
        ['a bad expression and zone', {%good, cron => '0 0 30 2 *', time_zone => '../../etc/passwd'}, '#/cron', '#/time_zone'],
        ['a name of the built-in ones', {%good, name => 'taskforge.mine'}, '#/name'],
        ['a type nobody knows', {%good, job => {type => 'nonesuch'}}, '#/job/type'],
        ['a bad job', {%good, job => {type => 'noop', priority => 11, payload => []}}, '#/job/payload', '#/job/priority'],
        ['types and queues of TaskForge', {%good, job => {type => 'webhook', queue => '_taskforge'}}, '#/job/queue', '#/job/type'],
        ['a webhook into this host', {%good, job => {type => 'noop', webhook_url => 'http://169.254.169.254/'}}, '#/job/webhook_url'],
        ['a job with a time of its own', {%good, job => {type => 'noop', delay_seconds => 1, idempotency_key => 'k'}}, '#/job', '#/job'],
    );
    for (@bad) {
        my ($what, $body, @pointers) = @$_;
        my $r = call(POST => '/schedules', $body);
        ok($r->is_problem(422), "$what: 422") or diag $r->body;
        is_deeply(pointers($r), \@pointers, '... and says where');
    }
    ok(call(POST => '/schedules', \%nightly)->is_problem(409), 'a name that is taken: 409');
    ok(call(POST => '/schedules', [])->is_problem(422), 'no object: 422');
    my $nobody = '01890000-0000-7000-8000-00000000000f';
    for (['GET', ''], ['PATCH', '', {cron => '@daily'}], ['DELETE', ''], ['POST', '/pause'], ['POST', '/resume'], ['POST', '/run'], ['GET', '/ticks']) {
        my ($method, $path, $body) = @$_;
        ok(call($method, "/schedules/$nobody$path", $body)->is_problem(404), "$method $path of no schedule: 404");
    }
};

subtest 'change' => sub {
    my $s = call(PATCH => "/schedules/$id", {description => undef, jitter_seconds => 0})->json;
    is_deeply({%$s, updated_at => 0}, {%$nightly, description => undef, jitter_seconds => 0, updated_at => 0}, 'what is not given stays, null takes away');
    $s = call(PATCH => "/schedules/$id", {cron => '@monthly', time_zone => 'UTC'})->json;
    like($s->{next_run_at}, qr/-01T00:00:00/, 'a new time counts from now');
    $s = call(PATCH => "/schedules/$id", {job => {type => 'sleep', payload => {seconds => 1}}})->json;
    is_deeply($s->{job}, {type => 'sleep', payload => {seconds => 1}}, 'a job is replaced as a whole');
    is_deeply(pointers(call(PATCH => "/schedules/$id", {cron => 'x', overlap => 'y'})), ['#/cron', '#/overlap'], 'what is wrong is named');
    ok(call(PATCH => "/schedules/$id", {})->is_problem(422), 'nothing to change: 422');
    my $other = call(POST => '/schedules', {%nightly, name => 'other'})->json->{id};
    ok(call(PATCH => "/schedules/$other", {name => 'nightly'})->is_problem(409), 'a name that is taken: 409');
    is(call(PATCH => "/schedules/$other", {name => 'another'})->json->{name}, 'another', 'another one is fine');
    is_deeply(audited($other), [qw(schedule.change schedule.create)], 'only what happened is in the audit');
    is(call(DELETE => "/schedules/$other")->status, 204, 'DELETE: 204');
    ok(call(GET => "/schedules/$other")->is_problem(404), '... and it is gone');
    is(audited($other)->[0], 'schedule.delete', '... with a row in the audit');
};

subtest 'every second' => sub {
    my $s = call(POST => '/schedules', {name => 'tick', cron => '* * * * * *', overlap => 'allow', job => {%{$nightly{job}}, queue => 'default'}})->json;
    ok(wait_until(30, sub { ticks($s->{id}) >= 3 }), 'it fires');
    $r = call(POST => "/schedules/$s->{id}/pause", {note => 'too loud'})->json;
    is_deeply([@$r{qw(paused pause_note next_run_at)}, scalar @{$r->{next_runs}}], [true, 'too loud', undef, 0], 'paused, with a note');
    my @ticks = ticks($s->{id});
    is_deeply([map { $_->{outcome} } @ticks], [('fired') x @ticks], 'every tick fired');
    is(scalar(grep { $_->{tick} !~ /:\d\d\.000000Z$/ } @ticks), 0, '... at a full second');
    my $job = $tf->wait_for_end_of($ticks[0]{job_id}, \&call);
    is_deeply([@$job{qw(status type name priority_value max_retries timeout_seconds schedule_id created_by)}],
        ['SUCCESS', 'noop', 'clean', 2, 7, 30, $s->{id}, $root], 'a job ran, made from the template');
    is_deeply([@$job{qw(payload metadata)}, $job->{retry}], [$nightly{job}{payload}, {team => 'ops'}, {strategy => 'exponential', base_seconds => 2, jitter => true}], '... all of it');
    my @told = qw(job_queued job_running job_success);
    is_deeply([$tf->wait_for_events($job->{id}, \@told)], \@told, '... and was announced');
    my $count = @ticks;
    sleep 2.5;
    is(scalar(ticks($s->{id})), $count, 'paused: no ticks');
    my $first = call(GET => "/schedules/$s->{id}/ticks?limit=2")->json;
    my $second = call(GET => "/schedules/$s->{id}/ticks?limit=1&cursor=$first->{next_cursor}")->json;
    is_deeply([map { $_->{tick} } @{$first->{items}}, @{$second->{items}}], [map { $_->{tick} } @ticks[0 .. 2]], 'ticks page by page, newest first');
    is(call(PATCH => "/schedules/$s->{id}", {jitter_seconds => 0})->json->{next_run_at}, undef, 'changed while paused, it stays paused');
    my $resumed = $tf->sql_value('SELECT clock_timestamp()');
    $r = call(POST => "/schedules/$s->{id}/resume");
    is_deeply([@{$r->json}{qw(paused pause_note)}], [false, undef], 'resumed');
    ok(wait_until(30, sub { ticks($s->{id}) > $count }), '... it fires again');
    call(POST => "/schedules/$s->{id}/pause");
    my @gap = map { $_->{outcome} } ticks($s->{id});
    is_deeply([grep { $_ ne 'fired' } @gap], [], '... each time');
    is($tf->sql_value("SELECT count(*) FROM schedule_ticks WHERE schedule_id = '$s->{id}' AND tick > '$ticks[0]{tick}' AND tick < '$resumed'"), 0,
        '... and makes up for nothing');
    is_deeply(audited($s->{id}), [qw(schedule.pause schedule.resume schedule.change schedule.pause schedule.create)], 'all of it is in the audit');

    # as if the clock had been set back: the newest tick is to come again
    my $last = (ticks($s->{id}))[0];
    $count = ticks($s->{id});
    $tf->sql("UPDATE schedules SET paused = false, next_run_at = '$last->{tick}', revision = revision + 1 WHERE id = '$s->{id}'", "SELECT pg_notify('tf_schedules', '')");
    ok(wait_until(20, sub { ticks($s->{id}) > $count }), 'a tick that was dealt with comes again');
    call(POST => "/schedules/$s->{id}/pause");
    is($tf->sql_value("SELECT count(*) FROM jobs WHERE schedule_id = '$s->{id}'"), scalar(grep { $_->{job_id} } ticks($s->{id})), '... and does not fire twice');
};

# jobs of a queue that nobody serves stay as they are
sub stuck {
    my ($name, %o) = @_;
    return call(POST => '/schedules', {name => $name, cron => '* * * * * *', job => {type => 'noop', queue => 'nobody'}, %o})->json->{id};
}
sub outcomes { my %n; $n{$_->{outcome}}++ for ticks($_[0]); return \%n }
sub jobs_of { return $tf->sql_value("SELECT count(*) FROM jobs WHERE schedule_id = '$_[0]'") }

subtest 'overlap' => sub {
    my %id = map { $_ => stuck($_, overlap => $_) } qw(skip queue cancel_running allow);
    ok(wait_until(30, sub { 4 == grep { ticks($_) >= 3 } values %id }), 'all of them tick');
    is_deeply({map { $_ => jobs_of($id{$_}) } qw(skip queue cancel_running)}, {skip => 1, queue => 1, cancel_running => 1}, 'one waits: no more of them');
    cmp_ok(jobs_of($id{allow}), '>=', 3, 'allow: one for each tick');
    is(outcomes($id{skip})->{fired}, 1, 'skip: one fired');
    like((ticks($id{skip}))[0]{detail}, qr/has not ended/, '... and the others say why not');
    # a worker of our own takes them and keeps them
    my $incarnation = $tf->insert_worker('mine', heartbeat => "now() + interval '1 hour'");
    for my $name (qw(skip queue cancel_running)) {
        $tf->sql("WITH u AS (UPDATE jobs SET status = 'RUNNING', attempt = 1, incarnation = $incarnation, started_at = now() "
            . "WHERE schedule_id = '$id{$name}' AND status = 'QUEUED' RETURNING queue, type, priority), "
            . "c AS (SELECT 'QUEUED'::job_status AS status, -1 AS d UNION ALL SELECT 'RUNNING', 1) "
            . "INSERT INTO job_counts AS k SELECT 5, queue, type, priority, status, d FROM u, c "
            . "ON CONFLICT (writer, queue, type, priority, status) DO UPDATE SET n = k.n + excluded.n");
    }
    ok(wait_until(60, sub { 2 == grep { jobs_of($id{$_}) == 2 } qw(queue cancel_running) }),
        'one runs: queue and cancel_running fire one more') or diag explain {map { $_ => jobs_of($id{$_}) } keys %id};
    is(jobs_of($id{skip}), 1, '... skip does not');
    is($tf->sql_value("SELECT string_agg(cancel_requested::text, ' ' ORDER BY id) FROM jobs WHERE schedule_id = '$id{cancel_running}'"), 'true false',
        'cancel_running: the one that runs is asked to end');
    is($tf->sql_value("SELECT bool_or(cancel_requested) FROM jobs WHERE schedule_id = '$id{queue}'"), 'f', 'queue: it is not');
    ok(wait_until(20, sub { grep { $_ eq $incarnation } split /\s+/, $tf->redis('XRANGE', 'tf:ctl', '-', '+') }), '... its worker is told');
    call(DELETE => "/schedules/$_") for values %id;
    cmp_ok($tf->sql_value("SELECT count(*) FROM jobs WHERE queue = 'nobody'"), '>=', 8, 'jobs outlive their schedule');
    is($tf->sql_value('SELECT count(*) FROM schedule_jobs o LEFT JOIN schedules s ON s.id = o.schedule_id WHERE s.id IS NULL'), 0, '... what it kept does not');
};

# two executors are free, and each job takes longer than it is to the next tick
subtest 'one after the other' => sub {
    my %id = map {
        $_ => call(POST => '/schedules', {name => "after $_", cron => '* * * * * *', overlap => $_, job => {type => 'sleep', payload => {seconds => 2.5}}})->json->{id}
    } qw(queue cancel_running);
    for my $overlap (sort keys %id) {
        my $of = "schedule_id = '$id{$overlap}'";
        ok(wait_until(60, sub { $tf->sql_value("SELECT count(*) FROM jobs WHERE $of AND status IN ('SUCCESS', 'CANCELLED')") >= 3 }), "$overlap: jobs end");
        call(POST => "/schedules/$id{$overlap}/pause");
        ok(wait_until(60, sub { !$tf->sql_value("SELECT count(*) FROM jobs WHERE $of AND finished_at IS NULL") }), '... all of them');
        is($tf->sql_value("SELECT count(*) FROM (SELECT started_at, lag(finished_at) OVER (ORDER BY id) AS before FROM jobs WHERE $of) t WHERE started_at < before"),
            0, '... and none starts before the one before it has ended');
    }
};

subtest 'run now' => sub {
    my $s = call(POST => '/schedules', {name => 'by hand', cron => '@yearly', job => {type => 'noop', payload => {a => 1.50}}})->json;
    $r = call(POST => "/schedules/$s->{id}/run");
    is($r->status, 202, 'run: 202') or diag $r->body;
    my $job = $r->json;
    is_deeply([@$job{qw(type status schedule_id created_by)}], ['noop', 'QUEUED', $s->{id}, $root], '... with the job');
    is($r->header('location'), "/api/v1/jobs/$job->{id}", '... and where it is');
    is($tf->wait_for_end_of($job->{id}, \&call)->{status}, 'SUCCESS', '... which runs');
    is_deeply([ticks($s->{id})], [], '... and is no tick');
    is(call(GET => "/schedules/$s->{id}")->json->{next_run_at}, $s->{next_run_at}, '... the next one comes as before');
    is(audited($s->{id})->[0], 'schedule.run', '... and is in the audit');
    $tf->sql("UPDATE schedules SET template = '{\"type\":\"gone\"}' WHERE id = '$s->{id}'");
    ok(call(POST => "/schedules/$s->{id}/run")->is_problem(409), 'a type that nobody knows any more: 409');
    $tf->sql("UPDATE schedules SET next_run_at = now() WHERE id = '$s->{id}'", "SELECT pg_notify('tf_schedules', '')");
    ok(wait_until(20, sub { ticks($s->{id}) }), '... its tick comes');
    is_deeply([map { [@$_{qw(outcome detail job_id)}] } ticks($s->{id})], [['failed', 'no worker knows the type "gone"', undef]], '... and says why there is no job');
};

subtest 'jitter' => sub {
    my $s = call(POST => '/schedules', {name => 'spread', cron => '* * * * * *', jitter_seconds => 3600, overlap => 'allow', job => {type => 'noop'}})->json;
    ok(wait_until(30, sub { ticks($s->{id}) >= 4 }), 'it ticks on time');
    call(POST => "/schedules/$s->{id}/pause");
    my @late = map { $_->[0] } $tf->sql("SELECT extract(epoch FROM j.scheduled_at - t.tick) FROM schedule_ticks t JOIN jobs j ON j.id = t.job_id WHERE t.schedule_id = '$s->{id}'");
    is(scalar(grep { $_ < 0 || $_ > 3600 } @late), 0, 'its jobs start within an hour') or diag "@late";
    my %different = map { $_ => 1 } @late;
    cmp_ok(keys %different, '>', 1, '... not all at once');
    is($tf->sql_value("SELECT count(*) FROM jobs WHERE schedule_id = '$s->{id}' AND status <> 'SCHEDULED' AND scheduled_at > now()"), 0, '... and wait until then');
};

subtest 'while no scheduler runs' => sub {
    $tf->stop_part('scheduler');
    my $soon = call(POST => '/schedules', {name => 'soon', cron => '* * * * * *', catch_up_seconds => 60, overlap => 'allow', job => {type => 'noop'}})->json->{id};
    my $old = call(POST => '/schedules', {name => 'old', cron => '* * * * *', catch_up_seconds => 60, overlap => 'allow', job => {type => 'noop'}})->json->{id};
    my $queue = call(POST => '/schedules', {name => 'one', cron => '* * * * * *', catch_up_seconds => 60, overlap => 'skip', job => {type => 'noop', queue => 'nobody'}})->json->{id};
    my $from = $tf->sql_value("SELECT date_trunc('second', now()) - interval '20 seconds'");
    $tf->sql("UPDATE schedules SET next_run_at = '$from' WHERE id IN ('$soon', '$queue')",
        "UPDATE schedules SET next_run_at = date_trunc('minute', now()) - interval '20 days' WHERE id = '$old'");
    $tf->start_part('scheduler');
    ok(wait_until(30, sub { ticks($soon) >= 23 }), 'ticks that were missed for a moment come');
    call(POST => "/schedules/$_/pause") for $soon, $queue;
    my ($first, $n, $seconds, $wrong, $order) = @{($tf->sql("SELECT min(tick) = '$from', count(*), extract(epoch FROM max(tick) - min(tick))::int + 1, "
        . "count(*) FILTER (WHERE outcome <> 'fired'), bool_and(ok) FROM (SELECT *, fired_at >= lag(fired_at, 1, fired_at) OVER (ORDER BY tick) AS ok "
        . "FROM schedule_ticks WHERE schedule_id = '$soon') t"))[0]};
    is_deeply([$first, $wrong, $order], ['t', 0, 't'], '... all of them, the oldest first');
    is($n, $seconds, '... each once');
    wait_until(30, sub { jobs_of($queue) && ticks($old) });
    is(jobs_of($queue), 1, 'skip: they do not pile up');
    my @old = ticks($old);
    is($old[-1]{outcome}, 'skipped_missed', 'weeks of minutes: missed');
    cmp_ok(scalar(grep { $_->{outcome} eq 'skipped_missed' } @old), '==', 1, '... and that is one row');
    cmp_ok(scalar(@old), '<=', 4, '... what is not too late fires');
};

subtest 'built in' => sub {
    my ($upkeep, $rescue, $reconcile) = map { my $name = $_; grep { $_->{name} eq "taskforge.$name" } @{call(GET => '/schedules?limit=500')->json->{items}} }
        qw(upkeep rescue reconcile);
    ok(wait_until(20, sub { 3 == grep { my $s = call(GET => "/schedules/$_->{id}")->json; $s->{last_tick} && $s->{next_run_at} } $upkeep, $rescue, $reconcile }),
        'the rounds say when they were done and when they come next');
    for my $s ($upkeep, $rescue, $reconcile) {
        is_deeply([$s->{builtin}, $s->{job}], [true, undef], "$s->{name} is built in");
        ok(call($$_[0], "/schedules/$s->{id}$$_[1]", $$_[2])->is_problem(409), "... $$_[0] $$_[1]: 409")
            for ['DELETE', ''], ['PATCH', '', {cron => '@daily'}], ['POST', '/pause'], ['POST', '/resume'];
    }
    ok(call(POST => "/schedules/$rescue->{id}/run")->is_problem(409), 'rescue comes by itself: 409');
    my $before = call(GET => "/schedules/$upkeep->{id}")->json->{last_tick};
    $r = call(POST => "/schedules/$upkeep->{id}/run");
    is($r->status, 202, 'upkeep can be asked for: 202');
    ok(wait_until(20, sub { call(GET => "/schedules/$upkeep->{id}")->json->{last_tick} gt $before }), '... and is done');
};

is_deeply([$tf->wrong_counts], [], 'the counters are right');
done_testing;

# The job when it has ended.
sub TaskForge::wait_for_end_of {
    my ($self, $job_id, $call) = @_;
    my $job;
    wait_until(60, sub { $job = $call->(GET => "/jobs/$job_id")->json; $job->{finished_at} });
    return $job;
}
