# The admin's part: the list of users, roles, deactivation; and there is always an admin.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

my $api = '/api/v1';
# every nginx worker hears of a change by NOTIFY, moments after its commit; who heard nothing would believe the old for ever
sub soon { my ($check) = @_; wait_until(20, $check) }
my $tf = TaskForge->start(parts => [qw(postgres redis nginx)], auth => 1, edit => sub {
    $_[0] =~ s/(taskforge_accounts +[^;]*);/$1 argon2_memory=1m argon2_time=1;/r;
});

sub call { my ($who, $method, $path, $body) = @_;
    $tf->api->request($method, "$api$path", body => $body, headers => $who->{headers}) }
sub account { my ($name) = @_;
    my %who = (username => $name, password => 'correct horse 7 battery');
    my $id = $tf->post("$api/auth/register", {%who, email => "$name\@example.com"})->json->{id};
    my $pair = $tf->post("$api/auth/login", \%who)->json;
    return {id => $id, refresh => $pair->{refresh_token}, headers => {Authorization => "Bearer $pair->{access_token}"}} }

my ($root, $bob, @rest) = map { account($_) } qw(root bobby carol david erika);
$tf->sql("UPDATE users SET role = 'admin' WHERE id = '$root->{id}'", "SELECT pg_notify('tf_auth', 'user:$root->{id}')");
wait_until(30, sub { call($root, GET => '/users')->status == 200 });

ok call($bob, GET => '/users')->is_problem(403), 'a viewer sees no list of users: 403';
my $r = call($root, GET => '/users?limit=2');
is $r->status, 200, 'an admin does';
is_deeply [map { $_->{username} } @{$r->json->{items}}], [qw(erika david)], '... the newest first';
unlike $r->body, qr/argon|hash/, '... without anything of their passwords';
my @names;
for (my $next = ''; defined $next;) {
    my $page = call($root, GET => '/users?limit=2' . ($next && "&cursor=$next"))->json;
    push @names, map { $_->{username} } @{$page->{items}};
    $next = $page->{next_cursor};
}
is_deeply \@names, [qw(erika david carol bobby root)], 'page by page everybody comes once';
ok call($root, GET => '/users?limit=x')->is_problem(422), 'a limit that is none: 422';
ok call($root, GET => '/users?cursor=AAAA')->is_problem(422), 'a cursor that is none: 422';
ok call($root, GET => '/users?role=admin')->is_problem(422), 'an unknown parameter is an error';

$r = call($root, PATCH => "/users/$bob->{id}", {role => 'operator'});
is $r->status, 200, 'a role is changed';
is $r->json->{role}, 'operator', '... and the answer shows it';
my $cancel = sub { call($bob, POST => '/jobs/01890000-0000-7000-8000-000000000000/cancel')->status };
ok soon(sub { $cancel->() == 404 }), 'the new role counts at once, with the old token';
is call($root, PATCH => "/users/$bob->{id}", {role => 'viewer'})->status, 200, 'taken away again';
ok soon(sub { $cancel->() == 403 }), '... it counts no more';
$r = call($root, PATCH => "/users/$bob->{id}", {role => 'king', name => 'x'});
is_deeply [sort map { $_->{pointer} } @{$r->json->{errors}}], ['#/name', '#/role'], 'wrong and unknown fields are named';
ok call($root, PATCH => "/users/$bob->{id}", {})->is_problem(422), 'nothing to change: 422';
ok call($root, PATCH => '/users/01890000-0000-7000-8000-000000000000', {role => 'viewer'})->is_problem(404), 'nobody: 404';
ok call($bob, PATCH => "/users/$bob->{id}", {role => 'admin'})->is_problem(403), 'nobody makes himself admin: 403';

my $key = call($bob, POST => '/auth/api-key')->json->{api_key};
is call($root, PATCH => "/users/$bob->{id}", {active => false})->json->{active}, false, 'an account is deactivated';
ok soon(sub { call($bob, GET => '/auth/me')->is_problem(401) }), '... its tokens are dead at once';
ok soon(sub { call({headers => {'X-API-Key' => $key}}, GET => '/auth/me')->is_problem(401) }), '... its keys too';
ok $tf->post("$api/auth/refresh", {refresh_token => $bob->{refresh}})->is_problem(401), '... nothing is refreshed';
ok $tf->post("$api/auth/login", {username => 'bobby', password => 'correct horse 7 battery'})->is_problem(401), '... no login';
is call($root, PATCH => "/users/$bob->{id}", {active => true})->status, 200, 'and activated again';
ok soon(sub { call({headers => {'X-API-Key' => $key}}, GET => '/auth/me')->status == 200 }), '... the key works as before';

for my $change ({role => 'operator'}, {active => false}) {
    ok call($root, PATCH => "/users/$root->{id}", $change)->is_problem(409), 'the last admin stays one: 409';
}
is call($root, PATCH => "/users/$bob->{id}", {role => 'admin'})->status, 200, 'with another admin';
# both give up at the same time
$bob = {%$bob, headers => {'X-API-Key' => $key}};
my @http = map { $tf->http } $root, $bob;
for my $i (0, 1) {
    my $who = ($root, $bob)[$i];
    $http[$i]->send_raw($http[$i]->format_request(PATCH => "$api/users/$who->{id}", body => {role => 'viewer'}, headers => $who->{headers}));
}
is_deeply [sort map { $_->read_response->status } @http], [200, 409], 'of two that give it up at the same time one stays';
is $tf->sql_value("SELECT count(*) FROM users WHERE role = 'admin' AND active"), 1, '... an admin';
ok !eval { $tf->sql("UPDATE users SET active = false"); 1 }, 'not even by hand the last admin goes';

done_testing;
