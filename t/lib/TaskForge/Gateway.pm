package TaskForge::Gateway;

# The payment gateway that ships for demonstrations (tools/taskforge-payment-sandbox), on loopback.

use strict;
use warnings;
use File::Basename qw(dirname);
use IO::Socket::INET;
use TaskForge::Files qw(give_away slurp spew);
use TaskForge::HTTP;
use TaskForge::Process qw(wait_until);
use TaskForge::Secrets qw(secret);
use TaskForge::Stack;

# dir: where it keeps its keys, made anew; {key_file} holds the secret.
sub start {
    my ($class, $dir) = @_;
    my $self = bless {key => secret(join '', map { ('a' .. 'z')[rand 26] } 1 .. 24), key_file => "$dir.key", port => TaskForge::Stack::free_port()}, $class;
    mkdir $dir or die "$dir: $!\n";
    spew($self->{key_file}, "$self->{key}\n");
    # who it runs as may not be allowed to read the tree
    my $script = "$dir.pl";
    my $text = slurp(dirname(__FILE__) . '/../../../tools/taskforge-payment-sandbox');
    # between charge and answer a test has to do something
    $text =~ s/^(my \$SLOW_SECONDS = )3;/${1}8;/m or die "the sandbox has no SLOW_SECONDS\n";
    spew($script, $text);
    give_away($dir, $self->{key_file}, $script);
    $self->{process} = TaskForge::Process->start(name => 'gateway', log => "$dir.log", stop => 'KILL', command => [$^X, $script, '--port', $self->{port}, '--state', $dir, '--key-file', $self->{key_file}]);
    wait_until(30, sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}) }) or die "the gateway did not start\n";
    return $self;
}

sub url { my ($self) = @_; return "http://127.0.0.1:$self->{port}/v1/charges" }

sub request {
    my ($self, $method, %o) = @_;
    return TaskForge::HTTP->new(port => $self->{port})->request($method, '/v1/charges', %o,
        headers => {Authorization => "Bearer $self->{key}", %{$o{headers} // {}}});
}

# What was charged, oldest first; with a reference, what was charged for it.
sub charges {
    my ($self, $reference) = @_;
    return grep { !defined $reference || $_->{reference} eq $reference } @{$self->request('GET')->json->{charges}};
}

1;
