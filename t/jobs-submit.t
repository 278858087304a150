# POST /jobs: 202 means committed, and the answer is the whole job.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

my $tf = TaskForge->start;

subtest 'the answer' => sub {
    my $r = $tf->post('/api/v1/jobs', {type => 'noop'});
    is($r->status, 202, 'a job is accepted with 202');
    my $job = $r->json;
    like($job->{id}, qr/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/, 'its id is a UUIDv7');
    is($r->header('location'), "/api/v1/jobs/$job->{id}", 'Location names the job');
    like($r->header('content-type'), qr{^application/json}, 'the body is JSON');
    is($job->{status}, 'QUEUED', 'it is queued');
    is($job->{queue}, 'default', 'the queue is default');
    is($job->{priority_value}, 5, 'the priority is 5');
    is($job->{priority}, 'normal', 'which is called normal');
    is($job->{attempt}, 0, 'nobody tried it yet');
    is($job->{max_retries}, 3, 'max_retries is the default of the type');
    is($job->{progress}, 0, 'progress is 0');
    is_deeply($job->{payload}, {}, 'a payload that was not given is empty');
    like($job->{created_at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/, 'times are RFC 3339 in UTC');
    is($tf->sql_value("SELECT count(*) FROM jobs WHERE id = '$job->{id}'"), 1, 'the row is in PostgreSQL');
    is($tf->wait_for_end($job->{id})->{status}, 'SUCCESS', 'the job runs');
};

subtest 'everything that can be said about a job' => sub {
    my $body = {
        type => 'noop', name => 'nightly "sum" \x{e9}\x{1f600}', queue => 'default', priority => 'high', max_retries => 7, timeout_seconds => 12,
        payload => {a => [1, 2.5, undef, true], text => "line\nbreak \x{fc}"}, metadata => {team => 'sales', n => '1'},
        retry => {strategy => 'exponential', base_seconds => 0.5, max_seconds => 30, jitter => false},
    };
    my $job = $tf->submit($body);
    is($job->{$_}, $body->{$_}, "$_ is kept") for qw(type name queue max_retries timeout_seconds priority);
    is($job->{priority_value}, 8, 'high is 8');
    is_deeply($job->{$_}, $body->{$_}, "$_ is kept") for qw(payload metadata);
    is($job->{retry}{base_seconds}, 0.5, 'the retry policy is kept');
    my $read = $tf->job($job->{id});
    is_deeply($read->{$_}, $body->{$_}, "$_ reads back") for qw(payload metadata name);
};

subtest 'priorities' => sub {
    my %value = (low => 2, normal => 5, default => 5, high => 8, critical => 10);
    is($tf->submit({type => 'noop', priority => $_})->{priority_value}, $value{$_}, "$_ is $value{$_}") for sort keys %value;
    is($tf->submit({type => 'noop', priority => $_})->{priority_value}, $_, "$_ stays $_") for 0 .. 10;
};

subtest 'many at once' => sub {
    my @connections = map { $tf->http } 1 .. 20;
    for my $round (1 .. 10) {
        $_->send_raw($_->format_request('POST', '/api/v1/jobs', body => {type => 'noop', metadata => {round => "$round"}})) for @connections;
        $_->{answer} = $_->read_response for @connections;
    }
    my $pipelined = $tf->http;
    $pipelined->send_raw(join '', map { $pipelined->format_request('POST', '/api/v1/jobs', body => {type => 'noop', name => "p$_"}) } 1 .. 50);
    my @answers = map { $pipelined->read_response } 1 .. 50;
    is(scalar(grep { $_->status == 202 } @answers), 50, '50 pipelined submits on one connection are all accepted');
    is_deeply([map { $_->json->{name} } @answers], [map {"p$_"} 1 .. 50], 'and answered in order');
    my %ids = map { $_->json->{id} => 1 } @answers, map { $_->{answer} } @connections;
    is(scalar keys %ids, 70, 'every id is new');
    is($tf->sql_value("SELECT count(*) FROM jobs WHERE metadata->>'round' IS NOT NULL"), 200, '200 concurrent submits are 200 rows');
};

ok(wait_until(60, sub { $tf->sql_value("SELECT count(*) = 0 FROM jobs WHERE status <> 'SUCCESS'") eq 't' }), 'all of them run');

done_testing;
