package TaskForge::Postgres;

# A private PostgreSQL with the schema in it. initdb and the migrations run once for a version of both and are kept as a
# template in the temporary directory; a test file gets a copy.

use strict;
use warnings;
use Digest::SHA qw(sha1_hex);
use Exporter 'import';
use Fcntl qw(:flock);
use File::Path qw(make_path remove_tree);
use TaskForge::Process qw(as_unprivileged run unprivileged wait_until);

our @EXPORT_OK = qw(find_program postgres_copy postgres_start psql);

# The migrations run as the owner of the schema, the daemons as a role that may only use it, as in production.
our $OWNER = 'taskforge_owner';
our $USER  = 'taskforge';

my %found;

# Servers live outside the PATH of a plain user.
sub find_program {
    my ($name) = @_;
    return $found{$name} //= do {
        my @postgres = sort { ($b =~ m{/(\d+)/})[0] <=> ($a =~ m{/(\d+)/})[0] } glob '/usr/lib/postgresql/*/bin';
        my ($path) = grep { -x } map {"$_/$name"} @postgres, split(/:/, $ENV{PATH}), '/usr/sbin', '/sbin';
        $path // die "$name is not installed\n";
    };
}

# A directory of ours for what is worth keeping between test files.
sub cache_dir {
    my $dir = ($ENV{TMPDIR} // '/tmp') . "/taskforge-test-$>";
    mkdir $dir, 0711;
    my @stat = lstat $dir or die "$dir: $!\n";
    die "$dir: not a directory of ours\n" unless -d _ && $stat[4] == $>;
    return $dir;
}

sub give_away {
    my (@paths) = @_;
    my ($uid, $gid) = unprivileged();
    chown $uid, $gid, @paths if defined $uid;
    return;
}

sub migrations {
    my ($root) = @_;
    my @files = sort glob "$root/sql/*.up.sql";
    die "no migrations in $root/sql\n" unless @files;
    return @files;
}

# The template's directory for this version of PostgreSQL and sql/; made when it is not there yet.
sub template {
    my ($root) = @_;
    my @files = migrations($root);
    my $key = sha1_hex(join "\n", run(find_program('postgres'), '--version'), map { slurp($_) } @files, __FILE__);
    my $dir = cache_dir() . "/pg-" . substr $key, 0, 16;
    open my $lock, '>', cache_dir() . '/lock' or die "lock: $!";
    flock $lock, LOCK_EX or die "lock: $!";
    return $dir if -e "$dir/ready";
    remove_tree($dir) if -e $dir;
    make_path("$dir/run");
    give_away($dir, "$dir/run");
    run(as_unprivileged('KILL', find_program('initdb'), '-D', "$dir/pg", '-U', 'postgres', '-A', 'trust', '-E', 'UTF8',
        '--locale=C.UTF-8', '--no-sync', '--wal-segsize=4'));
    open my $conf, '>>', "$dir/pg/postgresql.conf" or die $!;
    # A killed PostgreSQL loses nothing that the kernel has; fsync would only guard against the machine's own end.
    print $conf "listen_addresses = ''\nfsync = off\nmax_connections = 60\nshared_buffers = 64MB\nmax_wal_size = 512MB\n",
        "log_line_prefix = '%m [%p] %q%u '\nlog_min_duration_statement = 5s\n";
    close $conf;
    my $server = postgres_start($dir);
    psql("$dir/run", 'postgres', "CREATE ROLE $OWNER LOGIN", "CREATE ROLE $USER LOGIN", "CREATE DATABASE taskforge OWNER $OWNER");
    for my $file (@files) {
        run(find_program('psql'), '-XqAt1', '-v', 'ON_ERROR_STOP=1', '-h', "$dir/run", '-U', $OWNER, '-d', 'taskforge', '-f', $file);
    }
    if (my $complaint = $server->stop(20)) {
        die "template: $complaint\n";
    }
    open my $ready, '>', "$dir/ready" or die $!;
    return $dir;
}

sub slurp {
    my ($file) = @_;
    open my $in, '<', $file or die "$file: $!\n";
    local $/;
    return scalar <$in>;
}

# Puts a fresh data directory into $home/pg.
sub postgres_copy {
    my ($root, $home) = @_;
    run('cp', '-a', template($root) . '/pg', "$home/pg");
    return;
}

# Starts the server on $home/pg with its socket in $home/run; returns the process once it answers.
sub postgres_start {
    my ($home) = @_;
    my $server = TaskForge::Process->start(
        name => 'postgres', log => "$home/pg.log", stop => 'INT', orphaned => 'INT',
        command => [find_program('postgres'), '-D', "$home/pg", '-k', "$home/run"]
    );
    wait_until(60, sub {
        die "postgres: did not start, see $home/pg.log\n" unless $server->alive;
        return eval { psql("$home/run", 'postgres', 'SELECT 1'); 1 };
    }, 0.05) or die "postgres: does not answer\n";
    return $server;
}

# Runs statements, each in a transaction of its own, as the superuser; returns the rows of all as arrays of texts,
# NULL as undef. Dies with the error.
sub psql {
    my ($socket_dir, $database, @statements) = @_;
    my $out = run(find_program('psql'), '-XqAt', '-v', 'ON_ERROR_STOP=1', '-F', "\x1f", '-P', "null=\x1e", '-h', $socket_dir,
        '-U', 'postgres', '-d', $database, map { ('-c', $_) } @statements);
    return map { [map { $_ eq "\x1e" ? undef : $_ } split /\x1f/, $_, -1] } split /\n/, $out;
}

1;
