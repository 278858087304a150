package TaskForge::Rows;

# Jobs and workers put straight into PostgreSQL, in states that the API and real workers reach only by accident, and what the
# streams hold. Adds methods to TaskForge.

use strict;
use warnings;
use TaskForge;

package TaskForge;

my $next = 0;

# Inserts $n jobs with the counters that belong to them; returns their ids. Columns are given as SQL expressions.
sub insert_jobs {
    my ($self, $n, %o) = @_;
    my %column = (
        status => "'QUEUED'", type => "'noop'", queue => "'default'", priority => 5, max_retries => 3,
        payload => "'{}'", created_at => 'now()', updated_at => 'now()', enqueued_at => 'now()', %o
    );
    # the id's time is created_at, as an API would have made it
    my @names = sort keys %column;
    my $serial = ++$next;
    my $id = "overlay(uuid_floor($column{created_at})::text PLACING lpad(to_hex($serial), 4, '0') || lpad(to_hex(g), 8, '0') "
        . 'FROM 25 FOR 12)::uuid';
    my @rows = $self->sql(
        "WITH j AS (INSERT INTO jobs (id, @{[join ', ', @names]}) SELECT $id, @{[join ', ', map { $column{$_} } @names]} "
            . "FROM generate_series(1, $n) g RETURNING *), "
            . 'c AS (INSERT INTO job_counts AS k SELECT 0, queue, type, priority, status, count(*) FROM j '
            . 'GROUP BY queue, type, priority, status '
            . 'ON CONFLICT (writer, queue, type, priority, status) DO UPDATE SET n = k.n + excluded.n) '
            . 'SELECT id FROM j ORDER BY id'
    );
    return map { $_->[0] } @rows;
}

# A worker's row; returns its incarnation. heartbeat: an SQL expression.
sub insert_worker {
    my ($self, $pool, %o) = @_;
    my ($status, $heartbeat) = ($o{status} // 'online', $o{heartbeat} // 'now()');
    return $self->sql_value(
        'INSERT INTO workers (id, hostname, pool, incarnation, status, pid, version, queues, concurrency, started_at, heartbeat_at) '
            . "VALUES (gen_random_uuid(), 'test', '$pool', nextval('worker_incarnations'), '$status', 1, '0', '{default}', 1, now(), "
            . "$heartbeat) RETURNING incarnation");
}

# Puts the ids on a stream as the API does.
sub xadd {
    my ($self, $level, @ids) = @_;
    $self->redis('EVAL', "for _, id in ipairs(ARGV) do redis.call('XADD', KEYS[1], '*', 'i', id) end", 1, "tf:{default}:p$level", @ids);
    return;
}

# The job ids on a stream, in order, doubles and all.
sub stream_ids {
    my ($self, $level) = @_;
    my @lines = split /\n/, $self->redis('XRANGE', "tf:{default}:p$level", '-', '+');
    return grep { /^[0-9a-f]{8}-[0-9a-f-]{27}$/ } @lines;
}

# The names of all events so far that tell of one job, in order.
sub events_of {
    my ($self, $id) = @_;
    return map { /"event":"(\w+)"/ ? $1 : () } grep { /\Q$id\E/ } map { split /\\n|\n/ } $self->redis('XRANGE', 'tf:events', '-', '+');
}

# Waits until the events that tell of one job are these, and no others: they are added after the commit, so whoever has seen its
# row may be too early. except: a pattern of names that do not count. Returns them as they were last.
sub wait_for_events {
    my ($self, $id, $wanted, $except) = @_;
    my @names;
    wait_until(30, sub { @names = grep { !$except || !/$except/ } $self->events_of($id); "@names" eq "@$wanted" });
    return @names;
}

sub status_of {
    my ($self, $id) = @_;
    return $self->sql_value("SELECT status FROM jobs WHERE id = '$id'");
}

# Counters that differ from what is counted, as texts.
sub wrong_counts {
    my ($self) = @_;
    return map { $_->[0] } $self->sql('SELECT problem FROM check_counts()');
}

# A whole round of upkeep that has not begun yet: the first to end may be one that is under way, and hears of no notification.
# False: it does not end.
sub upkeep {
    my ($self) = @_;
    my $rounds = "SELECT coalesce(last_tick, '-infinity') FROM schedules WHERE name = 'taskforge.upkeep'";
    for (1, 2) {
        my $before = $self->sql_value($rounds);
        wait_until(30, sub { $self->sql("SELECT pg_notify('tf_upkeep', '')"); $self->sql_value($rounds) ne $before }, 0.1) or return 0;
    }
    return 1;
}

# The parsed lines of a part's log with this event; in scalar context their number.
sub log_events {
    my ($self, $name, $event) = @_;
    open my $in, '<', "$self->{home}/log/$name.log" or return;
    my @lines = grep { $_->{event} eq $event } map { eval { JSON::PP::decode_json($_) } // () } <$in>;
    return @lines;
}

# Waits until the scheduler leads; returns the seconds that took, undef if it does not.
sub wait_for_lead {
    my ($self, $name, $seconds, $times) = @_;
    my $from = time;
    my $led = wait_until($seconds, sub { ($self->log_events($name, 'leader_elected') // 0) >= ($times // 1) });
    return $led ? time - $from : undef;
}

1;
