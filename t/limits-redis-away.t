# Without Redis each host counts for itself, at once, and what Redis granted it counts with; when Redis is back it counts
# for all again, and what was let in meanwhile is not forgotten.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Process qw(halt);

my $tf = TaskForge->start(parts => [qw(postgres redis scheduler)], edit => sub {
    my ($text) = @_;
    $text =~ s/worker_processes +auto/worker_processes 3/;
    $text =~ s[(location = /livez)][
        location = /a { taskforge_limit a requests=20 window=10s; root /nowhere; }
        location = /b { taskforge_limit b requests=5 window=5s; root /nowhere; }
        location = /d { taskforge_limit d requests=20 window=600s; root /nowhere; }
        location = /c { taskforge_limit c requests=1000000 window=60s; root /nowhere; }
        $1];
    return $text;
});
ok(wait_until(60, sub { (eval { $tf->redis('FCALL', 'tf_version', 0) } // '') =~ /^[2-9]/ }), 'the function library is loaded');
$tf->start_part('nginx');

# How many of $n requests to $path, each on a connection of its own, pass; how long most of them took at most, and the slowest.
sub passed {
    my ($path, $n) = @_;
    my ($passed, @took) = (0);
    for (1 .. $n) {
        my $begin = time;
        $passed++ if $tf->http->get($path)->status == 404;
        push @took, time - $begin;
    }
    @took = sort { $a <=> $b } @took;
    return ($passed, $took[0.8 * $#took], $took[-1]);
}

sleep 1; # until every process is connected
is((passed('/b', 10))[0], 5, 'with Redis 5 of 10 pass');
is((passed('/d', 12))[0], 12, 'and 12 of 20');
$tf->expect_log(qr/Redis/);

subtest 'killed' => sub {
    $tf->kill_part('redis');
    my ($passed, $most, $slowest) = passed('/a', 40);
    is($passed, 20, '20 of 40 pass, over all processes of the host');
    cmp_ok($most, '<', 1.5, 'and nobody waits long');
    cmp_ok($slowest, '<', 10, '... but for a machine that has other things to do');
    my $r = $tf->get('/a');
    is($r->status, 429, 'the next is refused');
    like($r->header('retry-after'), qr/^(?:[1-9]|1[0-2])$/, 'with Retry-After');
    is($r->header('x-ratelimit-remaining'), 0, 'and the headers');
    is((passed('/d', 40))[0], 8, 'after 12 of 20 with Redis 8 are left without it');
    ok(wait_until(30, sub { $tf->get('/a')->status == 404 }), 'it is a window here too');
};

subtest 'back' => sub {
    $tf->wipe_redis;
    $tf->start_part('redis');
    ok(wait_until(30, sub { $tf->get('/b'); $tf->redis('EXISTS', 'tf:limit:{b:a7f000001}') == 1 }), 'Redis counts again, after the scheduler gave it its functions');
    sleep 5.5;
    is((passed('/b', 10))[0], 5, 'and 5 of 10 pass');
    is((passed('/d', 10))[0], 0, 'what this host let in still counts, though Redis came back empty');
    $tf->reload;
    is((passed('/d', 10))[0], 0, 'and after a reload');
};

subtest 'silent' => sub {
    halt($tf->part('redis')->pid);
    my ($passed, $most, $slowest) = passed('/c', 12);
    is($passed, 12, 'a Redis that does not answer holds nobody off');
    cmp_ok($most, '<', 3, 'for longer than a lease');
    cmp_ok($slowest, '<', 10, '... but for a machine that has other things to do');
    $tf->part('redis')->signal('CONT');
    ok(wait_until(20, sub { $tf->get('/c'); $tf->redis('EXISTS', 'tf:limit:{c:a7f000001}') == 1 }), 'until it answers again');
};

subtest 'a client that goes away while it waits' => sub {
    halt($tf->part('redis')->pid);
    for (1 .. 30) {
        my $c = $tf->http->connect;
        $c->send_raw($c->format_request('GET', '/c'));
        $c->close;
    }
    sleep 0.3;
    $tf->part('redis')->signal('CONT');
    ok(wait_until(30, sub { $tf->get('/c')->status == 404 }), 'harms nobody');
    $tf->reload;
    is($tf->http->get('/c')->status, 404, 'a reload neither');
};

done_testing;
