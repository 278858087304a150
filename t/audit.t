# The audit: who did what to which job, user and key, from where; and no row can be changed or taken out unseen.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

my $api = '/api/v1';
my $tf = TaskForge->start(parts => [qw(postgres redis nginx worker)], auth => 1, edit => sub {
    $_[0] =~ s/(taskforge_accounts +[^;]*);/$1 argon2_memory=1m argon2_time=1;/r;
});

my %who = (username => 'root', password => 'correct horse 7 battery');
my $id = $tf->post("$api/auth/register", {%who, email => 'root@example.com'})->json->{id};
$tf->sql("UPDATE users SET role = 'admin'");
my $pair = $tf->post("$api/auth/login", \%who)->json;
my %as = (headers => {Authorization => "Bearer $pair->{access_token}"});
sub call { my ($method, $path, $body) = @_; $tf->api->request($method, "$api$path", body => $body, %as) }
sub rows { call(GET => "/audit?$_[0]")->json->{items} }
sub broken { ($tf->sql('SELECT id, problem FROM audit_verify()'))[0] }

my $job;
wait_until(60, sub { my $r = call(POST => '/jobs', {type => 'noop', delay_seconds => 3600}); $job = $r->json->{id}; $r->status == 202 });
is_deeply rows("object=$job"), [], 'a submission is no matter for the audit';
is call(POST => "/jobs/$job/cancel")->status, 200, 'a cancel';
is call(POST => "/jobs/$job/cancel")->status, 409, '... that is refused the second time';
is call(DELETE => "/jobs/$job")->status, 204, '... a delete';
my $rows = rows("object=$job");
is_deeply [map { $_->{action} } @$rows], [qw(job.delete job.cancel)], 'are in the audit, the newest first, and only what happened';
is_deeply [@{$rows->[0]}{qw(actor actor_name address)}], [$id, 'root', '127.0.0.1'], '... with who and from where';

call(POST => '/auth/api-key');
call(DELETE => '/auth/api-key');
is_deeply [map { $_->{action} } @{rows("actor=$id")}],
    [qw(key.revoke key.create job.delete job.cancel auth.login user.create)], 'all that one user did';
is_deeply [map { $_->{action} } @{rows("actor=$id&object=$job")}], [qw(job.delete job.cancel)], '... to one object';
my $page = call(GET => '/audit?limit=4')->json;
is_deeply [map { $_->{id} } @{$page->{items}}, @{rows("limit=4&cursor=$page->{next_cursor}")}], [reverse 1 .. 6], 'page by page';
ok call(GET => '/audit?actor=root')->is_problem(422), 'an actor is named by id: 422';

ok !defined broken(), 'the chain is whole';
my $owner = sub { $tf->sql('BEGIN', $_[0], 'SELECT id, problem FROM audit_verify()', 'ROLLBACK') };
my %harm = (
    "UPDATE audit_log SET actor_name = 'x' WHERE id = 3"          => qr/3.*this row was changed/,
    "UPDATE audit_log SET detail = '{}' WHERE id = 4"             => qr/4.*this row was changed/,
    'DELETE FROM audit_log WHERE id = 2'                          => qr/3.*missing/,
    'DELETE FROM audit_log WHERE id = 6'                          => qr/6.*missing/,
    'DELETE FROM audit_log'                                       => qr/6.*missing/,
    "UPDATE audit_log SET at = at + interval '1 s' WHERE id = 1"  => qr/1.*this row was changed/,
    'UPDATE audit_log SET id = id + 1 WHERE id = 6'               => qr/./,
);
for my $sql (sort keys %harm) {
    my @found = map { join ' ', map { $_ // '' } @$_ } grep { @$_ > 1 } $owner->($sql);
    like $found[0] // '', $harm{$sql}, "$sql: it shows";
}
for my $sql ('DELETE FROM audit_log', "UPDATE audit_log SET actor_name = 'x'", 'DELETE FROM audit_head',
    "INSERT INTO audit_log SELECT 99, at, actor, actor_name, address, action, object, detail, prev, hash FROM audit_log") {
    ok !eval { $tf->sql('SET ROLE taskforge', $sql); 1 }, "nginx's own role may not: $sql";
}

# many at once keep one chain
my @keys = map { {name => "key $_"} } 1 .. 10;
my @http = map { $tf->http } @keys;
$http[$_]->send_raw($http[$_]->format_request(POST => "$api/auth/api-keys", body => $keys[$_], %as)) for 0 .. $#keys;
is_deeply [map { $_->read_response->status } @http], [(201) x 10], 'ten changes at the same time';
ok !defined broken(), '... and the chain is whole';
is $tf->sql_value('SELECT max(id) - count(*) FROM audit_log'), 0, '... without a gap';

done_testing;
