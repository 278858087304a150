#!/usr/bin/perl
# Migrations: each happens whole or not at all, once, however many run them, and the daemons' role can change no table.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Process qw(as_unprivileged run);

my $tf = TaskForge->start(parts => ['postgres']);
my $home = $tf->{home};
my $sql = "$home/share/sql"; # a copy that this test may add to
my $owner = "host=$home/run dbname=fresh user=taskforge_owner";

sub psql { # statement, role
    my ($statement, $role) = @_;
    return output(as_unprivileged('KILL', 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-h', "$home/run", '-d', 'fresh',
        '-U', $role // 'postgres', '-c', $statement));
}

sub output { # command: its exit code, and all it said
    my (@command) = @_;
    my $pid = open(my $out, '-|') // die "fork: $!";
    if (!$pid) {
        open STDERR, '>&', \*STDOUT;
        chdir '/';
        exec @command or die;
    }
    my $text = do { local $/; <$out> } // '';
    close $out;
    chomp $text;
    return wantarray ? ($? >> 8, $text) : $text;
}

sub migrate { # arguments
    return output(as_unprivileged('KILL', 'env', "DATABASE_URL=$owner", "$sql/migrate", @_));
}

sub add { # number and name, up, down
    my ($label, $up, $down) = @_;
    my %text = (up => $up, down => $down // 'SELECT 1;');
    for my $way (keys %text) {
        open my $file, '>', "$sql/$label.$way.sql" or die "$label: $!";
        print $file $text{$way};
        close $file or die;
    }
    return;
}

sub discard { unlink glob "$sql/$_[0].*.sql" or die "$_[0]: $!" }

my $tables = q{SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'S')};
my $last = (map { m{/(\d{4})_[^/]*\z} } sort glob "$sql/*.up.sql")[-1];
my $count = () = glob "$sql/*.up.sql";
my ($next, $after) = map { sprintf '%04d', $last + $_ } 1, 2;

output(as_unprivileged('KILL', 'psql', '-Xq', '-h', "$home/run", '-U', 'postgres', '-d', 'postgres', '-c',
    'CREATE DATABASE fresh'));
for my $time (qw(first second)) {
    my ($code, $text) = output(as_unprivileged('KILL', 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-h', "$home/run", '-U',
        'postgres', '-d', 'fresh', '-o', '/dev/null', '-f', "$sql/roles.sql"));
    is $code, 0, "roles.sql runs a $time time" or diag $text;
}

my ($code, $text) = migrate('status');
is $code, 0, 'status of an empty database works';
like $text, qr/^0001 +jobs +pending /m, '... and shows what is to come';
is psql($tables), '', '... and makes nothing';

# five at once on an empty database
my @runs = map { open my $run, '-|', as_unprivileged('KILL', 'env', "DATABASE_URL=$owner", "$sql/migrate") or die; $run } 1 .. 5;
my $said = join '', map { local $/; scalar(<$_>) // '' } @runs;
my @codes = map { close $_; $? >> 8 } @runs;
is "@codes", '0 0 0 0 0', 'five runs at once all succeed';
my $applied = () = $said =~ /^applied /mg;
is $applied, $count, '... and every migration is applied by one of them';
is psql('SELECT count(*) FROM schema_migrations'), $count, '... and recorded once';
like psql($tables), qr/\bjobs\b/, '... and the tables are there';

($code, $text) = migrate('up');
is "$code $text", '0 ', 'nothing is left to do';
($code, $text) = migrate('status');
like $text, qr/^0001 +jobs +applied +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/m, 'status shows when it was applied';

# the whole way back, and forth again
sub shape { # of the database: its functions, columns, constraints, indexes and triggers, an array of lines
    return split /\n/, psql(q{
        SELECT 'function ' || p.oid::regprocedure || ' ' || md5(pg_get_functiondef(p.oid)) AS line
          FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
        UNION ALL SELECT 'column ' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '')
          FROM information_schema.columns WHERE table_schema = 'public'
        UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || pg_get_constraintdef(oid)
          FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid <> 0
        UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
        UNION ALL SELECT 'trigger ' || pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
        ORDER BY line});
}
my (@undone, @shapes);
for (1 .. $count) {
    push @undone, (migrate('down', '--yes'))[1];
    unshift @shapes, [shape()];
}
is scalar(grep { /^undone \d{4}_\w+$/ } @undone), $count, 'all of them can be undone, one after the other' or diag "@undone";
is psql($tables), 'schema_migrations', '... and leave no table';
is psql(q{SELECT string_agg(proname, ' ') FROM pg_proc WHERE pronamespace = 'public'::regnamespace}), '', '... and no function';
my $steps = "$home/share/steps";
mkdir $steps or die "$steps: $!";
run('cp', '-p', "$sql/migrate", "$sql/psql", $steps);
for my $up (sort glob "$sql/*.up.sql") {
    my ($label) = $up =~ m{([^/]+)\.up\.sql$};
    is_deeply [shape()], shift @shapes, "$label was undone without a trace";
    run('cp', '-p', $up, "$sql/$label.down.sql", $steps);
    ($code, $text) = output(as_unprivileged('KILL', 'env', "DATABASE_URL=$owner", "$steps/migrate", 'up'));
    is $code, 0, '... and can be applied again' or diag $text;
}

# a failing one
my $before = psql($tables);
add("${next}_broken", "CREATE TABLE half (i integer);\nINSERT INTO half VALUES (1);\nSELECT 1 / 0;\n");
add("${after}_later", "CREATE TABLE later (i integer);\n", "DROP TABLE later;\n");
($code, $text) = migrate('up');
is $code, 1, 'a failing migration fails the command';
like $text, qr/${next}_broken\.up\.sql:3: ERROR: +division by zero/, '... with file, line and error';
is psql($tables), $before, '... leaves nothing of itself, and none after it runs';
is psql('SELECT max(version) FROM schema_migrations'), $last + 0, '... and is not recorded';
discard("${next}_broken");

# one that would end the transaction it runs in
add("${next}_sly", "CREATE TABLE sly (i integer);\nCOMMIT;\nSELECT 1 / 0;\n");
($code, $text) = migrate('up');
is $code, 1, 'a migration that ends its transaction is refused';
like $text, qr/${next}_sly.*inside one transaction/, '... with the reason';
is psql($tables), $before, '... before it ran';
discard("${next}_sly");

# up, down, up
($code, $text) = migrate('up');
is $code, 0, 'a good one is applied';
like $text, qr/^applied ${after}_later \(\d+ ms\)$/, '... and says how long it took';
($code, $text) = migrate('down');
is $code, 2, 'down wants to be confirmed';
like psql($tables), qr/\blater\b/, '... and did nothing';
($code, $text) = migrate('down', '--yes');
is "$code $text", "0 undone ${after}_later", 'down --yes undoes the newest';
is psql($tables), $before, '... and only that';
($code, $text) = migrate('status');
like $text, qr/^$after +later +pending/m, '... so that it is pending again';
($code) = migrate('up');
is $code, 0, '... and can be applied again';

# a down that fails
add("${after}_later", "CREATE TABLE later (i integer);\n", "DROP TABLE later;\nSELECT no_such_column;\n");
($code, $text) = migrate('down', '--yes');
is $code, 1, 'a failing down fails';
like psql($tables), qr/\blater\b/, '... and leaves all as it was';
is psql("SELECT count(*) FROM schema_migrations WHERE version = $after"), 1, '... the record too';

# changed after it was applied
add("${after}_later", "CREATE TABLE later (i bigint);\n", "DROP TABLE later;\n");
($code, $text) = migrate('up');
is $code, 1, 'a file that was changed after it was applied is refused';
like $text, qr/changed after it was applied: ${after}_later/, '... and named';
($code, $text) = migrate('status');
is $code, 1, '... status fails as well';
like $text, qr/^$after +later +changed/m, '... and shows which';
discard("${after}_later");
($code, $text) = migrate('up');
is $code, 0, 'a migration of a newer version, without a file here, stops nobody';
like $text, qr/no file here: ${after}_later/, '... but is mentioned';

# files that make no sense
add("${last}_twice", 'SELECT 1;');
($code, $text) = migrate('up');
is $code, 1, 'two migrations of one number are refused';
discard("${last}_twice");
add("${next}_alone", 'SELECT 1;');
unlink "$sql/${next}_alone.down.sql";
($code, $text) = migrate('up');
like $text, qr/${next}_alone\.up\.sql has no down file/, 'a migration without a way back is refused';
discard("${next}_alone");
($code, $text) = migrate('sideways');
is $code, 2, 'an unknown word is wrong usage';

# what the daemons' role may do
is psql('SELECT make_partitions(6) > 0', 'taskforge'), 't', "the daemons' role can make partitions";
for my $forbidden ('CREATE TABLE mine (i integer)', 'DROP TABLE jobs', 'TRUNCATE jobs', 'ALTER TABLE jobs ADD x integer',
    'DELETE FROM schema_migrations', 'CREATE SCHEMA mine', 'CREATE ROLE friend', q{COPY jobs TO PROGRAM 'cat'}) {
    ($code, $text) = psql($forbidden, 'taskforge');
    ok $code != 0 && $text =~ /permission denied|must be (owner|superuser)/, "... and cannot: $forbidden" or diag $text;
}

done_testing;
