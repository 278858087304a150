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

-- make_partitions and drop_partitions (0001) look after two tables more.
DO $$
DECLARE
  body    text;
  changed text;
BEGIN
  FOREACH body IN ARRAY ARRAY[pg_get_functiondef('make_partitions(integer)'::regprocedure),
                              pg_get_functiondef('drop_partitions(interval)'::regprocedure)] LOOP
    changed := replace(replace(body,
      $x$ARRAY['jobs', 'job_errors', 'job_logs']$x$,
      $x$ARRAY['jobs', 'job_errors', 'job_logs', 'job_files', 'job_file_chunks']$x$),
      'ONLY jobs, ONLY job_errors, ONLY job_logs IN', 'ONLY jobs, ONLY job_errors, ONLY job_logs, ONLY job_files, ONLY job_file_chunks IN');
    IF changed = body THEN
      RAISE EXCEPTION 'not as sql/0001_jobs made it: %', body;
    END IF;
    EXECUTE changed;
  END LOOP;
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
