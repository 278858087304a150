package TaskForge::Auth;

# Users, tokens and API keys for tests, made without the code under test: JWTs with Digest::SHA and openssl, rows with SQL.

use strict;
use warnings;
use Digest::SHA qw(hmac_sha256 sha256_hex);
use Exporter 'import';
use File::Temp qw(tempfile);
use JSON::PP;
use MIME::Base64 qw(encode_base64url);
use TaskForge::Files qw(slurp spew);
use TaskForge::Process qw(run);

our @EXPORT_OK = qw(add_user add_family add_key claims_of token sign_hs256 sign_rs256 unsigned api_key bearer rsa_key $SECRET);

# what the stacks of tests sign with
our $SECRET = 'k' x 48;

my $json = JSON::PP->new->utf8->canonical;
my $count = 0;

# A UUID that no other of this test has.
sub id { return sprintf '%08x-0000-7000-8000-%012x', time, ++$count + $$ * 4096 }

# A user who cannot log in with a password; returns {id, name, role}.
sub add_user {
    my ($tf, $name, $role) = @_;
    my $user = {id => id(), name => $name, role => $role};
    $tf->sql("INSERT INTO users (id, username, email, password_hash, role) VALUES "
            . "('$user->{id}', '$name', '$name\@example.org', '!', '$role')");
    $user->{family} = add_family($tf, $user);
    return $user;
}

# A login of the user; returns its id.
sub add_family {
    my ($tf, $user) = @_;
    my $id = id();
    $tf->sql("INSERT INTO refresh_families (id, user_id, address, expires_at) VALUES ('$id', '$user->{id}', '127.0.0.1', now() + interval '1 day')");
    return $id;
}

# An API key; returns its text.
sub add_key {
    my ($tf, $user, $scopes, %o) = @_;
    my ($key, $id) = (api_key(), id());
    my $expires = $o{expires} // 'NULL';
    $tf->sql("INSERT INTO api_keys (id, user_id, name, prefix, hash, scopes, expires_at) VALUES ('$id', '$user->{id}', '$id', '"
            . substr($key, 0, 8) . "', decode('" . sha256_hex($key) . "', 'hex'), '{$scopes}', $expires)");
    return $key;
}

my @BASE62 = (0 .. 9, 'A' .. 'Z', 'a' .. 'z');

# The text of a well-formed API key.
sub api_key {
    my $text = 'tfk_' . join '', map { $BASE62[rand 62] } 1 .. 38;
    my ($crc, $sum) = (crc32($text), '');
    for (1 .. 6) {
        $sum = $BASE62[$crc % 62] . $sum;
        $crc = int($crc / 62);
    }
    return $text . $sum;
}

sub crc32 {
    my ($text) = @_;
    my $crc = 0xffffffff;
    for my $byte (unpack 'C*', $text) {
        $crc ^= $byte;
        $crc = $crc & 1 ? ($crc >> 1) ^ 0xedb88320 : $crc >> 1 for 1 .. 8;
    }
    return $crc ^ 0xffffffff;
}

# What a good access token of the user says; overrides replace, undef removes.
sub claims_of {
    my ($user, %override) = @_;
    my $now = int time;
    my %claims = (iss => 'taskforge', aud => 'taskforge', sub => $user->{id}, fam => $user->{family}, role => $user->{role},
        name => $user->{name}, use => 'access', iat => $now, nbf => $now, exp => $now + 900, jti => id(), %override);
    defined $claims{$_} or delete $claims{$_} for keys %claims;
    return \%claims;
}

sub parts {
    my ($header, $claims) = @_;
    return join '.', map { encode_base64url($json->encode($_)) } $header, $claims;
}

sub sign_hs256 {
    my ($secret, $header, $claims) = @_;
    my $text = parts({alg => 'HS256', typ => 'JWT', kid => 'main', %$header}, $claims);
    return "$text." . encode_base64url(hmac_sha256($text, $secret));
}

# A good access token of the user.
sub token { my ($user, %override) = @_; return sign_hs256($SECRET, {}, claims_of($user, %override)) }

# The same without a signature.
sub unsigned { my ($user, $alg) = @_; return parts({alg => $alg, typ => 'JWT', kid => 'main'}, claims_of($user)) . '.' }

# Makes FILE (private) and FILE.pub.
sub rsa_key {
    my ($file) = @_;
    run('openssl', 'genpkey', '-quiet', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048', '-out', $file);
    run('openssl', 'pkey', '-in', $file, '-pubout', '-out', "$file.pub");
    return $file;
}

sub sign_rs256 {
    my ($file, $header, $claims) = @_;
    my $text = parts({alg => 'RS256', typ => 'JWT', %$header}, $claims);
    my (undef, $in) = tempfile(UNLINK => 1);
    spew($in, $text);
    run('openssl', 'dgst', '-sha256', '-sign', $file, '-out', "$in.sig", $in);
    my $signature = slurp("$in.sig");
    unlink "$in.sig";
    return "$text." . encode_base64url($signature);
}

# Request headers with a token or an API key.
sub bearer { my ($token) = @_; return (headers => {Authorization => "Bearer $token"}) }

1;
