# process_payment charges each job once, whatever happens to the worker, the gateway or the connection, and exactly what the
# payload says. The gateway is the sandbox that ships.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Files qw(slurp);
use TaskForge::Gateway;
use TaskForge::Receiver;
use TaskForge::Stack;
use TaskForge::WebServer;

my $tf = TaskForge->start(parts => [qw(postgres redis)]);
my $home = $tf->{home};
my $gateway = TaskForge::Gateway->start("$home/gateway");
my %payment = (TASKFORGE_PAYMENT_URL => $gateway->url, TASKFORGE_PAYMENT_KEY_FILE => $gateway->{key_file}, TASKFORGE_LOST_SECONDS => 60);
@{$tf->{settings}}{keys %payment} = values %payment;
$tf->start_part($_) for qw(scheduler worker nginx);
wait_until(60, sub { $tf->post('/api/v1/jobs', {type => 'noop'})->status == 202 }) or die "the type is not known\n";

my %soon = (retry => {base_seconds => 0, max_seconds => 0, jitter => false});
sub job_for { my ($payload, %more) = @_; return $tf->submit({type => 'process_payment', payload => $payload, %more})->{id} }
sub pay { my ($payload, %more) = @_; return $tf->wait_for_end(job_for($payload, %more), 60) }

# ---- seed 001's
my $job = pay({user_id => 'usr_1', amount => 19.99, currency => 'USD'});
is($job->{status}, 'SUCCESS', 'SUCCESS') or diag $job->{error};
my $result = $job->{result};
is_deeply([@{$result}{qw(status user_id amount currency)}], ['approved', 'usr_1', 19.99, 'USD'], 'the result');
like($result->{transaction_id}, qr/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, '... with the id of the transaction');
is_deeply([@{$result}{qw(amount_minor sandbox)}], [1999, true], '... in minor units, and that nobody has paid');
my ($charge) = $gateway->charges($job->{id});
is_deeply([@{$charge}{qw(amount currency customer transaction_id)}], [1999, 'USD', 'usr_1', $result->{transaction_id}], 'the gateway says the same');
is_deeply($result->{gateway}, $charge, '... and its answer is in the result');
like(join("\n", map { $_->{message} } @{$tf->job($job->{id})->{logs}}), qr/^asking the gateway for 1999 minor units of USD, idempotency key $job->{id}\nthe gateway: HTTP 200 after \d+ ms$/, '... the log tells of it');

my ($printed) = slurp("$FindBin::Bin/../docs/handlers.md") =~ /^## process_payment\n\n```sh\n(curl .*?)```$/ms;
$printed =~ s/127\.0\.0\.1:3000/127.0.0.1:$tf->{port}/;
is($tf->wait_for_end(JSON::PP::decode_json(`TOKEN=none; $printed`)->{id}, 60)->{result}{amount_minor}, 1999, 'the example of docs/handlers.md');

# ---- amounts
for my $case ([{amount => '0.29'}, 29, 'USD'], [{amount => 1.1}, 110, 'USD'], [{amount => 5}, 500, 'USD'], [{amount => '1000', currency => 'JPY'}, 1000, 'JPY'],
    [{amount => '1.005', currency => 'KWD'}, 1005, 'KWD'], [{amount => '9999999999.99', currency => 'EUR'}, 999999999999, 'EUR']) {
    my ($payload, $minor, $currency) = @$case;
    $job = pay({user_id => 42, %$payload, reference => "r $payload->{amount}"});
    is_deeply([map { [@{$_}{qw(amount currency customer)}] } $gateway->charges("r $payload->{amount}")], [[$minor, $currency, '42']], "$payload->{amount} $currency is $minor")
        or diag $job->{error};
    is_deeply([@{$job->{result}}{qw(user_id amount)}], [42, $payload->{amount}], '... and stands in the result as it was given');
}
for my $case ([{amount => '19.999'}, qr/"amount" must have at most 2 digits/], [{amount => 19.999}, qr/"amount" must have at most 2 digits/],
    [{amount => '100.5', currency => 'JPY'}, qr/"amount" must have no digits/], [{amount => 'ten'}, qr/"amount" must be a decimal number/],
    [{amount => '0.00'}, qr/"amount" must be more than 0/], [{amount => '-1'}, qr/"amount" must be more than 0/], [{amount => '1e12'}, qr/"amount" must have at most 12/],
    [{amount => 1, currency => 'XXX'}, qr/"currency" must be/], [{amount => 1, currency => 'usd'}, qr/"currency" must be/],
    [{amount => 1, user_id => "a\nb"}, qr/"user_id" must be/], [{amount => 1, reference => "a\r\nb"}, qr/"reference" and "description" must/]) {
    my ($payload, $error) = @$case;
    $job = pay({user_id => 'usr_1', %$payload});
    is("$job->{status} $job->{attempt}", 'FAILED 1', "FAILED: $error");
    like($job->{error}, qr/^payload: $error/, '... and says why');
}
for my $payload ({amount => 1}, {user_id => 'u'}, {user_id => 'u', amount => 0}, {user_id => 'u', amount => -1}, {user_id => 'u', amount => 1, card => '4242'},
    {user_id => 'u', amount => 1, currency => 'EURO'}) {
    ok($tf->post('/api/v1/jobs', {type => 'process_payment', payload => $payload})->is_problem(422), 'refused when it is submitted: ' . JSON::PP->new->canonical->encode($payload));
}

my $long = $tf->post('/api/v1/jobs', '{"type": "process_payment", "payload": {"user_id": "u", "amount": 1.' . '0' x 63 . '}}')->json->{id};
like($tf->wait_for_end($long, 60)->{error}, qr/^payload: "amount" must have at most 64 characters$/, 'FAILED: zeros without end');

# ---- declined
$job = pay({user_id => 'usr_declined', amount => 5});
is("$job->{status} $job->{attempt}", 'FAILED 1', 'declined: FAILED at once');
is($job->{error}, 'Payment gateway rejected transaction for user usr_declined: card_declined', '... and why');
is($tf->post("/api/v1/jobs/$job->{id}/retry", {})->status, 200, '... tried again by hand');
is($tf->wait_for_end($job->{id}, 30)->{status}, 'FAILED', '... with the same key: the same answer');
like(pay({user_id => 'usr_insufficient', amount => 5})->{error}, qr/for user usr_insufficient: insufficient_funds$/, 'another reason');
is(scalar(my @none = $gateway->charges($job->{id})), 0, 'nothing was charged');

# ---- once, whatever happens
$job = pay({user_id => 'usr_flaky', amount => 7});
is("$job->{status} $job->{attempt}", 'SUCCESS 2', 'a gateway that fails is asked again');
like($job->{errors}[0]{error}, qr/^Payment gateway: HTTP 503: not now$/, '... said in the errors');
is(scalar(my @one = $gateway->charges($job->{id})), 1, '... and charges once');
sub charged { my ($id) = @_; return wait_until(30, sub { $gateway->charges($id) }) }
# as long as the gateway is at work for the first attempt, it refuses others
my $executor = job_for({user_id => 'usr_slow', amount => 8}, max_retries => 30);
ok(charged($executor), 'charged, but not answered yet');
kill 'KILL', TaskForge::Process::children_of($tf->part('worker')->pid);
ok(wait_until(30, sub { my $j = $tf->job($executor); $j->{status} eq 'RETRYING' || $j->{attempt} > 1 }), '... when the executor is killed');
my $worker = job_for({user_id => 'usr_slow', amount => 9}, max_retries => 30);
ok(charged($worker), 'charged, but not answered yet');
$tf->kill_part('worker');
$tf->start_part('worker');
for my $case ([executor => $executor, 8], [worker => $worker, 9]) {
    my ($who, $id, $amount) = @$case;
    $job = $tf->wait_for_end($id, 90);
    is($job->{status}, 'SUCCESS', "kill -9 of the $who between charge and answer: SUCCESS in the end") or diag $job->{error};
    cmp_ok($job->{attempt}, '>', 1, '... in another attempt');
    my @charges = $gateway->charges($id);
    is_deeply([map { $_->{amount} } @charges], [$amount * 100], '... charged once');
    is($job->{result}{transaction_id}, $charges[0]{transaction_id}, '... and the result has that charge');
}

# ---- cancel
my $cancelled = job_for({user_id => 'usr_slow', amount => 3});
ok(charged($cancelled), 'the gateway takes its time');
my $began = time;
$tf->post("/api/v1/jobs/$cancelled/cancel", {});
$job = $tf->wait_for_end($cancelled, 30);
is($job->{status}, 'CANCELLED', 'cancelled meanwhile');
cmp_ok(time - $began, '<', 15, '... soon');
like($job->{error}, qr/user usr_slow may have been charged \(idempotency key $cancelled\)$/, '... and the error says what that means');

# ---- other gateways
my $other = TaskForge::Receiver->start($home);
sub worker_with { my ($name, %settings) = @_; $tf->start_part($name, TASKFORGE_WORKER_QUEUES => $name, %settings); return }
my $closed = TaskForge::Stack::free_port();
worker_with('worker2', TASKFORGE_PAYMENT_URL => $other->url('/status/500'));
worker_with('worker3', TASKFORGE_PAYMENT_URL => $other->url('/later/429/600'));
worker_with('worker4', TASKFORGE_PAYMENT_URL => $other->url('/status/400'));
worker_with('worker5', TASKFORGE_PAYMENT_URL => $other->url('/hang'), TASKFORGE_PAYMENT_TIMEOUT_SECONDS => 1);
worker_with('worker6', TASKFORGE_PAYMENT_URL => $other->url('/ok'));
worker_with('worker7', TASKFORGE_PAYMENT_URL => "http://127.0.0.1:$closed/");
worker_with('worker8', TASKFORGE_PAYMENT_URL => '');
worker_with('worker9', TASKFORGE_PAYMENT_KEY => 'some-other-key');
my $wordy = TaskForge::WebServer->start($home, {'/charges' => {json => {status => 'approved', transaction_id => 't-1', note => 'x' x 5000}}});
worker_with('worker10', TASKFORGE_PAYMENT_URL => $wordy->url('/charges'), TASKFORGE_RESULT_MAX_BYTES => 4096);
my $unknown = qr/; whether user usr_1 was charged is not known yet$/;
for my $case ([2, 'DEAD_LETTER', qr/^Payment gateway: HTTP 500$/], [4, 'FAILED', qr/^Payment gateway: HTTP 400$/],
    [5, 'DEAD_LETTER', qr/^no answer from the payment gateway after \d+ ms: .*$unknown/], [6, 'DEAD_LETTER', qr/^the payment gateway's answer \(HTTP 200\) has no status$unknown/],
    [7, 'DEAD_LETTER', qr/^no answer from the payment gateway after \d+ ms: .*$unknown/], [8, 'FAILED', qr/^no payment gateway is set: TASKFORGE_PAYMENT_URL$/],
    [9, 'FAILED', qr/^Payment gateway: HTTP 401: the key is wrong$/]) {
    my ($n, $status, $error) = @$case;
    $job = pay({user_id => 'usr_1', amount => 1}, %soon, queue => "worker$n", max_retries => 1);
    is($job->{status}, $status, "$status: $error");
    like($job->{error}, $error, '... and why');
}
$job = pay({user_id => 'usr_1', amount => 1.5}, queue => 'worker10');
is($job->{status}, 'SUCCESS', 'an answer that the result has no room for: SUCCESS, for the customer has paid') or diag $job->{error};
is_deeply($job->{result}, {status => 'approved', user_id => 'usr_1', amount => 1.5, currency => 'USD', transaction_id => 't-1', amount_minor => 150, truncated => true},
    '... and the result says so without it');
my $later = $tf->wait_for_status(job_for({user_id => 'usr_1', amount => 1}, queue => 'worker3'), 'RETRYING');
is($tf->sql_value("SELECT round(extract(epoch FROM run_at - updated_at)) FROM jobs WHERE id = '$later->{id}'"), 600, 'Retry-After is obeyed');
my @asked = $other->requests('/status/500');
is_deeply([map { $_->{headers}{'idempotency-key'} } @asked], [($asked[0]{headers}{'idempotency-key'}) x 2], 'each attempt has the same key');
is_deeply([map { $_->{body} } @asked], [($asked[0]{body}) x 2], '... and the same body');

# ---- the sandbox itself
my %key = (headers => {'Idempotency-Key' => 'once'});
my %order = (amount => 5, currency => 'USD', customer => 'c', reference => 'direct');
my @answers = map { $gateway->request('POST', %key, body => \%order) } 1 .. 2;
is_deeply($answers[1]->json, $answers[0]->json, 'the sandbox gives the same answer to the same key');
is($answers[1]->header('idempotent-replayed'), 'true', '... and says so');
is($gateway->request('POST', %key, body => {%order, amount => 6})->status, 422, '... and refuses another request under it');
is($gateway->request('POST', body => \%order)->status, 400, '... or one without a key');
is($gateway->request('POST', %key, body => '{')->status, 400, '... or one that is no JSON');
is($gateway->request('GET', headers => {Authorization => 'Bearer x'})->status, 401, '... or a stranger');

# ---- settings
for my $case (
    [TASKFORGE_PAYMENT_URL => 'http://pay.example.com/', qr/TASKFORGE_PAYMENT_URL must begin with https:/],
    [TASKFORGE_PAYMENT_URL => 'ftp://pay.example.com/', qr/TASKFORGE_PAYMENT_URL must /],
    [TASKFORGE_PAYMENT_KEY => '', qr/TASKFORGE_PAYMENT_KEY must have/],
    [TASKFORGE_PAYMENT_KEY_FILE => '/none', qr{TASKFORGE_PAYMENT_KEY_FILE: /none: No such file}],
) {
    my ($name, $value, $why) = @$case;
    local @ENV{keys %{$tf->{settings}}} = values %{$tf->{settings}};
    local $ENV{$name} = $value;
    my $said = `"$home/bin/taskforge-worker" -t 2>&1`;
    ok($? && $said =~ $why, "$name=$value: no worker starts") or diag $said;
}

done_testing;
