# More events than anybody can follow: the relay skips, says so, and costs nobody else anything.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Events qw(numbers);
use TaskForge::Process qw(halt);

# one second of lag and the least rate, so that a test machine can outrun it
my $tf = TaskForge->start(parts => [qw(redis nchan nginx)],
    edit => sub { my ($text) = @_; $text =~ s/(taskforge_relay [^;]*);/$1 rate=1000 lag=1s;/ or die; return $text });
my $events = TaskForge::Events->new($tf);

my $ws = $tf->subscribe;
my $from = time;
$events->add(400, 32);
my @got = $events->caught_up($ws, 1);
my $seconds = time - $from;

ok((grep { $_ eq 'resync' } @got), 'a flood of ' . $events->last . ' events: subscribers get a resync');
cmp_ok(scalar(grep { $_ eq 'resync' } @got), '<=', 1 + $seconds, 'one for each time the relay skipped, not more');
is($got[-1], $events->last, 'and are up to date again');
my @n = grep { $_ ne 'resync' } @got;
ok(!grep({ $n[$_] <= $n[$_ - 1] } 1 .. $#n), 'what came is in order, without doubles');
cmp_ok(scalar(@n), '<', $events->last, 'events were left out');
cmp_ok(scalar(@n), '<=', 1000 * ($seconds + 1) + 200, 'no more than the rate came through');
my ($gaps, $told) = (0, 0);
for my $i (1 .. $#got) {
    next if $got[$i] eq 'resync';
    if ($got[$i - 1] eq 'resync') { $told++; next }
    $gaps++ if $got[$i] != $got[$i - 1] + 1;
}
is($gaps, 0, 'never without a resync');

my $last = $events->last;
my @missed = @{$tf->get('/api/v1/events?limit=5000')->json->{items}};
is(numbers($missed[0]), 1, 'GET /events has what was left out');

$events->add(10, 1);
is_deeply([$events->arrived($ws)], [$last + 1 .. $last + 10], 'then all is as before');

# trimmed away while the relay could not read
my $nchan = (TaskForge::Process::children_of($tf->part('nchan')->pid))[0];
halt($nchan);
$events->add(20, 1);
$tf->redis('XTRIM', 'tf:events', 'MAXLEN', 5);
kill 'CONT', $nchan;
$events->add(1, 1);
@got = $events->caught_up($ws, 15);
is($got[-1], $events->last, 'a stream trimmed under the relay: it goes on');

$ws->close;

done_testing;
