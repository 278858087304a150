# A short run of every fuzz target, always from the same seed; `make fuzz` runs them longer. Needs clang.
use strict;
use warnings;
use FindBin;
use File::Temp qw(tempdir);
use Test::More;

my $root = "$FindBin::Bin/..";
my ($clang) = grep { -x } map { "$_/clang" } split /:/, $ENV{PATH};
plan skip_all => 'clang is not installed' unless $clang;

my $build = tempdir('tf-fuzz-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $probe = qx(echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { return 0; }' | '$clang' -x c -fsanitize=fuzzer - -o '$build/probe' 2>&1);
plan skip_all => 'this clang has no fuzzer library' if $?;

my $out = qx(make -s -C '$root' fuzz BUILD='$build' FUZZ_ARGS='-runs=4000 -seed=1 -max_len=2048' 2>&1);
is($?, 0, 'no target crashes, leaks or contradicts itself') or diag(substr $out, -4000);
for my $target (map { m{([^/]+)\.c$} } glob "$root/t/fuzz/*.c") {
    ok(-x "$build/fuzz/$target", "$target was built");
}
is(scalar(() = $out =~ /^Done 4000 runs/mg), scalar(() = glob "$root/t/fuzz/*.c"), 'each ran to its end');

done_testing;
