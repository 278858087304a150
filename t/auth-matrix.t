# Every route of the one route table, for every kind of caller. A route that has no row here fails the test.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Auth qw(add_family add_key add_user claims_of rsa_key sign_hs256 token unsigned);
use TaskForge::Files qw(slurp);

# route => least role, scopes of an API key that are enough
my %EXPECTED = (
    'POST /jobs'                 => [operator => qw(submit manage)],
    'POST /jobs/batch'           => [operator => qw(submit manage)],
    'POST /jobs/actions'         => [operator => qw(manage)],
    'GET /jobs'                  => [viewer => qw(read submit manage)],
    'GET /jobs/metrics/summary'  => [viewer => qw(read submit manage)],
    'GET /jobs/{id}'             => [viewer => qw(read submit manage)],
    'DELETE /jobs/{id}'          => [operator => qw(manage)],
    'GET /jobs/{id}/logs'        => [viewer => qw(read submit manage)],
    'GET /jobs/{id}/files'       => [viewer => qw(read submit manage)],
    'GET /jobs/{id}/files/{file}' => [viewer => qw(read submit manage)],
    'POST /jobs/{id}/cancel'     => [operator => qw(manage)],
    'POST /jobs/{id}/retry'      => [operator => qw(manage)],
    'GET /jobs/{id}/webhooks'    => [viewer => qw(read submit manage)],
    'POST /jobs/{id}/webhooks/{id}/replay' => [operator => qw(manage)],
    'GET /auth/webhook-secret'   => [operator => qw(manage)],
    'POST /auth/webhook-secret'  => [operator => qw(manage)],
    'DELETE /auth/webhook-secret' => [operator => qw(manage)],
    'GET /schedules'             => [viewer => qw(read manage)],
    'POST /schedules'            => [operator => qw(manage)],
    'POST /schedules/preview'    => [viewer => qw(read manage)],
    'GET /schedules/{id}'        => [viewer => qw(read manage)],
    'PATCH /schedules/{id}'      => [operator => qw(manage)],
    'DELETE /schedules/{id}'     => [operator => qw(manage)],
    'GET /schedules/{id}/ticks'  => [viewer => qw(read manage)],
    'POST /schedules/{id}/pause' => [operator => qw(manage)],
    'POST /schedules/{id}/resume' => [operator => qw(manage)],
    'POST /schedules/{id}/run'   => [operator => qw(manage)],
    'GET /jobs/{id}/why'         => [viewer => qw(read submit manage)],
    'GET /stats'                 => [viewer => qw(read manage)],
    'GET /stats/history'         => [viewer => qw(read manage)],
    'GET /job-types'             => [viewer => qw(read submit manage)],
    'GET /events'                => [viewer => qw(read manage)],
    'POST /auth/register'        => ['anyone'],
    'POST /auth/login'           => ['anyone'],
    'POST /auth/refresh'         => ['anyone'],
    'POST /auth/logout'          => [viewer => qw(manage)],
    'GET /auth/me'               => [viewer => qw(read submit manage)],
    'POST /auth/password'        => [viewer => qw(manage)],
    'POST /auth/api-key'         => [viewer => qw(manage)],
    'DELETE /auth/api-key'       => [viewer => qw(manage)],
    'GET /auth/api-keys'         => [viewer => qw(manage)],
    'POST /auth/api-keys'        => [viewer => qw(manage)],
    'DELETE /auth/api-keys/{id}' => [viewer => qw(manage)],
    'POST /auth/ws-ticket'       => [viewer => qw(read manage)],
    'GET /users'                 => [admin => qw(manage)],
    'PATCH /users/{id}'          => [admin => qw(manage)],
    'GET /audit'                 => [admin => qw(manage)],
    'GET /queues'                => [viewer => qw(read manage)],
    'GET /queues/{name}'         => [viewer => qw(read manage)],
    'PATCH /queues/{name}'       => [admin => qw(manage)],
    (map { ("POST /queues/{name}/$_" => [admin => qw(manage)]) } qw(pause resume drain)),
    'GET /workers'               => [viewer => qw(read manage)],
    'GET /workers/{id}'          => [viewer => qw(read manage)],
    'DELETE /workers/{id}'       => [admin => qw(manage)],
    (map { ("POST /workers/{id}/$_" => [admin => qw(manage)]) } qw(quiet resume stop concurrency)),
);
my %RANK = (anyone => 0, viewer => 1, operator => 2, admin => 3);

# the rows of the table in the source, one per handler
my $source = slurp("$FindBin::Bin/../ngx_taskforge_module/ngx_http_taskforge_route.c");
my ($table) = $source =~ /ngx_http_taskforge_routes\[\] = \{(.*?)^\};/ms or die "the route table is not where it was\n";
my @routes = map { join ' ', @$_ } map { [/NGX_HTTP_([A-Z]+), ngx_string\("([^"]+)"\)/] } $table =~ /\{ (NGX_HTTP_[A-Z]+, ngx_string\("[^"]+"\))/g;
my $rows = () = $table =~ /^    \{ (?!0,)/mg;
is(scalar @routes, $rows, "the route table has $rows rows, all understood");
for my $route (@routes) {
    ok($EXPECTED{$route}, "$route: has a row in the matrix");
}

# what is no route of the API but a location of its own
my %STREAMS = ('GET /ws' => 'TaskForge::WS', 'GET /ws/stats' => 'TaskForge::WS', 'GET /events/stream' => 'TaskForge::SSE');
$EXPECTED{$_} = [viewer => qw(read manage)] for keys %STREAMS;

my $tf = TaskForge->start(auth => 1, parts => [qw(postgres redis nchan nginx)], edit => sub {
    my ($text) = @_;
    my ($home) = $text =~ m{load_module (\S+)/bin/};
    rsa_key("$home/conf/idp");
    $text =~ s{(taskforge_jwt_key [^\n]*\n)}{$1    taskforge_jwt_key idp RS256 file:$home/conf/idp.pub verify;\n};
    # so many requests in a row are no attack here
    $text =~ s/^\s*taskforge_limit [^\n]*\n//mg;
    return $text;
});
my $public = slurp("$tf->{home}/conf/idp.pub");
my %user = map { $_ => add_user($tf, $_, $_) } qw(viewer operator admin);
my $former = add_user($tf, 'former', 'admin');
$tf->sql("UPDATE users SET active = false WHERE id = '$former->{id}'");

# each request with a login or a key of its own: some routes end what they are called with
sub login { my ($user) = @_; return {%$user, family => add_family($tf, $user)} }
my %bad = (
    'an expired token'             => sub { token($user{admin}, exp => int(time) - 60) },
    'a wrong signature'            => sub { sign_hs256('w' x 48, {}, claims_of($user{admin})) },
    'alg none'                     => sub { unsigned($user{admin}, 'none') },
    'HS256 with the RSA public key' => sub { sign_hs256($public, {kid => 'idp'}, claims_of($user{admin})) },
    'a refresh token as access'    => sub { 'tfr_' . join '', 'A' .. 'Z', 'a' .. 'q' },
    'a deactivated user'           => sub { token($former) },
    'a key of a deactivated user'  => sub { add_key($tf, $former, 'manage') },
);

# 'in': neither 401 nor 403; what the route then says about an empty body is not the question here
sub answer {
    my ($route, $credential) = @_;
    my ($method, $path) = split / /, $route;
    if (my $class = $STREAMS{$route}) {
        my $stream = eval { $class->connect(port => $tf->{port}, path => $path, headers => {defined $credential ? (Authorization => "Bearer $credential") : ()}) };
        return $stream ? 'in' : $@ =~ /^HTTP\S+ (\d+)/ ? $1 : $@;
    }
    $path =~ s/\{id\}/00000000-0000-7000-8000-000000000000/g;
    $path =~ s/\{(?:name|file)\}/reports/;
    my $r = $tf->http->request($method, "/api/v1$path", $method =~ /^P/ ? (body => {}) : (),
        headers => {defined $credential ? (Authorization => "Bearer $credential") : ()});
    my $status = $r->status;
    return $status unless $status == 401 || $status == 403 || $status < 500;
    return $r->is_problem($status) ? $status : "$status without a problem" if $status == 401 || $status == 403;
    return 'in';
}

for my $route (grep({ $EXPECTED{$_} } @routes), sort keys %STREAMS) {
    my ($role, @scopes) = @{$EXPECTED{$route}};
    my $open = $role eq 'anyone';
    my %want = (nobody => $open ? 'in' : 401, map { $_ => $open ? 'in' : 401 } keys %bad);
    my %got = (nobody => answer($route), map { $_ => answer($route, $bad{$_}->()) } keys %bad);
    for my $who (qw(viewer operator admin)) {
        $want{$who} = $RANK{$who} >= $RANK{$role} ? 'in' : 403;
        $got{$who} = answer($route, token(login($user{$who})));
    }
    for my $scope (qw(read submit manage)) {
        $want{"key: $scope"} = $open || grep({ $_ eq $scope } @scopes) ? 'in' : 403;
        $got{"key: $scope"} = answer($route, add_key($tf, $user{admin}, $scope));
    }
    is_deeply(\%got, \%want, $route);
}

done_testing;
