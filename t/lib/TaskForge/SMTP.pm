package TaskForge::SMTP;

# A mail server on loopback (t/lib/smtp-server.py, Debian's python3-aiosmtpd) that keeps what it gets.

use strict;
use warnings;
use File::Basename qw(dirname);
use JSON::PP ();
use TaskForge::Files qw(give_away slurp spew);
use TaskForge::Process qw(run wait_until);
use TaskForge::Secrets qw(secret);

my $LIB = dirname(__FILE__) . '/..';
my $json = JSON::PP->new->utf8;

# dir: where it writes, made anew; tls: (certificate, key) when it is to want STARTTLS and the login of {user}, {password}.
sub start {
    my ($class, $dir, @tls) = @_;
    my $self = bless {dir => $dir, user => 'taskforge', password => secret(join '', map { ('a' .. 'z')[rand 26] } 1 .. 20)}, $class;
    mkdir $dir or die "$dir: $!\n";
    # who it runs as may not be allowed to read the tests
    my $script = "$dir.py";
    spew($script, slurp("$LIB/smtp-server.py"));
    give_away($dir, $script);
    $self->{process} = TaskForge::Process->start(name => 'smtp', log => "$dir.log", stop => 'KILL',
        command => ['/usr/bin/python3', $script, $dir, @tls], env => {SMTP_USER => $self->{user}, SMTP_PASSWORD => $self->{password}});
    wait_until(30, sub { -e "$dir/port" || !$self->{process}->alive });
    die "the SMTP server did not start:\n" . slurp("$dir.log") unless -e "$dir/port";
    $self->{port} = slurp("$dir/port");
    return $self;
}

# The messages so far, oldest first: {envelope} and what Python's email package makes of them.
sub messages {
    my ($self) = @_;
    # the envelope is written last
    my @numbers = sort { $a <=> $b } map { m{/(\d+)\.json$} } glob "$self->{dir}/*.json";
    my @files = map {"$self->{dir}/$_.eml"} @numbers;
    return () unless @files;
    my @parsed = map { $json->decode($_) } split /\n/, run('/usr/bin/python3', "$LIB/parse-mail.py", @files);
    for my $i (0 .. $#files) {
        $parsed[$i]{envelope} = $json->decode(slurp($files[$i] =~ s/eml$/json/r));
        $parsed[$i]{raw} = slurp($files[$i]);
    }
    return @parsed;
}

# What happened, of that kind: connect, rcpt, data.
sub events {
    my ($self, $kind) = @_;
    return () unless -e "$self->{dir}/events";
    return grep { $_->{event} eq $kind } map { /\n\z/ ? $json->decode($_) : () } split /^/, slurp("$self->{dir}/events");
}

sub stop { my ($self) = @_; $self->{process}->kill9; return }

1;
