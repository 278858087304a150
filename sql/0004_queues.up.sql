-- What an operator decides about queues and workers. PostgreSQL holds the decision; Redis (for claims), nginx's shared
-- memory (for submits) and the workers have copies of it.

CREATE TABLE queues (
  name            text         PRIMARY KEY,
  state           text         NOT NULL DEFAULT 'active'
                  CHECK (state IN ('active', 'paused', 'draining')), -- paused: nothing starts; draining: nothing comes in
  max_length      integer      CHECK (max_length > 0),               -- jobs that may wait, NULL: any number
  note            text,
  retention_days  json,                                              -- {"SUCCESS": 1, ...}: how long jobs are kept after they
                                                                     -- ended; NULL: as the scheduler's settings say
  version         bigint       NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
                               -- grows at each change: of two copies the newer counts
  updated_by      uuid,
  updated_at      timestamptz  NOT NULL DEFAULT now()
);

-- desired_*: orders to the incarnation that holds the row; NULL: none. The worker reads them with each heartbeat, and at
-- once when its incarnation comes up in tf:ctl. Who registers anew has no orders and is not stuck.
ALTER TABLE workers
  ADD desired_status       text         CHECK (desired_status IN ('online', 'quiet', 'stopping')),
  ADD desired_concurrency  integer      CHECK (desired_concurrency > 0),
  ADD last_fetch_at        timestamptz,            -- when it last asked Redis for jobs with room for one
  ADD stuck_since          timestamptz,            -- by the scheduler: it lives and has room, but lets jobs wait
  ADD labels               json,
  ADD types                text[];                 -- the job types it knows

-- Whether an entry of workers.queues (a queue's name, or the beginning of one and '*') means this queue. Internal queues
-- begin with '_'; '*' alone does not mean them.
CREATE FUNCTION queue_matches(queue text, entry text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT entry = queue
      OR right(entry, 1) = '*' AND starts_with(queue, left(entry, -1)) AND (left(queue, 1) <> '_' OR left(entry, 1) = '_')
$$;

-- One change of a queue, which need not exist yet. new_state NULL: stays. max_length, note and retention_days change only
-- where set_... is true. outcome: 'done', or 'full': submits look at most_rules queues already, those that have a limit or
-- are draining.
CREATE FUNCTION queue_change(queue text, new_state text, set_max_length boolean, new_max_length integer, set_note boolean,
                             new_note text, set_retention boolean, new_retention json, most_rules integer,
                             actor uuid, actor_name text, address text, action text)
RETURNS TABLE (outcome text, state text, max_length integer, version bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  q queues;
BEGIN
  LOCK TABLE queues IN SHARE ROW EXCLUSIVE MODE; -- of two who count, the second waits; readers do not
  IF (new_max_length IS NOT NULL OR new_state = 'draining') AND (SELECT count(*) FROM queues o
     WHERE (o.max_length IS NOT NULL OR o.state = 'draining') AND o.name <> queue) >= most_rules THEN
    RETURN QUERY SELECT 'full', NULL::text, NULL::integer, NULL::bigint;
    RETURN;
  END IF;
  INSERT INTO queues AS old (name, state, max_length, note, retention_days, updated_by)
  VALUES (queue, coalesce(new_state, 'active'), new_max_length, new_note, new_retention, actor)
  ON CONFLICT (name) DO UPDATE SET
    state = coalesce(new_state, old.state),
    max_length = CASE WHEN set_max_length THEN new_max_length ELSE old.max_length END,
    note = CASE WHEN set_note THEN new_note ELSE old.note END,
    retention_days = CASE WHEN set_retention THEN new_retention ELSE old.retention_days END,
    version = greatest(old.version + 1, excluded.version), updated_by = actor, updated_at = now()
  RETURNING * INTO q;
  PERFORM audit(actor, actor_name, address, action, queue,
                json_build_object('state', q.state, 'max_length', q.max_length, 'note', q.note,
                                  'retention_days', q.retention_days));
  RETURN QUERY SELECT 'done', q.state, q.max_length, q.version;
END $$;

-- An order to a living worker: a status, or a number of executors. outcome: 'done'; 'gone': it is offline or lost;
-- 'stopping': it does not come back from that. No row: no such worker.
CREATE FUNCTION worker_order(worker uuid, status text, concurrency integer, actor uuid, actor_name text, address text,
                             action text)
RETURNS TABLE (outcome text, incarnation bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  w workers;
BEGIN
  SELECT * INTO w FROM workers WHERE id = worker FOR UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  IF w.status IN ('offline', 'lost') THEN
    RETURN QUERY SELECT 'gone', w.incarnation;
  ELSIF 'stopping' IN (w.status, w.desired_status) THEN
    RETURN QUERY SELECT 'stopping', w.incarnation;
  ELSE
    UPDATE workers SET desired_status = coalesce(worker_order.status, desired_status),
                       desired_concurrency = coalesce(worker_order.concurrency, desired_concurrency)
    WHERE id = worker;
    PERFORM audit(actor, actor_name, address, action, worker::text,
                  json_strip_nulls(json_build_object('worker', w.hostname || '/' || w.pool,
                                                     'concurrency', worker_order.concurrency)));
    RETURN QUERY SELECT 'done', w.incarnation;
  END IF;
END $$;

-- Forgets a worker that is gone. 'done', or 'alive'. NULL: no such worker.
CREATE FUNCTION worker_forget(worker uuid, actor uuid, actor_name text, address text)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  w workers;
BEGIN
  SELECT * INTO w FROM workers WHERE id = worker FOR UPDATE;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  IF w.status NOT IN ('offline', 'lost') THEN
    RETURN 'alive';
  END IF;
  DELETE FROM workers WHERE id = worker;
  PERFORM audit(actor, actor_name, address, 'worker.delete', worker::text,
                json_build_object('worker', w.hostname || '/' || w.pool));
  RETURN 'done';
END $$;
