# The relay alone: what is added to tf:events reaches every subscriber once, in order.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Events;

my $tf = TaskForge->start(parts => [qw(redis nchan nginx)]);
my $events = TaskForge::Events->new($tf);

my $one = $tf->subscribe;
ok($one->{connected}{connection_id}, 'with an id');
my $two = $tf->subscribe;
isnt($two->{connected}{connection_id}, $one->{connected}{connection_id}, 'that is its own');

$events->add(3, 1);
$events->add(2, 32);
is_deeply([$events->arrived($one)], [1 .. 67], 'a subscriber gets every event, in order');
is_deeply([$events->arrived($two)], [1 .. 67], 'and so does every other');

$events->add(1, 3);
my @got = $one->events_until(30, sub { $_[0]{job}{n} == $events->last });
my @seqs = map { $_->{seq} } @got;
like($seqs[0], qr/^\d+-\d+-0$/, 'seq is the id of the entry and the place in it');
is_deeply([map { s/-\d+$//r } @seqs], [($seqs[0] =~ s/-\d+$//r) x 3], 'of the same entry');
is_deeply([map { /-(\d+)$/ } @seqs], [0, 1, 2], 'counted from 0');
$events->arrived($two);

$tf->redis('XADD', 'tf:events', '*', 'x', 'nothing of ours');
$tf->redis('XADD', 'tf:events', '*', 'e', "no object\n{\"event\":\"job_queued\",\"job\":{\"n\":0}}\n\n{broken");
$events->add(1, 1);
is_deeply([$events->arrived($two)], [0, $events->last], 'what is no event in the stream is left out');
$events->arrived($one);

$_->close for $one, $two;
$events->add(5, 1);
sleep 2.5;
$events->add(5, 1);
my $late = $tf->subscribe;
$events->add(5, 1);
my @late = $events->arrived($late);
my $last = $events->last;
is_deeply([grep { $_ > $last - 5 } @late], [$last - 4 .. $last], 'after an idle time nothing added after connected is missed');
is_deeply([grep { $_ <= $last - 10 } @late], [], 'and nothing old is sent');

# nchan 1.3.6 may get stuck in what it has stored, so it stores nothing
my ($bad, $old) = (0, 0);
for my $round (1 .. 20) {
    $events->add(5, 32);
    $events->arrived($late);
    my $new = $tf->subscribe;
    my $from = $events->add(1, 3) - 2;
    my @got = $events->arrived($new, 30);
    $bad++ if join(' ', grep { $_ >= $from } @got) ne join(' ', $from .. $events->last);
    $old++ if grep { $_ < $from } @got;
    $events->arrived($late);
    $new->close;
}
is($bad, 0, 'subscribers that come in the middle of many events miss nothing');
is($old, 0, 'and get nothing old');

# a second reader counts what Redis is asked for
$late->close;
sub reads { return ($tf->redis('INFO', 'commandstats') =~ /cmdstat_xread:calls=(\d+)/)[0] }
ok(wait_until(60, sub { my $n = reads(); $events->add(20, 1); sleep 3; reads() == $n }), 'while nobody listens nothing is read');

done_testing;
