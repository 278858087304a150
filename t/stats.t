# GET /stats: the numbers of a dashboard.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

# today is to be one day
my $left = 86400 - int(time) % 86400;
sleep $left + 1 if $left < 60;

my $tf = TaskForge->start(edit => sub { $_[0] =~ s/^worker_processes .*$/worker_processes 1;/mr });
sub stats { return $tf->http->get('/api/v1/stats')->json }

my $s = stats();
is($s->{workers_online}, 1, 'the workers that are online');
is_deeply([@$s{qw(queued scheduled retrying active succeeded failed dead_letter cancelled completed_today failed_today)}], [(0) x 10], 'at first there is nothing');
is($s->{p99_latency_ms}, undef, 'and no duration');
is($s->{throughput_per_sec}, 0, 'nor throughput');

$tf->submit_batch(map { {type => 'noop'} } 1 .. 50);
my $failing = $tf->submit({type => 'data_processing', payload => {dataset => 'none'}})->{id};
my $gone = $tf->submit({type => 'noop', delay_seconds => 3600})->{id};
$tf->submit({type => 'noop', delay_seconds => 3600});
$tf->post("/api/v1/jobs/$gone/cancel", undef);
$tf->submit_batch((map { {type => 'noop', queue => 'slow', priority => 'low'} } 1 .. 3), {type => 'noop', queue => 'other', priority => 9});
ok(wait_until(60, sub { $s = stats(); $s->{succeeded} == 50 && $s->{failed} == 1 }), 'jobs that ended');
is_deeply([@$s{qw(queued scheduled active dead_letter cancelled completed_today failed_today)}], [4, 1, 0, 0, 1, 50, 1], 'every job is counted where it is');
is_deeply($s->{queued_by_priority}, {low => 3, normal => 0, high => 0, critical => 1}, 'what waits, by priority');
is_deeply($s->{queued_by_level}, [0, 0, 3, (0) x 6, 1, 0], 'by level');
is_deeply({%{$s->{queued_by_queue}}{qw(slow other)}}, {slow => 3, other => 1}, 'and by queue');
ok($s->{p99_latency_ms} > 0, 'a 99th percentile');
ok($s->{throughput_per_sec} > 0, 'a throughput');

my ($hour, $day) = map { $tf->get("/api/v1/stats/history?window=$_")->json } qw(hour day);
for ($hour, $day) {
    my ($submitted, $succeeded, $failed) = (0, 0, 0);
    $submitted += $_->{submitted}, $succeeded += $_->{succeeded}, $failed += $_->{failed} for @{$_->{items}};
    is_deeply([$succeeded, $failed], [50, 1], "history of the $_->{window}: what ended is in its steps");
    is($submitted, 57, 'and what was submitted');
    ok((grep { $_->{succeeded} && $_->{p50_duration_seconds} <= $_->{p99_duration_seconds} } @{$_->{items}}), 'with its durations');
}
is_deeply([map { scalar @{$_->{items}}, $_->{step_seconds} } $hour, $day], [60, 60, 96, 900], 'in steps of a minute, and of 15');
is_deeply([sort map { $_->{at} } @{$day->{items}}], [map { $_->{at} } @{$day->{items}}], 'the oldest first');
ok($tf->get('/api/v1/stats/history?window=year')->is_problem(422), 'of a year there is none: 422');

my %types = map { $_->{type} => $_ } @{$tf->get('/api/v1/job-types')->json->{items}};
is($types{sleep}{payload_schema}{properties}{seconds}{maximum}, 3600, 'types have the schema of their payload');
is($types{sleep}{max_retries}, 3, 'and their defaults');
ok(!$types{bulk_action} && !$types{webhook}, 'TaskForge\'s own types are left out');

# what is kept from request to request must not be counted twice, nor forgotten
my $now = $tf->sql_value("SELECT extract(minute FROM now()) + 60 * extract(hour FROM now()) > 20");
SKIP: {
    skip 'too soon after midnight', 3 unless $now eq 't';
    $tf->sql("INSERT INTO job_throughput VALUES (date_trunc('minute', now()) - interval '15 minutes', 9, 'SUCCESS', 80, 1000, 1)",
        "INSERT INTO job_throughput VALUES (date_trunc('day', now()) - interval '1 minute', 9, 'SUCCESS', 80, 1000, 1)");
    # the process knows the past by now: what is written into it later is not seen, and a new process sees all of it
    my @old = $tf->reload;
    wait_until(60, sub { !grep { kill 0, $_ } @old }) or die 'the old process lives on';
    is(stats()->{completed_today}, 1050, 'today begins at midnight UTC') for 1 .. 2;
    my @http = map { $tf->http } 1 .. 8;
    $_->send_raw($_->format_request(GET => '/api/v1/stats')) for @http;
    is_deeply([map { $_->read_response->json->{completed_today} } @http], [(1050) x 8], 'however many ask at once');
    is(stats()->{completed_today}, 1050, 'and afterwards');
}

done_testing;
