DROP FUNCTION keep_job_file(uuid, integer, integer, bigint, bigint, text, text, bigint, bytea, integer, bigint);
DROP TRIGGER jobs_files_gone ON jobs;
DROP FUNCTION job_files_gone();

-- as sql/0001_jobs made them
DO $$
DECLARE
  body text;
BEGIN
  FOREACH body IN ARRAY ARRAY[pg_get_functiondef('make_partitions(integer)'::regprocedure),
                              pg_get_functiondef('drop_partitions(interval)'::regprocedure)] LOOP
    EXECUTE replace(replace(body, $x$, 'job_files', 'job_file_chunks']$x$, ']'), ', ONLY job_files, ONLY job_file_chunks IN', ' IN');
  END LOOP;
END $$;

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
