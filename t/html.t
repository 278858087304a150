# The dashboard's logic and its types, and ESLint; what it does in a browser is in t/dashboard.t.
use strict;
use warnings;
use FindBin;
use Test::More;

my $html = "$FindBin::Bin/../html";
plan skip_all => "$html/node_modules is not there (html/tools/build OUT --dev)" unless -x "$html/node_modules/.bin/vitest";

for my $step (['types', 'types are made from the API\'s document'], ['typecheck', 'TypeScript, strict, finds nothing'], ['eslint', 'ESLint finds nothing'], ['unit', 'unit tests']) {
    my $said = `cd $html && npm run --silent $step->[0] 2>&1 </dev/null`;
    is($?, 0, $step->[1]) or diag $said;
}

done_testing;
