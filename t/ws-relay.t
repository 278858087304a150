# The relay alone: what is added to tf:events reaches every subscriber once, in order, whatever is restarted.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

my $tf = TaskForge->start(parts => [qw(redis nchan nginx)]);
my $n = 0;

# Adds entries of $per events each, numbered on.
sub add {
    my ($entries, $per) = @_;
    for (1 .. $entries) {
        my $e = join "\n", map { $n++; qq({"event":"job_queued","ts":"x","job":{"n":$n}}) } 1 .. $per;
        $tf->redis('XADD', 'tf:events', 'MAXLEN', '~', 8192, '*', 'e', $e);
    }
    return;
}

sub numbers { return map { $_->{job}{n} // $_->{event} } @_ }

# The numbers that arrive until the last added one has.
sub arrived {
    my ($ws, $seconds) = @_;
    my $last = $n;
    return numbers($ws->events_until($seconds // 10, sub { ($_[0]{job}{n} // 0) == $last }));
}

my $one = $tf->subscribe;
is($one->{connected}{event}, 'connected', 'the first message is connected');
ok($one->{connected}{connection_id}, 'with an id');
my $two = $tf->subscribe;

add(3, 1);
add(2, 32);
is_deeply([arrived($one)], [1 .. 67], 'a subscriber gets every event, in order');
is_deeply([arrived($two)], [1 .. 67], 'and so does every other');

add(1, 3);
my @events = $one->events_until(5, sub { $_[0]{job}{n} == $n });
my @seqs = map { $_->{seq} } @events;
like($seqs[0], qr/^\d+-\d+-0$/, 'seq is the id of the entry and the place in it');
is_deeply([map { s/-\d+$//r } @seqs], [($seqs[0] =~ s/-\d+$//r) x 3], 'of the same entry');
is_deeply([map { /-(\d+)$/ } @seqs], [0, 1, 2], 'counted from 0');
arrived($two);

$_->close for $one, $two;
add(5, 1);
sleep 2.5;
add(5, 1);
my $late = $tf->subscribe;
add(5, 1);
my @late = arrived($late);
is_deeply([grep { $_ > $n - 5 } @late], [$n - 4 .. $n], 'after an idle time nothing added after connected is missed');
is_deeply([grep { $_ <= $n - 10 } @late], [], 'and nothing old is sent');

done_testing;
