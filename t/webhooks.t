# Webhooks as a receiver and their owner see them: what is sent, who signed it, the list of deliveries, replays.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Auth qw(add_user bearer token);
use TaskForge::Receiver;
use Digest::SHA 'hmac_sha256';
use JSON::PP qw(decode_json);
use MIME::Base64 qw(decode_base64 encode_base64);

my $tf = TaskForge->start(auth => 1, registration => 'open', settings => {
    TASKFORGE_OUTGOING_ALLOW => '127.0.0.2', TASKFORGE_WORKER_CONCURRENCY => 4});
my $receiver = TaskForge::Receiver->start($tf->{home});
my %who = map { $_ => {bearer(token(add_user($tf, $_, 'operator')))} } qw(anna otto);
my $api = '/api/v1';

sub call { my ($who, $method, $path, $body) = @_; return $tf->api->request($method, "$api$path", body => $body, %{$who{$who}}) }

sub job { my ($id) = @_; return call('anna', GET => "/jobs/$id")->json }

# Submits; returns the id.
sub submit {
    my ($body, %headers) = @_;
    my $r = $tf->api->request('POST', "$api/jobs", body => $body, headers => {%{$who{anna}{headers}}, %headers});
    $r->status == 202 or die $r->status . ' ' . $r->body;
    return $r->json->{id};
}

sub deliveries { my ($id) = @_; return @{call('anna', GET => "/jobs/$id/webhooks")->json->{items} // []} }

# Waits for the n-th request to the target; returns it.
sub received {
    my ($target, $n) = @_;
    my @requests;
    wait_until(60, sub { @requests = $receiver->requests($target); @requests >= ($n // 1) });
    return $requests[($n // 1) - 1] // {headers => {}, body => '{}'};
}

# The signatures that a secret of ours makes.
sub signature {
    my ($secret, $request) = @_;
    my $h = $request->{headers};
    my $key = decode_base64($secret =~ s/^whsec_//r);
    return 'v1,' . encode_base64(hmac_sha256("$h->{'webhook-id'}.$h->{'webhook-timestamp'}.$request->{body}", $key), '');
}

# ---- the secret
ok(call('anna', GET => '/auth/webhook-secret')->is_problem(404), 'at first there is no secret');
my $r = call('anna', POST => '/auth/webhook-secret');
is($r->status, 201, 'POST /auth/webhook-secret makes one');
is($r->header('cache-control'), 'no-store', '... that no cache may keep');
my $first = $r->json->{secret};
like($first, qr/^whsec_[A-Za-z0-9+\/]{43}=$/, '... in the form of Standard Webhooks: 32 bytes');
$r = call('anna', GET => '/auth/webhook-secret');
is($r->status, 200, 'GET says that there is one');
unlike($r->body, qr/whsec/, '... and not what it is');
ok($r->json->{created_at}, '... but since when');

# ---- the message
my $trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
my $id = submit({
    type => 'data_processing', payload => {dataset => 'nothing.csv', columns => ["\x{e9}\x{1f600} \"q\" \\"]}, webhook_url => $receiver->url('/status/200?token=abc'), name => 'a name',
    metadata => {team => 'blue'}, priority => 'high', timeout_seconds => 77, max_retries => 0, expires_at => '2099-01-01T00:00:00Z',
    retry => {base_seconds => 1.5, jitter => false, budget_seconds => 3600}}, traceparent => $trace);
my $request = received('/status/200?token=abc');
my %h = %{$request->{headers}};
is($request->{method}, 'POST', 'the end of a job is told with a POST');
is($h{'content-type'}, 'application/json', '... of JSON');
like($h{'user-agent'}, qr{^TaskForge/\d}, '... by TaskForge');
like($h{'webhook-id'}, qr/^msg_[0-9a-f]{32}$/, '... with an id');
cmp_ok(abs($h{'webhook-timestamp'} - $request->{at}), '<', 60, '... the time');
is($h{'webhook-signature'}, signature($first, $request), '... a signature that the secret proves');
is($h{traceparent}, $trace, '... and the trace of the submit');
ok(!exists $h{expect}, '... at once, without asking first');
my $message = decode_json($request->{body});
is($message->{type}, 'job.failed', 'the message says what happened');
like($message->{timestamp}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/, '... when');
my $job = job($id);
delete @$job{qw(errors logs)};
is_deeply($message->{data}{job}, $job, '... and has the job as the API shows it');
is($job->{retry}{base_seconds}, 1.5, '... with its own policy of retries');

my %end = (success => {type => 'noop'}, dead_letter => {type => 'sleep', payload => {seconds => 60}, timeout_seconds => 1, max_retries => 0},
    cancelled => {type => 'noop', delay_seconds => 3600});
my %job = map { $_ => submit({%{$end{$_}}, webhook_url => $receiver->url("/ok/$_")}) } keys %end;
is(call('anna', POST => "/jobs/$job{cancelled}/cancel")->status, 200, 'cancelled');
for my $end (sort keys %end) {
    my $message = decode_json(received("/ok/$end")->{body});
    is($message->{type}, "job.$end", "the end of a job: $end");
    my $job = job($job{$end});
    delete @$job{qw(errors logs)};
    is_deeply($message->{data}{job}, $job, '... with the job');
}

# ---- large ones
$id = submit({type => 'noop', payload => {text => 'x' x 300_000}, webhook_url => $receiver->url('/ok/large')});
$message = decode_json(received('/ok/large')->{body});
is($message->{data}{job}{payload}, undef, 'a payload of more than 256 KB is left out');
is_deeply($message->{data}{omitted}, ['payload'], '... and the message says so');

# ---- the list
my @list = wait_until(60, sub { my @d = deliveries($job{success}); @d && $d[0]{finished_at} ? [@d] : 0 })->@*;
is(scalar @list, 1, 'GET /jobs/{id}/webhooks lists the delivery');
my $delivery = $list[0];
is($delivery->{status}, 'SUCCESS', '... its state');
is($delivery->{webhook_id}, received('/ok/success')->{headers}{'webhook-id'}, '... its id');
is($delivery->{type}, 'job.success', '... its type');
is(scalar @{$delivery->{attempts}}, 1, '... its attempts');
my $attempt = $delivery->{attempts}[0];
is($attempt->{status_code}, 200, '... each with the status');
is($attempt->{response}, 'thank you', '... what was answered');
like($attempt->{duration_ms}, qr/^\d+$/, '... and how long it took');
my ($failed) = deliveries(decode_json($request->{body})->{data}{job}{id});
is($failed->{url}, $receiver->url('/status/200?...'), 'the arguments of a URL are not shown');
is(job($delivery->{id})->{parent_id}, $job{success}, 'a delivery is a job, and knows whose');
is_deeply([deliveries(submit({type => 'noop'}))], [], 'a job without a webhook has no deliveries');
ok(call('anna', GET => '/jobs/01939d3e-0000-7000-8000-000000000000/webhooks')->is_problem(404), 'no such job: 404');

# ---- replays
$r = call('anna', POST => "/jobs/$job{success}/webhooks/$delivery->{id}/replay");
is($r->status, 202, 'a delivery can be replayed');
is($r->json->{replay_of}, $delivery->{id}, '... the answer says which');
my $again = received('/ok/success', 2);
is($again->{body}, received('/ok/success')->{body}, '... with the same bytes');
is($again->{headers}{'webhook-id'}, $delivery->{webhook_id}, '... and the same id');
is($again->{headers}{'webhook-signature'}, signature($first, $again), '... signed anew');
is(scalar(my @two = deliveries($job{success})), 2, 'both are in the list');
ok(call('anna', POST => "/jobs/$job{dead_letter}/webhooks/$delivery->{id}/replay")->is_problem(404), 'the delivery of another job: 404');
ok(call('anna', POST => "/jobs/$job{success}/webhooks/$job{success}/replay")->is_problem(404), 'what is no delivery: 404');

# ---- rotation
my $second = call('anna', POST => '/auth/webhook-secret')->json->{secret};
isnt($second, $first, 'POST again makes another secret');
ok(call('anna', GET => '/auth/webhook-secret')->json->{previous_expires_at}, '... the one before has an end');
submit({type => 'noop', webhook_url => $receiver->url('/ok/both')});
$request = received('/ok/both');
is($request->{headers}{'webhook-signature'}, join(' ', signature($second, $request), signature($first, $request)), 'until then both sign');
$tf->sql("UPDATE webhook_secrets SET previous_expires_at = now() - interval '1 second'");
submit({type => 'noop', webhook_url => $receiver->url('/ok/new')});
$request = received('/ok/new');
is($request->{headers}{'webhook-signature'}, signature($second, $request), 'then only the new one');
ok(call('otto', GET => '/auth/webhook-secret')->is_problem(404), 'nobody sees the secret of another');
is(call('anna', DELETE => '/auth/webhook-secret')->status, 204, 'DELETE takes it away');
ok(call('anna', DELETE => '/auth/webhook-secret')->is_problem(404), '... once');
submit({type => 'noop', webhook_url => $receiver->url('/ok/unknown')});
$request = received('/ok/unknown');
like($request->{headers}{'webhook-signature'}, qr{^v1,[A-Za-z0-9+/]{43}=$}, 'without a secret a delivery is signed all the same');
isnt($request->{headers}{'webhook-signature'}, signature($second, $request), '... by none that was known');

# ---- what callers may not do
for my $url ('ftp://example.com/', "http://127.0.0.1:$receiver->{port}/ok", 'http://[::1]/', 'http://169.254.169.254/latest/meta-data/', 'http://[::ffff:10.0.0.1]/',
    'http://2130706433/', 'http://0x7f.1/', 'http://user:password@example.com/', 'http://example.com/#x', '/ok') {
    $r = call('anna', POST => '/jobs', {type => 'noop', webhook_url => $url});
    ok($r->is_problem(422), "webhook_url $url is refused when it is submitted") or diag $r->status, $r->body;
    is($r->json->{errors}[0]{pointer}, '#/webhook_url', '... and pointed at');
}
$r = call('anna', POST => '/jobs/batch', {jobs => [{type => 'noop'}, {type => 'noop', webhook_url => 'http://10.0.0.1/'}]});
like($r->body, qr{#/jobs/1/webhook_url.*private}, 'in a batch too');
ok(call('anna', POST => '/jobs', {type => 'webhook', payload => {}})->is_problem(422), 'nobody submits deliveries');
ok(call('anna', POST => '/jobs', {type => 'noop', queue => '_webhooks'})->is_problem(422), '... or into their queue');

# ---- secrets stay secret
my $text = join '', map { TaskForge::Files::slurp($_) } glob "$tf->{home}/log/*";
$text .= $tf->sql_value("SELECT string_agg(t, '') FROM (SELECT j::text AS t FROM jobs j UNION ALL SELECT a::text FROM audit_log a UNION ALL SELECT e::text FROM job_errors e) x");
unlike($text, qr/whsec_/, 'no secret is in a log, in a job or in the audit');
is_deeply([map { $_->[0] } $tf->sql("SELECT action FROM audit_log WHERE action LIKE 'webhook%' ORDER BY id")],
    [qw(webhook_secret.rotate webhook.replay webhook_secret.rotate webhook_secret.delete)], 'the audit has who changed it, and replays');

# ---- the books
wait_until(60, sub { !$tf->sql_value("SELECT count(*) FROM jobs WHERE status NOT IN ('SUCCESS', 'FAILED', 'DEAD_LETTER', 'CANCELLED')") });
is_deeply([$tf->sql(q{SELECT queue, type, priority, status, k.n, j.n FROM
    (SELECT queue, type, priority, status, sum(n) AS n FROM job_counts GROUP BY 1, 2, 3, 4 HAVING sum(n) <> 0) k
    FULL JOIN (SELECT queue, type, priority, status, count(*) AS n FROM jobs GROUP BY 1, 2, 3, 4) j
    USING (queue, type, priority, status) WHERE k.n IS DISTINCT FROM j.n})], [], 'job_counts equal a recount');

done_testing;
