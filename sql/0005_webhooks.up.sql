-- Webhooks: who submitted a job with a webhook_url is told of its end. A delivery is a job of its own, of type
-- "webhook" on the queue "_webhooks", made in the transaction that ends the job: it is there if, and only if, the job
-- has ended.

-- What signs the deliveries of a user's jobs (Standard Webhooks: "whsec_" and the key in base64). After a rotation the
-- one before signs too, until previous_expires_at. owner: the user, or the nil UUID where nobody logs in.
CREATE TABLE webhook_secrets (
  owner                uuid        PRIMARY KEY,
  secret               text        NOT NULL,
  created_at           timestamptz NOT NULL DEFAULT now(),
  previous             text,
  previous_expires_at  timestamptz
);

-- The deliveries of each job: its own, and replays. Goes with the partitions of jobs.
CREATE TABLE webhook_deliveries (
  job_id       uuid  NOT NULL,
  delivery_id  uuid  NOT NULL,
  PRIMARY KEY (job_id, delivery_id)
);

-- 32 bytes, from 244 random bits.
CREATE FUNCTION webhook_secret_new() RETURNS text LANGUAGE sql VOLATILE AS $$
  SELECT 'whsec_' || encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'base64')
$$;

-- What signs now, newest first, with blanks between. A user who has none gets one that nobody knows: there are no
-- deliveries without a signature.
CREATE FUNCTION webhook_signers(who uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  signers text;
BEGIN
  LOOP
    SELECT concat_ws(' ', secret, CASE WHEN previous_expires_at > now() THEN previous END) INTO signers
    FROM webhook_secrets WHERE owner = coalesce(who, '00000000-0000-0000-0000-000000000000');
    EXIT WHEN FOUND;
    INSERT INTO webhook_secrets (owner, secret)
    VALUES (coalesce(who, '00000000-0000-0000-0000-000000000000'), webhook_secret_new()) ON CONFLICT DO NOTHING;
  END LOOP;
  RETURN signers;
END $$;

-- A new secret; the one that it replaces signs for 24 hours more.
CREATE FUNCTION webhook_secret_rotate(who uuid, actor uuid, actor_name text, address text) RETURNS webhook_secrets
LANGUAGE plpgsql AS $$
DECLARE
  row webhook_secrets;
BEGIN
  INSERT INTO webhook_secrets AS s (owner, secret) VALUES (who, webhook_secret_new())
  ON CONFLICT (owner) DO UPDATE SET previous = s.secret, previous_expires_at = now() + interval '24 hours',
    secret = excluded.secret, created_at = excluded.created_at
  RETURNING * INTO row;
  PERFORM audit(actor, actor_name, address, 'webhook_secret.rotate', who::text, NULL);
  RETURN row;
END $$;

-- From here on nothing that was known signs any more. false: there is none.
CREATE FUNCTION webhook_secret_delete(who uuid, actor uuid, actor_name text, address text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM webhook_secrets WHERE owner = who;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM audit(actor, actor_name, address, 'webhook_secret.delete', who::text, NULL);
  RETURN true;
END $$;

CREATE FUNCTION json_time(at timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- A job as the API shows it: the members of tf_job_write_json (core/job.c). payload and result are left out where they
-- are larger than 256 KB.
CREATE FUNCTION job_json(j jobs) RETURNS json LANGUAGE sql STABLE AS $$
  SELECT json_object_agg(key, value ORDER BY n) FROM (VALUES
    (1, 'id', to_json(j.id)),
    (2, 'name', to_json(j.name)),
    (3, 'type', to_json(j.type)),
    (4, 'queue', to_json(j.queue)),
    (5, 'priority', to_json(CASE WHEN j.priority <= 3 THEN 'low' WHEN j.priority <= 6 THEN 'normal'
                                 WHEN j.priority <= 8 THEN 'high' ELSE 'critical' END)),
    (6, 'priority_value', to_json(j.priority)),
    (7, 'status', to_json(j.status)),
    (8, 'attempt', to_json(j.attempt)),
    (9, 'max_retries', to_json(j.max_retries)),
    (10, 'progress', to_json(j.progress)),
    (11, 'timeout_seconds', to_json(j.timeout_seconds)),
    (12, 'retry', (SELECT json_object_agg(key, value) FROM (VALUES
        ('strategy', to_json('exponential'::text)),
        ('base_seconds', to_json(trim_scale(j.retry_base_ms / 1000.0))),
        ('max_seconds', to_json(trim_scale(j.retry_max_ms / 1000.0))),
        ('jitter', to_json(j.retry_jitter)),
        ('budget_seconds', to_json(j.retry_budget_seconds))) r (key, value)
      WHERE value IS NOT NULL HAVING count(*) > 1)),
    (13, 'worker', to_json(j.worker)),
    (14, 'created_by', to_json(j.created_by)),
    (15, 'parent_id', to_json(j.parent_id)),
    (16, 'schedule_id', to_json(j.schedule_id)),
    (17, 'metadata', j.metadata),
    (18, 'created_at', to_json(json_time(j.created_at))),
    (19, 'updated_at', to_json(json_time(j.updated_at))),
    (20, 'scheduled_at', to_json(json_time(j.scheduled_at))),
    (21, 'run_at', to_json(json_time(j.run_at))),
    (22, 'started_at', to_json(json_time(j.started_at))),
    (23, 'finished_at', to_json(json_time(j.finished_at))),
    (24, 'expires_at', to_json(json_time(j.expires_at))),
    (25, 'retried_at', to_json(json_time(j.retried_at))),
    (26, 'duration_seconds', CASE WHEN j.finished_at >= j.started_at
                             THEN to_json(trim_scale(extract(epoch FROM j.finished_at - j.started_at))) END),
    (27, 'snoozes', to_json(j.snoozes)),
    (28, 'cancel_requested', to_json(j.cancel_requested)),
    (29, 'webhook_url', to_json(j.webhook_url)),
    (30, 'traceparent', to_json(j.traceparent)),
    (31, 'error', to_json(j.error)),
    (32, 'payload', CASE WHEN octet_length(j.payload::text) <= 262144 THEN j.payload END),
    (33, 'result', CASE WHEN octet_length(j.result::text) <= 262144 THEN j.result END),
    (34, 'traceback', to_json(j.traceback))) m (n, key, value)
  WHERE key <> 'retry' OR value IS NOT NULL
$$;

-- Makes a delivery: SCHEDULED for now, so that the scheduler, whom the notification wakes, puts it on its stream with
-- whatever else is due. The end of the job needs to know nothing of it. Tried again for a day: after 5 s, 10 s, 20 s ...
-- 2 h. Returns its id.
CREATE FUNCTION webhook_add(job uuid, owner uuid, trace text, writer smallint, content json) RETURNS uuid
LANGUAGE plpgsql AS $$
DECLARE
  delivery uuid := uuid7();
BEGIN
  INSERT INTO jobs (id, type, queue, name, priority, max_retries, timeout_seconds, retry_base_ms, retry_max_ms,
    retry_jitter, retry_budget_seconds, created_at, updated_at, run_at, status, created_by, parent_id, traceparent, payload)
  VALUES (delivery, 'webhook', '_webhooks', content->>'type', 5, 30, 30, 5000, 7200000, true, 86400, now(), now(), now(),
    'SCHEDULED', owner, job, trace, content);
  INSERT INTO webhook_deliveries (job_id, delivery_id) VALUES (job, delivery);
  INSERT INTO job_counts AS k (writer, queue, type, priority, status, n)
  VALUES (writer, '_webhooks', 'webhook', 5, 'SCHEDULED', 1)
  ON CONFLICT ON CONSTRAINT job_counts_pkey DO UPDATE SET n = k.n + 1;
  INSERT INTO job_throughput AS k (minute, writer, status, bucket, n, duration_us)
  VALUES (date_trunc('minute', now()), writer, 'QUEUED', -1, 1, 0)
  ON CONFLICT ON CONSTRAINT job_throughput_pkey DO UPDATE SET n = k.n + 1;
  PERFORM pg_notify('tf_due', '');
  RETURN delivery;
END $$;

-- Fires for every statement that ends a job, so that none can forget it. The body is kept as the very text that is
-- signed and sent. Writers 66 to 96: who ends the job has counted in rows of its own.
CREATE FUNCTION webhook_of_end() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  event   text := 'job.' || lower(new.status::text);
  omitted text[] := array_remove(ARRAY[CASE WHEN octet_length(new.payload::text) > 262144 THEN 'payload' END,
                                       CASE WHEN octet_length(new.result::text) > 262144 THEN 'result' END], NULL);
BEGIN
  IF new.status = old.status OR new.status NOT IN ('SUCCESS', 'FAILED', 'DEAD_LETTER', 'CANCELLED') THEN
    RETURN NULL;
  END IF;
  PERFORM webhook_add(new.id, new.created_by, new.traceparent, (66 + pg_backend_pid() % 31)::smallint, json_build_object(
    'id', 'msg_' || replace(uuid7()::text, '-', ''),
    'type', event,
    'url', new.webhook_url,
    'traceparent', new.traceparent,
    'body', json_build_object(
      'type', event,
      'timestamp', json_time(now()),
      'data', CASE WHEN omitted = '{}' THEN json_build_object('job', job_json(new))
                   ELSE json_build_object('job', job_json(new), 'omitted', omitted) END)::text));
  RETURN NULL;
END $$;

-- Every statement that changes jobs reads the condition anew: a longer one costs more than looking at the rows.
CREATE TRIGGER jobs_webhook AFTER UPDATE OF status ON jobs FOR EACH ROW
WHEN (new.webhook_url IS NOT NULL) EXECUTE FUNCTION webhook_of_end();

-- The same message once more, in a delivery of its own. outcome: 'made', 'missing' (no such delivery of that job), or
-- 'waiting': it is still under way.
CREATE FUNCTION webhook_replay(job uuid, delivery uuid, writer smallint, actor uuid, actor_name text, address text)
RETURNS TABLE (outcome text, made uuid) LANGUAGE plpgsql AS $$
DECLARE
  d jobs;
BEGIN
  PERFORM FROM webhook_deliveries w WHERE w.job_id = job AND w.delivery_id = delivery;
  IF FOUND THEN
    SELECT * INTO d FROM jobs WHERE id = delivery FOR UPDATE; -- of two at once the second makes one too
  END IF;
  IF d.id IS NULL THEN
    outcome := 'missing';
  ELSIF d.status NOT IN ('SUCCESS', 'FAILED', 'DEAD_LETTER', 'CANCELLED') THEN
    outcome := 'waiting';
  ELSE
    outcome := 'made';
    made := webhook_add(job, d.created_by, d.traceparent, writer, d.payload);
    PERFORM audit(actor, actor_name, address, 'webhook.replay', delivery::text, json_build_object('delivery', made));
  END IF;
  RETURN NEXT;
END $$;
