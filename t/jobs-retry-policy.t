# When a failed attempt is tried again is for the handler, the job and its type to say; what went wrong each time is kept.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Rows;

my $tf = TaskForge->start(handlers => 1, settings => {TASKFORGE_TYPE_RETRY => 'test_crash=5:2:6:exact,sleep=0:0.5:0.5'});

sub fails { my ($payload, %o) = @_; return $tf->submit({type => 'test_fail', payload => $payload, %o})->{id} }
# Seconds from the end of the attempt to the next, as planned.
sub delay { return 0 + $tf->sql_value("SELECT round(extract(epoch FROM run_at - updated_at)::numeric, 3) FROM jobs WHERE id = '$_[0]'") }

# The same of this attempt, as soon as it has failed: written down by a trigger, for the state lasts for that long only.
$tf->sql('CREATE TABLE plans (id uuid, attempt int, seconds numeric)', 'GRANT INSERT ON plans TO PUBLIC',
    q{CREATE FUNCTION write_plan() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO plans VALUES (new.id, new.attempt, round(extract(epoch FROM new.run_at - new.updated_at)::numeric, 3)); RETURN NULL;
      END $$},
    "CREATE TRIGGER write_plan AFTER UPDATE ON jobs FOR EACH ROW WHEN (old.status <> new.status AND new.status = 'RETRYING') EXECUTE FUNCTION write_plan()");
sub planned {
    my ($id, $attempt) = @_;
    my $seconds = wait_until(60, sub { $tf->sql_value("SELECT seconds FROM plans WHERE id = '$id' AND attempt = $attempt") });
    diag "no attempt $attempt" if !$seconds;
    return 0 + ($seconds // 0);
}

# permanent
my $job = $tf->wait_for_end(fails({permanent => true, error => 'the file is empty'}));
is("$job->{status} $job->{attempt}", 'FAILED 1', 'a permanent failure is not tried again');
is($job->{error}, 'the file is empty', '... and says why');
is_deeply([map {"$_->{attempt} $_->{error}"} @{$job->{errors}}], ['1 the file is empty'], '... in the list of errors too');
is($job->{errors}[0]{worker}, 'test/default', '... with the worker');

# the type's policy: 2 s, doubled each time, no jitter
my $typed = fails({});
my @delays;
for my $attempt (1 .. 3) {
    push @delays, planned($typed, $attempt);
    $tf->sql("UPDATE jobs SET run_at = now() WHERE id = '$typed' AND status = 'RETRYING'", "NOTIFY tf_due") if $attempt < 3;
}
is_deeply(\@delays, [2, 4, 8], "the type's policy holds: 2 s, 4 s, 8 s");

# the settings' policy for a type
my $set = $tf->submit({type => 'test_crash', payload => {how => 'exit'}});
is($set->{max_retries}, 5, 'the settings say otherwise: another number of retries');
@delays = ();
for my $attempt (1 .. 3) {
    push @delays, planned($set->{id}, $attempt);
    $tf->sql("UPDATE jobs SET run_at = now() WHERE id = '$set->{id}' AND status = 'RETRYING'", "NOTIFY tf_due") if $attempt < 3;
}
is_deeply(\@delays, [2, 4, 6], '... other delays, and another most');
is($tf->submit({type => 'test_crash', payload => {how => 'exit'}, max_retries => 1})->{max_retries}, 1, "... which a job's own comes before");
for (
    ['sleep', 'is not type=retries:seconds:most'], ['nap=1:1:1', 'this worker has no type "nap"'], ['sleep=1:2', 'not a number of retries'],
    ['sleep=1:5:2', 'the most not less'], ['sleep=1.5:1:2', 'not a number of retries'], ['sleep=101:1:2', 'not a number of retries'],
    ['sleep=1:1:2:never', 'not a number of retries'], ['sleep=1:x:2', 'not a number of retries'], ['sleep=' . '1' x 300, 'is too long'],
) {
    my ($setting, $why) = @$_;
    local @ENV{keys %{$tf->{settings}}} = values %{$tf->{settings}};
    local $ENV{TASKFORGE_TYPE_RETRY} = $setting;
    my $text = `"$tf->{home}/bin/taskforge-worker" -t 2>&1`;
    ok($? && $text =~ /TASKFORGE_TYPE_RETRY: .*\Q$why\E/, substr($setting, 0, 20) . ": $why") or diag $text;
}

# Retry-After
my $later = fails({retry_after => 100});
$tf->wait_for_status($later, 'RETRYING');
is(delay($later), 100, 'a handler that says in how many seconds is obeyed');
my $soon = $tf->wait_for_end(fails({retry_after => 0}, max_retries => 2));
is("$soon->{status} $soon->{attempt}", 'DEAD_LETTER 3', '... but not more often than the job allows');

# the job's policy
my $own = fails({}, retry => {strategy => 'exponential', base_seconds => 50, max_seconds => 60, jitter => false});
$tf->wait_for_status($own, 'RETRYING');
is(delay($own), 50, "the job's own policy comes before that of its type");

# the time budget
my $budget = $tf->wait_for_end(fails({error => 'no luck'}, max_retries => 50,
    retry => {strategy => 'exponential', base_seconds => 1, max_seconds => 60, jitter => false, budget_seconds => 5}), 40);
is($budget->{status}, 'DEAD_LETTER', 'a job whose time budget is spent is a dead letter');
# attempts at 0, 1, 3 s; the next would be at 7 s; a slow machine may lose one
ok($budget->{attempt} >= 2 && $budget->{attempt} <= 3, "... however many retries are left (attempt $budget->{attempt})");
is($budget->{error}, 'no luck; not tried again: the time budget of 5 s is spent', '... and the error says so');

is_deeply([$tf->wrong_counts], [], 'the counters are right');
done_testing;
