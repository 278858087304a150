# PostgreSQL over TLS, its certificate checked and ours asked for: nginx, worker, scheduler and the migrations. What TLS has
# decrypted already no event loop announces, so answers of all sizes must arrive, and go on arriving after a restart.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Checker;
use TaskForge::Load;
use TaskForge::Process qw(as_unprivileged run);
use TaskForge::Secrets qw(secret);
use TaskForge::TLS;

my $tls = TaskForge::TLS->new;
my $address = TaskForge::TLS::free_address();
my %password = map { $_ => secret(join '', map { ('a' .. 'z', 0 .. 9)[rand 36] } 1 .. 24) } qw(taskforge taskforge_owner key);
my ($server, $server_key) = $tls->certificate('postgres', "IP:$address");
my ($client, $client_key) = $tls->certificate('taskforge', 'DNS:nginx', $password{key});

sub url {
    my ($role) = @_;
    return "postgresql://$role:$password{$role}\@$address/taskforge?sslmode=verify-full&sslrootcert=$tls->{ca}"
        . "&sslcert=$client&sslkey=$client_key&sslpassword=$password{key}";
}

my $tf = TaskForge->start(parts => [qw(postgres redis)], handlers => 1, settings => {DATABASE_URL => url('taskforge')});
$tls->postgres($tf, $address, $server, $server_key, map { $_ => $password{$_} } qw(taskforge taskforge_owner));
$tf->start_part($_) for qw(nchan nginx worker scheduler);
my $checker = TaskForge::Checker->watch($tf);

sub migrate {
    my ($url) = @_;
    local $ENV{DATABASE_URL} = $url;
    return eval { run(as_unprivileged('KILL', "$tf->{home}/share/sql/migrate", 'status')) } // $@;
}
like(migrate(url('taskforge_owner')), qr/^0001 +jobs +applied/m, 'the migrations run over TLS, with a key that has a password');
like(migrate(url('taskforge_owner') =~ s/verify-full/disable/r), qr/no pg_hba.conf entry.*no encryption/, 'and not without');

ok(wait_until(60, sub { $tf->get('/readyz')->status == 200 }), 'all parts are connected');
sub connections {
    return $tf->sql("SELECT DISTINCT split_part(application_name, ' ', 1), ssl, version FROM pg_stat_activity JOIN pg_stat_ssl USING (pid)
                     WHERE usename = 'taskforge' ORDER BY 1");
}
# /readyz knows nothing of the scheduler, and who has just connected has no version yet
my @connected;
wait_until(60, sub { @connected = connections(); @connected == 3 && !grep { !defined $_->[2] } @connected });
is_deeply(\@connected, [map { [$_, 't', 'TLSv1.3'] } qw(taskforge-nginx taskforge-scheduler taskforge-worker)],
    'nginx, worker and scheduler: TLS 1.3');

# a job whose row is of about so many bytes, twice: payload and result
sub echo {
    my ($n, $size) = @_;
    return sprintf '{"type":"test_echo","payload":{"n":%d,"pad":"%s"}}', $n, 'x' x $size;
}

# Whether an answer holds them whole; not decoded, JSON::PP takes a second for each megabyte.
sub is_whole {
    my ($body, $n, $size, @members) = @_;
    return !grep { index($body, qq("$_":{"n":$n,"pad":") . 'x' x $size . '"}') < 0 } @members;
}

# around the borders of TLS records and of libpq's buffers
my @sizes = (map({ my $border = $_; map { $border + $_ } -700, -400, -20, -1, 0, 1, 20 } 8192, 16384, 32768, 65536), 300_000, 500_000, 900_000, 1_000_000);
my @connections = map { $tf->http(timeout => 60) } @sizes;
$connections[$_]->send_raw($connections[$_]->format_request('POST', '/api/v1/jobs', body => echo($_, $sizes[$_]))) for 0 .. $#sizes;
my @answers = map { $_->read_response } @connections;
is_deeply([grep { $_ != 202 } map { $_->status } @answers], [], scalar(@sizes) . ' jobs of up to 1 MB at once are accepted');
is_deeply([grep { !is_whole($answers[$_]->body, $_, $sizes[$_], 'payload') } 0 .. $#sizes], [], 'and come back whole');
my @ids = map { $_->body =~ /"id":"([0-9a-f-]{36})"/ } @answers;
ok(wait_until(60, sub { $tf->sql_value("SELECT count(*) FROM jobs WHERE status = 'SUCCESS'") == @ids }), 'they run');

# rows larger than a record, on the connections that read
$connections[$_]->send_raw($connections[$_]->format_request('GET', "/api/v1/jobs/$ids[$_]")) for 0 .. $#sizes;
is_deeply([grep { !is_whole($connections[$_]->read_response->body, $_, $sizes[$_], 'payload', 'result') } 0 .. $#sizes], [],
    'all are read at once, payload and result whole');
my $list = $tf->get('/api/v1/jobs?limit=100');
is($list->status == 200 && @{$list->json->{items}}, scalar @sizes, 'and listed in one page');

my $batch = $tf->post('/api/v1/jobs/batch', '{"jobs":[' . join(',', map { echo($_, 900) } 0 .. 999) . ']}');
my @batch = $batch->body =~ /"job":\{"id":"([0-9a-f-]{36})"/g;
push @ids, @batch;
is(scalar(@batch), 1000, 'a batch of 1,000');
ok(wait_until(60, sub { $tf->sql_value("SELECT count(*) FROM jobs WHERE status = 'SUCCESS'") == @ids }), 'runs');

# restarts in the middle
my $load = TaskForge::Load->start(tf => $tf, jobs => 600, pace => 0.005, seconds => 120, body => sub { return echo($_[0], 20_000) });
$load->wait_for(150);
$tf->part('postgres')->stop(10, 'QUIT');
$tf->start_part('postgres');
$load->wait_for(400);
$tf->stop_part('postgres');
# a server that cannot prove who it is
my $other = TaskForge::TLS->new;
my ($impostor, $impostor_key) = $other->certificate('postgres', "IP:$address");
run('cp', '-p', $server, "$server.good");
run('cp', '-p', $server_key, "$server_key.good");
run('cp', '-p', $impostor, $server);
run('cp', '-p', $impostor_key, $server_key);
$tf->start_part('postgres');
my $before = $load->accepted;
ok(wait_until(30, sub { $tf->get('/readyz')->status == 503 }), 'a PostgreSQL with a certificate of somebody else is none');
sleep 2;
is($tf->sql_value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'taskforge'"), 0, 'nobody logs in there');
is(scalar($load->accepted), $before, 'and nothing is acknowledged');
$tf->stop_part('postgres');
run('cp', '-p', "$server.good", $server);
run('cp', '-p', "$server_key.good", $server_key);
$tf->start_part('postgres');
ok($load->finish, '600 jobs are accepted over two restarts');
$checker->check(ids => [@ids, $load->accepted]);

done_testing;
