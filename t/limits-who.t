# Whom a limit counts: the user, the key, the address; and which limit is whose.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Auth qw(add_user add_key token);

my $tf = TaskForge->start(parts => [qw(postgres redis scheduler)], auth => 1, edit => sub {
    my ($text) = @_;
    $text =~ s[(location = /livez)][
        location = /user { taskforge_auth on; taskforge_limit user requests=4 window=60s; root /nowhere; }
        location = /admins { taskforge_auth on; taskforge_require admin; taskforge_limit admins requests=4 window=60s; root /nowhere; }
        location = /key { taskforge_auth on; taskforge_limit key requests=4 window=60s by=key; root /nowhere; }
        location = /address { taskforge_auth optional; taskforge_limit address requests=4 window=60s by=address; root /nowhere; }
        location = /role {
            taskforge_auth optional;
            taskforge_limit role requests=0 role=admin;
            taskforge_limit role requests=6 window=60s role=viewer,operator;
            taskforge_limit role requests=2 window=60s;
            root /nowhere;
        }
        $1];
    return $text;
});
ok(wait_until(60, sub { (eval { $tf->redis('FCALL', 'tf_version', 0) } // '') =~ /^[2-9]/ }), 'the function library is loaded');
$tf->start_part('nginx');

my %user = map { $_ => add_user($tf, $_ . '_user', $_) } qw(viewer operator admin);
my @key = map { add_key($tf, $user{viewer}, 'read') } 1, 2;
my %token = map { $_ => {Authorization => "Bearer " . token($user{$_})} } keys %user;
my @by_key = map { {'X-API-Key' => $_} } @key;

# How many of 10 requests pass the limit.
sub passed { my ($path, $headers) = @_; return scalar grep { $tf->get($path, headers => $headers // {})->status == 404 } 1 .. 10 }

is(passed('/user', $token{viewer}), 4, 'a user has the limit');
is(passed('/user', $by_key[0]), 0, 'with a key it is the same user');
is(passed('/user', $token{operator}), 4, 'another user has a limit of his own');
is(join(' ', map { $tf->get('/user')->status } 1 .. 6), '401 401 401 401 429 429', 'nobody is counted by the address, and refused');
is(passed('/admins', $token{viewer}), 0, 'who may not');
is($tf->get('/admins', headers => $token{viewer})->status, 429, '... is counted too');

is(passed('/key', $by_key[0]), 4, 'by=key: a key has the limit');
is(passed('/key', $by_key[1]), 4, 'another key of the same user too');
is(passed('/key', $token{viewer}), 4, 'and the user with a token');

is(passed('/address'), 4, 'by=address: whoever calls');
is(passed('/address', $token{viewer}), 0, 'also logged in');

is(passed('/role'), 2, 'nobody logged in: the limit for everybody');
is(passed('/role', $token{viewer}), 6, 'a viewer has the one of his role');
is(passed('/role', $token{admin}), 10, 'requests=0 is no limit');
ok(!defined $tf->get('/role', headers => $token{admin})->header('ratelimit'), 'and has no headers');

my $keys = $tf->redis('--scan', '--pattern', 'tf:limit:*');
unlike($keys, qr/tfk_|eyJ/, 'Redis sees no credential');

done_testing;
