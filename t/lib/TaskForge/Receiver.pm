package TaskForge::Receiver;

# An HTTP server on loopback that receives webhooks: writes down every request and answers as the path says.
#
#   /ok  /slow (200 after 2 s, or /slow/SECONDS)  /hang (no answer)  /huge (200 and 20 MB)  /cut (closes without an answer)
#   /status/503  /flaky/2 (500 twice, then 200)  /sometimes/30 (503 in 30 of 100)  /later/429/600 (status and Retry-After)  /redirect?URL  /binary (500, any bytes)

use strict;
use warnings;
use parent 'TaskForge::Server';
use Time::HiRes qw(sleep);

# Listens on 127.0.0.1 and 127.0.0.2. dir: where the requests are written.
sub start { my ($class, $dir) = @_; return $class->launch(['127.0.0.1', '127.0.0.2'], record => "$dir/received") }

sub respond {
    my ($self, $client, $request) = @_;
    my $target = $request->{target};
    my ($status, $text, @headers) = $self->decide($target);
    $self->record($request, $status);
    if ($target =~ m{^/slow(?:/(\d+))?}) { sleep($1 // 2) }
    elsif ($target =~ m{^/hang}) { sleep 120; return 0 }
    elsif ($target =~ m{^/cut}) { return 0 }
    return $self->reply($client, $request, $status, $text, @headers);
}

# Status, body and headers of the answer.
sub decide {
    my ($self, $target) = @_;
    my ($status, $body, @headers) = (200, 'thank you');
    if ($target =~ m{^/status/(\d+)}) { ($status, $body) = ($1, "status $1") }
    elsif ($target =~ m{^/flaky/(\d+)}) { ($status, $body) = (500, 'not yet') if $1 > grep { $_->{target} eq $target } $self->requests }
    elsif ($target =~ m{^/sometimes/(\d+)}) { ($status, $body) = (503, 'not now') if rand(100) < $1 }
    elsif ($target =~ m{^/later/(\d+)/(\d+)}) { ($status, @headers) = ($1, "Retry-After: $2") }
    elsif ($target =~ m{^/redirect\?(.*)}) { ($status, @headers) = (302, "Location: $1") }
    elsif ($target =~ m{^/binary}) { ($status, $body) = (500, join '', map { chr } 0 .. 255) }
    elsif ($target =~ m{^/huge}) { $body = 'x' x 20_000_000 }
    return ($status, $body, @headers);
}

sub url { my ($self, $target) = @_; return $self->SUPER::url($target, '127.0.0.2') }

1;
