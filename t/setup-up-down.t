#!/usr/bin/perl
# ./taskforge up, again, status, down, and up on the data that was kept.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use TaskForge::Command qw(logged_in taskforge temporary_home started);
use TaskForge::Files 'slurp';
use TaskForge::Stack ();
use Test::More;
use Time::HiRes 'sleep';

plan skip_all => 'nginx needs a preloaded library with the sanitizers' if $TaskForge::Stack::SANITIZED;

my $home = temporary_home();
my $port = TaskForge::Stack::free_port(1); # the next one is the sandbox's
my %env = (TASKFORGE_HOME => $home, TASKFORGE_PORT => $port);
my $jobs = "http://127.0.0.1:$port/api/v1/jobs";
my @parts = qw(logkeeper postgres redis nchan scheduler worker nginx);

sub pids { my %part = started($home); return {map { ($_ => $part{$_}{pid}) } keys %part} }

# Every process of the stack: a part is a session of its own.
sub processes {
    my %session = map { ($_ => 1) } values %{pids()};
    my @pids;
    for my $file (glob '/proc/[0-9]*/stat') {
        open my $in, '<', $file or next;
        my $line = <$in> // next;
        push @pids, $1 if $line =~ /^(\d+) .*\) [^Z] \d+ \d+ (\d+) /s && $session{$2};
    }
    return @pids;
}

# When a process began; undef where there is none. Who gets its number later began later.
sub began {
    open my $in, '<', "/proc/$_[0]/stat" or return;
    return (<$in> // '') =~ /^.*\) [^Z] (?:\S+ ){18}(\d+) /s ? $1 : undef;
}

my ($code, $text) = taskforge(\%env, 'up');
is $code, 0, 'up succeeds on an empty home' or BAIL_OUT($text);
like $text, qr/^  data_processing [0-9a-f-]{36} on \S+: SUCCESS, 50000 rows, /m, '... runs a job over the 50,000 rows';
like $text, qr/^  revenue +50000 +[\d.]+ +[\d.]+ /m, '... prints its result';
like $text, qr{http://127\.0\.0\.1:$port/}, '... and the address';
my ($password) = $text =~ /first admin: admin, password (\S{43}) /;
ok $password, '... and the password of the first admin';
ok eval { logged_in($port, 'admin', $password) }, '... who can log in' or diag $@;
ok -e "$home/include/taskforge/$_", "plug-ins find $_" for qw(plugin.h retry_policy.h);
is +(stat "$home/conf/jwt.key")[2] & 0777, 0600, 'only the user reads the key of the access tokens';
{
    local $ENV{ADMIN_PASSWORD} = 'a password of the test';
    my @eve = qw(admin create --username eve --email eve@example.com);
    my ($code, $text) = taskforge(\%env, @eve, '--role', 'viewer');
    is "$code $text", "0 made the viewer eve\n", 'admin create makes an account';
    ok eval { logged_in($port, 'eve', $ENV{ADMIN_PASSWORD}) }, '... that can log in' or diag $@;
    ($code, $text) = taskforge(\%env, @eve);
    is $code, 1, '... once';
    like $text, qr/username is taken/, '... and says why';
}
($code, $text) = taskforge(\%env, 'audit', 'verify');
is $code, 0, 'audit verify succeeds' or diag $text;
like $text, qr/^\d+ rows, none changed, none missing/, '... and says what it saw';
my $change = sub {
    local @ENV{keys %env} = values %env;
    return qx{echo "UPDATE audit_log SET actor_name = $_[0] WHERE id = 1" | "$TaskForge::Command::ROOT/taskforge" shell-db --owner 2>&1};
};
$change->("actor_name || 'x'");
($code, $text) = taskforge(\%env, 'audit', 'verify');
is "$code $text", "1 row 1 this row was changed\n", '... and fails where a row was changed, and names it';
$change->('left(actor_name, -1)');
is +(taskforge(\%env, 'audit', 'verify'))[0], 0, '... and no longer when it is as it was';

($code, $text) = taskforge(\%env, 'check');
is $code, 0, 'check succeeds' or diag $text;
is $text =~ s/\d+/N/gr, "counters of N jobs: ok\nrunning and due jobs, workers: ok\nN waiting jobs and their streams: ok\naudit: ok\n", '... and says what it saw';

is_deeply [map { slurp($_) =~ /^.*\[(?:warn|alert|crit|emerg)\].*$/mg } glob "$home/log/n*.log"], [], 'neither nginx has anything to complain of';

my $first = pids();
is_deeply [sort keys %$first], [sort @parts], 'every part runs, each with its pid on file';
my %part = started($home);
is scalar(grep { $_->{uid} == 0 } values %part), 0, 'none of them as root';
is scalar(grep { (stat $_)[2] & 077 } glob "$home/conf/*"), 0, 'only their user can read the configuration';

# the sockets that our processes hold, against those that listen
my %mine;
for my $fd (map { glob "/proc/$_/fd/*" } processes()) {
    $mine{$1} = 1 if (readlink($fd) // '') =~ /^socket:\[(\d+)\]/;
}
my %listening;
for my $file (qw(/proc/net/tcp /proc/net/tcp6)) {
    open my $in, '<', $file or next;
    while (<$in>) {
        my @field = split;
        $listening{hex((split /:/, $field[1])[1])} = 1 if $field[3] eq '0A' && $mine{$field[9]};
    }
}
is_deeply [keys %listening], [$port], 'one TCP port is open, and no other';

($code, $text) = taskforge(\%env, 'status');
is $code, 0, 'status succeeds';
like $text, qr/^$_ +running +$first->{$_} /m, "... and shows $_" for @parts;

($code, $text) = taskforge(\%env, 'up');
is $code, 0, 'up again succeeds';
unlike $text, qr/password/, '... and shows no password again';
is_deeply pids(), $first, '... and touches no process';

{
    open my $type, '>', "$home/handlers/of_ours.json" or die $!;
    print $type '{"description": "a type of ours", "exec": ["/bin/true"]}';
}
($code, $text) = taskforge(\%env, 'up');
my $with_type = pids();
is $code, 0, 'up with a type of ours succeeds' or diag $text;
is_deeply [grep { $first->{$_} != $with_type->{$_} } @parts], ['worker'], '... and restarts the worker alone';
unlink "$home/handlers/of_ours.json";
{
    open my $connection, '>', "$home/connections/of_ours.json" or die $!;
    print $connection '{"secret": {"value": "sesame", "hosts": ["api.example.com"]}}';
    my @owner = (stat "$home/connections")[4, 5];
    chown @owner, "$home/connections/of_ours.json" or die $!;
    chmod 0600, "$home/connections/of_ours.json" or die $!;
}
($code, $text) = taskforge(\%env, 'up');
my $with_connection = pids();
is $code, 0, 'up with a connection of ours succeeds' or diag $text;
is_deeply [grep { $with_type->{$_} != $with_connection->{$_} } @parts], ['worker'], '... and restarts the worker alone';
is sprintf('%04o', (stat "$home/connections")[2] & 07777), '0700', '... where none but its user looks';

($code, $text) = taskforge({%env, TASKFORGE_WORKER_CONCURRENCY => 2}, 'up');
my $second = pids();
is $code, 0, 'up with another setting succeeds';
is_deeply [grep { $first->{$_} != $second->{$_} } @parts], [qw(scheduler worker)], '... and restarts whom it concerns';

($code, $text) = taskforge({%env, TASKFORGE_WORKER_CONCURRENCY => 'many'}, 'up');
is $code, 1, 'a setting that makes no sense is refused';
like $text, qr/TASKFORGE_WORKER_CONCURRENCY: "many" is not an integer/, '... by name';
is_deeply pids(), $second, '... before anything is stopped';

# what dies comes back, as after a power cut: nothing was stopped, nginx's workers hold the port still, the number of PostgreSQL is
# another process's by now; and somebody had paused the queue
my $client = logged_in($port, 'admin', $password);
is $client->post("http://127.0.0.1:$port/api/v1/queues/default/pause")->{status}, 200, 'a queue is paused';
kill 'KILL', values %$second;
my $stranger = fork // die;
if (!$stranger) {
    # of the user that everything runs as
    if ($< == 0) { my (undef, undef, $uid, $gid) = getpwnam 'taskforge'; $( = $) = "$gid $gid"; $< = $> = $uid }
    exec 'sleep', '1000';
}
{
    my @lines = split /^/, slurp("$home/pg/postmaster.pid");
    open my $out, '>', "$home/pg/postmaster.pid" or die $!;
    print $out "$stranger\n", @lines[1 .. $#lines];
}
for (1 .. 600) {
    last unless grep { -d "/proc/$_" && !zombie($_) } values %$second;
    sleep 0.05;
}
($code, $text) = taskforge(\%env, 'status');
is $code, 3, 'status fails when a part is down';
like $text, qr/^scheduler +down/m, '... and names it';
($code, $text) = taskforge(\%env, 'up');
is $code, 0, 'up starts it again, also a killed nginx, whose workers still held the port' or diag $text;
like $text, qr/^  not now: the job waits: its queue is paused \("default"\)$/m, '... and says why it runs no job';
is $client->post("http://127.0.0.1:$port/api/v1/queues/default/resume")->{status}, 200, '... until the queue is resumed';

# data outlives a stop
my $answer = $client->post($jobs, {headers => {'Content-Type' => 'application/json'}, content =>
    '{"type":"noop","name":"kept","scheduled_at":"2099-01-01T00:00:00Z"}'});
is $answer->{status}, 202, 'a job is accepted';
my $id = decode_json($answer->{content})->{id};

my %processes = map { ($_ => began($_) // 'gone') } processes();
{
    # a file that names a process with another start time: its number was given to somebody else meanwhile
    my %now = started($home);
    open my $in, '<', "$home/run/logkeeper.started" or die;
    my (undef, @rest) = split ' ', <$in>;
    open my $out, '>', "$home/run/logkeeper.started" or die;
    print $out "$stranger @rest\n";
    close $out or die;
    kill 'TERM', $now{logkeeper}{pid};
}
($code, $text) = taskforge(\%env, 'down');
is $code, 0, 'down succeeds';
is scalar(grep { (began($_) // '') eq $processes{$_} } keys %processes), 0, '... and leaves no process of the stack';
ok kill(0, $stranger), '... nor touches one that only has the pid of one';
kill 'KILL', $stranger;
waitpid $stranger, 0;

sub zombie {
    open my $in, '<', "/proc/$_[0]/stat" or return 1;
    return (<$in> // '') =~ /^.*\) Z/s;
}

($code, $text) = taskforge(\%env, 'down');
is $code, 0, 'down again succeeds';
like $text, qr/nothing was running/, '... with nothing to do';
($code, $text) = taskforge(\%env, 'status');
is $code, 3, 'status fails when all is down';

($code, $text) = taskforge({%env, TASKFORGE_PAYMENT_SANDBOX => 'on'}, 'up');
is $code, 0, 'up succeeds on the data that was kept' or diag $text;
like $text, qr/WARNING: payments go to a sandbox/, '... and warns of the payment gateway for demonstrations, which was asked for';
($code, $text) = taskforge(\%env, 'status');
like $text, qr/^sandbox +running/m, '... which is a part now';
$answer = $client->post($jobs, {headers => {'Content-Type' => 'application/json', Prefer => 'wait=50'}, content =>
    '{"type":"process_payment","payload":{"user_id":"usr_1","amount":19.99}}'});
is_deeply [@{decode_json($answer->{content})->{result} // {}}{qw(status amount_minor sandbox)}], ['approved', 1999, JSON::PP::true()],
    '... and takes payments of nobody' or diag $answer->{content};
$answer = $client->get("$jobs/$id");
is $answer->{status}, 200, '... and the job of before is there, with the token of before';
is decode_json($answer->{content})->{name}, 'kept', '... as it was';

($code, $text) = taskforge({%env, TASKFORGE_HOME => $home}, 'clean', '--all');
is $code, 2, 'clean --all wants to be confirmed';
ok -e "$home/pg/PG_VERSION", '... and deleted nothing';

done_testing;
