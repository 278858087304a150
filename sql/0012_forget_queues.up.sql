-- Names of queues that have no job any more are forgotten: whoever may submit can make one of any name.

-- The rows of what has come back to nothing: an operator set it and took it back, long enough ago that no copy of it is on its
-- way, and the queue has no jobs. Its name is kept among the counters, so that Redis is cleaned before nobody knows it.
CREATE FUNCTION forget_queue_settings() RETURNS integer LANGUAGE sql AS $$
  WITH gone AS (
    DELETE FROM queues q
    WHERE q.state = 'active' AND q.max_length IS NULL AND q.note IS NULL AND q.retention_days IS NULL
      AND q.updated_at < now() - interval '1 day'
      AND q.name NOT IN (SELECT c.queue FROM job_counts c GROUP BY c.queue, c.type, c.priority, c.status HAVING sum(c.n) <> 0)
    RETURNING q.name),
  kept AS (
    INSERT INTO job_counts (writer, queue, type, priority, status, n)
    SELECT 64, gone.name, '', 0, 'SUCCESS', 0 FROM gone
    ON CONFLICT DO NOTHING)
  SELECT count(*)::integer FROM gone
$$;

-- Counters of these queues that add up to nothing are deleted; says of how many queues there were such.
--
-- Why no sum can become wrong by it, whoever counts meanwhile: only rows are deleted that this transaction has locked, and of one
-- group (queue, type, priority, status) only when the locked ones alone add up to 0, so the total of the group stays as it is.
-- What they add up to is read by a second statement, whose snapshot is newer than the locks: nobody can have changed them since.
-- Who counts on a deleted row (INSERT ... ON CONFLICT DO UPDATE) waits for this short transaction and makes it anew.
-- Why nobody waits in a circle: writers lock several rows, in the order of their keys, and wait; this one locks in any order and
-- never waits. A row that somebody else holds is left out, and with it its group, unless the others of the group add up to 0 by themselves.
-- Not waited for on disk: what is forgotten twice was nothing before.
CREATE FUNCTION forget_queues(names text[]) RETURNS integer LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  locked job_counts[];
  forgotten integer;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  -- job_counts_pkey begins with writer and queue: for each name a look at each writer
  SELECT array_agg(r.k) INTO locked
  FROM generate_series(0, (SELECT max(c.writer) FROM job_counts c)) AS w CROSS JOIN unnest(names) AS q(name)
  CROSS JOIN LATERAL (SELECT c AS k FROM job_counts c WHERE c.writer = w::smallint AND c.queue = q.name FOR UPDATE SKIP LOCKED) r;

  WITH l AS MATERIALIZED (
    SELECT c.*, sum(c.n) OVER (PARTITION BY c.queue, c.type, c.priority, c.status) AS total
    FROM unnest(locked) k JOIN job_counts c USING (writer, queue, type, priority, status)),
  d AS (
    DELETE FROM job_counts c USING l
    WHERE l.total = 0 AND c.writer = l.writer AND c.queue = l.queue AND c.type = l.type AND c.priority = l.priority AND c.status = l.status
    RETURNING c.queue)
  SELECT count(DISTINCT d.queue) INTO forgotten FROM d;
  RETURN forgotten;
END $$;
