package TaskForge::Inside;

# What nobody may reach through TaskForge: loopback, private networks and clouds' metadata, in the ways in which their URLs can be
# written. A server of the test listens on 127.0.0.1, where nobody may go, and on 127.0.0.2, which TASKFORGE_OUTGOING_ALLOW has.

use strict;
use warnings;
use Exporter 'import';
use Test::More;

our @EXPORT_OK = qw(inside refuses_inside);

# URLs; port: of that server. Whatever came through would be seen there, at /inside.
sub inside {
    my ($port) = @_;
    my @server = qw(127.0.0.1 localhost LOCALHOST [::1] [::ffff:127.0.0.1] [::ffff:7f00:1] [64:ff9b::7f00:1] [2002:7f00:1::] [::127.0.0.1]
        2130706433 0x7f000001 0x7f.1 0177.0.0.1 017700000001 127.1 0 0.0.0.0 [::]);
    my @others = qw(10.0.0.1 172.16.0.1 192.168.0.1 100.64.0.1 100.100.100.200 169.254.169.254 [::ffff:a9fe:a9fe] [64:ff9b::a9fe:a9fe] [fe80::1] [fd00::1] [fd00:ec2::254]
        168.63.129.16 198.18.0.1 224.0.0.1 255.255.255.255);
    return ((map {"http://$_:$port/inside"} @server), map {"http://$_/inside"} @others);
}

# Jobs of the type for each of them, and for redirects to some of them by the server, are refused. payload: makes one of a URL; redirect: the
# path of the server that leads to what follows.
sub refuses_inside {
    my ($tf, $type, $server, $redirect, $payload) = @_;
    my @urls = inside($server->{port});
    my @by_redirect = grep { m{^http://(?:127\.0\.0\.1|localhost|\[::1\]|2130706433|169\.254\.169\.254)[:/]} } @urls;
    my @cases = ((map { [$_, $_] } @urls), map { ["a redirect to $_", $server->url("$redirect$_", '127.0.0.2')] } @by_redirect);
    my @jobs = $tf->submit_batch(map { {type => $type, payload => $payload->($_->[1]), max_retries => 0} } @cases);
    for my $case (@cases) {
        my $job = $tf->wait_for_end((shift @jobs)->{id}, 90);
        like("$job->{status} $job->{error}", qr/^FAILED .*\brefused: /, "$type: refused: $case->[0]");
    }
    cmp_ok(scalar(grep { $_->{target} =~ /^\Q$redirect\E/ } $server->requests), '>=', @by_redirect, "$type: the redirects were followed");
    is_deeply([grep { $_->{path} eq '/inside' } $server->requests], [], "$type: ... and nothing came inside");
    return;
}

1;
