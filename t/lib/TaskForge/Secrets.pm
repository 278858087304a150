package TaskForge::Secrets;

# What a test used that nobody else may see, and whether any of it shows: in a log, in an answer, in the arguments of a
# process. The clients of the harness register what they send and get; a find fails the test file, whatever it tests.

use strict;
use warnings;
use Exporter 'import';
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(sleep);

our @EXPORT_OK = qw(secret secrets_of_request secrets_of_answer heard watch_processes leaks);

my $SHORTEST = 12;        # of what is looked for; the rules for passwords ask for as much
my $LONGEST  = 65536;     # bytes kept of one answer
my $PAUSE    = 0.1;       # seconds between two looks at the processes; a look costs 2 ms

my $owner = $$;
my $dir = tempdir('tf-secrets-XXXXXX', DIR => $ENV{TMPDIR} // '/tmp');
my (%known, $watcher);

# Where command lines are kept; whoever starts programs may add lines.
our $COMMANDS = "$dir/commands";
my $ANSWERS = "$dir/answers";
append($_, '') for $COMMANDS, $ANSWERS, "$dir/secrets";

# In one write: processes that a test forks add to the same files.
sub append {
    my ($file, $text) = @_;
    open my $out, '>>', $file or die "$file: $!\n";
    syswrite $out, $text;
    return close $out;
}

# The part of a secret that has to stay one. A log may show that there was a token, or the beginning of a key.
sub core_of {
    my ($text) = @_;
    return $1 if $text =~ /^[\w-]+\.[\w-]+\.([\w-]{20,})$/;
    return substr $text, 12, 20 if $text =~ /^tf[krt]_[\w-]{30,}$/;
    return $text;
}

# Registers secrets, as they are and as JSON and URLs spell them; returns the first.
sub secret {
    my (@texts) = @_;
    for my $core (map { core_of($_) } grep { defined } @texts) {
        next if length $core < $SHORTEST || $core =~ /\n/ || $known{$core}++;
        my ($in_json) = JSON::PP->new->utf8->allow_nonref->encode($core) =~ /^"(.*)"$/s;
        my $in_url = $core =~ s/([^\w.~-])/sprintf '%%%02X', ord $1/ger;
        my %spelling = map { $_ => 1 } $core, $in_json, $in_url;
        append("$dir/secrets", join '', map {"$_\n"} keys %spelling);
    }
    return $texts[0];
}

# What a request carries: credentials in its headers and arguments, passwords and tokens in its body (data or text).
sub secrets_of_request {
    my ($path, $headers, $body) = @_;
    while (my ($name, $value) = each %{$headers // {}}) {
        next unless defined $value;
        secret($value =~ /^Bearer +(\S+)$/i) if lc $name eq 'authorization';
        secret($value) if lc $name eq 'x-api-key';
        secret($value =~ /\bbearer\.([^\s,]+)/g) if lc $name eq 'sec-websocket-protocol';
    }
    secret($path =~ /[?&](?:token|ticket)=([^&\s]+)/g);
    secret(map { $body->{$_} } grep {/password|token/ && !ref $body->{$_}} keys %$body) if ref $body eq 'HASH';
    return;
}

# What the API hands out.
sub secrets_of_answer { my ($body) = @_; return secret($body =~ /"(?:access_token|refresh_token|api_key|ticket)" *: *"([^"]+)"/g) }

# An answer or output in which no secret belongs. what: where it came from.
sub heard {
    my ($what, $text) = @_;
    append($ANSWERS, "$what: " . (substr($text, 0, $LONGEST) =~ s/\n/ /gr) . "\n") if length $text;
    return;
}

# From now to the end of the test, the arguments of every process of this machine are written down.
sub watch_processes {
    return if $watcher || $$ != $owner;
    $watcher = fork // die "fork: $!";
    return if $watcher;
    $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
    # whoever reads the test's output need not wait for this process
    open STDIN,  '<', '/dev/null';
    open STDOUT, '>', '/dev/null';
    my %last;
    while (getppid == $owner) {
        my $now = arguments_of_processes();
        append($COMMANDS, join '', map {"$now->{$_}\n"} grep { $now->{$_} ne ($last{$_} // '') } keys %$now);
        %last = %$now;
        sleep $PAUSE;
    }
    POSIX::_exit(0);
}

# pid -> its arguments.
sub arguments_of_processes {
    my %now;
    opendir my $proc, '/proc' or return \%now;
    for my $pid (grep {/^\d+$/} readdir $proc) {
        open my $in, '<', "/proc/$pid/cmdline" or next;
        sysread $in, my $arguments, $LONGEST or next;
        $now{$pid} = $arguments =~ tr/\0\n/  /r;
    }
    return \%now;
}

# Complaints: in which of the files a registered secret stands.
sub leaks {
    my (@files) = @_;
    @files = grep { -f } @files;
    return if !@files || !-s "$dir/secrets";
    my $pid = open(my $out, '-|', qw(grep -a -o -H -F -f), "$dir/secrets", '--', @files) // die "grep: $!";
    my %seen;
    my @found = grep { !$seen{$_}++ } <$out>;
    chomp @found;
    close $out or $? >> 8 == 1 or die "grep: exit status " . ($? >> 8) . "\n";
    return map { "a secret shows: $_" } @found;
}

sub stop_watching {
    my $pid = $watcher or return;
    undef $watcher;
    kill 'TERM', $pid;
    waitpid $pid, 0;
    return;
}

# After the ENDs of who uses this: their stacks have stopped, and their logs were looked at.
END {
    if ($$ == $owner) {
        my $status = $?;
        stop_watching();
        my @bad = leaks($COMMANDS, $ANSWERS);
        print STDERR map {"# $_\n"} @bad;
        remove_tree($dir);
        $? = $status || (@bad ? 1 : 0);
    }
}

1;
