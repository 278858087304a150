# GET /jobs/metrics/summary: kept by counters, equal to a recount.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

my $tf = TaskForge->start;

sub summary { return $tf->get('/api/v1/jobs/metrics/summary')->json }

my $empty = summary();
is($empty->{total}, 0, 'nothing is counted at first');
is($empty->{avg_duration_seconds}, undef, 'nothing has a duration');
is($empty->{success_rate}, undef, 'nor a success rate');

$tf->submit_batch(map { {type => 'noop', priority => $_ % 11} } 1 .. 200);
$tf->submit_batch(map { {type => 'sleep', payload => {seconds => 0.05}, priority => 'high'} } 1 .. 20);
$tf->submit_batch(map { {type => 'data_processing', payload => {dataset => 'missing'}} } 1 .. 10);
$tf->submit_batch(map { {type => 'noop', delay_seconds => 3600} } 1 .. 5);
my $cancel = $tf->submit({type => 'noop', delay_seconds => 3600})->{id};
$tf->post("/api/v1/jobs/$cancel/cancel", undef);
my $delete = $tf->submit({type => 'noop'})->{id};
my $deleted = $tf->wait_for_end($delete)->{duration_seconds};
$tf->api->delete("/api/v1/jobs/$delete");
ok(wait_until(60, sub { $tf->sql_value("SELECT count(*) FROM jobs WHERE status IN ('SUCCESS', 'FAILED', 'CANCELLED')") == 231 }), '231 jobs ended');

my $s = summary();
is($s->{total}, $tf->sql_value('SELECT count(*) FROM jobs'), 'total equals a recount');
for my $by (qw(status type)) {
    my %recount = map { $_->[0] => $_->[1] } $tf->sql("SELECT $by, count(*) FROM jobs GROUP BY 1");
    my %shown = map { $_ => $s->{"by_$by"}{$_} } grep { $s->{"by_$by"}{$_} } keys %{$s->{"by_$by"}};
    is_deeply(\%shown, \%recount, "by_$by equals a recount");
}
my %recount = map { $_->[0] => $_->[1] } $tf->sql(q{SELECT CASE WHEN priority <= 3 THEN 'low' WHEN priority <= 6 THEN 'normal'
    WHEN priority <= 8 THEN 'high' ELSE 'critical' END, count(*) FROM jobs GROUP BY 1});
is_deeply({map { $_ => $s->{by_priority}{$_} } grep { $s->{by_priority}{$_} } keys %{$s->{by_priority}}}, \%recount, 'by_priority equals a recount');

# the deleted one was as much of a success
my $durations = "(SELECT extract(epoch FROM finished_at - started_at) AS d FROM jobs WHERE status = 'SUCCESS' UNION ALL SELECT $deleted) s";
my $avg = $tf->sql_value("SELECT avg(d) FROM $durations");
ok(abs($s->{avg_duration_seconds} - $avg) < 0.001 + 0.05 * $avg, "avg_duration_seconds is the mean ($s->{avg_duration_seconds}, recount $avg)");
ok(abs($s->{success_rate} - 220 / 230) < 0.01, "success_rate is successes over ends ($s->{success_rate})");
ok($s->{p50_duration_seconds} <= $s->{p95_duration_seconds} && $s->{p95_duration_seconds} <= $s->{p99_duration_seconds}, 'p50 <= p95 <= p99');
my $p99 = $tf->sql_value("SELECT percentile_disc(0.99) WITHIN GROUP (ORDER BY d) FROM $durations");
ok($s->{p99_duration_seconds} > $p99 / 1.3 && $s->{p99_duration_seconds} < $p99 * 1.3, "p99 is right within a bucket ($s->{p99_duration_seconds}, recount $p99)");
my %sum;
for my $minute (@{$s->{throughput_per_minute}}) {
    $sum{$_} += $minute->{$_} for qw(submitted succeeded failed);
}
is(scalar @{$s->{throughput_per_minute}}, 60, 'throughput has the 60 minutes of the last hour');
is($sum{submitted}, 237, 'what was submitted adds up');
is($sum{succeeded}, 221, 'what succeeded, the deleted one included');
is($sum{failed}, 10, 'and what failed');

done_testing;
