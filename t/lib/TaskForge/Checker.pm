package TaskForge::Checker;

# Whether the system kept its word: every job that got a 202 ends, exactly once, and all books agree. A trigger writes
# down every change of state, so that a job which ended twice cannot hide behind its last row.

use strict;
use warnings;
use TaskForge::Process qw(wait_until);
use Test::More;

# Starts to watch; call it before the first submit.
sub watch {
    my ($class, $tf) = @_;
    $tf->sql(
        'CREATE TABLE watch_changes (n bigserial, id uuid, epoch int, attempt int, was job_status, now job_status, incarnation bigint, '
            . 'asked boolean, error text, at timestamptz DEFAULT now())',
        'GRANT INSERT ON watch_changes TO PUBLIC; GRANT USAGE ON SEQUENCE watch_changes_n_seq TO PUBLIC',
        q{CREATE FUNCTION watch_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO watch_changes (id, epoch, attempt, was, now, incarnation, asked, error)
            VALUES (new.id, new.epoch, new.attempt, CASE TG_OP WHEN 'UPDATE' THEN old.status END, new.status,
              coalesce(new.incarnation, CASE TG_OP WHEN 'UPDATE' THEN old.incarnation END),
              CASE TG_OP WHEN 'UPDATE' THEN old.cancel_requested END, new.error);
            RETURN NULL;
          END $$; GRANT EXECUTE ON FUNCTION watch_change() TO PUBLIC},
        'CREATE TRIGGER watch_insert AFTER INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION watch_change()',
        'CREATE TRIGGER watch_update AFTER UPDATE ON jobs FOR EACH ROW WHEN (old.status <> new.status OR old.epoch <> new.epoch) EXECUTE FUNCTION watch_change()',
    );
    return bless {tf => $tf}, $class;
}

my $TERMINAL = "('SUCCESS', 'FAILED', 'DEAD_LETTER', 'CANCELLED')";

# The promises, as ok() lines. ids: those that got a 202; seconds: how long the last job may take to end (default 120).
sub check {
    my ($self, %o) = @_;
    my $tf = $self->{tf};
    $tf->sql('CREATE TABLE accepted (id uuid)');
    my @ids = @{$o{ids}};
    while (my @some = splice @ids, 0, 1000) {
        $tf->sql('INSERT INTO accepted VALUES ' . join ',', map {"('$_')"} @some);
    }
    my $end = wait_until($o{seconds} // 120,
        sub { $tf->sql_value("SELECT count(*) = 0 FROM jobs WHERE status NOT IN $TERMINAL") eq 't' }, 0.2);
    ok($end, 'every job ends within the time allowed') or $self->show("SELECT status, count(*) FROM jobs GROUP BY 1");

    $self->none('no answer names the id of another', 'SELECT id FROM accepted GROUP BY id HAVING count(*) > 1');
    $self->none('every job that got a 202 exists', 'SELECT id FROM accepted EXCEPT SELECT id FROM jobs');
    $self->none('every job that got a 202 is in a terminal state',
        "SELECT j.id, j.status, j.attempt, j.updated_at FROM accepted a JOIN jobs j USING (id) WHERE j.status NOT IN $TERMINAL");
    $self->none('every job ended exactly once', "SELECT id, count(*) FROM watch_changes WHERE now IN $TERMINAL GROUP BY id HAVING count(*) <> 1");
    $self->none('no job left a terminal state', "SELECT id, was, now FROM watch_changes WHERE was IN $TERMINAL");
    $self->none('every change of state is one the table of transitions allows',
        q{SELECT id, was, now FROM watch_changes WHERE (coalesce(was::text, 'new'), now::text) NOT IN (('new', 'QUEUED'), ('new', 'SCHEDULED'),
          ('SCHEDULED', 'QUEUED'), ('RETRYING', 'QUEUED'), ('QUEUED', 'RUNNING'), ('RUNNING', 'SUCCESS'), ('RUNNING', 'RETRYING'),
          ('RUNNING', 'DEAD_LETTER'), ('RUNNING', 'FAILED'), ('RUNNING', 'CANCELLED'), ('RUNNING', 'QUEUED'), ('RUNNING', 'SCHEDULED'), ('QUEUED', 'CANCELLED'),
          ('SCHEDULED', 'CANCELLED'), ('RETRYING', 'CANCELLED'))});
    $self->attempts;
    $self->books;
    $self->streams;
    return;
}

sub attempts {
    my ($self) = @_;
    $self->none('attempts = claims less what was given back, and never more than allowed', q{
        SELECT j.id, j.attempt, w.claims, w.returned FROM jobs j JOIN (
          SELECT id, count(*) FILTER (WHERE now = 'RUNNING') AS claims,
            count(*) FILTER (WHERE was = 'RUNNING' AND now IN ('QUEUED', 'SCHEDULED')) AS returned FROM watch_changes GROUP BY id) w USING (id)
        WHERE j.attempt <> w.claims - w.returned OR j.attempt > j.max_retries + 1});
    $self->none('every failed attempt left its error, and only those', q{
        SELECT j.id, j.status, j.attempt, count(e.*) FROM jobs j LEFT JOIN job_errors e ON e.job_id = j.id AND e.epoch = j.epoch
        WHERE j.status <> 'CANCELLED' GROUP BY j.id, j.status, j.attempt
        HAVING count(e.*) <> j.attempt - CASE j.status WHEN 'SUCCESS' THEN 1 ELSE 0 END});
    $self->none('a job that ended says when it started and finished', q{
        SELECT id, status, started_at, finished_at FROM jobs
        WHERE status <> 'CANCELLED' AND (started_at IS NULL OR finished_at IS NULL OR finished_at < started_at)});
    return;
}

# The counters that the summary is made of, against a recount.
sub books {
    my ($self) = @_;
    $self->none('job_counts equal a recount', 'SELECT problem FROM check_counts()');
    $self->none('job_throughput counts every attempt that ended', q{
        SELECT status, t.n, w.n FROM
          (SELECT status, sum(n) AS n FROM job_throughput WHERE status NOT IN ('QUEUED', 'SCHEDULED') GROUP BY 1) t
          FULL JOIN (SELECT now AS status, count(*) AS n FROM watch_changes WHERE now NOT IN ('QUEUED', 'SCHEDULED', 'RUNNING')
            GROUP BY 1) w USING (status) WHERE t.n IS DISTINCT FROM w.n});
    return;
}

# Nothing may stay in Redis: an entry without a job to run would be memory that nobody frees.
sub streams {
    my ($self) = @_;
    my $tf = $self->{tf};
    my $left;
    my $empty = wait_until(60, sub {
        my @keys = grep {/:p\d+$/} split /\n/, $tf->redis('--scan', '--pattern', 'tf:{*');
        $left = join ', ', map { my $n = $tf->redis('XLEN', $_); $n ? "$_: $n" : () } @keys;
        return $left eq '';
    }, 0.2);
    ok($empty, 'no entry stays in the queues') or diag $left;
    return;
}

# ok() when the query finds nothing; what it finds is shown.
sub none {
    my ($self, $promise, $query) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 2;
    my @rows = $self->{tf}->sql("$query LIMIT 5");
    return ok(!@rows, $promise) || diag map { join(' | ', map { $_ // 'NULL' } @$_) . "\n" } @rows;
}

sub show {
    my ($self, $query) = @_;
    return diag map { join(' | ', map { $_ // 'NULL' } @$_) . "\n" } $self->{tf}->sql($query);
}

1;
