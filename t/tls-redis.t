# Redis over TLS where hiredis can (Debian 13), and a clear refusal where it cannot (Debian 12).
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Files qw(find_program give_away slurp spew);
use TaskForge::Process qw(run);
use TaskForge::Secrets qw(secret);
use TaskForge::TLS;

my $tls = TaskForge::TLS->new;
my $address = TaskForge::TLS::free_address();
my $password = secret(join '', map { ('a' .. 'z', 0 .. 9)[rand 36] } 1 .. 24);
my ($server, $server_key) = $tls->certificate('redis', "IP:$address");
my ($client, $client_key) = $tls->certificate('taskforge', 'DNS:taskforge');
my $url = "rediss://:$password\@$address:6380/0?cacert=$tls->{ca}&cert=$client&key=$client_key";
my $tf = TaskForge->start(parts => [qw(postgres)], settings => {REDIS_URL => $url});

# What a program says of the settings that it would start with; '' is fine.
sub daemon_says {
    my ($redis_url) = @_;
    local %ENV = (%ENV, %{$tf->{settings}}, %{$tf->sanitizer_env('worker')}, REDIS_URL => $redis_url);
    my $said = run('sh', '-c', '"$0" -t 2>&1 || true', "$tf->{home}/bin/taskforge-worker");
    return $said =~ /REDIS_URL: (.*)/ ? $1 : '';
}

sub nginx_says {
    my ($redis_url) = @_;
    local $tf->{settings}{REDIS_URL} = $redis_url;
    $tf->configure('nginx.conf');
    # nginx ends at once where it finds an error, and frees nothing
    local %ENV = (%ENV, %{$tf->sanitizer_env('nginx')}, ASAN_OPTIONS => 'detect_leaks=0');
    my $said = run('sh', '-c', '"$0" -t -p "$1" -e stderr -c "$1/conf/nginx.conf" 2>&1 || true', find_program('nginx'), $tf->{home});
    return $said =~ /taskforge_redis: (.*?)(?: in .*)?$/m ? $1 : '';
}

if (my $refusal = daemon_says($url)) {
    like($refusal, qr/needs a hiredis with TLS.*docs\/install\.md/, 'this hiredis has no TLS: the daemons say so at start, and where to read on');
    like(nginx_says($url), qr/needs a hiredis with TLS.*docs\/install\.md/, 'and so does nginx');
    ok(!-e '/usr/include/hiredis/hiredis_ssl.h', 'the hiredis of this system has none');
    done_testing;
    exit;
}

like($_->("$url-not-there"), qr/^key .*-not-there: /, 'a file that is not there is named at start') for \&daemon_says, \&nginx_says;

$tf->configure('redis.conf');
spew("$tf->{home}/conf/redis-tls.conf", slurp("$tf->{home}/conf/redis.conf")
        . "bind $address\ntls-port 6380\ntls-cert-file $server\ntls-key-file $server_key\ntls-ca-cert-file $tls->{ca}\nrequirepass $password\n");
give_away("$tf->{home}/conf/redis-tls.conf");

sub start_redis {
    my $redis = $tf->launch('redis', command => [find_program('redis-server'), "$tf->{home}/conf/redis-tls.conf"]);
    $tf->ready($redis, sub { -S "$tf->{home}/run/redis.sock" && $tf->redis('PING') =~ /NOAUTH/ });
    return $tf->{parts}{redis} = $redis;
}
start_redis();
$tf->start_part($_) for qw(nchan nginx worker scheduler);
ok(wait_until(60, sub { $tf->get('/readyz')->status == 200 }), 'all parts are connected');

my $ws = $tf->subscribe;
my $job = $tf->submit({type => 'noop', payload => {pad => 'x' x 100_000}});
is($tf->wait_for_end($job->{id}, 60)->{status}, 'SUCCESS', 'a job runs');
my @events = $ws->events_until(60, sub { ($_[0]{job}{id} // '') eq $job->{id} && $_[0]{event} eq 'job_success' });
is(($events[-1] // {})->{event}, 'job_success', 'and is told of');
my @batch = map { $_->{id} } $tf->submit_batch(map { {type => 'noop', name => 'n' x 200} } 1 .. 1000);
sub ended { return $tf->sql_value("SELECT count(*) FROM jobs WHERE status = 'SUCCESS' AND type = 'noop'") }
ok(wait_until(60, sub { ended() == 1001 }), 'a thousand at once as well');
$tf->post('/api/v1/queues/default/pause', {});
my @waiting = map { $tf->submit({type => 'noop', name => 'cancel'})->{id} } 1 .. 5;
$tf->post('/api/v1/jobs/actions', {action => 'cancel', filter => {status => 'QUEUED', queue => 'default'}});
is($tf->wait_for_end($waiting[-1], 60)->{status}, 'CANCELLED', 'an action in the background reaches Redis from its executor');
ok(scalar(grep { ($_->{event} // '') eq 'job_cancelled' } $ws->events_until(60, sub { $_[0]{event} eq 'job_cancelled' })), 'and its events arrive');
$tf->post('/api/v1/queues/default/resume', {});

$tf->expect_log(qr/redis|Redis/);
$tf->kill_part('redis');
start_redis();
my $after = $tf->submit({type => 'noop'});
is($tf->wait_for_end($after->{id}, 60)->{status}, 'SUCCESS', 'after a restart of Redis it goes on');
$ws->close;

# a Redis with a certificate of somebody else
$tf->part('redis')->stop;
my ($impostor, $impostor_key) = TaskForge::TLS->new->certificate('redis', "IP:$address");
run('cp', '-p', $impostor, $server);
run('cp', '-p', $impostor_key, $server_key);
start_redis();
ok(wait_until(60, sub { my $r = $tf->get('/readyz'); $r->status == 503 && $r->body =~ /redis/i }), 'one that cannot prove who it is is none');

done_testing;
