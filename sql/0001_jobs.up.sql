-- The backbone: jobs and what is kept about them.
-- jobs, job_errors and job_logs are partitioned by the job's id. Ids are UUIDv7, so a range of ids is a range of
-- time: retention drops partitions, and WHERE id = $1 reads one of them.

CREATE TYPE job_status AS ENUM
  ('SCHEDULED', 'QUEUED', 'RUNNING', 'SUCCESS', 'RETRYING', 'FAILED', 'DEAD_LETTER', 'CANCELLED');

CREATE TABLE jobs (
  id                 uuid        NOT NULL,
  epoch              integer     NOT NULL DEFAULT 0,  -- +1 at every manual retry
  attempt            integer     NOT NULL DEFAULT 0,  -- +1 at every claim; a graceful give-back takes it away again
  max_retries        integer     NOT NULL,
  worker_losses      smallint    NOT NULL DEFAULT 0,  -- attempts that ended with the worker itself lost
  priority           smallint    NOT NULL,            -- 0 to 10
  progress           smallint    NOT NULL DEFAULT 0,  -- 0 to 100
  status             job_status  NOT NULL,
  cancel_requested   boolean     NOT NULL DEFAULT false,
  timeout_seconds    integer,                         -- NULL: the worker's default
  retry_base_ms      integer,                         -- NULL: the default of the type
  retry_max_ms       integer,
  retry_jitter       boolean,
  retry_budget_seconds integer,                       -- no attempt starts later than this after it was first to run
  snoozes            integer     NOT NULL DEFAULT 0,  -- how often the handler asked to be run later
  incarnation        bigint,                          -- the worker incarnation that holds it while RUNNING (the lease)
  created_by         uuid,
  created_at         timestamptz NOT NULL,
  updated_at         timestamptz NOT NULL,
  scheduled_at       timestamptz,                     -- as the client asked for it
  run_at             timestamptz,                     -- SCHEDULED and RETRYING: when it is due
  enqueued_at        timestamptz,                     -- when it last became QUEUED
  started_at         timestamptz,                     -- of the latest attempt
  finished_at        timestamptz,
  expires_at         timestamptz,                     -- cancelled unless it has started by then
  retried_at         timestamptz,                     -- when somebody last retried it by hand
  parent_id          uuid,                            -- the job that this one was made for (a webhook's delivery)
  schedule_id        uuid,                            -- the schedule that submitted it
  type               text        NOT NULL,
  queue              text        NOT NULL,
  name               text,
  worker             text,                            -- hostname/pool of the latest attempt
  traceparent        text,
  webhook_url        text,                            -- told when it has ended
  payload            json        NOT NULL,
  metadata           json,
  result             json,
  error              text,
  traceback          text,
  PRIMARY KEY (id)
) PARTITION BY RANGE (id);

-- reconcile and "why": what waits in one level of one queue, oldest first
CREATE INDEX jobs_queued ON jobs (queue, priority, enqueued_at) WHERE status = 'QUEUED';
-- the scheduler: what is due next
CREATE INDEX jobs_due ON jobs (run_at) WHERE status IN ('SCHEDULED', 'RETRYING');
-- the reaper: what a lost worker held
CREATE INDEX jobs_running ON jobs (incarnation) WHERE status = 'RUNNING';
-- lists of what went wrong, newest first; SUCCESS needs none, it is nearly everything
CREATE INDEX jobs_unhappy ON jobs (status, id) WHERE status IN ('FAILED', 'DEAD_LETTER', 'CANCELLED');
-- lists by type and by queue, newest first
CREATE INDEX jobs_type ON jobs (type, id);

-- Every index here costs every job three times. What few jobs have (parent_id, schedule_id, expires_at) is looked up
-- through tables of its own.

-- Jobs that expire, until they have expired.
CREATE TABLE job_expiry (
  expires_at  timestamptz NOT NULL,
  job_id      uuid        NOT NULL,
  PRIMARY KEY (expires_at, job_id)
);

-- One row per failed attempt.
CREATE TABLE job_errors (
  job_id     uuid        NOT NULL,
  epoch      integer     NOT NULL,
  attempt    integer     NOT NULL,
  at         timestamptz NOT NULL,
  worker     text,
  error      text        NOT NULL,
  traceback  text,
  PRIMARY KEY (job_id, epoch, attempt)
) PARTITION BY RANGE (job_id);

-- What handlers log. The worker caps lines per attempt.
CREATE TABLE job_logs (
  job_id     uuid        NOT NULL,
  epoch      integer     NOT NULL,
  attempt    integer     NOT NULL,
  seq        bigint      NOT NULL,     -- grows: microseconds since 1970, as an attempt that was snoozed or given back
                                       -- runs again under its number
  at         timestamptz NOT NULL,
  level      text        NOT NULL,     -- debug, info, warning, error
  message    text        NOT NULL,
  PRIMARY KEY (job_id, epoch, attempt, seq)
) PARTITION BY RANGE (job_id);

CREATE TABLE jobs_default       PARTITION OF jobs       DEFAULT;
CREATE TABLE job_errors_default PARTITION OF job_errors DEFAULT;
CREATE TABLE job_logs_default   PARTITION OF job_logs   DEFAULT;

-- The smallest UUIDv7 of a moment: the border of a partition.
CREATE FUNCTION uuid_floor(at timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT (lpad(to_hex(greatest(floor(extract(epoch FROM at) * 1000), 0)::bigint), 12, '0') || '00000000000000000000')::uuid
$$;

-- A UUIDv7 of now (RFC 9562, section 5.7), for jobs that are made inside the database.
CREATE FUNCTION uuid7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
  SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) PLACING
    substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6), 52, 1), 53, 1),
    'hex')::uuid
$$;

-- Makes the weekly partitions (Monday 00:00 UTC) that cover now to now + weeks ahead. Safe to call at any time. Rows
-- of such a week that are in the default partition already (somebody's clock was ahead) move into the new one.
-- Runs as the owner of the tables, so that the daemons' role needs no right to create anything.
CREATE FUNCTION make_partitions(weeks integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  first date := date_trunc('week', now() AT TIME ZONE 'UTC')::date;
  day   date;
  parent text;
  part   text;
  key    text;
  low    uuid;
  high   uuid;
  made   integer := 0;
BEGIN
  FOR i IN 0 .. weeks LOOP
    day := first + i * 7;
    low := uuid_floor(day::timestamp AT TIME ZONE 'UTC');
    high := uuid_floor((day + 7)::timestamp AT TIME ZONE 'UTC');
    FOREACH parent IN ARRAY ARRAY['jobs', 'job_errors', 'job_logs'] LOOP
      part := parent || '_' || to_char(day, 'YYYYMMDD');
      key := CASE parent WHEN 'jobs' THEN 'id' ELSE 'job_id' END;
      IF to_regclass(part) IS NULL THEN
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', part, parent);
        EXECUTE format('WITH strays AS (DELETE FROM %I WHERE %I >= %L AND %I < %L RETURNING *) '
                       'INSERT INTO %I SELECT * FROM strays', parent || '_default', key, low, key, high, part);
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, part, low, high);
        IF parent = 'jobs' THEN
          -- Statements are planned once. What is planned for a table that was analysed when it held fifty rows goes through
          -- all of it, and still does when there are a million, until it is analysed again. Without statistics it does not.
          EXECUTE format('ALTER TABLE %I SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 10000, '
                         'autovacuum_vacuum_insert_threshold = 10000, autovacuum_vacuum_cost_delay = 1, '
                         'autovacuum_analyze_scale_factor = 0.05, autovacuum_analyze_threshold = 10000)', part);
        END IF;
        made := made + 1;
      END IF;
    END LOOP;
  END LOOP;
  RETURN made;
END $$;

SELECT make_partitions(2);

-- How many jobs are in which state. Whoever changes a job changes these in the same transaction. The sum over
-- writer is the truth; a single row may be negative. One process writes one writer's rows, so nobody waits.
CREATE TABLE job_counts (
  writer    smallint   NOT NULL,
  queue     text       NOT NULL,
  type      text       NOT NULL,
  priority  smallint   NOT NULL,
  status    job_status NOT NULL,
  n         bigint     NOT NULL,
  PRIMARY KEY (writer, queue, type, priority, status)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- One step of retention; call it until it returns 0, each call in a transaction of its own. A week of jobs goes when it
-- is older than `retention` and every job in it has ended. First it is detached and renamed (a short exclusive lock, given up
-- after lock_timeout rather than making everybody wait); then, when nobody can see or change it any more, it is counted,
-- subtracted from job_counts (as writer 64) and dropped, without any lock that matters. Runs as the owner of the tables.
CREATE FUNCTION drop_partitions(retention interval) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '500ms' SET enable_seqscan = off AS $$
DECLARE
  week   text;
  parent text;
  busy   boolean;
  live   text;
BEGIN
  SELECT right(relname, 8) INTO week FROM pg_class
  WHERE relnamespace = 'public'::regnamespace AND relname ~ '^retired_jobs_[0-9]{8}$' AND relkind = 'r'
  ORDER BY relname LIMIT 1;
  IF FOUND THEN
    PERFORM set_config('enable_seqscan', 'on', true); -- all of the table is wanted
    EXECUTE format('INSERT INTO job_counts AS c (writer, queue, type, priority, status, n) '
                   'SELECT 64, queue, type, priority, status, -count(*) FROM %I GROUP BY queue, type, priority, status '
                   'ON CONFLICT (writer, queue, type, priority, status) DO UPDATE SET n = c.n + excluded.n',
                   'retired_jobs_' || week);
    FOREACH parent IN ARRAY ARRAY['jobs', 'job_errors', 'job_logs'] LOOP
      EXECUTE format('DROP TABLE IF EXISTS %I', 'retired_' || parent || '_' || week);
    END LOOP;
    RETURN 1;
  END IF;

  FOR week IN
    SELECT right(c.relname, 8) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'jobs'::regclass AND c.relname ~ '^jobs_[0-9]{8}$'
      AND (to_date(right(c.relname, 8), 'YYYYMMDD') + 7)::timestamp AT TIME ZONE 'UTC' < now() - retention
    ORDER BY 1
  LOOP
    -- each status by itself, so that each is one look into a small partial index
    live := format('SELECT EXISTS (SELECT FROM %1$I WHERE status = ''QUEUED'') '
                   'OR EXISTS (SELECT FROM %1$I WHERE status = ''RUNNING'') '
                   'OR EXISTS (SELECT FROM %1$I WHERE status IN (''SCHEDULED'', ''RETRYING''))', 'jobs_' || week);
    EXECUTE live INTO busy;
    CONTINUE WHEN busy;
    -- looked at again under the lock: an ended job may have been retried in between
    LOCK TABLE ONLY jobs, ONLY job_errors, ONLY job_logs IN ACCESS EXCLUSIVE MODE;
    EXECUTE live INTO busy;
    EXIT WHEN busy;
    FOREACH parent IN ARRAY ARRAY['jobs', 'job_errors', 'job_logs'] LOOP
      CONTINUE WHEN to_regclass(parent || '_' || week) IS NULL;
      EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', parent, parent || '_' || week);
      EXECUTE format('ALTER TABLE %I RENAME TO %I', parent || '_' || week, 'retired_' || parent || '_' || week);
    END LOOP;
    RETURN 1;
  END LOOP;
  RETURN 0;
END $$;

-- What ended (or, as QUEUED/SCHEDULED, was submitted) in which minute, and how long it took:
-- bucket = floor(4 * log2(duration in microseconds)), -1 where there is no duration.
CREATE TABLE job_throughput (
  minute       timestamptz NOT NULL,
  writer       smallint    NOT NULL,
  status       job_status  NOT NULL,
  bucket       smallint    NOT NULL,
  n            bigint      NOT NULL,
  duration_us  bigint      NOT NULL,
  PRIMARY KEY (minute, writer, status, bucket)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- One row per hostname and pool. A restart takes the row over with a new incarnation.
CREATE SEQUENCE worker_incarnations;

CREATE TABLE workers (
  id            uuid        PRIMARY KEY,
  hostname      text        NOT NULL,
  pool          text        NOT NULL,
  incarnation   bigint      NOT NULL UNIQUE,
  status        text        NOT NULL CHECK (status IN ('online', 'quiet', 'stopping', 'offline', 'lost')),
  pid           integer     NOT NULL,
  version       text        NOT NULL,
  queues        text[]      NOT NULL,
  concurrency   integer     NOT NULL,
  active        integer     NOT NULL DEFAULT 0,
  processed     bigint      NOT NULL DEFAULT 0,
  failed        bigint      NOT NULL DEFAULT 0,
  started_at    timestamptz NOT NULL,
  heartbeat_at  timestamptz NOT NULL,
  UNIQUE (hostname, pool)
);

-- The job types that workers know. A worker writes its own when it starts; the API refuses any other type.
CREATE TABLE job_types (
  type             text        PRIMARY KEY,
  description      text        NOT NULL,
  payload_schema   json        NOT NULL,
  max_retries      integer     NOT NULL,
  timeout_seconds  integer     NOT NULL,
  retry_base_ms    integer     NOT NULL,
  retry_max_ms     integer     NOT NULL,
  retry_jitter     boolean     NOT NULL,
  updated_at       timestamptz NOT NULL
);
