-- Upkeep: what goes before its partition does, and whether the books are right.

-- Jobs are looked at in the order of their ids, once per length of time that some rule names: what was submitted so long
-- ago is due to be looked at. What cannot go yet (it has not ended, or ended a while after it was submitted) is looked at
-- again when it could. So each round of the janitor reads what has become due since the last one, and nothing else.
CREATE TABLE retention_walks (
  days      float8 PRIMARY KEY,
  rules     bigint NOT NULL,      -- a hash of all rules: with other rules every walk begins anew
  position  uuid   NOT NULL       -- this job, and all before it, were looked at
);

CREATE TABLE retention_later (
  look_at  timestamptz NOT NULL,
  job_id   uuid        NOT NULL,
  PRIMARY KEY (look_at, job_id)
);

-- The rules in force, as days after the end of a job. defaults: {"SUCCESS": days, ...}, for queues that have no rule of
-- their own for that status; their rows have no queue.
CREATE FUNCTION retention_rules(defaults json) RETURNS TABLE (queue text, status job_status, days float8)
LANGUAGE sql STABLE AS $$
  SELECT q.name, r.key::job_status, r.value::float8 FROM queues q, json_each_text(q.retention_days) r
  UNION ALL
  SELECT NULL, r.key::job_status, r.value::float8 FROM json_each_text(defaults) r
$$;

-- One step of it: looks at up to `most` jobs, and deletes those whose time is over, with their errors, logs and webhooks,
-- counting as writer 64. looked: 0 when nothing is left to do. Call it again until then, each time in a transaction of
-- its own.
CREATE FUNCTION retention_step(defaults json, most integer) RETURNS TABLE (looked integer, deleted integer)
LANGUAGE plpgsql AS $$
DECLARE
  now_rules bigint;
  walk      retention_walks; -- NULL: those of retention_later
  border    uuid;
  ids       uuid[];
BEGIN
  looked := 0;
  deleted := 0;
  SELECT hashtextextended(string_agg(concat_ws(' ', coalesce(r.queue, '*'), r.status, r.days), ',' ORDER BY r.queue, r.status), 0)
  INTO now_rules FROM retention_rules(defaults) r;
  DELETE FROM retention_walks w WHERE w.rules IS DISTINCT FROM now_rules;
  IF FOUND THEN
    DELETE FROM retention_later;
  END IF;
  IF now_rules IS NULL THEN
    RETURN NEXT;
    RETURN;
  END IF;
  INSERT INTO retention_walks (days, rules, position)
  SELECT DISTINCT r.days, now_rules, '00000000-0000-0000-0000-000000000000'::uuid FROM retention_rules(defaults) r
  ON CONFLICT DO NOTHING;

  -- retention_later_pkey, in its order
  WITH due AS (DELETE FROM retention_later l WHERE (l.look_at, l.job_id) IN (
      SELECT d.look_at, d.job_id FROM retention_later d WHERE d.look_at <= now() ORDER BY d.look_at, d.job_id LIMIT most)
    RETURNING l.job_id)
  SELECT array_agg(DISTINCT due.job_id) INTO ids FROM due;
  IF ids IS NULL THEN
    FOR walk IN SELECT * FROM retention_walks w ORDER BY w.days LOOP
      border := uuid_floor(now() - walk.days * interval '1 day');
      CONTINUE WHEN walk.position >= border;
      -- the primary keys of the partitions, in their order
      SELECT array_agg(j.id) INTO ids FROM (
        SELECT i.id FROM jobs i WHERE i.id > walk.position AND i.id < border ORDER BY i.id LIMIT most) j;
      UPDATE retention_walks w SET position = CASE WHEN cardinality(ids) = most THEN ids[most] ELSE border END
      WHERE w.days = walk.days;
      EXIT WHEN ids IS NOT NULL;
    END LOOP;
  END IF;
  IF ids IS NULL THEN
    RETURN NEXT;
    RETURN;
  END IF;

  WITH r AS MATERIALIZED (SELECT * FROM retention_rules(defaults)),
  j AS MATERIALIZED (
    SELECT o.id, o.queue, o.status, o.status::text IN ('SUCCESS', 'FAILED', 'DEAD_LETTER', 'CANCELLED') AS ended,
           coalesce(o.finished_at, o.updated_at) AS ended_at, greatest(o.run_at, now()) AS runs_at
    FROM unnest(ids) AS t(id) JOIN jobs o ON o.id = t.id),
  -- what holds in the queues of these jobs: their own rules, and the defaults where they have none
  k AS MATERIALIZED (
    SELECT q.queue, s.status, coalesce(own.days, d.days) AS days
    FROM (SELECT DISTINCT j.queue FROM j) q
    CROSS JOIN unnest('{SUCCESS,FAILED,DEAD_LETTER,CANCELLED}'::job_status[]) AS s(status)
    LEFT JOIN r own ON own.queue = q.queue AND own.status = s.status
    LEFT JOIN r d ON d.queue IS NULL AND d.status = s.status),
  -- a job that has not ended may do so in the way that is kept for the shortest time
  v AS MATERIALIZED (
    SELECT j.id, j.status, j.ended, x.days,
           CASE WHEN j.ended THEN j.ended_at ELSE j.runs_at END + x.days * interval '1 day' AS due
    FROM j CROSS JOIN LATERAL (
      SELECT min(k.days) AS days FROM k WHERE k.queue = j.queue AND (NOT j.ended OR k.status = j.status)) x
    WHERE x.days IS NOT NULL),
  gone AS (
    DELETE FROM jobs o USING v
    WHERE o.id = v.id AND v.ended AND v.due <= now() AND o.status::text = v.status::text -- still so
    RETURNING o.id, o.parent_id, o.queue, o.type, o.priority, o.status),
  -- a walk of a longer time has been preceded by one of v.days, and one of a shorter time will be followed by it
  l AS (
    INSERT INTO retention_later (look_at, job_id)
    SELECT v.due, v.id FROM v
    WHERE NOT (v.ended AND v.due <= now()) AND (walk.days IS NULL OR v.days = walk.days OR v.ended AND v.days < walk.days)
    ON CONFLICT DO NOTHING),
  e AS (DELETE FROM job_errors x WHERE x.job_id IN (SELECT gone.id FROM gone)),
  g AS (DELETE FROM job_logs x WHERE x.job_id IN (SELECT gone.id FROM gone)),
  -- those of a job, and the one that a delivery was
  w AS (
    DELETE FROM webhook_deliveries x
    USING (SELECT gone.id AS job, NULL::uuid AS delivery FROM gone
           UNION ALL SELECT gone.parent_id, gone.id FROM gone WHERE gone.type = 'webhook') y
    WHERE x.job_id = y.job AND x.delivery_id = coalesce(y.delivery, x.delivery_id)),
  c AS (
    INSERT INTO job_counts AS n (writer, queue, type, priority, status, n)
    SELECT 64, gone.queue, gone.type, gone.priority, gone.status, -count(*) FROM gone
    GROUP BY gone.queue, gone.type, gone.priority, gone.status
    ORDER BY gone.queue, gone.type, gone.priority, gone.status
    ON CONFLICT ON CONSTRAINT job_counts_pkey DO UPDATE SET n = n.n + excluded.n)
  SELECT count(*) INTO deleted FROM gone;
  looked := cardinality(ids);
  RETURN NEXT;
END $$;

-- Counters that differ from a recount of all jobs, which takes minutes where there are many millions of them.
CREATE FUNCTION check_counts() RETURNS TABLE (problem text) LANGUAGE plpgsql STABLE AS $$
DECLARE
  tables text;
BEGIN
  -- a partition that is about to be dropped is counted until it is
  SELECT string_agg(format('SELECT queue, type, priority, status FROM %s', c.oid::regclass), ' UNION ALL ') INTO tables
  FROM pg_class c
  WHERE c.relnamespace = 'public'::regnamespace AND (c.relname = 'jobs' OR c.relname ~ '^retired_jobs_[0-9]{8}$')
    AND c.relkind IN ('p', 'r');
  RETURN QUERY EXECUTE format(
    'SELECT format(''counter of queue %%s, type %%s, priority %%s, %%s: %%s, but there are %%s jobs'', queue, type, priority, '
    '              status, coalesce(k.n, 0), coalesce(j.n, 0)) '
    'FROM (SELECT queue, type, priority, status, sum(n) AS n FROM job_counts GROUP BY 1, 2, 3, 4) k '
    'FULL JOIN (SELECT queue, type, priority, status, count(*) AS n FROM (%s) a GROUP BY 1, 2, 3, 4) j '
    'USING (queue, type, priority, status) WHERE coalesce(k.n, 0) <> coalesce(j.n, 0) '
    'ORDER BY queue, type, priority, status', tables);
END $$;

-- Jobs that somebody should have looked after by now. lost_seconds: TASKFORGE_LOST_SECONDS.
CREATE FUNCTION check_jobs(lost_seconds integer) RETURNS TABLE (problem text) LANGUAGE sql STABLE AS $$
  WITH late AS (SELECT now() - (2 * lost_seconds + 10) * interval '1 second' AS at)
  (SELECT format('job %s is RUNNING without a living worker since %s: %s', j.id, json_time(greatest(j.updated_at, w.heartbeat_at)),
                 coalesce(j.worker, 'unknown'))
   FROM late, jobs j LEFT JOIN workers w ON w.incarnation = j.incarnation AND w.status IN ('online', 'quiet', 'stopping')
   WHERE j.status = 'RUNNING' AND greatest(j.updated_at, w.heartbeat_at) < late.at ORDER BY j.id LIMIT 20)
  UNION ALL
  SELECT format('%s jobs are %s although due, the oldest since %s', count(*), j.status, json_time(min(j.run_at)))
  FROM late, jobs j WHERE j.status IN ('SCHEDULED', 'RETRYING') AND j.run_at < late.at GROUP BY j.status
  UNION ALL
  SELECT format('worker %s/%s is %s, but its last heartbeat was at %s', w.hostname, w.pool, w.status, json_time(w.heartbeat_at))
  FROM late, workers w WHERE w.status IN ('online', 'quiet', 'stopping') AND w.heartbeat_at < late.at
$$;
