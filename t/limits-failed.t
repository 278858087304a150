# Credentials that are refused: after so many of them from one address no more are looked up.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Auth qw(add_family add_key add_user api_key bearer token);

my $N = 6;
my $url = '/api/v1/jobs?limit=1';
my $tf = TaskForge->start(parts => [qw(postgres redis)], auth => 1, limit_failed => $N, edit => sub {
    my ($text) = @_;
    $text =~ s[(location = /livez)][
        location /either/ { satisfy any; allow 127.0.0.1; deny all; taskforge_auth on; alias /nowhere/; }
        $1];
    # clients of different addresses; and counts that have to be shared
    $text =~ s/(server_name)/set_real_ip_from 127.0.0.1; real_ip_header X-Address; $1/;
    return $text =~ s/worker_processes +auto/worker_processes 2/r;
});
$tf->start_part('nginx');

my %user = map { $_ => add_user($tf, $_, 'viewer') } qw(alice bobby carol);
my $last = 0;
my $address;
sub move { $address = '192.0.2.' . ++$last; return }

# On a connection of its own, so that either worker may get it.
sub ask {
    my ($headers, $path) = @_;
    return $tf->http->get($path // $url, headers => {'X-Address' => $address, %$headers});
}
sub key { return {'X-API-Key' => $_[0] // api_key()} }
sub as { my ($token) = @_; return {bearer($token)}->{headers} }

# N of these are refused as they are; the next is too many.
sub limited {
    my ($what, $make) = @_;
    move();
    my @status = map { ask($make->())->status } 1 .. $N;
    is("@status", join(' ', (401) x $N), "$what: $N are refused");
    my $r = ask($make->());
    ok($r->is_problem(429), '... the next is too many: 429') or diag $r->status . ' ' . $r->body;
    like($r->header('retry-after'), qr/^[1-6]?\d$/, '... with Retry-After');
    like($r->json->{detail}, qr/too many credentials were refused/, '... and says why');
    return;
}

my $known = token($user{alice});
move();
is(ask(as($known))->status, 200, 'a good token') for 1 .. 8; # both workers know it now
limited('API keys of nobody', sub { key() });
my $good = add_key($tf, $user{alice}, 'read');
is(ask(key($good))->status, 429, 'from there no other API key is looked up');
is(ask(as($known))->status, 200, 'who is known is let in');
is(ask(as(token({%{$user{bobby}}, family => add_family($tf, $user{bobby})})))->status, 200, 'and so is a token that we signed');
is(ask({})->status, 401, 'nobody is nobody, as before');
my $used_up = $address;
move();
is(ask(key($good))->status, 200, 'another address may still fail, and does not');

limited('mistyped API keys', sub { my $key = api_key(); substr $key, -1, 1, '-'; key($key) });
limited('expired tokens', sub { as(token($user{alice}, exp => int(time) - 60)) });
limited('tokens of others', sub { as('e' . int(rand 1e9) . '.e.e') });
limited('all together', do { my $i = 0; sub { $i++ % 2 ? key() : as(token($user{alice}, exp => int(time) - 60)) } });

# what we signed is counted for its user, wherever it comes from
$tf->sql("UPDATE users SET active = false WHERE id = '$user{carol}{id}'");
my @status = map { move(); ask(as(token($user{carol})))->status } 1 .. $N + 1;
is("@status", join(' ', (401) x $N, 429), 'tokens of a user who is gone are counted for the user');

# of two ways in one is enough
$address = $used_up;
is(ask(key(), '/either/x')->status, 401, 'with "satisfy any", an address that may not come in by itself is refused');
move();
my $http = $tf->http;
@status = map { $http->get('/either/x', headers => key())->status } 1 .. $N + 2;
is("@status", join(' ', (404) x ($N + 2)), '... and one that may is never told to wait');

# nothing is asked (time and x...: that is the relay, waiting for events)
my $calls = sub { return join "\n", sort $tf->redis('INFO', 'commandstats') =~ /^(cmdstat_(?!info|x|time)\S+:calls=\d+)/mg };
my $before = $calls->();
is(ask(as($known))->status, 200, 'a good credential') for 1 .. 3;
is(ask(key(add_key($tf, $user{alice}, 'read')))->status, 200, 'one that must be looked up');
is($calls->(), $before, '... no command to Redis is sent for it');
move();
ask(key()) for 1 .. $N; # of now: those of the beginning may be forgotten after a minute
$tf->kill_part('postgres');
is(ask(key())->status, 429, 'without PostgreSQL one too many is one too many: it was not asked');
move();
is(ask(key())->status, 503, '... and from elsewhere it is not known');

done_testing;
