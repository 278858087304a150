package TaskForge;

# What a test says: use TaskForge; my $tf = TaskForge->start; then jobs go in and promises are checked.

use strict;
use warnings;
use parent 'TaskForge::Stack';
use JSON::PP ();
use Test::More;
use TaskForge::Process qw(wait_until);
use TaskForge::SSE;
use TaskForge::WS;
use Time::HiRes qw(sleep time);

my %TERMINAL = map { $_ => 1 } qw(SUCCESS FAILED DEAD_LETTER CANCELLED);

# A test file that uses TaskForge gets Test::More with it.
sub import {
    my ($class) = @_;
    strict->import;
    warnings->import;
    Test::More->export_to_level(1);
    my $caller = caller;
    no strict 'refs';
    *{"${caller}::wait_until"} = \&wait_until;
    *{"${caller}::sleep"} = \&sleep;
    *{"${caller}::time"} = \&time;
    *{"${caller}::true"} = sub () { JSON::PP::true() };
    *{"${caller}::false"} = sub () { JSON::PP::false() };
    return;
}

# One keep-alive connection for whoever does not care.
sub api { my ($self) = @_; return $self->{api} //= $self->http }

sub get  { my $self = shift; return $self->api->get(@_) }
sub post { my $self = shift; return $self->api->post(@_) }

# Submits; returns the job. Dies unless it was accepted.
sub submit {
    my ($self, $body) = @_;
    my $r = $self->post('/api/v1/jobs', $body);
    die 'submit: ' . $r->status . ' ' . $r->body . "\n" unless $r->status == 202;
    return $r->json;
}

# Submits many at once; returns the jobs in the same order.
sub submit_batch {
    my ($self, @bodies) = @_;
    my $r = $self->post('/api/v1/jobs/batch', {jobs => \@bodies});
    my $items = ref $r->json eq 'HASH' ? $r->json->{items} : undef;
    die 'submit_batch: ' . $r->status . ' ' . $r->body . "\n" if !$items || grep { !$_->{job} } @$items;
    return map { $_->{job} } @$items;
}

# The whole job.
sub job {
    my ($self, $id) = @_;
    my $r = $self->get("/api/v1/jobs/$id");
    die "job $id: " . $r->status . ' ' . $r->body . "\n" unless $r->status == 200;
    return $r->json;
}

# Waits until the job has the status, for at most $seconds (default 60); returns the job as it was seen last.
sub wait_for_status {
    my ($self, $id, $status, $seconds) = @_;
    my $job;
    wait_until($seconds // 60, sub { $job = $self->job($id); $job->{status} eq $status || $TERMINAL{$job->{status}} });
    return $job;
}

# Waits until the job has ended; returns it as it was seen last.
sub wait_for_end { my ($self, $id, $seconds) = @_; return $self->wait_for_status($id, '', $seconds) }

# A WebSocket subscriber that has seen {"event":"connected"}; {connected} holds that message.
sub subscribe {
    my ($self, %o) = @_;
    my $ws = TaskForge::WS->connect(port => $self->{port}, %o);
    $ws->{connected} = $ws->greeting;
    return $ws;
}

# The same over server-sent events.
sub listen_to {
    my ($self, %o) = @_;
    my $stream = TaskForge::SSE->connect(port => $self->{port}, %o);
    $stream->{connected} = $stream->greeting;
    return $stream;
}

# The processes that serve requests.
sub nginx_workers { my ($self) = @_; return TaskForge::Process::children_of($self->part('nginx')->pid) }

# nginx -s reload; returns when new processes serve and the old ones take nothing any more: a request over an idle connection of one
# that is about to leave may be lost. meanwhile: is called again and again until then. Returns the old ones.
sub reload {
    my ($self, $meanwhile) = @_;
    $meanwhile //= sub { };
    my %old = map { $_ => 1 } $self->nginx_workers;
    $self->part('nginx')->signal('HUP');
    wait_until(60, sub { $meanwhile->(); grep { !$old{$_} } $self->nginx_workers }) or die "reload: no new worker process\n";
    wait_until(60, sub { $meanwhile->(); !grep { serves($_) } keys %old }) or die "reload: the old worker processes serve on\n";
    return keys %old;
}

# True until a worker process of nginx was told to leave: it says so in its title before it closes anything.
sub serves {
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/cmdline" or return 0;
    my $title = <$in> // '';
    return $title ne '' && $title !~ /is shutting down/;
}

1;
