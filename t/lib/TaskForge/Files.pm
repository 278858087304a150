package TaskForge::Files;

# Where programs are found, what is kept between test files, and the templates of conf/ filled in.

use strict;
use warnings;
use Exporter 'import';
use TaskForge::Process qw(unprivileged);

our @EXPORT_OK = qw(find_program cache_dir give_away slurp spew fill_template);

my %found;

# The path of a program. Servers live outside the PATH of a plain user; of several PostgreSQLs the newest counts.
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

# Makes the user that servers run as the owner.
sub give_away {
    my (@paths) = @_;
    my ($uid, $gid) = unprivileged();
    chown $uid, $gid, @paths if defined $uid;
    return;
}

sub slurp {
    my ($file) = @_;
    open my $in, '<', $file or die "$file: $!\n";
    local $/;
    return scalar(<$in>) // '';
}

sub spew {
    my ($file, $text) = @_;
    open my $out, '>', $file or die "$file: $!\n";
    print $out $text;
    close $out or die "$file: $!\n";
    return;
}

# The text of a template with a value for every @NAME@.
sub fill_template {
    my ($file, %value) = @_;
    my $text = slurp($file);
    # comments may talk about the names
    $text =~ s/^(?!\s*#)(.*)$/my $line = $1; $line =~ s{\@([A-Z_]+)\@}{$value{$1} \/\/ die "$file: no value for \@$1\@\n"}ge; $line/gem;
    return $text;
}

1;
