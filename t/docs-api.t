# Every command printed in docs/api.md works, in the order in which it is printed; and so do the walk in README.md and the pages of which
# all commands are calls of the API.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Auth qw(add_user token);
use TaskForge::Files qw(slurp);

my $tf = TaskForge->start(auth => 1);
my %token = map { ($_ => token(add_user($tf, $_, $_))) } qw(operator admin);

# Runs what is printed below a heading as a user of that role; returns what was said.
sub run_page {
    my ($page, $role, $heading) = @_;
    my $text = slurp("$FindBin::Bin/../$page");
    $text =~ s/.*^\Q$heading\E$//ms or die "$page has no $heading\n" if $heading;
    # who has no token yet logs in
    my @blocks = grep { !/^TOKEN=/m } $text =~ /^```sh\n(.*?)^```$/msg;
    ok(@blocks, "$page has examples");
    my $script = join '', map { "$blocks[$_]\necho; echo '## $_ ok'\n" } 0 .. $#blocks;
    $script =~ s/127\.0\.0\.1:3000/127.0.0.1:$tf->{port}/g;
    # a refusal is a failure; and who watches does so for a moment
    $script =~ s/\bcurl -s(?=[ N])/curl -sf/g;
    $script =~ s/^timeout 10 ((?:.*\\\n)*.*)$/timeout 5 $1 || [ \$? = 124 ]/mg;

    my $file = "$tf->{home}/docs.sh";
    open my $out, '>', $file or die $!;
    print {$out} $script;
    close $out;
    my $said = do { local $ENV{TOKEN} = $token{$role}; `sh -e $file 2>&1` };
    for my $n (0 .. $#blocks) {
        ok($said =~ /^## $n ok$/m, "$page: " . (split /\n/, $blocks[$n])[0]) or diag substr $said, -2000;
    }
    return $said;
}

run_page('docs/api.md', 'operator');
like(run_page('README.md', 'admin', '## A walk'), qr/"event":"connected"/, 'README.md: and events come');
run_page('docs/queues.md', 'admin');
run_page('docs/schedules.md', 'admin');
run_page('docs/worker.md', 'admin');

done_testing;
