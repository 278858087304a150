-- Files that handlers made. They are kept here and nowhere else, so that a worker may be on any host, and go with their
-- job: by week as job_logs do, or by a trigger where jobs are deleted one by one.

CREATE SEQUENCE job_file_ids;

CREATE TABLE job_files (
  job_id        uuid        NOT NULL,
  name          text        NOT NULL CHECK (name ~ '^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$'),
  id            bigint      NOT NULL,  -- of its content: a file that is replaced has another one
  epoch         integer     NOT NULL,  -- of the attempt that made it
  attempt       integer     NOT NULL,
  content_type  text        NOT NULL,
  size          bigint      NOT NULL,
  sha256        bytea       NOT NULL,
  created_at    timestamptz NOT NULL,
  PRIMARY KEY (job_id, name)
) PARTITION BY RANGE (job_id);

-- All chunks of a file but the last have the same size: worker/files.h.
CREATE TABLE job_file_chunks (
  job_id  uuid    NOT NULL,
  file    bigint  NOT NULL,
  seq     integer NOT NULL,  -- from 0
  data    bytea   NOT NULL,
  PRIMARY KEY (job_id, file, seq)
) PARTITION BY RANGE (job_id);

-- PDF and images are compressed already, and packing the rest would cost more time than it saves room.
ALTER TABLE job_file_chunks ALTER COLUMN data SET STORAGE EXTERNAL;

CREATE TABLE job_files_default       PARTITION OF job_files       DEFAULT;
CREATE TABLE job_file_chunks_default PARTITION OF job_file_chunks DEFAULT;

-- The tables that are cut into weeks by the id of a job, jobs first: a migration that adds one replaces this.
CREATE FUNCTION job_tables() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT ARRAY['jobs', 'job_errors', 'job_logs', 'job_files', 'job_file_chunks']
$$;

-- As sql/0001_jobs explains them; which tables they look after is said above.
CREATE OR REPLACE FUNCTION make_partitions(weeks integer) RETURNS integer
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
    FOREACH parent IN ARRAY job_tables() LOOP
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

CREATE OR REPLACE FUNCTION drop_partitions(retention interval) RETURNS integer
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
    FOREACH parent IN ARRAY job_tables() LOOP
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
    EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', array_to_string(job_tables(), ', ONLY '));
    EXECUTE live INTO busy;
    EXIT WHEN busy;
    FOREACH parent IN ARRAY job_tables() LOOP
      CONTINUE WHEN to_regclass(parent || '_' || week) IS NULL;
      EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', parent, parent || '_' || week);
      EXECUTE format('ALTER TABLE %I RENAME TO %I', parent || '_' || week, 'retired_' || parent || '_' || week);
    END LOOP;
    RETURN 1;
  END LOOP;
  RETURN 0;
END $$;

SELECT make_partitions(2);

-- The weeks before this one, so that the files of their jobs go with them too.
DO $$
DECLARE
  week   text;
  parent text;
  day    timestamptz;
BEGIN
  FOR week IN SELECT right(c.relname, 8) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
              WHERE i.inhparent = 'jobs'::regclass AND c.relname ~ '^jobs_[0-9]{8}$' LOOP
    day := to_date(week, 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC';
    FOREACH parent IN ARRAY ARRAY['job_files', 'job_file_chunks'] LOOP
      IF to_regclass(parent || '_' || week) IS NULL THEN
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', parent || '_' || week, parent,
                       uuid_floor(day), uuid_floor(day + interval '7 days'));
      END IF;
    END LOOP;
  END LOOP;
END $$;

-- Once per statement, not per job: most jobs have no files.
CREATE FUNCTION job_files_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  WITH f AS (DELETE FROM job_files x USING gone WHERE x.job_id = gone.id RETURNING x.job_id, x.id)
  DELETE FROM job_file_chunks c USING f WHERE c.job_id = f.job_id AND c.file = f.id;
  RETURN NULL;
END $$;

CREATE TRIGGER jobs_files_gone AFTER DELETE ON jobs
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION job_files_gone();

-- The end of a transaction that has stored the chunks of a file: makes it a file of the job, in place of one that has
-- its name. For the run that holds the job, and no other. 'kept'; 'late': it does not hold the job any more; 'files',
-- 'bytes': the job has too many already. The chunks of a file that is not kept are to be rolled back.
CREATE FUNCTION keep_job_file(of_job uuid, of_epoch integer, of_attempt integer, of_incarnation bigint, file bigint,
                              its_name text, its_type text, its_size bigint, its_sha256 bytea,
                              files_max integer, bytes_max bigint) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  others bigint;
  bytes  numeric;
BEGIN
  -- who would take the job away waits until this transaction has ended
  PERFORM FROM jobs j
  WHERE j.id = of_job AND j.status::text = 'RUNNING' AND j.epoch = of_epoch AND j.attempt = of_attempt
    AND j.incarnation = of_incarnation
  FOR SHARE;
  IF NOT FOUND THEN
    RETURN 'late';
  END IF;
  SELECT count(*), coalesce(sum(f.size), 0) INTO others, bytes FROM job_files f
  WHERE f.job_id = of_job AND f.name <> its_name;
  IF others >= files_max THEN
    RETURN 'files';
  ELSIF bytes + its_size > bytes_max THEN
    RETURN 'bytes';
  END IF;
  WITH f AS (DELETE FROM job_files x WHERE x.job_id = of_job AND x.name = its_name RETURNING x.job_id, x.id)
  DELETE FROM job_file_chunks c USING f WHERE c.job_id = f.job_id AND c.file = f.id;
  INSERT INTO job_files (job_id, name, id, epoch, attempt, content_type, size, sha256, created_at)
  VALUES (of_job, its_name, file, of_epoch, of_attempt, its_type, its_size, its_sha256, now());
  RETURN 'kept';
END $$;
