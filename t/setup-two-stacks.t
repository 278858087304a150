#!/usr/bin/perl
# Two homes and two ports are two stacks, started at the same time, and neither knows of the other. One is a demonstration.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use TaskForge::Command qw(logged_in taskforge temporary_home started);
use TaskForge::Stack ();
use POSIX ();
use Test::More;

plan skip_all => 'nginx needs a preloaded library with the sanitizers' if $TaskForge::Stack::SANITIZED;

my $password = $ENV{ADMIN_PASSWORD} = 'a password of the test';
my @stack = map { {TASKFORGE_HOME => temporary_home(), TASKFORGE_PORT => TaskForge::Stack::free_port()} } 1, 2;
$stack[1]{TASKFORGE_PORT}++ while $stack[1]{TASKFORGE_PORT} == $stack[0]{TASKFORGE_PORT};

sub url { return "http://127.0.0.1:$_[0]{TASKFORGE_PORT}/api/v1/jobs" }

sub pids { my %part = started($_[0]{TASKFORGE_HOME}); return {map { ($_ => $part{$_}{pid}) } keys %part} }

my $child = fork // die "fork: $!";
if (!$child) {
    my ($code, $text) = taskforge($stack[0], 'up', '--demo');
    print STDERR $text if $code;
    $code ||= 100 if $text !~ /^ *WARNING: the password of admin is admin1234/m;
    POSIX::_exit($code);
}
my ($code, $text) = taskforge($stack[1], 'up');
is $code, 0, 'one stack comes up' or diag $text;
waitpid $child, 0;
is $? >> 8, 0, '... while another one does, and warns that it is for a demonstration';

my %http = ($stack[0] => logged_in($stack[0]{TASKFORGE_PORT}, 'admin', 'admin1234'),
    $stack[1] => logged_in($stack[1]{TASKFORGE_PORT}, 'admin', $password));
ok !eval { logged_in($stack[1]{TASKFORGE_PORT}, 'admin', 'admin1234') }, 'without --demo the password of the demonstration is none';
my %id;
for my $stack (@stack) {
    my $answer = $http{$stack}->post(url($stack), {headers => {'Content-Type' => 'application/json'}, content => '{"type":"noop"}'});
    is $answer->{status}, 202, 'each takes a job';
    $id{$stack} = decode_json($answer->{content})->{id};
}
is $http{$stack[0]}->get(url($stack[0]) . "/$id{$stack[1]}")->{status}, 404, 'which the other does not know';
is $http{$stack[1]}->get(url($stack[1]) . "/$id{$stack[0]}")->{status}, 404, '... in both directions';

($code, $text) = taskforge({%{$stack[0]}, TASKFORGE_PORT => $stack[1]{TASKFORGE_PORT}}, 'up');
is $code, 1, "one may not move to the other's port";
like $text, qr/port $stack[1]{TASKFORGE_PORT} is taken/, '... and is told so';

my $before = pids($stack[1]);
($code, $text) = taskforge($stack[0], 'down');
is $code, 0, 'one goes down';
is_deeply pids($stack[0]), {}, '... with all its processes';
is_deeply pids($stack[1]), $before, "... and none of the other's";
is $http{$stack[1]}->get(url($stack[1]) . "/$id{$stack[1]}")->{status}, 200, 'which goes on answering';

done_testing;
