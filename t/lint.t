# cppcheck, shellcheck and clang-format over the whole tree, clang-tidy over core/ alone: `make lint` runs it over everything, which takes
# minutes.
use strict;
use warnings;
use FindBin;
use File::Temp qw(tempdir);
use Test::More;

my $root = "$FindBin::Bin/..";
my $build = tempdir('tf-lint-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my @core = map { "core/$_" } map { m{([^/]+)\z} } glob "$root/core/*.c";

sub lint {
    my ($tool, $target, $promise, @more) = @_;
    SKIP: {
        skip "$tool is not installed", 1 unless grep { -x "$_/$tool" } split /:/, $ENV{PATH};
        my $pid = open(my $make, '-|') // die "fork: $!";
        if (!$pid) {
            open STDERR, '>&', \*STDOUT or die "dup: $!";
            exec 'make', '-s', '-C', $root, $target, "BUILD=$build", @more or die "make: $!";
        }
        my $out = join '', <$make>;
        close $make;
        is($?, 0, $promise) or diag(substr $out, 0, 4000);
        note($out) if $out =~ /not checked/;
    }
}

lint('clang-format', 'lint-format', 'the code is laid out as .clang-format says');
lint('cppcheck', 'lint-cppcheck', 'cppcheck finds nothing');
lint('shellcheck', 'lint-shell', 'shellcheck finds nothing');
lint('clang-tidy', 'lint-tidy', 'clang-tidy finds nothing in core/', "TIDY=@core");

done_testing;
