# What the systems before this one were sent: each of their payloads is taken as it stands and done, and the result has the members
# it had there. The demo types of seeds 001 and 002: so many retries, and exactly 2, 4, 8, ... seconds before them; echo.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Files qw(spew);
use TaskForge::Gateway;
use TaskForge::SMTP;
use TaskForge::Stack;
use TaskForge::WebServer;

my %types = (
    send_email      => {retries => 5, payload => {to => 'ada@example.com', subject => 's', body => 'b'}, error => qr/^SMTP connection refused: /},
    process_payment => {retries => 3, payload => {user_id => 'usr_1', amount => 1}, error => qr/^no answer from the payment gateway /},
);

my $closed = TaskForge::Stack::free_port();
my $tf = TaskForge->start(parts => [qw(postgres redis nginx worker scheduler)], dataset => 1, settings => {
    TASKFORGE_SMTP_URL => "smtp://127.0.0.1:$closed", TASKFORGE_EMAIL_FROM => 'jobs@example.com',
    TASKFORGE_PAYMENT_URL => "http://127.0.0.1:$closed/", TASKFORGE_PAYMENT_KEY => 'a-key-of-the-test', TASKFORGE_LOST_SECONDS => 60,
});
# each delay as it was decided, however long it takes to look
$tf->sql('CREATE TABLE delays (id uuid, attempt int, seconds numeric); GRANT INSERT ON delays TO PUBLIC',
    q{CREATE FUNCTION keep_delay() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO delays VALUES (new.id, new.attempt, round(extract(epoch FROM new.run_at - new.updated_at)::numeric, 3));
        RETURN NULL;
      END $$; GRANT EXECUTE ON FUNCTION keep_delay() TO PUBLIC},
    q{CREATE TRIGGER keep_delay AFTER UPDATE ON jobs FOR EACH ROW WHEN (new.status = 'RETRYING' AND old.status <> 'RETRYING') EXECUTE FUNCTION keep_delay()});
wait_until(60, sub { $tf->post('/api/v1/jobs', {type => 'noop'})->status == 202 }) or die "the type is not known\n";

# ---- the payloads of the seeds, where everything they need is there
my $home = $tf->{home};
my $mail = TaskForge::SMTP->start("$home/mail");
my $gateway = TaskForge::Gateway->start("$home/gateway");
my $web = TaskForge::WebServer->start("$home/log", {TaskForge::WebServer::openai(), '/shop' => '<title>Shop</title><h1>Things</h1>', '/robots.txt' => ''});
mkdir "$home/templates";
spew("$home/templates/welcome.txt", 'Dear all');
$tf->start_part('worker2', TASKFORGE_WORKER_QUEUES => 'seeds', TASKFORGE_OUTGOING_ALLOW => '127.0.0.1', TASKFORGE_SCAN_TARGETS => '127.0.0.1',
    TASKFORGE_SMTP_URL => "smtp://127.0.0.1:$mail->{port}", TASKFORGE_SMTP_STARTTLS => 'off', TASKFORGE_EMAIL_TEMPLATES_DIR => "$home/templates",
    TASKFORGE_PAYMENT_URL => $gateway->url, TASKFORGE_PAYMENT_KEY => $gateway->{key}, TASKFORGE_AI_URL => $web->url('/v1/'));
my $uuid = qr/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
my @seeds = (
    # 000
    [data_processing => {dataset => 'sales_q1', operation => 'aggregate', rows => 50000}, {rows => 50000}],
    [web_scraping => {url => $web->url('/shop'), depth => 1, selectors => {heading => 'h1'}}, {}],
    [ai_inference => {model => 'any', prompt => 'say it', max_tokens => 100}, {}],
    [security_scan => {target => '127.0.0.1', scan_type => 'ports'}, {scan_type => 'ports'}],
    [email => {to => 'ada@example.com', subject => 'Hello', template => 'welcome', recipients => ['bob@example.com']}, {status => 'sent'}],
    [custom => {anything => [1, {at => 'all'}]}, {rows => 1}],
    # 001
    [send_email => {to => 'user@example.com', subject => 'Welcome aboard!', body => 'Thanks for signing up.'},
        {status => 'sent', to => 'user@example.com', subject => 'Welcome aboard!', message_id => $uuid}],
    [process_payment => {user_id => 'usr_12345', amount => 99.99, currency => 'USD'},
        {status => 'approved', user_id => 'usr_12345', amount => 99.99, currency => 'USD', transaction_id => $uuid}],
    [process_payment => {user_id => 'usr_batch_1', amount => 19.98}, {status => 'approved', currency => 'USD'}],
    [generate_report => {report_type => 'monthly_summary', user_id => 'usr_12345', date_range => 'last_30_days'},
        {status => 'completed', report_type => 'monthly_summary', user_id => 'usr_12345', file_url => qr{/monthly_summary-last_30_days-[0-9a-f-]{36}\.pdf$}, pages => qr/^\d+$/}],
    [generate_report => {report_type => 'monthly_summary', user_id => 'usr_12345'}, {status => 'completed', file_url => qr/-last_30_days-/}],
    [data_pipeline => {source => 'sales_q1.csv', destination => 'seed.csv', record_count => 1000},
        {status => 'completed', source => 'sales_q1.csv', destination => 'seed.csv', records_processed => 1000}],
    [data_pipeline => {source => 'sales_q1.csv', destination => 'all.csv'}, {records_processed => 50000}],
    # 002
    [echo => {}, {ok => qr/^1$/, task_id => $uuid}],
    [echo => {test => true}, {ok => qr/^1$/, task_id => $uuid}],
    # 003
    [email => {recipient => 'user@example.com', subject => 'Welcome!'}, {status => 'sent', to => 'user@example.com'}],
    [data_processing => {records => 1000}, {rows => 1000}],
    [data_processing => {data_size => 100}, {rows => 100}],
    [file_conversion => {filename => 'sales_q1.csv'}, {status => 'completed', from => 'csv', to => 'json'}],
    [api_call => {endpoint => $web->url('/ok')}, {status_code => 200}],
    [report_generation => {report_type => 'sales'}, {status => 'completed', report_type => 'sales'}],
);
# all are on their way before the first is looked at
my @sent = map { $tf->submit({type => $_->[0], payload => $_->[1], name => "Test $_->[0]", queue => 'seeds', max_retries => 0})->{id} } @seeds;
for my $seed (@seeds) {
    my ($type, $payload, $expected) = @$seed;
    my $done = $tf->wait_for_end(shift @sent, 60);
    my $title = "$type " . JSON::PP->new->canonical->encode($payload);
    is("$done->{status} $done->{name}", "SUCCESS Test $type", $title) or diag $done->{error};
    for my $member (sort keys %$expected) {
        ref $expected->{$member} ? like($done->{result}{$member}, $expected->{$member}, "... $member") : is($done->{result}{$member}, $expected->{$member}, "... $member");
    }
}

# ---- retries
is_deeply([$tf->sql("SELECT type, max_retries, retry_base_ms, retry_jitter FROM job_types WHERE type IN
    ('send_email', 'process_payment', 'generate_report', 'data_pipeline') ORDER BY type COLLATE \"C\"")],
    [[data_pipeline => 2, 2000, 'f'], [generate_report => 2, 2000, 'f'], [process_payment => 3, 2000, 'f'], [send_email => 5, 2000, 'f']],
    'the four types, their retries, and 2 s before the first, exactly');

# seed 002's task: whatever it is given, and a delay
my $echo = $tf->submit({type => 'echo', payload => {delay_ms => 300, scale_test => true, index => 7}});
my $echoed = $tf->wait_for_end($echo->{id}, 30);
is_deeply($echoed->{result}, {ok => true, task_id => $echo->{id}, payload => {delay_ms => 300, scale_test => true, index => 7}}, 'echo gives its payload back');
cmp_ok($echoed->{duration_seconds}, '>=', 0.3, '... after delay_ms');
is($tf->post('/api/v1/jobs', {type => 'echo', payload => {delay_ms => -1}})->status, 422, '... which is no negative number');

for my $type (sort keys %types) {
    my ($retries, $payload, $error) = @{$types{$type}}{qw(retries payload error)};
    my $job = $tf->submit({type => $type, payload => $payload});
    is($job->{max_retries}, $retries, "$type: $retries retries");
    my @delays;
    for my $attempt (1 .. $retries) {
        my $delay = wait_until(60, sub { $tf->sql_value("SELECT seconds FROM delays WHERE id = '$job->{id}' AND attempt = $attempt") });
        diag "no attempt $attempt" if !$delay;
        push @delays, 0 + ($delay // 0);
        $tf->sql("UPDATE jobs SET run_at = now() WHERE id = '$job->{id}' AND status = 'RETRYING'", 'NOTIFY tf_due');
    }
    is_deeply(\@delays, [map { 2**$_ } 1 .. $retries], '... after ' . join(', ', map { 2**$_ } 1 .. $retries) . ' s');
    $job = $tf->wait_for_end($job->{id}, 30);
    is("$job->{status} $job->{attempt}", 'DEAD_LETTER ' . ($retries + 1), '... and then no more');
    like($job->{error}, $error, '... with the error');
    is(scalar(@{$job->{errors}}), $retries + 1, '... of each attempt');
    is($tf->post('/api/v1/jobs', {type => $type, payload => {%$payload, unknown => 1}})->status, 422, '... an unknown argument is refused when it is submitted');
    is($tf->post('/api/v1/jobs', {type => $type, payload => {}})->status, 422, '... and a missing one');
}

done_testing;
