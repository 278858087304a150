package TaskForge::Record;

# What the API says in the tests, as lines of JSON in the directory $TASKFORGE_RECORD: html/tools/check-answers.js holds it
# against the documents of the API.

use strict;
use warnings;
use Exporter 'import';
use JSON::PP;

our @EXPORT_OK = qw(record record_message);

my $json = JSON::PP->new->utf8;
my %recorded;

# Of each kind (an operation, a status, a shape of the answer) the first ones are enough.
sub record {
    my ($kind, %line) = @_;
    return if !$ENV{TASKFORGE_RECORD} || $recorded{$kind}++ >= 2;
    open my $out, '>>', "$ENV{TASKFORGE_RECORD}/$$.jsonl" or die "$ENV{TASKFORGE_RECORD}: $!\n";
    print {$out} $json->encode(\%line), "\n";
    close $out;
    return;
}

# A message that came over the channel at that path.
sub record_message {
    my ($path, $text) = @_;
    my $channel = $path =~ s/\?.*//sr;
    return unless $ENV{TASKFORGE_RECORD} && $channel =~ m{^(?:/ws|/ws/stats|/events/stream)$};
    my ($event) = $text =~ /"event":"(\w+)"/;
    my %members = map { $_ => 1 } $text =~ /("\w+":(?:"[A-Z_]+"|null|[\[{"tf\d-]))/g;
    record(join(' ', $channel, $event // '', sort keys %members), channel => $channel, message => $text);
    return;
}

1;
