# Prefer: wait=N (RFC 7240): submit, or read, and get the result in one call.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

my $WAITERS = 4;
my $tf = TaskForge->start(edit => sub {
    my ($text) = @_;
    $text =~ s/(taskforge_zone [^\n]*\n)/$1    taskforge_wait waiters=$WAITERS;\n/ or die 'no taskforge_zone';
    $text =~ s/^worker_processes .*$/worker_processes 1;/m or die 'no worker_processes';
    return $text;
});
my %wait = (headers => {Prefer => 'wait=30'}, timeout => 40);
sub submit { my ($body, %o) = @_; return $tf->http->post('/api/v1/jobs', $body, %wait, %o) }
sub get { my ($id, %o) = @_; return $tf->http->get("/api/v1/jobs/$id", %wait, %o) }

# Sends, and gives the connection back to be read later.
sub send_wait {
    my ($method, $path, %o) = @_;
    my $http = $tf->http(timeout => 40);
    $http->send_raw($http->format_request($method, "/api/v1$path", headers => {Prefer => 'wait=60'}, %o));
    return $http;
}

for (1 .. 3) {
    my $r = submit({type => 'sleep', payload => {seconds => 0.2}});
    is($r->status, 200, 'a submit that prefers to wait is answered when the job has ended');
    is($r->json->{status}, 'SUCCESS', 'with the job as it is then');
    is_deeply($r->json->{result}, {seconds => 0.2}, 'the result');
    is(ref $r->json->{logs}, 'ARRAY', 'and all the rest of it');
    is($r->header('preference-applied'), 'wait=30', 'it says that the preference was heeded');
    is($r->header('location'), '/api/v1/jobs/' . $r->json->{id}, 'and where the job is');
}
for (1 .. 20) {
    my $r = submit({type => 'noop'});
    last if $_ == 20 && is($r->status, 200, 'however quickly it ends');
    die $r->status unless $r->status == 200;
}
my $r = submit({type => 'data_processing', payload => {dataset => 'none'}});
is($r->json->{status}, 'FAILED', 'a failure is an end, too');

my $id = $tf->submit({type => 'sleep', payload => {seconds => 1}})->{id};
$r = get($id);
is($r->status, 200, 'a read that prefers to wait');
is($r->json->{status}, 'SUCCESS', 'is answered when the job has ended');
is($r->header('preference-applied'), 'wait=30', 'and says so');
is(get($id)->json->{status}, 'SUCCESS', 'at once when it had ended before');
ok(get('01939d3e-0000-7000-8000-000000000000')->is_problem(404), 'a job that does not exist: 404');

# the time is over
my $later = $tf->submit({type => 'noop', delay_seconds => 3600})->{id};
$r = get($later, headers => {Prefer => 'respond-async, wait=1'});
is($r->status, 200, 'when the time is over');
is($r->json->{status}, 'SCHEDULED', 'a read gets the job as it is');
is($r->header('preference-applied'), 'wait=1', 'with the preference applied');
$r = submit({type => 'noop', delay_seconds => 3600}, headers => {prefer => 'foo="a, wait=9"; x, Wait="1"'});
is($r->status, 202, 'and a submit its usual answer');
is($r->header('preference-applied'), 'wait=1', 'also of a preference among others');
is($r->json->{status}, 'SCHEDULED', 'with the job');
is(submit({type => 'noop'}, headers => {Prefer => $_})->status, 202, "\"Prefer: $_\" asks for nothing")
    for 'wait=0', 'wait=soon', 'wait', 'waiting=5', '"wait=5"';
is(get($later, headers => {Prefer => 'wait=1, wait=1'})->header('preference-applied'), 'wait=1', 'the first of two counts');
my $long = send_wait(GET => "/jobs/$later", headers => {Prefer => 'wait=86400'});
sleep 0.1;
$tf->post("/api/v1/jobs/$later/cancel", undef);
$r = $long->read_response;
is($r->json->{status}, 'CANCELLED', 'a cancelled job has ended');
is($r->header('preference-applied'), 'wait=60', 'nobody waits longer than 60 s');

# an idempotent replay waits for the job that is there
my $keyed = {type => 'sleep', payload => {seconds => 1}, idempotency_key => 'once'};
$id = $tf->submit($keyed)->{id};
$r = submit($keyed);
is($r->json->{id}, $id, 'a replayed submit waits');
is($r->json->{status}, 'SUCCESS', 'for the end of the job that is there');
is($r->header('idempotent-replayed'), 'true', 'and says that it is a replay');
my $slow = {type => 'noop', delay_seconds => 3600, idempotency_key => 'slow'};
$id = $tf->submit($slow)->{id};
$r = submit($slow, headers => {Prefer => 'wait=1'});
is($r->json->{id} . $r->json->{status}, "${id}SCHEDULED", 'or for its time');

ok(wait_until(60, sub {
    my $late = submit({type => 'sleep', payload => {seconds => 300}}, headers => {Prefer => 'wait=1'});
    $tf->post('/api/v1/jobs/' . $late->json->{id} . '/cancel');
    $late->status == 202 && $late->json->{status} eq 'RUNNING';
}), 'who has waited in vain hears how it stands now');

# no more than so many
my $never = $tf->submit({type => 'noop', delay_seconds => 3600})->{id};
my @waiting = map { send_wait(GET => "/jobs/$never") } 1 .. $WAITERS;
my $refused;
ok(wait_until(20, sub { $refused = get($never, headers => {Prefer => 'wait=1'}); !$refused->header('preference-applied') }),
    'when too many wait, the next is answered at once');
is($refused->json->{status}, 'SCHEDULED', 'in the usual way');
# a client that goes away makes room
(shift @waiting)->close;
ok(wait_until(20, sub { get($never, headers => {Prefer => 'wait=1'})->header('preference-applied') }), 'one that goes away makes room');

# reload: those who wait get their answer
my ($old) = $tf->nginx_workers;
$tf->reload;
ok(kill(0, $old), 'an old worker process lives on while somebody waits');
$tf->post("/api/v1/jobs/$never/cancel", undef);
is_deeply([map { $_->read_response->json->{status} } @waiting], [('CANCELLED') x ($WAITERS - 1)], 'those who wait during a reload get their answer');
ok(wait_until(60, sub { !kill 0, $old }), 'then it ends');

# without Redis: the net
$tf->stop_part('redis');
$tf->expect_log(qr/Redis/);
my $alone = $tf->submit({type => 'noop', delay_seconds => 3600})->{id};
my $http = send_wait(GET => "/jobs/$alone");
sleep 0.5;
$tf->post("/api/v1/jobs/$alone/cancel", undef);
is($http->read_response->json->{status}, 'CANCELLED', 'without Redis the end is noticed all the same');
$tf->start_part('redis');
$r = submit({type => 'sleep', payload => {seconds => 0.5}});
is($r->status, 200, 'and when Redis is back, everything is as before');

done_testing;
