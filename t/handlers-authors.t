# Types of one's own: the examples of docs/handlers.md do what the page says, a command that misbehaves harms nobody else, and
# a worker does not start with what it cannot use.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Files qw(slurp spew);
use TaskForge::Process qw(children_of);
use TaskForge::Receiver;
use TaskForge::Stack;
use File::Path qw(make_path);

my $page = slurp("$FindBin::Bin/../docs/handlers.md");
my %file = $page =~ /^`([\w.\/]+)`[^\n]*:\n\n```\w+\n(.*?)^```$/msg; # `name`: and then what is in it
my @console = map { /^\$ (.*)$/mg } $page =~ /^```console\n(.*?)^```$/msg;
my %submit = map { /-d '(\{"type": "(\w+)".*\})'/ ? ($2 => $_) : () } $page =~ /^```sh\n(.*?)^```$/msg;

my $tf = TaskForge->start(parts => [qw(postgres redis)]);
my $home = $tf->{home};
my $service = TaskForge::Stack::free_port();
make_path("$home/handlers/schemas", "$home/plugins", "$home/include/taskforge", "$home/bad", "$home/work");
chmod 0777, "$home/work";
TaskForge::Process::run('cp', "$FindBin::Bin/../worker/plugin.h", "$FindBin::Bin/../core/retry_policy.h", "$home/include/taskforge");

sub write_file { my ($name, $text, $mode) = @_; spew("$home/$name", $text); chmod $mode // 0644, "$home/$name"; return }
sub write_type { my ($name, %type) = @_; return write_file("$name.json", JSON::PP->new->canonical->encode({description => 'a test', %type})) }

# ---- the page's files and commands
for my $name (sort keys %file) {
    write_file($name =~ m{/} ? $name : "work/$name", $file{$name} =~ s/\b8099\b/$service/gr, $name =~ /\.(?:py|sh)$/ ? 0755 : 0644);
}
my @service;
for my $command (@console) {
    next if $command =~ m{^\./taskforge};
    if ($command =~ s/^(?=python3 )/exec /) {
        $command =~ s/\bpython3\b/\/usr\/bin\/python3/;
        @service = ('sh', '-c', "cd $home/work && TASKFORGE_HOME=$home && $command");
        next;
    }
    is(system("cd $home/work && TASKFORGE_HOME=$home && $command"), 0, "the page: $command");
}
my $python = TaskForge::Process->start(name => 'service', log => "$home/log/service.log", command => \@service);

# ---- a command that does as it is told, and seldom what it should
write_file('handlers/misbehave.pl', <<'END', 0755);
#!/usr/bin/perl
use strict;
use warnings;
use JSON::PP;
my $job = decode_json(do { local $/; <STDIN> });
my ($what, $n) = @{$job->{payload}}{qw(do n)};
$| = 1;
my %does = (
    status => sub { print STDERR "the reason\n"; exit $n },
    signal => sub { kill $n, $$; sleep 60 },
    text => sub { print "just a text\n" },
    number => sub { print "42\n" },
    nothing => sub { },
    job => sub { print encode_json($job) },
    around => sub {
        opendir my $dir, "/proc/self/fd";
        # but that of this directory itself
        my @fds = sort grep { /^\d+$/ && (readlink("/proc/self/fd/$_") // '') !~ m{/proc/} } readdir $dir;
        print encode_json({environment => {%ENV}, fds => \@fds, arguments => \@ARGV, directory => readlink '/proc/self/cwd', group => getpgrp == $$ ? 1 : 0});
    },
    lines => sub {
        print STDERR "::progress 40\n";
        select undef, undef, undef, 0.3;
        print STDERR "::progress 70\n::progress much\n::warning careful\n::error oh\nplain\r\n\n", 'x' x 5000, "\nbytes \xff\0 end";
    },
    later => sub { print STDERR "::retry-after 600\n"; exit 75 },
    loud => sub { print STDERR "line $_\n" for 1 .. 200_000; print '{}' },
    huge => sub { my $mb = 'x' x ($n << 20); print $mb for 1 .. 10_000 },
    closed => sub { close $_ for *STDIN, *STDOUT, *STDERR; select undef, undef, undef, 0.5 },
    crowd => sub {
        my $children = 0;
        while ($children < 5000 && defined(my $pid = fork)) {
            if (!$pid) { setpgrp if $children % 2; sleep 300; exit }
            $children++;
        }
        print encode_json({children => $children});
    },
    stubborn => sub {
        $SIG{TERM} = 'IGNORE';
        if (!fork) { require POSIX; POSIX::setsid(); if (!fork) { print STDERR "child $$\n"; sleep 300; exit } sleep 300; exit }
        sleep 300;
    },
    polite => sub { $SIG{TERM} = sub { print STDERR "tidied up\n"; exit 0 }; print STDERR "ready\n"; sleep 300 },
    memory => sub { my $much = 1 << 29; my $x = 'x' x $much; print '{}' },
    file => sub { open my $out, '>', "/tmp/taskforge-misbehave.$$" or die; unlink "/tmp/taskforge-misbehave.$$"; syswrite $out, 'x' x (1 << 20) for 1 .. 5 },
);
$does{$what}->();
END
write_type('handlers/misbehave', exec => ['./misbehave.pl', 'a b', '$HOME'], max_retries => 0, payload_schema => 'schemas/misbehave.json',
    environment => {SAID => 'by the settings', FROM_WORKER => undef, NOT_THERE => undef}, directory => '/usr',
    limits => {memory_mb => 300, file_mb => 1, processes => 600});
write_type('handlers/busy', exec => ['/bin/sh', '-c', 'while :; do :; done'], max_retries => 0, limits => {cpu_seconds => 1});
write_type('handlers/own_exits', exec => ['./misbehave.pl'], permanent_exits => [3], retry => {base_seconds => 1000, max_seconds => 1000, jitter => JSON::PP::false()});
write_file('handlers/schemas/misbehave.json', '{"type": "object", "required": ["do"]}');
spew("$home/work/crasher.c", <<'END');
#include <taskforge/plugin.h>
__attribute__((noinline)) static int crash_in_plugin(volatile int *p) { return *p + 1; }
static tfw_outcome_t run(tfw_run_t *run) { tfw_run_log(run, "info", "%d", crash_in_plugin((int *)8)); return TFW_OK; }
static const tfw_handler_t h = {.type = "crasher", .description = "d", .payload_schema = "{}", .timeout_seconds = 60, .run = run};
TASKFORGE_PLUGIN(&h);
END
sub compile { my ($name, $to) = @_; return TaskForge::Process::run('gcc', '-shared', '-fPIC', "-I$home/include", '-o', $to, "$home/work/$name.c") }
compile('crasher', "$home/plugins/crasher.so");
my $receiver = TaskForge::Receiver->start($home);
write_file('handlers/secret', "whsec_" . 'A' x 43 . "=\n");
write_type("handlers/http_$_->[0]", http => $receiver->url($_->[1]), secret_file => 'secret', max_retries => 1)
    for ['text', '/ok'], ['gone', '/status/410'], ['busy', '/later/503/600'], ['large', '/huge'], ['elsewhere', '/redirect?/inside'];
write_type('handlers/http_slow', http => $receiver->url('/hang'), secret_file => 'secret', timeout_seconds => 1);

$tf->{settings}{TASKFORGE_HANDLERS_DIR} = "$home/handlers";
$tf->{settings}{TASKFORGE_PLUGIN_DIR} = "$home/plugins";
$tf->{settings}{TASKFORGE_LOG_LINES_MAX} = 50;
$tf->{settings}{FROM_WORKER} = 'passed on';
$tf->{settings}{TASKFORGE_WORKER_CONCURRENCY} = 4;
$tf->{settings}{TASKFORGE_LOST_SECONDS} = 60;
$tf->start_part($_) for qw(scheduler worker nginx);
wait_until(60, sub { $tf->post('/api/v1/jobs', {type => 'count_primes', payload => {limit => 2}})->status == 202 }) or die "the type is not known\n";

# ---- the page's types
for my $expected (['letters', {a => 2, b => 2}], ['greeting', {greeting => 'Hello, Ada!'}], ['count_primes', {primes => 9592}]) {
    my ($type, $result) = @$expected;
    my $curl = $submit{$type} =~ s/127\.0\.0\.1:3000/127.0.0.1:$tf->{port}/r;
    my $said = `$curl`;
    my $job = $tf->wait_for_end(JSON::PP::decode_json($said)->{id}, 60);
    is_deeply([$job->{status}, $job->{result}], ['SUCCESS', $result], "$type: the result is the page's") or diag(explain($job));
    my $printed = JSON::PP->new->canonical->space_after->encode($result) =~ s/,"/, "/gr;
    ok(index($page, "The result is `$printed`.") >= 0, '... as printed') or diag($printed);
}
my $space = $tf->wait_for_end($tf->submit({type => 'disk_space'})->{id}, 60);
is($space->{status}, 'SUCCESS', 'disk_space succeeds') or diag(explain($space));
cmp_ok($space->{result}{free_kb}, '>', 0, '... with a number');
is($space->{logs}[0]{message}, 'looking at /tmp', '... and a line in its log');
sub ended { my ($type, $payload, %more) = @_; return $tf->wait_for_end($tf->submit({type => $type, payload => $payload, %more})->{id}, 90) }
my $bad = $tf->post('/api/v1/jobs', {type => 'letters', payload => {text => 7}});
ok($bad->is_problem(422), 'letters: a payload that its schema does not allow') or diag $bad->body;
is_deeply($bad->json->{errors}, [{pointer => '#/payload/text', detail => 'must be a string'}], '... and where');
is(ended('count_primes', {limit => 1})->{status}, 'FAILED', 'count_primes: a wrong payload');
is(ended('greeting', {})->{error}, 'HTTP 422: {"error": "payload: \"name\" must be a text"}', 'greeting: a wrong payload');

is($tf->sql_value("SELECT payload_schema FROM job_types WHERE type = 'misbehave'"), '{"type": "object", "required": ["do"]}', 'the type is registered, with its schema');

# ---- what a command gets and gives
sub does { my ($what, $n, %more) = @_; return ended('misbehave', {do => $what, n => $n}, %more) }
my $around = does('around')->{result};
my $id = $around->{environment}{TASKFORGE_JOB_ID};
like(delete $around->{environment}{TASKFORGE_JOB_ID}, qr/^[0-9a-f-]{36}$/, 'the environment has the id of the job');
is_deeply($around, {
    environment => {PATH => '/usr/local/bin:/usr/bin:/bin', LANG => 'C.UTF-8', SAID => 'by the settings', FROM_WORKER => 'passed on',
        TASKFORGE_JOB_TYPE => 'misbehave', TASKFORGE_JOB_ATTEMPT => '1'},
    fds => [0, 1, 2], arguments => ['a b', '$HOME'], directory => '/usr', group => 1,
}, '... and what the settings say; three descriptors, the arguments as they are, a group of its own') or diag(explain($around));
my $r = $tf->post('/api/v1/jobs', {type => 'misbehave', payload => {do => 'job', big => 'y' x 20_000}, metadata => {a => 'b'}, max_retries => 2},
    headers => {traceparent => '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'});
my $job = $tf->wait_for_end($r->json->{id}, 60);
is_deeply($job->{result}, {id => $job->{id}, type => 'misbehave', attempt => 1, max_retries => 2, payload => {do => 'job', big => 'y' x 20_000},
    metadata => {a => 'b'}, traceparent => $job->{traceparent}}, 'the job is on standard input') or diag(explain($job->{error}));
like($job->{traceparent}, qr/^00-0af7651916cd43dd8448eb211c80319c-/, '... with its traceparent');
is(does('text')->{result}, 'just a text', 'a text becomes a JSON string');
is(does('number')->{result}, 42, 'a number is JSON');
is_deeply([@{does('nothing')}{qw(status result)}], ['SUCCESS', undef], 'nothing is null');

my $lines = $tf->submit({type => 'misbehave', payload => {do => 'lines'}})->{id};
$lines = $tf->wait_for_end($lines, 60);
is_deeply([map { "$_->{level} $_->{message}" } @{$lines->{logs}}], ['info ::progress much', 'warning careful', 'error oh', 'info plain',
    'info ' . 'x' x 4095, 'info ' . 'x' x 905, 'info bytes ?? end'], 'lines of standard error are the log, and those that mean something are not') or diag(explain($lines->{logs}));
ok(wait_until(30, sub { grep { /\Q$lines->{id}\E/ && /"progress":40\b/ } split /\\n|\n/, $tf->redis('XRANGE', 'tf:events', '-', '+') }), '... progress is told');

# ---- how it ends
for my $case ([1, 'DEAD_LETTER', ''], [64, 'FAILED', ' (EX_USAGE)'], [75, 'DEAD_LETTER', ' (EX_TEMPFAIL)'], [78, 'FAILED', ' (EX_CONFIG)'], [255, 'DEAD_LETTER', '']) {
    my ($status, $becomes, $name) = @$case;
    is_deeply([@{does('status', $status)}{qw(status error)}], [$becomes, "the command exited with status $status$name: the reason"], "exit status $status: $becomes");
}
is(ended('own_exits', {do => 'status', n => 3})->{status}, 'FAILED', 'the settings say which statuses are for good');
sub retrying { my ($type, $payload) = @_; my $j = $tf->submit({type => $type, payload => $payload}); return $tf->wait_for_status($j->{id}, 'RETRYING', 60) }
sub delay { my ($j) = @_; return $tf->sql_value("SELECT extract(epoch FROM run_at - finished_at)::int FROM jobs WHERE id = '$j->{id}'") }
my $usual = retrying('own_exits', {do => 'status', n => 64});
is(delay($usual), 1000, '... and how long to wait after the others');
is(delay(retrying('own_exits', {do => 'later'})), 600, '::retry-after takes the place of that');
is_deeply([@{does('signal', 'SEGV')}{qw(status error)}], ['DEAD_LETTER', 'the command was killed by signal 11 (SIGSEGV)'], 'a signal: its name');

# ---- a worker survives it
is(does('huge', 1)->{error}, 'the command wrote more than 1048576 bytes to its standard output', '10 GB of output are cut short');
my $loud = does('loud');
is_deeply([$loud->{status}, scalar @{$loud->{logs}}], ['SUCCESS', 51], '200,000 lines of log are cut short');
is($loud->{logs}[-1]{message}, 'more than 50 lines; the rest is not kept', '... and the last line says so');
is_deeply([@{does('closed')}{qw(status result)}], ['SUCCESS', undef], 'one that closes its descriptors is waited for');
is(ended('busy', {})->{error}, 'the command was killed by signal 24 (SIGXCPU)', 'cpu_seconds');
like(does('memory')->{error}, qr/status 1: Out of memory/, 'memory_mb');
is(does('file')->{error}, 'the command was killed by signal 25 (SIGXFSZ)', 'file_mb');

# processes of the commands, wherever they are
sub left { return grep { (slurp_or($_) // '') =~ /misbehave\.pl/ } glob '/proc/[0-9]*/cmdline' }
sub slurp_or { my ($name) = @_; open my $in, '<', $name or return; local $/; my $text = <$in>; return ($text // '') =~ /\Q$home\E/ ? $text : undef }
my $crowd = does('crowd');
SKIP: {
    skip 'root may have any number of processes', 1 if !TaskForge::Process::unprivileged() && $> == 0;
    cmp_ok($crowd->{result}{children}, '<', 600, 'processes: a crowd is limited') or diag(explain($crowd));
}
ok(wait_until(30, sub { !left() }), '... and all of it is gone when the command has ended') or diag(join ' ', left());

my $stubborn = $tf->submit({type => 'misbehave', payload => {do => 'stubborn'}})->{id};
wait_until(30, sub { grep { $_->{message} =~ /^child/ } @{$tf->job($stubborn)->{logs}} }) or diag('no child');
$tf->post("/api/v1/jobs/$stubborn/cancel", {});
is($tf->wait_for_end($stubborn, 30)->{status}, 'CANCELLED', 'a command that ignores SIGTERM is cancelled');
ok(wait_until(20, sub { !left() }), '... and its child in a session of its own is gone') or diag(join ' ', left());
my $polite = $tf->submit({type => 'misbehave', payload => {do => 'polite'}})->{id};
wait_until(30, sub { grep { $_->{message} eq 'ready' } @{$tf->job($polite)->{logs}} });
$tf->post("/api/v1/jobs/$polite/cancel", {});
$polite = $tf->wait_for_end($polite, 30);
is($polite->{status}, 'CANCELLED', 'one that obeys SIGTERM is cancelled, though it leaves with 0');
ok(wait_until(30, sub { grep { $_->{message} eq 'tidied up' } @{$tf->job($polite->{id})->{logs}} }), '... and has its time to tidy up');
my $slow = $tf->wait_for_end($tf->submit({type => 'misbehave', payload => {do => 'polite'}, timeout_seconds => 3})->{id}, 60);
is_deeply([@$slow{qw(status error)}], ['DEAD_LETTER', 'timed out after 3 s'], 'a timeout ends a command');
ok(wait_until(30, sub { grep { $_->{message} eq 'tidied up' } @{$tf->job($slow->{id})->{logs}} }), '... which may tidy up first');
my $orphaned = $tf->submit({type => 'misbehave', payload => {do => 'stubborn'}})->{id};
wait_until(30, sub { grep { $_->{message} =~ /^child/ } @{$tf->job($orphaned)->{logs}} });
my ($victim) = grep { my $pid = $_; grep { slurp_or("/proc/$_/cmdline") } children_of($pid) } children_of($tf->part('worker')->pid);
kill 'KILL', $victim;
is($tf->wait_for_end($orphaned, 30)->{error}, 'killed by signal 9 (SIGKILL)', 'an executor is killed under its command');
ok(wait_until(20, sub { !left() }), '... and nothing of the command stays') or diag(join ' ', left());

my $crash = ended('crasher', {}, max_retries => 0);
is($crash->{error}, 'killed by signal 11 (SIGSEGV)', 'a plug-in that crashes fails its attempt');
like($crash->{traceback}, qr/\A#0 crash_in_plugin\+0x[0-9a-f]+ \(crasher\.so\)\n#1 run\+/, '... and its traceback says where') unless $TaskForge::Stack::SANITIZED;

# ---- services
my %http = map { $_ => $tf->submit({type => "http_$_", metadata => {a => 'b'}})->{id} } qw(text gone busy large elsewhere slow);
is($tf->wait_for_end($http{text}, 60)->{result}, 'thank you', 'a service that answers with a text');
my ($sent) = $receiver->requests('/ok');
is($sent->{headers}{'webhook-id'}, $http{text}, '... got the id of the job');
is_deeply(JSON::PP::decode_json($sent->{body}), {id => $http{text}, type => 'http_text', attempt => 1, max_retries => 1, payload => {}, metadata => {a => 'b'},
    traceparent => $tf->job($http{text})->{traceparent}}, '... and the job');
is_deeply([@{$tf->wait_for_end($http{gone}, 60)}{qw(status error)}], ['FAILED', 'HTTP 410: status 410'], '4xx is for good');
my $busy = $tf->wait_for_status($http{busy}, 'RETRYING', 60);
is(delay($busy), 600, 'Retry-After is done');
is($tf->wait_for_end($http{large}, 60)->{error}, 'the answer has more than 1048576 bytes', 'an answer of 20 MB is cut short');
is_deeply([@{$tf->wait_for_end($http{elsewhere}, 60)}{qw(status error)}], ['FAILED', 'HTTP 302: thank you'], 'a redirect is not followed');
like($tf->wait_for_status($http{slow}, 'RETRYING', 60)->{error}, qr/^no answer after \d{3,4} ms: /, 'a service that does not answer within timeout_seconds is tried again');
my $webhook = $tf->post('/api/v1/jobs', {type => 'noop', webhook_url => $receiver->url('/ok')});
is($webhook->status, 422, 'a caller still cannot name its address');

# ---- a worker that refuses
sub check {
    my (%settings) = @_;
    my %env = (%{$tf->{settings}}, TASKFORGE_HANDLERS_DIR => '', TASKFORGE_PLUGIN_DIR => '', %settings);
    local @ENV{keys %env} = values %env;
    my $text = `$home/bin/taskforge-worker -t 2>&1`;
    return ($? >> 8) . ' ' . $text;
}
like(check(map { $_ => $tf->{settings}{$_} } qw(TASKFORGE_HANDLERS_DIR TASKFORGE_PLUGIN_DIR)), qr/^0 .*the settings are ok/, 'taskforge-worker -t: all of that is fine');
like(check(TASKFORGE_HANDLERS_DIR => "$home/nowhere"), qr/^1 .*TASKFORGE_HANDLERS_DIR: \S+nowhere: No such file/, 'no such directory');
like(check(TASKFORGE_PLUGIN_DIR => "$home/nowhere"), qr/^1 .*TASKFORGE_PLUGIN_DIR: \S+nowhere: No such file/, '... of plug-ins');
my %exec = (exec => ['/bin/true']);
my %service = (http => 'http://127.0.0.1/', secret_file => '../handlers/secret');
for my $case (
    ['not JSON', "{\n\"exec\" [", qr/line 2: /],
    ['neither', {}, qr/needs either "exec" or "http"/],
    ['both', {%exec, %service}, qr/needs either/],
    ['an unknown member', {%exec, timeout => 3}, qr{/timeout: is not known here}],
    ['an unknown limit', {%exec, limits => {memory => 3}}, qr{/limits/memory: is not known here}],
    ['a number out of range', {%exec, timeout_seconds => 0}, qr{/timeout_seconds: must be an integer from 1 to}],
    ['a retry that is none', {%exec, retry => {max_seconds => -1}}, qr{/retry/max_seconds: must be a number of seconds}],
    ['no command', {exec => []}, qr{/exec: must be a list of texts}],
    ['a missing program', {exec => ['./nothing']}, qr{/exec/0: \S+/bad/\./nothing: No such file}],
    ['a program that cannot be run', {exec => ['/etc/passwd']}, qr{/exec/0: /etc/passwd: Permission denied}],
    ['a secret of the worker', {%exec, environment => {DATABASE_URL => undef}}, qr{/environment: DATABASE_URL is the worker's alone}],
    ['a name that is none', {%exec, environment => {'A=B' => 'x'}}, qr{/environment: "A=B" is not a name}],
    ['a relative directory', {%exec, directory => 'tmp'}, qr{/directory: tmp: not the absolute path}],
    ['75 for good', {%exec, permanent_exits => [75]}, qr{/permanent_exits: must be integers}],
    ['a missing schema', {%exec, payload_schema => 'no.such'}, qr{/payload_schema: no\.such: No such file}],
    ['a schema that is none', {%exec, payload_schema => '../handlers/secret'}, qr{/payload_schema: \S+: line 1, column}],
    ['a schema that promises too much', {%exec, payload_schema => {properties => {a => {pattern => '^x'}}}},
        qr{/payload_schema: #/properties/a/pattern: is not a keyword that is checked}],
    ['a URL that is none', {%service, http => 'ftp://a/'}, qr{/http: must }],
    ['no secret', {http => 'http://a/'}, qr{/secret_file: is required}],
    ['a secret that is none', {%service, secret_file => '/etc/hostname'}, qr{/secret_file: /etc/hostname: does not hold}],
) {
    my ($what, $type, $why) = @$case;
    ref $type ? write_type('bad/broken', %$type) : write_file('bad/broken.json', $type);
    like(check(TASKFORGE_HANDLERS_DIR => "$home/bad"), qr/^1 taskforge-worker: \Q$home\E\/bad\/broken\.json: $why/, "refused: $what");
}
like(check(TASKFORGE_HANDLERS_DIR => "$home/handlers", TASKFORGE_OUTGOING_DENY => '127.0.0.0/8'), qr{^1 .*/greeting\.json: /http: the URL's host is on the list}, 'refused: a service that TASKFORGE_OUTGOING_DENY names');
unlink "$home/bad/broken.json";
write_type('bad/noop', %exec);
like(check(TASKFORGE_HANDLERS_DIR => "$home/bad"), qr{^1 .*/bad/noop\.json: the type noop is there already, from taskforge-worker$}, 'refused: a type that is built in');
unlink "$home/bad/noop.json";

sub plugin {
    my ($text) = @_;
    spew("$home/work/bad.c", "#include <taskforge/plugin.h>\n$text");
    compile('bad', "$home/bad/bad.so");
    return check(TASKFORGE_HANDLERS_DIR => "$home/handlers", TASKFORGE_PLUGIN_DIR => "$home/bad");
}
my $handler = 'static tfw_outcome_t run(tfw_run_t *r) { return TFW_OK; }
    static const tfw_handler_t h = {.type = "%s", .description = "d", .payload_schema = "{}", .timeout_seconds = 1, .run = run};';
like(plugin(sprintf("$handler TASKFORGE_PLUGIN(&h);", 'fine')), qr/^0 /, 'a small plug-in is fine');
like(plugin('int other;'), qr{^1 taskforge-worker: plug-in \S+/bad\.so: does not export taskforge_plugin$}, 'refused: a plug-in without the symbol');
like(plugin(sprintf("$handler const tfw_plugin_t taskforge_plugin = {99, (const tfw_handler_t *const[]){&h, NULL}};", 'x')),
    qr{^1 .*/bad\.so: was compiled for version 99 of the interface; this worker has version \d+$}, 'refused: a plug-in of another version');
like(plugin(sprintf("$handler TASKFORGE_PLUGIN(&h);", 'letters')), qr{^1 .*/bad\.so: the type letters is there already, from \S+/letters\.json$}, 'refused: a plug-in with a type that is there');
like(plugin(sprintf("$handler TASKFORGE_PLUGIN(&h);", 'no name')), qr{^1 .*/bad\.so: a handler whose type is not a name}, 'refused: a plug-in whose type is no name');
like(plugin('void tfw_not_there(void); void f(void) { tfw_not_there(); } ' . sprintf("$handler TASKFORGE_PLUGIN(&h);", 'x')), qr{^1 .*/bad\.so: .*undefined symbol: tfw_not_there}, 'refused: a plug-in that calls what is not there');
spew("$home/bad/bad.so", 'no object');
like(check(TASKFORGE_PLUGIN_DIR => "$home/bad"), qr{^1 .*/bad\.so: .*(?:too short|invalid ELF)}, 'refused: a file that is no shared object');

done_testing;
