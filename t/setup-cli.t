#!/usr/bin/perl
# What ./taskforge says to wrong usage and unfit surroundings. Nothing is started.
use strict;
use warnings;
use File::Temp 'tempdir';
use FindBin;
use IO::Socket::INET;
use lib "$FindBin::Bin/lib";
use TaskForge::Command 'taskforge';
use TaskForge::Files;
use TaskForge::Stack ();
use Test::More;

my $root = $TaskForge::Command::ROOT;
my $dir = tempdir('taskforge-cli-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $dir;

my ($code, $text) = taskforge({}, 'help');
is $code, 0, 'help succeeds';
for my $command (qw(up down status logs seed migrate migrate-create test bench shell-db shell-redis clean check)) {
    like $text, qr/^  \Q$command\E\b.* \S/m, "help explains $command";
}

for my $command (qw(up down status logs seed migrate migrate-create admin audit shell-db clean check)) {
    ($code, $text) = taskforge({TASKFORGE_HOME => "$dir/none"}, $command, '--help');
    is "$code " . substr($text, 0, 7), '0 usage: ', "$command --help explains, and does nothing";
}

($code, $text) = taskforge({}, 'jump');
is $code, 2, 'an unknown command is wrong usage';
like $text, qr/no command "jump"/, '... and is named';

($code, $text) = taskforge({}, 'up', 'now');
is $code, 2, 'an unknown argument is wrong usage';
like $text, qr/not "now"/, '... and is named';

for my $command ([qw(status)], [qw(down)], [qw(logs)], [qw(seed)], [qw(migrate)], [qw(shell-db)], [qw(shell-redis)], [qw(check)]) {
    ($code, $text) = taskforge({TASKFORGE_HOME => "$dir/none"}, @$command);
    is $code, 1, "@$command without a stack fails";
    like $text, qr{no stack in \Q$dir\E/none}, '... and says why';
}
ok !-e "$dir/none", 'and none of them made one';

for my $port (qw(http 0 80 70000 -1), '30 00', '3000;id') {
    ($code, $text) = taskforge({TASKFORGE_HOME => "$dir/none", TASKFORGE_PORT => $port}, 'up');
    is $code, 2, "port \"$port\" is refused";
    like $text, qr/TASKFORGE_PORT: "\Q$port\E" is not a number from 1024 to 65535/, '... with the range';
}

($code, $text) = taskforge({TASKFORGE_HOME => "$dir/none"}, qw(admin create --username eve));
is $code, 2, 'an account without an address is wrong usage';
like $text, qr/^taskforge: usage: .*--email ADDRESS/, '... and the usage is shown';

my $taken = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die "listen: $!";
($code, $text) = taskforge({TASKFORGE_HOME => "$dir/none", TASKFORGE_PORT => $taken->sockport}, 'up');
is $code, 1, 'a port that somebody else listens on is refused before anything is built';
like $text, qr/port ${\$taken->sockport} is taken/, '... and named';
ok !-e "$dir/none", '... and no home was made';

($code, $text) = taskforge({TASKFORGE_HOME => "$dir/none", DATABASE_URL => q{host='x'}}, 'up');
is $code, 2, 'a DATABASE_URL that could break out of a configuration file is refused';
unlike $text, qr/host=/, '... and not printed';

for my $wrong ([RATE_LIMIT_REQUESTS => 'many', qr/RATE_LIMIT_REQUESTS.* are numbers/], [RATE_LIMIT_WINDOW => 0, qr/at least 1 second/],
    [TASKFORGE_WORKER_CONCURENCY => 8, qr/TASKFORGE_WORKER_CONCURENCY is no setting of TaskForge: conf\/taskforge.env.example lists them/],
    [JWT_SECRET_KEY => 'x' x 31, qr/JWT_SECRET_KEY has fewer than 32 bytes/], [TASKFORGE_REGISTRATION => 'maybe', qr/is open or closed/],
    [ADMIN_PASSWORD => "first line\nsecond line", qr/^taskforge: ADMIN_PASSWORD has more than one line$/],
    [TASKFORGE_WORKER_LABELS => "a=1\nDATABASE_URL=evil", qr/^taskforge: TASKFORGE_WORKER_LABELS has more than one line$/]) {
    my ($name, $value, $says) = @$wrong;
    ($code, $text) = taskforge({TASKFORGE_HOME => "$dir/none", $name => $value}, 'up');
    is $code, 2, "$name=$value is refused" =~ s/\n.*//sr;
    like $text, $says, '... with the reason';
}

($code, $text) = taskforge({}, 'clean', '--all');
is $code, 2, 'clean --all wants to be confirmed';
($code, $text) = taskforge({}, 'clean', '--everything');
is $code, 2, 'clean takes no other option';

($code, $text) = taskforge({}, 'migrate-create', '../evil');
is $code, 2, 'a migration may not be named like a path';

# a home that belongs to something else
mkdir "$dir/photos" or die;
open my $photo, '>', "$dir/photos/1.jpg" or die;
close $photo;
SKIP: {
    skip 'nothing is built', 3 unless -e ($ENV{TASKFORGE_BUILD} // "$root/build") . '/taskforge-worker';
    my $free = TaskForge::Stack::free_port();
    ($code, $text) = taskforge({TASKFORGE_HOME => "$dir/photos", TASKFORGE_PORT => $free}, 'up');
    is $code, 1, 'a directory with other things in it is no home';
    like $text, qr/holds something else/, '... it says so';
    is_deeply [glob "$dir/photos/{*,.t*}"], ["$dir/photos/1.jpg"], '... and changes nothing there';
}

# conf/taskforge.env.example lists the settings of the daemons, each with its default
my %table;
for my $file (glob "$root/{daemon,worker,scheduler}/*.c $root/worker/*/*.c") {
    my $code = TaskForge::Files::slurp($file);
    my $rows = qr/\{"(TASKFORGE_\w+)",\s*TF_SETTING_\w+,\s*(?:\w+\([^)]*\)|0),\s*("[^"]*"|NULL|TF_QUEUE_DEFAULT),/;
    while ($code =~ /$rows/g) {
        my ($name, $default) = ($1, $2);
        $table{$name} = $default eq 'NULL' ? undef : $default eq 'TF_QUEUE_DEFAULT' ? 'default' : $default =~ tr/"//dr;
    }
}
my %listed = TaskForge::Files::slurp("$root/conf/taskforge.env.example") =~ /^#?(TASKFORGE_\w+)=(.*)$/mg;
cmp_ok scalar keys %table, '>', 50, 'the tables of settings are found';
is_deeply [sort keys %listed], [sort keys %table], 'conf/taskforge.env.example lists all of them, and nothing else';
is_deeply {map { $_ => $listed{$_} =~ /^\@HOME\@/ ? $table{$_} : $listed{$_} } keys %listed}, \%table, '... with their defaults';

done_testing;
