#!/usr/bin/perl
# What a user gives ./taskforge to keep (passwords in URLs, of the admin, the key of the tokens) is in no output, no log, and no
# argument of any program that it starts, however short that lives.
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::UNIX;
use TaskForge;
use TaskForge::Command qw(logged_in taskforge temporary_home);
use TaskForge::Files qw(slurp spew);
use TaskForge::Secrets qw(leaks secret);
use TaskForge::TLS;

plan skip_all => 'nginx needs a preloaded library with the sanitizers' if $TaskForge::Stack::SANITIZED;

# Programs that our shell scripts name, replaced by one that writes down its arguments and then is what it was.
sub recording_path {
    my $dir = temporary_home() =~ s/home$//r;
    my %word = map { $_ => 1 } map {/[a-z][\w.-]+/g} map { slurp($_) }
        glob "$TaskForge::Command::ROOT/{taskforge,sql/migrate,sql/psql,tools/stack/*.sh}";
    mkdir "$dir/$_" or die "$dir/$_: $!" for qw(path real);
    spew("$dir/record", qq{#!/bin/sh\nprintf '%s ' "\${0##*/}" "\$@" | tr '\\n' ' ' >>$TaskForge::Secrets::COMMANDS\n}
            . qq{echo >>$TaskForge::Secrets::COMMANDS\nexec "$dir/real/\${0##*/}" "\$@"\n});
    chmod 0755, "$dir/record";
    for my $name (grep { !/^(?:sh|tr|printf|make|gcc|cc|perl)\z/ } keys %word) {
        my ($program) = grep { -x && !-d _ } map {"$_/$name"} split /:/, $ENV{PATH} or next;
        symlink $program, "$dir/real/$name" or die;
        symlink "$dir/record", "$dir/path/$name" or die;
    }
    chmod 0666, $TaskForge::Secrets::COMMANDS;
    chmod 0755, $dir, $TaskForge::Secrets::COMMANDS =~ s{/[^/]*$}{}r;
    return "$dir/path:$ENV{PATH}";
}

# servers of the user's own
my $servers = TaskForge->start(parts => [qw(postgres redis)]);
my %password = map { $_ => join '', "$_-", map { ('a' .. 'z', 0 .. 9)[rand 36] } 1 .. 20 } qw(owner daemon redis admin user tokens key);
my $redis_port = TaskForge::Stack::free_port();
$servers->redis('CONFIG', 'SET', 'port', $redis_port);
my $redis = IO::Socket::UNIX->new(Peer => "$servers->{home}/run/redis.sock") or die "redis.sock: $!";
print $redis "CONFIG SET requirepass $password{redis}\r\n";
is(scalar(<$redis>), "+OK\r\n", 'a Redis with a password');

# the database over TLS, with a certificate whose key has a password, too
my $tls = TaskForge::TLS->new;
my $address = TaskForge::TLS::free_address();
my ($certificate, $key) = $tls->certificate('taskforge', 'DNS:taskforge', secret($password{key}));
$tls->postgres($servers, $address, $tls->certificate('postgres', "IP:$address"), taskforge => $password{daemon}, taskforge_owner => $password{owner});

sub url {
    my ($user, $password) = @_;
    return "postgresql://$user:$password\@$address/taskforge?sslmode=verify-full&sslrootcert=$tls->{ca}"
        . "&sslcert=$certificate&sslkey=$key&sslpassword=$password{key}";
}
my $home = temporary_home();
my $port = TaskForge::Stack::free_port();
my %env = (
    TASKFORGE_HOME => $home, TASKFORGE_PORT => $port, PATH => recording_path(),
    DATABASE_URL => url('taskforge', $password{daemon}), TASKFORGE_MIGRATE_URL => url('taskforge_owner', $password{owner}),
    REDIS_URL => "redis://:$password{redis}\@127.0.0.1:$redis_port/0",
    ADMIN_PASSWORD => $password{admin}, JWT_SECRET_KEY => "$password{tokens}-and-some-more",
);

sub succeeds {
    my ($what, $env, @command) = @_;
    my ($code, $text) = taskforge($env, @command);
    return is($code, 0, "./taskforge $what") || diag $text;
}

succeeds('up, with all of them', \%env, 'up');
ok(eval { logged_in($port, 'admin', $password{admin}) }, 'the password is the admin\'s');
succeeds('status', \%env, 'status');
succeeds('migrate status', \%env, 'migrate', 'status');
succeeds('admin create', {%env, ADMIN_PASSWORD => $password{user}}, qw(admin create --username second --email second@example.com));
succeeds('audit verify', \%env, 'audit', 'verify');
succeeds('logs', \%env, 'logs');
succeeds('shell-db', \%env, 'shell-db');
succeeds('shell-redis', \%env, 'shell-redis', 'PING');
succeeds('up again', \%env, 'up');
succeeds('down', \%env, 'down');

subtest 'whatever the form of DATABASE_URL' => sub {
    my $dir = temporary_home() =~ s/home$//r;
    spew("$dir/psql", qq{#!/bin/sh\necho "\$2|\$PGPASSWORD|\$(cat "\${PGSERVICEFILE:-/dev/null}")"\n});
    chmod 0755, "$dir/psql";
    my %want = (
        'postgresql://u:p%40w@h/db?x=1&sslpassword=a%26b&y=2' => "postgresql://u\@h/db?x=1&y=2|p\@w|[taskforge]\nsslpassword=a&b",
        'postgres://u:p?w@h,i:1/db'                           => 'postgres://u@h,i:1/db|p?w|',
        'postgresql:///db?pass%77ord=w'                       => 'postgresql:///db|w|',
        "host=h password = 'it\\'s' sslpassword=a\\ b user=u" => "host=h user=u|it's|[taskforge]\nsslpassword=a b",
        'dbname=taskforge'                                    => 'dbname=taskforge||',
    );
    for my $url (sort keys %want) {
        local @ENV{qw(DATABASE_URL PATH)} = ($url, "$dir:$ENV{PATH}");
        chomp(my $out = qx{"$TaskForge::Command::ROOT/sql/psql"});
        is($out, $want{$url}, $url);
    }
};

my $commands = slurp($TaskForge::Secrets::COMMANDS);
like($commands, qr/^\Q$_\E /m, "the arguments of $_ were recorded") for qw(psql redis-cli sed setpriv);
is_deeply([leaks($TaskForge::Secrets::COMMANDS)], [], 'and hold nothing secret');
is_deeply([leaks(glob "$home/log/*")], [], 'neither do the logs');
is_deeply([map { sprintf '%s %o', m{([^/]+)$}, (stat)[2] & 077 } grep { leaks($_) } glob "$home/conf/*"],
    ['jwt.key 0', 'nginx.conf 0', 'taskforge.env 0'], 'only the user reads the files that hold them');

done_testing;
