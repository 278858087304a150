package TaskForge::Postgres;

# A private PostgreSQL with the schema in it, configured by conf/. initdb and the migrations run once for a version of all of
# these and are kept as a template; a test file gets a copy.

use strict;
use warnings;
use Digest::SHA qw(sha1_hex);
use Exporter 'import';
use Fcntl qw(:flock);
use File::Path qw(remove_tree);
use POSIX qw(strftime);
use TaskForge::Files qw(cache_dir fill_template find_program give_away slurp spew);
use TaskForge::Process qw(as_unprivileged run unprivileged wait_until);

our @EXPORT_OK = qw(postgres_copy postgres_start psql psql_file);

# The migrations run as the owner of the schema, the daemons as a role that may only use it, as in production.
our $OWNER = 'taskforge_owner';
our $USER  = 'taskforge';

my @CONF = qw(postgresql.conf pg_hba.conf pg_ident.conf);

# The template's directory for this version of PostgreSQL and sql/; made when it is not there yet.
sub template {
    my ($root) = @_;
    # of this week, as the partitions are that the migrations make
    my $key = sha1_hex(join "\n", strftime('%G-%V', gmtime), unprivileged(), run(find_program('postgres'), '--version'),
        map { slurp($_) } sort(glob "$root/sql/*"), map({"$root/conf/$_"} @CONF), __FILE__);
    my $dir = cache_dir() . '/pg-' . substr $key, 0, 16;
    open my $lock, '>', cache_dir() . '/lock' or die "lock: $!\n";
    flock $lock, LOCK_EX or die "lock: $!\n";
    return $dir if -e "$dir/ready";
    remove_tree($dir) if -e $dir;
    mkdir $_ or die "$_: $!\n" for $dir, map {"$dir/$_"} qw(run conf log);
    give_away($dir, glob "$dir/*");
    initdb($dir);
    my $server = postgres_start($root, $dir);
    psql("$dir/run", 'postgres', 'CREATE DATABASE taskforge');
    psql_file("$dir/run", 'postgres', "$root/sql/roles.sql");
    run('cp', '-r', "$root/sql", $dir);
    run(as_unprivileged('KILL', 'env', "DATABASE_URL=postgresql:///taskforge?host=$dir/run&user=$OWNER", "$dir/sql/migrate"));
    if (my $complaint = $server->stop) {
        die "template: $complaint\n";
    }
    spew("$dir/ready", '');
    return $dir;
}

sub initdb {
    my ($home) = @_;
    return run(as_unprivileged('KILL', find_program('initdb'), '-D', "$home/pg", '-U', 'postgres', '-A', 'peer', '-E', 'UTF8',
        '--locale=C.UTF-8', '--no-sync', '--wal-segsize=4'));
}

# Puts a fresh data directory into $home/pg.
sub postgres_copy {
    my ($root, $home) = @_;
    run('cp', '-a', template($root) . '/pg', "$home/pg");
    return;
}

# Starts the server on $home/pg with its socket in $home/run; returns the process once it answers.
sub postgres_start {
    my ($root, $home) = @_;
    my ($uid) = unprivileged();
    my %value = (HOME => $home, USER => scalar getpwuid($uid // $>), SHARED_BUFFERS => '64MB', CACHE_SIZE => '512MB');
    spew("$home/conf/$_", fill_template("$root/conf/$_", %value)) for @CONF;
    my $server = TaskForge::Process->start(
        name => 'postgres', log => "$home/log/postgres.log", stop => 'INT', orphaned => 'INT',
        # A killed PostgreSQL loses nothing that the kernel has; fsync would only guard against the end of the machine.
        command => [find_program('postgres'), '-D', "$home/pg", '-c', "config_file=$home/conf/postgresql.conf", '-c', 'fsync=off']
    );
    wait_until(60, sub {
        die "postgres did not start:\n" . slurp("$home/log/postgres.log") unless $server->alive;
        return eval { psql("$home/run", 'postgres', 'SELECT 1'); 1 };
    }, 0.05) or die "postgres does not answer:\n" . slurp("$home/log/postgres.log");
    return $server;
}

sub psql_command {
    my ($socket_dir, $user, $database, @options) = @_;
    return as_unprivileged('KILL', find_program('psql'), '-XqAt', '-v', 'ON_ERROR_STOP=1', '-h', $socket_dir, '-U', $user,
        '-d', $database, @options);
}

# Runs a file of statements in the database taskforge.
sub psql_file {
    my ($socket_dir, $user, $file) = @_;
    # by standard input: the file may be where only we can read
    open my $in, '<', $file or die "$file: $!\n";
    return run({stdin => $in}, psql_command($socket_dir, $user, 'taskforge'));
}

# Runs statements, each in a transaction of its own, as the superuser; returns the rows of all as arrays of texts,
# NULL as undef. Dies with the error.
sub psql {
    my ($socket_dir, $database, @statements) = @_;
    my $out = run(psql_command($socket_dir, 'postgres', $database, '-F', "\x1f", '-P', "null=\x1e", map { ('-c', $_) } @statements));
    return map { [map { $_ eq "\x1e" ? undef : $_ } split /\x1f/, $_, -1] } split /\n/, $out;
}

1;
