# The rate limit: never more than N requests in any window, however many nginx instances share the Redis.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Files qw(spew);
use POSIX ();

my $URL = '/api/v1/jobs?limit=1';

my $tf = TaskForge->start(parts => [qw(postgres redis scheduler)], edit => sub {
    my ($text) = @_;
    $text =~ s/taskforge_limit +default .*?;/taskforge_limit default requests=\@N\@ window=\@W\@;/ or die;
    $text =~ s/worker_processes +auto/worker_processes 2/;
    # beside the API: nothing to wait for but the limit
    $text =~ s[(location = /livez)][
        location = /high { taskforge_limit high requests=4000 window=5s; root /nowhere; }
        location = /low { taskforge_limit low requests=50 window=5s; root /nowhere; }
        location = /rough { taskforge_limit rough requests=300 window=5s; root /nowhere; }
        location = /file { taskforge_limit low2 requests=2 window=60s by=address; taskforge_limit many requests=10 window=60s; root /nowhere; }
        $1];
    $text =~ s/\@N\@/10/g; $text =~ s/\@W\@/8s/g;
    return $text;
});
ok(wait_until(60, sub { (eval { $tf->redis('FCALL', 'tf_version', 0) } // '') =~ /^[2-9]/ }), 'the function library is loaded');
$tf->start_part('nginx');

# a second nginx of the same configuration, as on another host
my $other = TaskForge::Stack::free_port();
{
    my $text = $tf->configure('nginx.conf');
    $text =~ s/127\.0\.0\.1:\d+/127.0.0.1:$other/;
    $text =~ s{/(run|log)/nginx}{/$1/nginx2}g;
    spew("$tf->{home}/conf/nginx2.conf", $text);
    $tf->{parts}{nginx2} = $tf->ready($tf->launch('nginx2', stop => 'QUIT', env => $tf->sanitizer_env('nginx'), command => [
        TaskForge::Files::find_program('nginx'), '-p', $tf->{home}, '-e', "$tf->{home}/log/nginx2-start.log", '-c', "$tf->{home}/conf/nginx2.conf", '-g', 'daemon off;'
    ]), sub { TaskForge::HTTP->new(port => $other)->get('/livez')->status == 200 });
}
my @door = ($tf->http, TaskForge::HTTP->new(port => $other));

subtest 'ten in eight seconds, at either door' => sub {
    my $begin = time;
    my @answers = map { $door[$_ % 2]->get($URL) } 0 .. 9;
    is(scalar(grep { $_->status == 200 } @answers), 10, '10 requests pass');
    is_deeply([map { $_->header('x-ratelimit-remaining') } @answers], [reverse 0 .. 9], 'X-RateLimit-Remaining counts down over both');
    is($answers[0]->header('ratelimit-policy'), '"default";q=10;w=8', 'RateLimit-Policy');
    like($answers[3]->header('ratelimit'), qr/^"default";r=6;t=[1-9]$/, 'RateLimit');
    is($answers[0]->header('x-ratelimit-limit'), 10, 'X-RateLimit-Limit');
    like($answers[0]->header('x-ratelimit-reset'), qr/^[1-9]$/, 'X-RateLimit-Reset');
    for my $door (@door) {
        my $r = $door->get($URL);
        ok($r->is_problem(429), 'the next one is a problem 429') or diag $r->status . ' ' . $r->body;
        like($r->header('retry-after'), qr/^[1-9]$/, 'with Retry-After');
        like($r->json->{detail}, qr/"default" is 10 requests in 8 seconds/, 'that says which limit');
        is($r->header('x-ratelimit-remaining'), 0, 'nothing remains');
    }
    is($tf->get('/livez')->status, 200, 'who only asks whether we live is not counted');
    my $first;
    wait_until(60, sub { $first = time; $door[0]->get($URL)->status == 200 });
    cmp_ok(time - $begin, '>=', 8, 'nothing passes before the window is over');
    cmp_ok($first - $begin, '<', 16, 'and soon after it something does');
};

subtest 'several limits in one place' => sub {
    my $r = $tf->get('/file');
    is($r->status, 404, 'any location can have limits');
    is($r->header('ratelimit-policy'), '"low2";q=2;w=60, "many";q=10;w=60', 'all are told');
    like($r->header('ratelimit'), qr/^"low2";r=1;t=\d+, "many";r=9;t=\d+$/, 'with what remains of each');
    $tf->get('/file');
    my @refused = map { $tf->get('/file') } 1 .. 5;
    is(scalar(grep { $_->status == 429 } @refused), 5, 'the smallest refuses');
    like($refused[-1]->header('ratelimit'), qr/"many";r=8;/, 'and what it refuses the others do not count') or diag $refused[-1]->header('ratelimit');
};

# Hammers $path through both doors for $seconds; [sent, answered] of every request that passed, and how many
# were answered at all. Meanwhile $trouble is called again and again.
sub hammer {
    my ($path, $seconds, $clients, $pause, $trouble) = @_;
    my @pipes;
    for my $n (1 .. $clients) {
        my $pid = open(my $in, '-|') // die "fork: $!\n";
        if (!$pid) {
            my $http = TaskForge::HTTP->new(port => $n % 2 ? $tf->{port} : $other);
            my $end = time + $seconds;
            while ((my $sent = time) < $end) {
                my $r = eval { $http->get($path) };
                die $@ unless $r || $trouble; # with trouble, connections break
                printf "%.6f %.6f %d\n", $sent, time, $r->status if $r;
                sleep $pause if $pause;
            }
            close STDOUT;
            POSIX::_exit(0);
        }
        push @pipes, $in;
    }
    for (my $end = time + $seconds; $trouble && time < $end;) { $trouble->() }
    my @answered = map { my $in = $_; map { [split] } <$in> } @pipes;
    return ([sort { $a->[1] <=> $b->[1] } grep { $_->[2] == 404 } @answered], scalar @answered);
}

# A request was let in somewhere between being sent and being answered. So more than $n that were all sent and answered within
# less than a window are proof of a passed limit.
sub most_in_a_window {
    my ($window, @passed) = @_;
    my $most = 0;
    my @by_sent = sort { $a->[0] <=> $b->[0] } @passed;
    my @start = map { $_->[0] } @by_sent[grep { !($_ % 7) } 0 .. $#by_sent];
    for my $start (@start) {
        my ($low, $high) = (0, scalar @by_sent);
        while ($low < $high) { my $mid = int(($low + $high) / 2); $by_sent[$mid][0] < $start ? ($low = $mid + 1) : ($high = $mid) }
        my $n = 0;
        for my $r (@by_sent[$low .. $#by_sent]) {
            last if $r->[0] >= $start + $window;
            $n++ if $r->[1] < $start + $window;
        }
        $most = $n if $n > $most;
    }
    return $most;
}

for my $case (['/low', 50, 0.002], ['/high', 4000, 0]) {
    my ($path, $n, $pause) = @$case;
    subtest "saturated: $n in 5 seconds" => sub {
        my ($before) = $tf->redis('INFO', 'commandstats') =~ /cmdstat_fcall:calls=(\d+)/;
        my ($list, $answered) = hammer($path, 21, 6, $pause);
        my @passed = @$list;
        my ($after) = $tf->redis('INFO', 'commandstats') =~ /cmdstat_fcall:calls=(\d+)/;
        # what is kept is bounded
        cmp_ok($tf->redis('STRLEN', "tf:limit:{" . substr($path, 1) . ":a7f000001}"), '<=', 6 + 128 * 10, 'in at most 1,286 bytes');
        like($tf->redis('PTTL', "tf:limit:{" . substr($path, 1) . ":a7f000001}"), qr/^\d+$/, 'that expire by themselves');
        cmp_ok(most_in_a_window(5, @passed), '<=', $n, 'no window of 5 seconds has more');
        SKIP: {
            skip "a machine that answers $answered requests does not come near the limit", 1 if $answered < 8 * $n;
            # 21 s hold four whole windows and the beginning of a fifth
            cmp_ok(scalar @passed, '>=', 0.95 * 4 * $n, 'and hardly less is let in than may be');
        }
        note scalar(@passed), " of $answered passed, ", $after - $before, " calls of Redis";
        cmp_ok($after - $before, '<', @passed / 4, 'most requests cost no round trip') if $n >= 1000;
    };
}

# Redis takes long to answer, longer than a permit is good for; nginx reloads; a worker process is killed and made anew.
subtest 'saturated: 300 in 5 seconds, in trouble' => sub {
    $tf->expect_log(qr/exited on signal 9|Redis/);
    my @turn = (
        sub { $tf->part('redis')->signal('STOP'); sleep 0.4; $tf->part('redis')->signal('CONT') },
        sub { $tf->part('nginx2')->signal('HUP') },
        sub { kill 'KILL', (TaskForge::Process::children_of($tf->part('nginx')->pid))[0] // () },
    );
    my $turn = 0;
    my ($list) = hammer('/rough', 11, 6, 0.002, sub { $turn[$turn++ % @turn]->(); sleep 0.3 });
    my @passed = @$list;
    cmp_ok($turn, '>=', 9, 'each kind of trouble happened often enough');
    cmp_ok(most_in_a_window(5, @passed), '<=', 300, 'no window of 5 seconds has more');
    cmp_ok(scalar @passed, '>=', 300, 'and it is not held up for long');
    note scalar(@passed), ' passed';
};

done_testing;
