package TaskForge::Command;

# ./taskforge as a user runs it, for the tests that are about it: homes of their own, nothing of `up` touched.

use strict;
use warnings;
use HTTP::Tiny ();
use JSON::PP ();
use Cwd qw(abs_path);
use Exporter 'import';
use File::Basename qw(dirname);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use TaskForge::Secrets qw(heard leaks secret watch_processes);

our @EXPORT_OK = qw(taskforge temporary_home started logged_in);
our $ROOT = abs_path(dirname(__FILE__) . '/../../..');

my @homes;
my $owner = $$;

# Runs it with these variables and none else of ours; returns its exit code and all it said.
sub taskforge {
    my ($env, @arguments) = @_;
    watch_processes();
    secret(secrets_of($env));
    my $pid = open(my $out, '-|') // die "fork: $!";
    if (!$pid) {
        delete @ENV{grep { /^TASKFORGE_(?!BUILD$)/ || /^(DATABASE|REDIS)_URL$/ } keys %ENV};
        @ENV{keys %$env} = values %$env;
        open STDERR, '>&', \*STDOUT or die;
        open STDIN, '<', '/dev/null' or die;
        exec "$ROOT/taskforge", @arguments or die;
    }
    my $text = do { local $/; <$out> } // '';
    close $out;
    # shown once: it is a secret in all that follows
    my ($shown) = $text =~ /^ *the first admin: \S+, password (\S+) /m;
    heard("taskforge $arguments[0]", defined $shown ? $text =~ s/\Q$shown\E//r : $text);
    secret($shown);
    return ($? >> 8, $text);
}

# Of the settings of a user, what may not show.
sub secrets_of {
    my ($env) = @_;
    my %all = (%ENV, %$env);
    my @urls = grep { defined } @all{qw(DATABASE_URL TASKFORGE_MIGRATE_URL REDIS_URL)};
    return @all{qw(ADMIN_PASSWORD JWT_SECRET_KEY)}, map { m{://[^/@]*:([^/@]+)@}, /password=([^&\s]+)/g } @urls;
}

# A home that does not exist yet; what is made of it is stopped and removed when the test ends, however it ends.
sub temporary_home {
    my $dir = tempdir('taskforge-home-XXXXXX', DIR => $ENV{TMPDIR} // '/tmp');
    chmod 0755, $dir or die "$dir: $!";
    push @homes, $dir;
    return "$dir/home";
}

# part -> {pid, uid} of what runs in a home.
sub started {
    my ($home) = @_;
    my %part;
    for my $file (glob "$home/run/*.started") {
        open my $in, '<', $file or next;
        my ($pid) = split ' ', scalar <$in> // '';
        my ($part) = $file =~ m{([^/]+)\.started\z};
        $part{$part} = {pid => $pid, uid => (stat "/proc/$pid")[4]} if -d "/proc/$pid";
    }
    return %part;
}

END {
    if ($$ == $owner) {
        my $status = $?;
        for my $dir (@homes) {
            taskforge({TASKFORGE_HOME => "$dir/home"}, 'down') if -e "$dir/home";
            my @bad = leaks(glob "$dir/home/log/*");
            print STDERR map {"# $_\n"} @bad;
            $status ||= 1 if @bad;
            remove_tree($dir) unless $ENV{TASKFORGE_TEST_KEEP};
        }
        $? = $status;
    }
}

# A client of the API on this port that has logged in; dies when that fails.
sub logged_in {
    my ($port, $username, $password) = @_;
    my %json = ('Content-Type' => 'application/json');
    secret($password);
    my $answer = HTTP::Tiny->new(timeout => 60)->post("http://127.0.0.1:$port/api/v1/auth/login",
        {headers => \%json, content => JSON::PP::encode_json({username => $username, password => $password})});
    die "login: $answer->{status} $answer->{content}\n" unless $answer->{status} == 200;
    my $token = secret(JSON::PP::decode_json($answer->{content})->{access_token});
    return HTTP::Tiny->new(timeout => 60, default_headers => {Authorization => "Bearer $token"});
}

1;
