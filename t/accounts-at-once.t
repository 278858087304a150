# What is revoked is refused from the next request on: the nginx worker that made the change does not wait to be told of it.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

my $api = '/api/v1';
my $password = 'correct horse 7 battery';
my $workers;
my $tf = TaskForge->start(parts => [qw(postgres redis)], auth => 1, edit => sub {
    my ($text) = @_;
    $text =~ s/(taskforge_accounts +[^;]*);/$1 argon2_memory=1m argon2_time=1;/;
    return $text =~ s/worker_processes +auto/worker_processes $workers/r;
});

sub login { return $tf->post("$api/auth/login", {username => $_[0], password => $_[1] // $password})->json }
sub token { return {Authorization => "Bearer $_[0]{access_token}"} }
sub key { return {'X-API-Key' => $_[0]{api_key}} }

# A new account that has logged in.
my $count = 0;
sub account {
    my ($role) = @_;
    my $name = sprintf 'user%02d', ++$count;
    my $id = $tf->post("$api/auth/register", {username => $name, email => "$name\@example.com", password => $password})->json->{id};
    $tf->sql("UPDATE users SET role = '$role' WHERE id = '$id'") if $role;
    return {id => $id, name => $name, %{login($name)}};
}

# $before is let in; then $change and, on the same connection and without waiting for its answer, $before again.
sub at_once {
    my ($what, $changed, $refused, $before, $change) = @_;
    my $http = $tf->http;
    unlike $http->request(@$before)->status, qr/^40[13]$/, "$what: known to this worker";
    $http->send_raw($http->format_request(@$change) . $http->format_request(@$before));
    my @status = map { $http->read_response->status } 1, 2;
    is "@status", "$changed $refused", '... changed, and refused at once';
    return;
}

for (1, 2) {
    $workers = $_;
    note "$workers nginx worker(s)";
    $tf->start_part('nginx');
    my $root = account('admin');
    my ($user, @me);
    my $begin = sub { $user = account(@_); @me = (GET => "$api/auth/me", headers => token($user)) };
    my $make = sub { return $tf->post("$api/auth/api-keys", {name => $_[0]}, headers => token($user))->json };

    $begin->();
    my $key = $make->('machine');
    at_once('an API key revokes itself', 204, 401, [GET => "$api/auth/me", headers => key($key)],
        [DELETE => "$api/auth/api-keys/$key->{id}", headers => key($key)]);
    $key = $make->('machine');
    at_once('an API key, revoked by its owner', 204, 401, [GET => "$api/auth/me", headers => key($key)],
        [DELETE => "$api/auth/api-keys/$key->{id}", headers => token($user)]);
    $key = $tf->post("$api/auth/api-key", undef, headers => token($user))->json;
    at_once('the default API key, replaced', 201, 401, [GET => "$api/auth/me", headers => key($key)],
        [POST => "$api/auth/api-key", headers => token($user)]);
    $key = $tf->post("$api/auth/api-key", undef, headers => token($user))->json;
    at_once('the default API key, revoked', 204, 401, [GET => "$api/auth/me", headers => key($key)],
        [DELETE => "$api/auth/api-key", headers => token($user)]);

    at_once('a token after logout', 204, 401, \@me, [POST => "$api/auth/logout", headers => token($user)]);

    $begin->();
    my $here = login($user->{name});
    at_once('the token of another session after a new password', 204, 401, \@me,
        [POST => "$api/auth/password", headers => token($here), body => {current_password => $password, new_password => 'staple 9 correct'}]);

    $begin->();
    $tf->post("$api/auth/refresh", {refresh_token => $user->{refresh_token}});
    $tf->sql("UPDATE refresh_tokens SET used_at = used_at - interval '1 minute' WHERE used_at IS NOT NULL");
    at_once('a token whose refresh token came twice', 401, 401, \@me,
        [POST => "$api/auth/refresh", body => {refresh_token => $user->{refresh_token}}]);

    $begin->('operator');
    at_once('an operator made a viewer', 200, 403, [POST => "$api/jobs/$user->{id}/cancel", headers => token($user)],
        [PATCH => "$api/users/$user->{id}", headers => token($root), body => {role => 'viewer'}]);
    at_once('a user who is deactivated', 200, 401, \@me,
        [PATCH => "$api/users/$user->{id}", headers => token($root), body => {active => false}]);
    $tf->stop_part('nginx');
}

done_testing;
