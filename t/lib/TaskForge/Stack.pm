package TaskForge::Stack;

# A whole TaskForge in a directory of its own: PostgreSQL, Redis, nchan's nginx, the API's nginx, workers, scheduler. Laid out like
# $TASKFORGE_HOME (docs/internals.md) and configured from the very templates in conf/ that are installed.

use strict;
use warnings;
use Cwd qw(abs_path);
use Fcntl qw(:flock);
use File::Basename qw(basename dirname);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use IO::Socket::UNIX;
use TaskForge::HTTP;
use TaskForge::Files qw(fill_template find_program slurp spew);
use TaskForge::Postgres qw(postgres_copy postgres_start psql);
use TaskForge::Process qw(as_unprivileged children_of halt run unprivileged wait_until);
use TaskForge::Secrets qw(leaks secret watch_processes);

our $ROOT = abs_path(dirname(__FILE__) . '/../../..');
our $BUILD = abs_path($ENV{TASKFORGE_BUILD} // "$ROOT/build") // die "no build directory $ENV{TASKFORGE_BUILD}\n";
our $SANITIZED = $BUILD =~ /-asan\z/;

# Fast enough for a test; otherwise what production runs. So is when a worker is lost, and a job that is not on its stream: what a busy
# machine keeps waiting is neither. A test of those says TASKFORGE_LOST_SECONDS or TASKFORGE_RECONCILE_GRACE_MS itself.
my %SETTINGS = (
    TASKFORGE_LOG_LEVEL          => 'info',
    TASKFORGE_WORKER_HOSTNAME    => 'test',
    TASKFORGE_WORKER_CONCURRENCY => 2,
    TASKFORGE_HEARTBEAT_SECONDS  => 1,
    TASKFORGE_SHUTDOWN_SECONDS   => 3,
    TASKFORGE_KILL_GRACE_SECONDS => 1,
    TASKFORGE_RECONCILE_SECONDS  => 1,
);

my @running; # stacks of this test, for END

# parts: what to start, in this order (default: everything, one worker); settings: overrides of the above;
# limit: requests per minute (default: no limit); limit_failed: refused credentials per minute (default: no limit)
# auth: true when the API asks who calls (otherwise whoever reaches the port may do everything); registration: open, closed
# handlers: true when the workers are to know the types of t/handlers/
# dashboard: true when html/ is wanted as it was built (html/tools/build $TASKFORGE_BUILD/html)
# dataset: true when data/sales_q1.csv is wanted; edit: a sub that may change nginx.conf's text before it is written
sub start {
    my ($class, %o) = @_;
    my $parts = delete $o{parts} // [qw(postgres redis nchan nginx worker scheduler)];
    # a plain user may have fewer files than conf/nginx.conf asks for
    my $self = bless {%o, parts => {}, expected => [qr/setrlimit\(RLIMIT_NOFILE/], owner => $$}, $class;
    $self->expect_log(qr{connect\(\) to unix:\S*/run/nchan\.sock failed}) unless grep { $_ eq 'nchan' } @$parts;
    $self->make_home;
    push @running, $self;
    watch_processes();
    $self->start_part($_) for @$parts;
    return $self;
}

sub make_home {
    my ($self) = @_;
    my $home = $self->{home} = tempdir('tf-XXXXXX', DIR => $ENV{TMPDIR} // '/tmp');
    mkdir "$home/$_" or die "$home/$_: $!" for qw(bin share share/html conf run data log redis);
    for my $file (qw(ngx_http_taskforge_module.so taskforge-worker taskforge-render.so taskforge-images.so taskforge-scheduler taskforge-passwd)) {
        run('cp', '-p', "$BUILD/$file", "$home/bin") if -e "$BUILD/$file";
    }
    run('cp', '-p', "$BUILD/t/taskforge-worker", "$home/bin") if $self->{handlers};
    run('cp', '-rp', "$ROOT/core/taskforge.lua", "$ROOT/sql", "$home/share");
    # the dashboard, where it was built; only a test of it needs more than a page
    run('cp', '-rp', glob($self->{dashboard} ? "$BUILD/html/*" : "$ROOT/html/missing/*"), "$home/share/html");
    run('sh', '-c', '"$0" >"$1"', "$BUILD/gen-sales", "$home/data/sales_q1.csv") if $self->{dataset};
    $self->{port} = free_port();
    $self->{settings} = {
        %SETTINGS,
        DATABASE_URL            => "postgresql:///taskforge?host=$home/run&user=$TaskForge::Postgres::USER&password=" . database_password(),
        REDIS_URL               => "unix://$home/run/redis.sock",
        TASKFORGE_REDIS_LIBRARY => "$home/share/taskforge.lua",
        TASKFORGE_DATA_DIR      => "$home/data",
        %{$self->{settings} // {}},
    };
    my ($uid, $gid) = unprivileged();
    run('chown', '-R', "$uid:$gid", $home) if defined $uid;
    chmod 0755, $home;
    return;
}

# PostgreSQL does not ask for it; it is there to stay secret.
sub database_password { return secret(join '', map { ('a' .. 'z', 0 .. 9)[rand 36] } 1 .. 24) }

# Below the range from which the kernel picks ports for connections, so that none of those takes it meanwhile; and no other test gets
# it as long as this one runs. more: so many ports behind it are as free
my @ports;

sub free_port {
    my ($more) = @_;
    my $dir = "/tmp/taskforge-test-ports-$<";
    -d $dir or mkdir $dir, 0700 or -d $dir or die "$dir: $!\n";
    for (1 .. 100) {
        my $port = 10000 + int rand 20000;
        my @locks = map { port_lock("$dir/$_", $_) // () } $port .. $port + ($more // 0);
        next if @locks <= ($more // 0);
        push @ports, @locks;
        return $port;
    }
    die "no free port\n";
}

# The locked file of a port that nobody has; undef: somebody has it.
sub port_lock {
    my ($file, $port) = @_;
    open my $lock, '>>', $file or die "$file: $!\n";
    return undef unless flock $lock, LOCK_EX | LOCK_NB;
    return undef unless IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 1, ReuseAddr => 1);
    return $lock;
}

# name: postgres, redis, nchan, nginx, scheduler, worker, or scheduler2, worker2, ... for more of a kind.
# settings: of this one daemon. Returns the process once it serves.
sub start_part {
    my ($self, $name, %settings) = @_;
    my ($kind) = $name =~ /^([a-z]+)/;
    my $start = $self->can("start_$kind") // die "no part is called $name\n";
    return $self->{parts}{$name} = $self->$start($name, %settings);
}

sub part { $_[0]{parts}{$_[1]} // die "no part $_[1] was started\n" }

# Graceful end of one part; dies when it complains.
sub stop_part {
    my ($self, $name) = @_;
    my $complaint = $self->part($name)->stop;
    die "$complaint\n" if $complaint;
    return;
}

# kill -9 of the whole part; start_part starts it again.
sub kill_part {
    my ($self, $name) = @_;
    my $part = $self->part($name);
    my @children;
    if ($part->pid && $name =~ /^(?:nginx|nchan|postgres)/) {
        halt($part->pid); # else it may start others in their place before it dies itself
        @children = children_of($part->pid);
        # nginx's worker processes outlive their master
        kill 'KILL', @children if $name !~ /^postgres/;
    }
    $part->kill9;
    # PostgreSQL's end by themselves; as long as one lives no other server takes the data, and starts
    wait_until(30, sub { !grep { TaskForge::Process::state_of($_) ne 'Z' } @children });
    return;
}

sub launch {
    my ($self, $name, %o) = @_;
    my $program = $o{command}[0];
    die "$program: not there; run make\n" unless -x $program;
    return TaskForge::Process->start(name => $name, log => "$self->{home}/log/$name.log", %o);
}

# Waits until $check is true, or dies when the process ended or the time is over.
sub ready {
    my ($self, $process, $check) = @_;
    my $why = 'not ready';
    wait_until(90, sub {
        die "$process->{name} ended at start:\n" . $self->tail($process->{name}) unless $process->alive;
        my $ok = eval { $check->() };
        $why = $@ if $@;
        return $ok;
    }) or die "$process->{name}: $why\n" . $self->tail($process->{name});
    return $process;
}

# The last lines that a part logged.
sub tail {
    my ($self, $name) = @_;
    my @lines = map { split /^/, slurp($_) } glob "$self->{home}/log/$name*.log";
    return join '', @lines > 20 ? @lines[-20 .. -1] : @lines;
}

sub start_postgres {
    my ($self) = @_;
    my $home = $self->{home};
    postgres_copy($ROOT, $home) unless -d "$home/pg";
    # a killed PostgreSQL leaves its pid file; the number may be taken by now, and then it would refuse to start
    unlink "$home/pg/postmaster.pid";
    return postgres_start($ROOT, $home);
}

sub start_redis {
    my ($self, $name) = @_;
    my $home = $self->{home};
    $self->configure('redis.conf');
    # a limit for the size of files (prlimit) is to make writes fail, as a full disk does, and not to end it
    my @command = (find_program('sh'), '-c', 'trap "" XFSZ; exec "$@"', 'sh', find_program('redis-server'), "$home/conf/redis.conf");
    my $redis = $self->launch($name, command => \@command);
    return $self->ready($redis, sub { $self->redis('PING') eq 'PONG' });
}

# Removes everything that Redis keeps on disk: its next start is an empty one.
sub wipe_redis {
    my ($self) = @_;
    remove_tree("$self->{home}/redis", {keep_root => 1});
    return;
}

# The disk of Redis is full (true): not a byte more fits into its file, and it answers MISCONF; or has room again.
sub redis_disk {
    my ($self, $full) = @_;
    run(as_unprivileged('KILL', find_program('prlimit'), '--pid', $self->part('redis')->pid, '--fsize=' . ($full ? 1 : 'unlimited') . ':unlimited'));
    return;
}

# Puts a template of conf/ into the stack, filled in; returns its text.
sub configure {
    my ($self, $name) = @_;
    my $text = fill_template("$ROOT/conf/$name",
        HOME => $self->{home}, PORT => $self->{port}, MODULES => '/usr/lib/nginx/modules', REDIS_MEMORY => '256mb',
        REGISTRATION => $self->{registration} // 'open', RATE_LIMIT_REQUESTS => $self->{limit} // 0, RATE_LIMIT_WINDOW => 60,
        OUTGOING_ALLOW => $self->{settings}{TASKFORGE_OUTGOING_ALLOW} // '', OUTGOING_DENY => $self->{settings}{TASKFORGE_OUTGOING_DENY} // '',
        DATABASE_URL => $self->{settings}{DATABASE_URL}, REDIS_URL => $self->{settings}{REDIS_URL});
    if ($name eq 'nginx.conf') {
        my $failed = $self->{limit_failed} ? "requests=$self->{limit_failed} window=60s" : 'off';
        $text =~ s/(taskforge_limit_failed +)[^;]+;/$1$failed;/ or die "conf/$name has no taskforge_limit_failed\n";
        $text =~ s/taskforge_auth +on;/taskforge_auth  off;/g unless $self->{auth};
        spew("$self->{home}/conf/jwt.key", secret('k' x 48)) unless -e "$self->{home}/conf/jwt.key";
    }
    $text = $self->{edit}->($text) if $self->{edit} && $name eq 'nginx.conf';
    spew("$self->{home}/conf/$name", $text);
    return $text;
}

sub start_web {
    my ($self, $name, $check) = @_;
    my $home = $self->{home};
    my $text = $self->configure("$name.conf");
    my @daemon = $text =~ /^\s*daemon\s/m ? () : ('-g', 'daemon off;');
    # the bound that conf/nchan.conf asks for
    my @bound = $name eq 'nchan' ? (find_program('prlimit'), '--as=1073741824') : ();
    my $nginx = $self->launch($name, stop => 'QUIT', env => $self->sanitizer_env($name), command => [
        @bound, find_program('nginx'), '-p', $home, '-e', "$home/log/$name-start.log", '-c', "$home/conf/$name.conf", @daemon
    ]);
    return $self->ready($nginx, $check);
}

sub start_nginx {
    my ($self, $name) = @_;
    my $module = "$self->{home}/bin/ngx_http_taskforge_module.so";
    die "$BUILD has no module; run make\n" unless -e $module;
    # accounts serve when the database is connected
    my $token = {refresh_token => 'tfr_' . substr 'noSuchToken' x 4, 1};
    return $self->start_web('nginx', sub {
        my $http = $self->http(timeout => 2);
        $http->get('/livez')->status == 200 && (!$self->{auth} || $http->post('/api/v1/auth/refresh', $token)->status == 401);
    });
}

sub start_nchan {
    my ($self, $name) = @_;
    # nginx does not replace what a killed one left; the API's nginx may look for it just then
    $self->expect_log(qr{connect\(\) to unix:\S*/run/nchan\.sock failed \(2:}) if unlink "$self->{home}/run/nchan.sock";
    return $self->start_web('nchan', sub { IO::Socket::UNIX->new(Peer => "$self->{home}/run/nchan.sock") });
}

sub worker_host { my ($self, $name) = @_; return $self->{settings}{TASKFORGE_WORKER_HOSTNAME} . ($name =~ s/^worker//r) }

# Without waiting for it. LD_PRELOAD among the settings is for the daemon alone, not for what drops our rights before.
sub launch_daemon {
    my ($self, $name, %settings) = @_;
    my ($kind) = $name =~ /^([a-z]+)/;
    my $preload = delete $settings{LD_PRELOAD};
    return $self->launch($name, command => [$preload ? (find_program('env'), "LD_PRELOAD=$preload") : (), "$self->{home}/bin/taskforge-$kind"],
        env => {%{$self->{settings}}, TASKFORGE_WORKER_HOSTNAME => $self->worker_host($name), %settings, %{$self->sanitizer_env($name)}});
}

sub start_worker {
    my ($self, $name, %settings) = @_;
    my $host = $settings{TASKFORGE_WORKER_HOSTNAME} // $self->worker_host($name);
    my $worker = $self->launch_daemon($name, %settings);
    return $self->ready($worker, sub {
        $self->sql_value("SELECT count(*) FROM workers WHERE status = 'online' AND pid = $worker->{pid} AND hostname = '$host'");
    });
}

# Once it can be told to leave, and its log does not end as that of the one before it.
sub start_scheduler {
    my ($self, $name, %settings) = @_;
    my $scheduler = $self->launch_daemon($name, %settings);
    return $self->ready($scheduler, sub { takes_signals($scheduler) });
}

# True once a daemon has said so: before, it would just die of them.
sub takes_signals {
    my ($daemon) = @_;
    my $pid = $daemon->pid // return 0;
    return -e $daemon->{log} && slurp($daemon->{log}) =~ /"pid":$pid,"event":"(?:worker_)?started"/;
}

# What makes the sanitizers of a SANITIZE build report into log/asan.*.
sub sanitizer_env {
    my ($self, $name) = @_;
    return {} unless $SANITIZED && $name ne 'nchan';
    my $log = "$self->{home}/log/asan.$name";
    # what nginx leaks by itself must not be its exit status: the reports are read, see sanitizer_report
    my $status = $name eq 'nginx' ? ':exitcode=0' : '';
    # Eight callers of each allocation: to unwind all of them takes longer than the tests themselves. Those in a worker are found by frame
    # pointers, which not every library has: its handlers allocate much, and their reports are not sorted by who allocated.
    my $fast = $name =~ /^worker/ ? 1 : 0;
    my %env = (
        ASAN_OPTIONS  => "detect_leaks=1:fast_unwind_on_malloc=$fast:malloc_context_size=8:abort_on_error=0:log_path=$log$status",
        UBSAN_OPTIONS => "print_stacktrace=1:log_path=$log",
    );
    $env{LD_PRELOAD} = join ' ', map { my $f = run('gcc', "-print-file-name=$_"); chomp $f; $f } qw(libasan.so libubsan.so)
        if $name eq 'nginx';
    return \%env;
}

# A new connection to the door.
sub http { my ($self, %o) = @_; return TaskForge::HTTP->new(port => $self->{port}, %o) }

# Statements as the superuser; rows as arrays.
sub sql { my ($self, @statements) = @_; return psql("$self->{home}/run", 'taskforge', @statements) }

# The first column of the first row.
sub sql_value { my ($self, $statement) = @_; return (($self->sql($statement))[0] // [])->[0] }

# A Redis command; returns the answer as redis-cli prints it.
sub redis {
    my ($self, @command) = @_;
    my $text = run(find_program('redis-cli'), '-s', "$self->{home}/run/redis.sock", @command);
    chomp $text;
    return $text;
}

# Says that log lines like $pattern are what this test provokes.
sub expect_log { my ($self, $pattern) = @_; push @{$self->{expected}}, $pattern; return }

# What of a sanitizer's report is ours. nginx leaves its own tables to the end of the process, in several ways, and its
# binary has no symbols to name them by: of its leaks only those count that the module has a hand in.
sub sanitizer_report {
    my ($name, $text) = @_;
    # it is told of every switch (worker/fiber.c)
    $text =~ s/^==\d+==WARNING: ASan doesn't fully support makecontext.*\n//mg;
    return $text if $name !~ /^asan\.nginx/;
    # it cannot always look at nginx's pool of threads while that ends
    return '' if $text =~ /LeakSanitizer has encountered a fatal error/ && $text !~ /ERROR: AddressSanitizer|runtime error/;
    return $text if $text !~ /LeakSanitizer: detected memory leaks/;
    return join "\n\n", grep { /leak of/ && /ngx_http_taskforge/ } split /\n\n/, $text;
}

# Everything in the logs that a healthy stack does not write.
sub log_complaints {
    my ($self) = @_;
    my @bad;
    for my $file (glob "$self->{home}/log/*") {
        my $name = basename($file);
        open my $in, '<', $file or next;
        if ($name =~ /^asan\./) {
            my $report = sanitizer_report($name, join '', <$in>);
            push @bad, "$name: " . substr($report, 0, 4000) if $report;
            next;
        }
        while (my $line = <$in>) {
            next if grep { $line =~ $_ } @{$self->{expected}};
            push @bad, "$name: $line" if $line =~ /\[(?:alert|emerg|crit)\]|open socket .*left in connection|runtime error:|AddressSanitizer/
                || $name =~ /^(?:worker|scheduler)/ && $line !~ /^\{.*\}$/;
        }
    }
    $#bad = 30 if @bad > 30;
    return @bad;
}

# Stops everything, the last first. Returns what went wrong.
sub stop {
    my ($self) = @_;
    my %order = (nginx => 0, worker => 1, scheduler => 2, nchan => 3, redis => 4, postgres => 5);
    my @bad;
    for my $name (sort { $order{$a =~ s/\d+$//r} <=> $order{$b =~ s/\d+$//r} } keys %{$self->{parts}}) {
        my $complaint = delete($self->{parts}{$name})->stop;
        push @bad, $complaint if $complaint;
    }
    return @bad;
}

sub remove {
    my ($self) = @_;
    if ($ENV{TASKFORGE_TEST_KEEP}) {
        print STDERR "# kept: $self->{home}\n";
        return;
    }
    remove_tree($self->{home});
    return;
}

$SIG{$_} = sub { exit 1 } for qw(INT TERM HUP);

# However a test ends, its processes end with it, and what they logged counts.
END {
    my $status = $?;
    my @bad;
    for my $stack (grep { $_->{owner} == $$ } @running) {
        push @bad, $stack->stop;
        push @bad, $stack->log_complaints, leaks(glob "$stack->{home}/log/*");
        $stack->remove;
    }
    print STDERR map {"# $_\n"} map { split /\n/ } @bad;
    $? = $status || (@bad ? 1 : 0);
}

1;
