DROP FUNCTION keep_job_file(uuid, integer, integer, bigint, bigint, text, text, bigint, bytea, integer, bigint);
DROP TRIGGER jobs_files_gone ON jobs;
DROP FUNCTION job_files_gone();

-- as sql/0001_jobs made them
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

DROP FUNCTION job_tables();

-- weeks that were detached and wait to be dropped
DO $$
DECLARE
  week regclass;
BEGIN
  FOR week IN SELECT oid::regclass FROM pg_class
              WHERE relnamespace = 'public'::regnamespace AND relname ~ '^retired_job_file(s|_chunks)_[0-9]{8}$' LOOP
    EXECUTE format('DROP TABLE %s', week);
  END LOOP;
END $$;

DROP TABLE job_file_chunks;
DROP TABLE job_files;
DROP SEQUENCE job_file_ids;
