# scheduled_at and delay_seconds: a job starts when it is due, not before.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

use POSIX qw(strftime);

my $tf = TaskForge->start;

my $begin = time;
my $delayed = $tf->submit({type => 'noop', delay_seconds => 2});
is($delayed->{status}, 'SCHEDULED', 'delay_seconds makes a scheduled job');
my $at = strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $begin + 8); # not over before it is submitted
my $absolute = $tf->submit({type => 'noop', scheduled_at => $at});
is($absolute->{status}, 'SCHEDULED', 'so does scheduled_at');
is($absolute->{scheduled_at} =~ s/\.0+Z/Z/r, $at, 'scheduled_at is shown as it was given');
my $now = $tf->submit({type => 'noop'})->{id};
is($tf->wait_for_end($now)->{status}, 'SUCCESS', 'a job for now does not wait for them');
sleep $begin + 1.7 - time if time < $begin + 1.7;
# a slow machine may look when it is due
my ($state) = $tf->sql("SELECT status, now() < created_at + interval '2 seconds' FROM jobs WHERE id = '$delayed->{id}'");
ok($state->[0] eq 'SCHEDULED' || $state->[1] ne 't', 'before its time it stays scheduled') or diag "@$state";

my $ran = $tf->wait_for_end($delayed->{id});
is($ran->{status}, 'SUCCESS', 'then it runs');
my $seconds = $tf->sql_value("SELECT extract(epoch FROM started_at - created_at) FROM jobs WHERE id = '$delayed->{id}'");
ok($seconds >= 2 && $seconds < 15, "2 s after its submit, not before (started after $seconds s)");
is($tf->wait_for_end($absolute->{id})->{status}, 'SUCCESS', 'the other one runs too');
is($tf->sql_value("SELECT started_at >= scheduled_at FROM jobs WHERE id = '$absolute->{id}'"), 't', 'not before scheduled_at');

my $past = $tf->submit({type => 'noop', scheduled_at => '2020-01-01T00:00:00Z'});
is($past->{status}, 'QUEUED', 'a time in the past means now');
is($tf->wait_for_end($past->{id})->{status}, 'SUCCESS', 'and runs');

my $zone = strftime('%Y-%m-%dT%H:%M:%S+02:00', gmtime time + 7200 + 3600);
is($tf->submit({type => 'noop', scheduled_at => $zone})->{status}, 'SCHEDULED', 'a time with an offset is understood');
ok($tf->post('/api/v1/jobs', {type => 'noop', scheduled_at => 'tomorrow'})->is_problem(422), 'a text that is no time is refused');
ok($tf->post('/api/v1/jobs', {type => 'noop', scheduled_at => $at, delay_seconds => 1})->is_problem(422), 'both at once are refused');
ok($tf->post('/api/v1/jobs', {type => 'noop', delay_seconds => -1})->is_problem(422), 'a negative delay is refused');

done_testing;
