#!/usr/bin/perl
# The settings of ./taskforge up: what is asked for is what the stack does.
use strict;
use warnings;
use Digest::SHA 'hmac_sha256';
use FindBin;
use lib "$FindBin::Bin/lib";
use HTTP::Tiny;
use JSON::PP;
use MIME::Base64 'encode_base64url';
use TaskForge::Command qw(logged_in taskforge temporary_home);
use TaskForge::Stack ();
use Test::More;

plan skip_all => 'nginx needs a preloaded library with the sanitizers' if $TaskForge::Stack::SANITIZED;

my $port = TaskForge::Stack::free_port();
my $api = "http://127.0.0.1:$port/api/v1";
my %json = (headers => {'Content-Type' => 'application/json'});
my %env = (
    TASKFORGE_HOME => temporary_home(), TASKFORGE_PORT => $port, TASKFORGE_REGISTRATION => 'closed',
    RATE_LIMIT_REQUESTS => 9, RATE_LIMIT_WINDOW => 600,
    ADMIN_USERNAME => 'boss', ADMIN_EMAIL => 'boss@example.org', ADMIN_PASSWORD => 'nobody guesses 17 of these',
    JWT_SECRET_KEY => 'a secret of the user, with "quotes", $dollars and 100 % odd characters',
);
my ($code, $text) = taskforge(\%env, 'up');
is $code, 0, 'up succeeds, though a client may ask only 9 times in 10 minutes' or BAIL_OUT($text);
like $text, qr/first admin: boss$/m, 'ADMIN_USERNAME: the first admin is called so';

my $boss = eval { logged_in($port, 'boss', $env{ADMIN_PASSWORD}) };
ok $boss, 'ADMIN_PASSWORD: and logs in with it' or diag $@;
my $me = $boss->get("$api/auth/me");
my $user = decode_json($me->{content});
is_deeply [@$user{qw(username email role)}], ['boss', 'boss@example.org', 'admin'], 'ADMIN_EMAIL: and has that address';

my ($token) = $boss->default_headers->{Authorization} =~ /(eyJ\S+)$/;
my ($signed, $signature) = $token =~ /^(.*)\.(.*)$/;
is $signature, encode_base64url(hmac_sha256($signed, $env{JWT_SECRET_KEY})), 'JWT_SECRET_KEY signs the tokens';

is $me->{headers}{'ratelimit-policy'}, '"default";q=9;w=600', 'RATE_LIMIT_REQUESTS and RATE_LIMIT_WINDOW are the limit';
my $left = $me->{headers}{'x-ratelimit-remaining'};
cmp_ok $left, '<', 9, '... of which some were used';
is join(' ', map { $boss->get("$api/auth/me")->{status} } 0 .. $left), '200 ' x $left . '429', "... and $left were left";
my $all = $text;
($code, $text) = taskforge(\%env, 'up');
is $code, 0, 'where none is left, up succeeds';
like $text, qr/^  not now: the limit "default" is 9 requests in 600 seconds\. Again in \d+ seconds$/m, '... and says why it runs no job'
    or diag $text;
unlike $all . $text, qr/\Q$env{ADMIN_PASSWORD}\E|\Q$env{JWT_SECRET_KEY}\E/, 'nothing secret is printed';

my $anybody = HTTP::Tiny->new->post("$api/auth/register", {%json, content =>
    '{"username": "eve", "email": "eve@example.org", "password": "nobody guesses 18 of these"}'});
is $anybody->{status}, 403, 'TASKFORGE_REGISTRATION=closed: nobody registers';
is +HTTP::Tiny->new->post("$api/auth/register", {%json, content => '{}'})->{status}, 403, '... which the dashboard finds out by asking for nothing';

done_testing;
