# The dashboard in a real browser: html/tests/dashboard.js says what is promised.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Secrets qw(secret);

my $root = "$FindBin::Bin/..";
plan skip_all => "not there: $TaskForge::Stack::BUILD/html (html/tools/build makes it)" unless -e "$TaskForge::Stack::BUILD/html/index.html";

my $tf = TaskForge->start(auth => 1, dashboard => 1, handlers => 1, edit => sub {
    # cheap hashes: accounts-login.t looks at dear ones
    $_[0] =~ s/(taskforge_accounts +[^;]*);/$1 argon2_memory=1m argon2_time=1;/r;
});
my %password = map { $_ => secret("$_ has a horse 7 battery") } qw(anna olga vera);
for my $name (sort keys %password) {
    my $r = $tf->post('/api/v1/auth/register', {username => $name, email => "$name\@example.com", password => $password{$name}});
    is($r->status, 201, "$name has an account") or diag $r->body;
}
$tf->sql("UPDATE users SET role = 'admin' WHERE username = 'anna'", "UPDATE users SET role = 'operator' WHERE username = 'olga'");

local %ENV = (%ENV, TASKFORGE_URL => "http://127.0.0.1:$tf->{port}", NGINX_PID => $tf->part('nginx')->pid,
    ADMIN => "anna:$password{anna}", OPERATOR => "olga:$password{olga}", VIEWER => "vera:$password{vera}");
my ($n, $bad) = (0, 0);
open my $browser, '-|', 'node', "$root/html/tests/dashboard.js" or die "node: $!\n";
while (my $line = <$browser>) {
    if ($line =~ /^(not )?ok \d+ - (.*)/) {
        $n++;
        ok(!$1, $2);
    } elsif ($line =~ /^#/) {
        diag $line =~ s/^# //r;
    }
}
close $browser;
is($?, 0, "the browser came to its end, after $n promises");

done_testing;
