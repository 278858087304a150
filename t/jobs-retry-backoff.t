# A failed attempt is tried again after base * 2^n, as often as the job allows, and then becomes DEAD_LETTER.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

my $tf = TaskForge->start;

my %slow = (type => 'sleep', payload => {seconds => 30}, timeout_seconds => 1);
my $id = $tf->submit({%slow, max_retries => 2, retry => {strategy => 'exponential', base_seconds => 2, max_seconds => 60, jitter => false}})->{id};

# what is to be seen between two attempts: of one that waits for long
my $first = $tf->wait_for_status($tf->submit({%slow, retry => {base_seconds => 600, max_seconds => 600, jitter => false}})->{id}, 'RETRYING');
is($first->{status}, 'RETRYING', 'an attempt that times out is tried again');
like($first->{error}, qr/timed out after 1 s/, 'the error says that it timed out');
is($first->{attempt}, 1, 'after the first attempt');
ok($first->{run_at}, 'run_at says when');
is($first->{finished_at}, undef, 'it has not finished');
cmp_ok($first->{duration_seconds}, '>=', 1, 'duration_seconds is that of the attempt');

my $job = $tf->wait_for_end($id, 60);
is($job->{status}, 'DEAD_LETTER', 'when the retries are spent the job is a dead letter');
is($job->{attempt}, 3, 'max_retries 2 means three attempts');
is_deeply([map { $_->{attempt} } @{$job->{errors}}], [1, 2, 3], 'each attempt left its error');
my ($d1, $d2) = map { $_->[0] } $tf->sql("SELECT extract(epoch FROM at - lag(at) OVER (ORDER BY attempt)) FROM job_errors
    WHERE job_id = '$id' ORDER BY attempt OFFSET 1");
# when it is due to the millisecond: jobs-retry-policy.t
ok($d1 >= 3 && $d1 < 20, "the second attempt begins 2 s after the first ended (errors $d1 s apart, 1 s of it the timeout)");
ok($d2 >= 5 && $d2 < 20, "the third 4 s after the second ($d2 s apart)");
sleep 1;
is($tf->job($id)->{status}, 'DEAD_LETTER', 'and it stays where it is');

my $once = $tf->submit({type => 'sleep', payload => {seconds => 30}, timeout_seconds => 1, max_retries => 0})->{id};
my $dead = $tf->wait_for_end($once);
is("$dead->{status} $dead->{attempt}", 'DEAD_LETTER 1', 'max_retries 0 means one attempt');

my $cancelled = $tf->submit({type => 'sleep', payload => {seconds => 30}, timeout_seconds => 1})->{id};
is($tf->wait_for_status($cancelled, 'RETRYING')->{status}, 'RETRYING', 'a job with the default backoff waits a minute');
is($tf->post("/api/v1/jobs/$cancelled/cancel", undef)->json->{status}, 'CANCELLED', 'and can be cancelled meanwhile');

done_testing;
