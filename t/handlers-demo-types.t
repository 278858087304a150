# The demo types of seeds 001 and 002: so many retries, and exactly 2, 4, 8, ... seconds before them; echo.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Stack;

my %types = (
    send_email      => {retries => 5, payload => {to => 'ada@example.com', subject => 's', body => 'b'}, error => qr/^SMTP connection refused: /},
    process_payment => {retries => 3, payload => {user_id => 'usr_1', amount => 1}, error => qr/^no answer from the payment gateway /},
);

my $closed = TaskForge::Stack::free_port();
my $tf = TaskForge->start(parts => [qw(postgres redis nginx worker scheduler)], settings => {
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
