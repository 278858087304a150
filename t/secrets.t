# What a test uses and nobody else may see is looked for in all that its stack said. Here it is planted, and found.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Auth qw(bearer);
use TaskForge::Files qw(slurp);
use TaskForge::Process;
use TaskForge::Secrets;
use File::Temp qw(tempdir);

my $password = 'nine lives of a cat';

# A test of its own, in a process of its own, that shows what it should keep, where it is told to.
sub careless {
    my (@where) = @_;
    my %in = map { $_ => 1 } @where;
    my $tf = TaskForge->start(auth => 1, parts => [qw(postgres redis nchan nginx)], edit => sub {
        my ($text) = @_;
        $text =~ s[(location = /livez)][location = /echo { taskforge_problems off; return 400 "you sent \$http_x_api_key"; }\n        $1] or die;
        return $text;
    });
    my %who = (username => 'careless', password => $password);
    $tf->post('/api/v1/auth/register', {%who, email => 'careless@example.com'})->status == 201 or die 'register';
    my $session = $tf->post('/api/v1/auth/login', \%who)->json;
    my %as = bearer($session->{access_token});
    my $key = $tf->post('/api/v1/auth/api-keys', {name => 'k', scopes => ['read']}, %as)->json->{api_key};
    my $ticket = $tf->post('/api/v1/auth/ws-ticket', {}, %as)->json->{ticket};
    my ($database) = $tf->{settings}{DATABASE_URL} =~ /password=(\w+)/;
    my @all = ($password, @$session{qw(access_token refresh_token)}, $key, $ticket, $database, 'k' x 48);
    die 'something is missing' if grep { !length } @all;
    if ($in{log}) {
        open my $log, '>>', "$tf->{home}/log/planted.log" or die;
        print $log map {"[info] it is $_, no less\n"} @all, '"quoted" & more';
        close $log;
    }
    $tf->get('/echo', headers => {'X-API-Key' => $key})->status == 400 or die 'echo' if $in{answer};
    if ($in{arguments}) {
        my $shown = TaskForge::Process->start(name => 'shown', log => '/dev/null', stop => 'KILL', command => [$^X, '-e', 'sleep 60', $key]);
        wait_until(20, sub { slurp($TaskForge::Secrets::COMMANDS) =~ /-e sleep 60 \Q$key\E/ }) or die 'no process was seen';
        $shown->kill9;
    }
    ok(1, 'all is well, it says');
    done_testing;
    return;
}

if (defined $ENV{TASKFORGE_TEST_CARELESS}) {
    careless(split / /, $ENV{TASKFORGE_TEST_CARELESS});
    exit;
}

# Exit status and complaints of such a test.
sub outcome {
    my ($where) = @_;
    local $ENV{TASKFORGE_TEST_CARELESS} = $where;
    my $text = qx("$^X" "$0" 2>&1);
    return ($? >> 8, grep {/a secret shows/} split /\n/, $text);
}

my ($status, @found) = outcome('');
is_deeply([$status, @found], [0], 'a test that shows nothing passes');

($status, @found) = outcome('log answer arguments');
isnt($status, 0, 'one that shows its secrets fails, though all its ok lines are ok');
my @in_log = grep {/planted\.log/} @found;
is(scalar(@in_log), 7, 'a log: password, access token, refresh token, API key, ticket, password of the database, signing key');
like("@in_log", qr/\Q$password\E/, '... named in the complaint');
is(scalar(grep {/answers:/} @found), 1, 'the body of an error');
is(scalar(grep {/commands:/} @found), 1, 'the arguments of a process');
is(scalar(@found), 9, 'and nothing else');

done_testing;
