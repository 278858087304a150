# /ws/stats: the numbers of GET /stats, the first at once, then every two seconds, read once for all who listen.
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP qw(decode_json);
use List::Util qw(max);
use TaskForge;
use TaskForge::Auth qw(add_user token);
use TaskForge::Events qw(relaying_worker);
use TaskForge::Files qw(slurp);

# two workers, on a machine with one core too
my $tf = TaskForge->start(auth => 1, parts => [qw(postgres redis nchan nginx)],
    edit => sub { my ($text) = @_; $text =~ s/(worker_processes +)auto;/${1}2;/ or die; return $text });
$tf->expect_log(qr/exited on signal 9|nchan\.sock|terminating|connection|shutting down/);
$tf->sql("INSERT INTO job_types VALUES ('noop', '', '{}', 3, 60, 1000, 1000, false, now())");
my $token = token(add_user($tf, 'olga', 'operator'));
my %login = (headers => {Authorization => "Bearer $token"});

sub listen_now { return TaskForge::WS->connect(port => $tf->{port}, path => '/ws/stats', %login) }
sub numbers { my ($ws, $seconds) = @_; return $ws->next_event($seconds // 30) }
sub submit { return $tf->post('/api/v1/jobs', {type => 'noop'}, %login)->status }

# Numbers in which so many jobs wait, within half a minute.
sub until_queued {
    my ($ws, $n) = @_;
    return (($ws->events_until(30, sub { ($_[0]{queued} // -1) == $n }))[-1] // {})->{queued};
}

is(submit(), 202, 'a job waits');
my $ws = listen_now();
my $first = numbers($ws);
is_deeply($first, $tf->get('/api/v1/stats', %login)->json, 'the first message is what GET /stats answers');
is($first->{queued}, 1, 'with the job that there is');
# what this test was kept from reading comes in no time, but then the one before it came late
my @at = time;
is_deeply(numbers($ws), $first, 'others follow') and push @at, time for 1 .. 3;
cmp_ok(max(map { $at[$_] - $at[$_ - 1] } 1 .. $#at), '>', 1, 'after a while');
submit();
is(until_queued($ws, 2), 2, 'with what has changed');

# the one before is kept for who comes in between
ok(wait_until(60, sub {
    my ($new, $got) = (numbers($ws) && listen_now());
    $got = numbers($new);
    $new->close;
    return $got && !defined $ws->next_text(0.3);
}), 'who comes in between does not wait for the next ones');
$ws->send($_) for 'pong', 'x' x 70000, 'ping';
my @got = $ws->events_until(30, sub { $_[0]{event} });
is($got[-1]{event}, 'pong', 'ping is answered with pong');

# what it costs: each reading looks at job_counts once
sub readings { return $tf->sql_value("SELECT coalesce(seq_scan, 0) + coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relname = 'job_counts'") }
my @many = map { listen_now() } 1 .. 40;
is(scalar(grep { numbers($_) } @many), 40, 'forty more');
1 while defined $ws->next_text(0.1);
my ($from, $before) = (time, readings());
numbers($ws) for 1 .. 3;
my $read = readings() - $before;
# one every two seconds, and what PostgreSQL had not counted yet
cmp_ok($read, '<=', (time - $from) / 2 + 3, 'cost no more readings than one');
unlike($tf->redis('INFO', 'commandstats'), qr/cmdstat_xread:/, 'and events are not even read for them');
my $events = $tf->subscribe(%login);
$_->close for @many, $ws;
ok(wait_until(60, sub { my $n = readings(); sleep 5; readings() == $n }), 'while nobody listens to numbers none are read');
$events->close;

# an example of the documentation
my ($example) = slurp("$FindBin::Bin/../docs/websocket.md") =~ /^```sh\n(cat > listen\.py.*?)^```$/ms;
$example =~ s/\b3000\b/$tf->{port}/;
{
    local $ENV{TOKEN} = $token;
    my $said = `cd $tf->{home} && $example timeout 30 python3 listen.py /ws/stats 2>/dev/null | head -2`;
    is_deeply([map { decode_json($_)->{queued} } split /\n/, $said], [2, 2], 'the example of docs/websocket.md');
}

# reload
$ws = listen_now();
numbers($ws);
$tf->reload;
submit();
is(until_queued($ws, 3), 3, 'a reload cuts nobody, and the numbers go on');
my $new = listen_now();
is(until_queued($new, 3), 3, 'for a new one too');
$_->close for $ws, $new;

# the process that reads dies
kill 'KILL', relaying_worker($tf);
$ws = wait_until(30, sub { eval { listen_now() } });
is(until_queued($ws, 3), 3, 'kill -9 of the process that reads: another one does');

# nchan
$tf->kill_part('nchan');
ok(wait_until(30, sub { $ws->next_text(0.1); $ws->{closed} }), 'without nchan all are cut');
unlink "$tf->{home}/run/nchan.sock";
$tf->start_part('nchan');
$ws = wait_until(30, sub { eval { listen_now() } });
is(until_queued($ws, 3), 3, 'with nchan numbers come');

# PostgreSQL
$tf->part('postgres')->stop(10, 'QUIT');
ok(wait_until(30, sub { !defined $ws->next_text(5) }), 'without PostgreSQL there are no numbers');
$ws->send('ping');
is_deeply(numbers($ws), {event => 'pong'}, 'but nobody is cut');
$tf->start_part('postgres');
is(until_queued($ws, 3), 3, 'and the next ones come when it is back');
$ws->close;

done_testing;
