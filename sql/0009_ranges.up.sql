-- What is in the jobs, a thousand at a time, for lists by what no index of jobs knows: a part of the name, the queue,
-- who submitted it, the priority. An index for each would cost every job three times; this costs a submit nothing: the
-- scheduler's leader gathers it behind the newest jobs, which are few and looked at one by one.

-- Ranges of ids; between two of them there are no jobs. What is not in a range's row is in none of its jobs; the reverse
-- may be wrong, after jobs were deleted. Nothing of it changes in the life of a job.
CREATE TABLE job_ranges (
  low       uuid     PRIMARY KEY,
  high      uuid     NOT NULL,  -- not in it
  jobs      integer  NOT NULL,
  young     boolean  NOT NULL,  -- to be gathered again when it is old enough that no commit can come late
  levels    integer  NOT NULL,  -- 1 << priority of each
  queues    text[]   NOT NULL,
  creators  uuid[]   NOT NULL,
  names     text     NOT NULL   -- in lower case, each once, a line each
);

-- read through and through, and unpacking would take longer than reading
ALTER TABLE job_ranges ALTER COLUMN names SET STORAGE EXTERNAL;

CREATE INDEX job_ranges_young ON job_ranges (low) WHERE young;

CREATE FUNCTION uuid_zero() RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT '00000000-0000-0000-0000-000000000000'::uuid
$$;

-- The jobs of a range, as its row has them.
CREATE FUNCTION job_range(low uuid, high uuid, OUT jobs integer, OUT levels integer, OUT queues text[], OUT creators uuid[],
                          OUT names text)
LANGUAGE sql STABLE SET enable_seqscan = off AS $$
  SELECT count(*), coalesce(bit_or(1 << j.priority), 0), coalesce(array_agg(DISTINCT j.queue), '{}'),
         coalesce(array_agg(DISTINCT j.created_by) FILTER (WHERE j.created_by IS NOT NULL), '{}'),
         coalesce(string_agg(DISTINCT lower(j.name), E'\n'), '')
  FROM jobs j WHERE j.id >= job_range.low AND j.id < job_range.high
$$;

-- One step: call it until it returns 0. Makes the next range when `size` jobs are there for it and the last of them is older
-- than `settle`; or gathers one again an hour later, so that a job which was committed that much later than its id says (a
-- clock that was slow) is in it.
CREATE FUNCTION gather_job_ranges(size integer, settle interval) RETURNS integer
LANGUAGE plpgsql SET enable_seqscan = off SET enable_sort = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  first uuid;
  past  uuid;
  there integer;
BEGIN
  SELECT r.high INTO first FROM job_ranges r ORDER BY r.low DESC LIMIT 1;
  first := coalesce(first, uuid_zero());
  SELECT j.id INTO past FROM jobs j WHERE j.id >= first ORDER BY j.id OFFSET size LIMIT 1;
  IF past < uuid_floor(now() - settle) THEN
    INSERT INTO job_ranges (low, high, jobs, young, levels, queues, creators, names)
    SELECT first, past, g.jobs, true, g.levels, g.queues, g.creators, g.names FROM job_range(first, past) g
    ON CONFLICT DO NOTHING; -- another leader's
    RETURN 1;
  END IF;

  SELECT r.low, r.high INTO first, past FROM job_ranges r
  WHERE r.young AND r.high < uuid_floor(now() - interval '1 hour') ORDER BY r.low LIMIT 1;
  IF FOUND THEN
    SELECT count(*) INTO there FROM jobs j WHERE j.id >= first AND j.id < past;
    UPDATE job_ranges r SET young = false WHERE r.low = first AND r.jobs = there;
    IF NOT FOUND THEN
      UPDATE job_ranges r
      SET (jobs, young, levels, queues, creators, names) =
          (SELECT g.jobs, false, g.levels, g.queues, g.creators, g.names FROM job_range(first, past) g)
      WHERE r.low = first;
    END IF;
    RETURN 1;
  END IF;

  RETURN 0;
END $$;

-- Those whose jobs are gone; says how many.
CREATE FUNCTION forget_job_ranges() RETURNS integer LANGUAGE sql SET enable_seqscan = off AS $$
  WITH gone AS (
    DELETE FROM job_ranges r
    WHERE NOT r.young AND NOT EXISTS (SELECT FROM jobs j WHERE j.id >= r.low AND j.id < r.high) -- jobs_pkey
    RETURNING 1)
  SELECT count(*)::integer FROM gone
$$;

-- Where to look for jobs with a name that holds `wanted`, of a queue, of a user, of one of some levels (a mask as above;
-- NULL: any), from `since` to before `below`, newest first: ranges of ids that hold `most_jobs` or little more, found
-- without reading more than about `most_bytes`. rest: the search goes on before this id; NULL: that was all.
CREATE FUNCTION search_job_ranges(wanted text, of_queue text, of_user uuid, of_levels integer, since uuid, below uuid,
                                  most_jobs integer, most_bytes integer, OUT lows uuid[], OUT highs uuid[], OUT rest uuid)
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET enable_sort = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  needle text := lower(wanted);
  jobs   bigint := 0;
  bytes  bigint := 0;
  low    uuid;
  r      record;
BEGIN
  lows := '{}';
  highs := '{}';
  SELECT o.high INTO low FROM job_ranges o ORDER BY o.low DESC LIMIT 1;
  low := greatest(low, since, uuid_zero());
  IF low < below THEN -- the newest jobs
    SELECT j.id INTO rest FROM jobs j WHERE j.id >= low AND j.id < below ORDER BY j.id DESC OFFSET most_jobs - 1 LIMIT 1;
    lows := ARRAY[coalesce(rest, low)];
    highs := ARRAY[below];
    IF FOUND THEN
      RETURN;
    END IF;
  END IF;
  FOR r IN SELECT o.* FROM job_ranges o WHERE o.low < below ORDER BY o.low DESC LOOP
    EXIT WHEN r.high <= since;
    IF jobs >= most_jobs OR bytes >= most_bytes THEN
      rest := r.high;
      RETURN;
    END IF;
    bytes := bytes + 2000; -- what a row costs, whatever is in it
    CONTINUE WHEN of_queue <> ALL (r.queues) OR of_user IS NOT NULL AND of_user <> ALL (r.creators) OR of_levels & r.levels = 0;
    IF needle IS NOT NULL THEN
      bytes := bytes + octet_length(r.names);
      CONTINUE WHEN position(needle IN r.names) = 0;
    END IF;
    lows := lows || r.low;
    highs := highs || least(r.high, below);
    jobs := jobs + r.jobs;
  END LOOP;
END $$;
