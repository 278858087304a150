# Every command printed in docs/api.md works, in the order in which it is printed.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Auth qw(add_user token);
use TaskForge::Files qw(slurp);

my $tf = TaskForge->start(auth => 1);
my $token = token(add_user($tf, 'olga', 'operator'));
my @blocks = slurp("$FindBin::Bin/../docs/api.md") =~ /^```sh\n(.*?)^```$/msg;
ok(@blocks > 5, 'the page has examples');
my $script = join '', map { "$blocks[$_]\necho; echo '## $_ ok'\n" } 0 .. $#blocks;
$script =~ s/127\.0\.0\.1:3000/127.0.0.1:$tf->{port}/g;

my $file = "$tf->{home}/docs.sh";
open my $out, '>', $file or die $!;
print {$out} $script;
close $out;
my $said = do { local $ENV{TOKEN} = $token; `sh -e $file 2>&1` };
for my $n (0 .. $#blocks) {
    ok($said =~ /^## $n ok$/m, (split /\n/, $blocks[$n])[0]) or diag substr $said, -2000;
}

done_testing;
