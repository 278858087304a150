-- Schedules: what is submitted again and again, and what became of each time it should have been.

-- job is what POST /jobs takes, as it was given. template is the same as columns of jobs, made by the API when it checked
-- the job; a column that is not in it has its default when the schedule fires.
CREATE TABLE schedules (
  id                uuid        PRIMARY KEY,
  name              text        NOT NULL UNIQUE,
  description       text,
  cron              text        NOT NULL,
  time_zone         text        NOT NULL,                    -- of the IANA database
  jitter_seconds    integer     NOT NULL,                    -- jobs start up to so much later than their tick
  overlap           text        NOT NULL CHECK (overlap IN ('skip', 'queue', 'cancel_running', 'allow')),
  catch_up_seconds  integer     NOT NULL,                    -- how late a tick may still fire
  paused            boolean     NOT NULL DEFAULT false,
  pause_note        text,
  job               json,
  template          json,
  revision          integer     NOT NULL DEFAULT 0,          -- +1 with every change by somebody
  next_run_at       timestamptz,                             -- the next tick; NULL: paused, or never again
  last_tick         timestamptz,                             -- the newest one that was dealt with
  builtin           boolean     NOT NULL DEFAULT false,      -- housekeeping: shown, not fired from here
  created_by        uuid,
  created_at        timestamptz NOT NULL DEFAULT now(),
  updated_at        timestamptz NOT NULL DEFAULT now(),
  CHECK (builtin OR job IS NOT NULL AND template IS NOT NULL)
);
-- what fires next
CREATE INDEX schedules_next ON schedules (next_run_at) WHERE NOT paused AND NOT builtin;

-- One row per tick that has come: it is what makes a tick fire once.
CREATE TABLE schedule_ticks (
  schedule_id  uuid        NOT NULL REFERENCES schedules ON DELETE CASCADE,
  tick         timestamptz NOT NULL,
  fired_at     timestamptz NOT NULL DEFAULT now(),
  outcome      text        NOT NULL CHECK (outcome IN ('fired', 'skipped_overlap', 'skipped_missed', 'failed')),
  job_id       uuid,
  detail       text,                                         -- why, where it was not fired
  PRIMARY KEY (schedule_id, tick)
);

-- Jobs of a schedule that had not ended when it was last looked at.
CREATE TABLE schedule_jobs (
  schedule_id  uuid  NOT NULL REFERENCES schedules ON DELETE CASCADE,
  job_id       uuid  NOT NULL,
  PRIMARY KEY (schedule_id, job_id)
);

-- Deals with one tick: the schedule goes on to `following`, and the tick gets its row. verdict is 'fired' where it is to
-- fire, else the outcome, with its reason in `why`. Nothing is returned, and nothing done, when the tick is not the next
-- one any more (somebody else dealt with it, or the schedule was changed, paused or deleted). Otherwise one row: with
-- 'fired', the job to be made, when it is to start and from what; and asked: the incarnations of workers whose jobs are
-- to be cancelled (overlap cancel_running).
CREATE FUNCTION schedule_tick(which uuid, at timestamptz, rev integer, following timestamptz, verdict text, why text)
RETURNS TABLE (outcome text, job_id uuid, run_at timestamptz, template json, created_by uuid, asked bigint[])
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  s schedules;
BEGIN
  UPDATE schedules u SET next_run_at = following, last_tick = greatest(u.last_tick, at)
  WHERE u.id = which AND u.next_run_at = at AND u.revision = rev AND NOT u.paused AND NOT u.builtin RETURNING * INTO s;
  IF NOT FOUND OR EXISTS (SELECT FROM schedule_ticks t WHERE t.schedule_id = which AND t.tick = at) THEN
    RETURN;
  END IF;
  outcome := verdict;
  IF outcome = 'fired' THEN
    IF NOT EXISTS (SELECT FROM job_types k WHERE k.type = s.template->>'type') THEN
      outcome := 'failed';
      why := format('no worker knows the type "%s"', s.template->>'type');
    ELSE
      -- where several may run, a few of them are looked at each time; elsewhere there are only a few
      DELETE FROM schedule_jobs d WHERE d.schedule_id = which AND d.job_id IN (
        SELECT o.job_id FROM (SELECT x.job_id FROM schedule_jobs x WHERE x.schedule_id = which ORDER BY x.job_id
                              LIMIT CASE WHEN s.overlap = 'allow' THEN 100 END) o
        LEFT JOIN jobs j ON j.id = o.job_id
        WHERE j.id IS NULL OR j.status::text IN ('SUCCESS', 'FAILED', 'DEAD_LETTER', 'CANCELLED'));
      IF s.overlap = 'cancel_running' THEN
        WITH u AS (UPDATE jobs j SET cancel_requested = true, updated_at = now() FROM schedule_jobs o
                   WHERE o.schedule_id = which AND j.id = o.job_id AND j.status::text = 'RUNNING'
                     AND NOT j.cancel_requested RETURNING j.incarnation)
        SELECT array_agg(u.incarnation) INTO asked FROM u;
      END IF;
      IF s.overlap <> 'allow' AND EXISTS (
          SELECT FROM schedule_jobs o JOIN jobs j ON j.id = o.job_id
          WHERE o.schedule_id = which AND (j.status::text IN ('QUEUED', 'SCHEDULED', 'RETRYING')
                                           OR s.overlap = 'skip' AND j.status::text = 'RUNNING')) THEN
        outcome := 'skipped_overlap';
        why := CASE s.overlap WHEN 'skip' THEN 'a job of this schedule has not ended'
                              ELSE 'a job of this schedule is waiting already' END;
      END IF;
    END IF;
  END IF;
  IF outcome = 'fired' THEN
    job_id := uuid7();
    -- the same for this tick whoever fires it
    run_at := at + CASE WHEN s.jitter_seconds > 0 THEN
      (hashtextextended(which::text || extract(epoch FROM at), 0) & 2147483647) % (s.jitter_seconds * 1000)
      ELSE 0 END * interval '1 millisecond';
    template := s.template;
    created_by := s.created_by;
    INSERT INTO schedule_jobs VALUES (which, job_id);
  END IF;
  INSERT INTO schedule_ticks (schedule_id, tick, outcome, job_id, detail)
  VALUES (which, at, outcome, job_id, CASE WHEN outcome <> 'fired' THEN why END);
  RETURN NEXT;
END $$;

-- A job of a schedule now, besides its ticks. outcome 'run': the job to be made and from what; 'missing'; 'builtin';
-- 'type': no worker knows its type.
CREATE FUNCTION schedule_run(which uuid)
RETURNS TABLE (outcome text, job_id uuid, template json) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  s schedules;
BEGIN
  SELECT * INTO s FROM schedules u WHERE u.id = which FOR SHARE; -- so that it is not deleted meanwhile
  IF NOT FOUND THEN
    outcome := 'missing';
  ELSIF s.builtin THEN
    outcome := 'builtin';
  ELSIF NOT EXISTS (SELECT FROM job_types k WHERE k.type = s.template->>'type') THEN
    outcome := 'type';
  ELSE
    outcome := 'run';
    job_id := uuid7();
    template := s.template;
    INSERT INTO schedule_jobs VALUES (which, job_id);
  END IF;
  RETURN NEXT;
END $$;

-- What the API does. settings: the columns that the caller may set and template, as JSON. Each with its row in the audit
-- and NOTIFY tf_schedules, so that the leader looks when the next tick is.

-- 'created', 'name' (there is one of that name) or 'full' (10,000 schedules).
CREATE FUNCTION schedule_create(new_id uuid, settings json, next timestamptz, actor uuid, actor_name text, address text)
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT count(*) FROM schedules) >= 10000 THEN
    RETURN 'full';
  END IF;
  INSERT INTO schedules (id, name, description, cron, time_zone, jitter_seconds, overlap, catch_up_seconds, job, template,
                         next_run_at, created_by)
  SELECT new_id, n.name, n.description, n.cron, n.time_zone, n.jitter_seconds, n.overlap, n.catch_up_seconds, n.job,
         n.template, next, actor FROM json_populate_record(NULL::schedules, settings) n
  ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    RETURN 'name';
  END IF;
  PERFORM pg_notify('tf_schedules', '');
  PERFORM audit(actor, actor_name, address, 'schedule.create', new_id::text,
                json_build_object('name', settings->>'name', 'cron', settings->>'cron'));
  RETURN 'created';
END $$;

-- rev: the revision that the new settings were made from. next: NULL while it is paused. 'changed', 'raced' (somebody
-- else changed or deleted it meanwhile) or 'name'.
CREATE FUNCTION schedule_change(which uuid, rev integer, settings json, next timestamptz,
                                actor uuid, actor_name text, address text)
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  UPDATE schedules s SET name = n.name, description = n.description, cron = n.cron, time_zone = n.time_zone,
    jitter_seconds = n.jitter_seconds, overlap = n.overlap, catch_up_seconds = n.catch_up_seconds, job = n.job,
    template = n.template, next_run_at = next, revision = s.revision + 1, updated_at = now()
  FROM json_populate_record(NULL::schedules, settings) n
  WHERE s.id = which AND s.revision = rev AND NOT s.builtin;
  IF NOT FOUND THEN
    RETURN 'raced';
  END IF;
  PERFORM pg_notify('tf_schedules', '');
  PERFORM audit(actor, actor_name, address, 'schedule.change', which::text,
                json_build_object('name', settings->>'name', 'cron', settings->>'cron'));
  RETURN 'changed';
EXCEPTION WHEN unique_violation THEN
  RETURN 'name';
END $$;

-- pause: with a note or none; else goes on with the tick `next`. 'changed' or 'raced'.
CREATE FUNCTION schedule_pause(which uuid, rev integer, pause boolean, note text, next timestamptz,
                               actor uuid, actor_name text, address text)
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  UPDATE schedules SET paused = pause, pause_note = CASE WHEN pause THEN note END,
    next_run_at = CASE WHEN pause THEN NULL ELSE next END, revision = revision + 1, updated_at = now()
  WHERE id = which AND revision = rev AND NOT builtin;
  IF NOT FOUND THEN
    RETURN 'raced';
  END IF;
  PERFORM pg_notify('tf_schedules', '');
  PERFORM audit(actor, actor_name, address, CASE WHEN pause THEN 'schedule.pause' ELSE 'schedule.resume' END,
                which::text, CASE WHEN pause AND note IS NOT NULL THEN json_build_object('note', note) END);
  RETURN 'changed';
END $$;

-- 'deleted', 'missing' or 'builtin'. Its jobs stay; its ticks go.
CREATE FUNCTION schedule_delete(which uuid, actor uuid, actor_name text, address text)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  s schedules;
BEGIN
  SELECT * INTO s FROM schedules WHERE id = which FOR UPDATE;
  IF NOT FOUND THEN
    RETURN 'missing';
  ELSIF s.builtin THEN
    RETURN 'builtin';
  END IF;
  DELETE FROM schedules WHERE id = which;
  PERFORM audit(actor, actor_name, address, 'schedule.delete', which::text, json_build_object('name', s.name));
  RETURN 'deleted';
END $$;

-- A round of upkeep now. false: this is not it.
CREATE FUNCTION schedule_upkeep(which uuid, actor uuid, actor_name text, address text)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM schedules WHERE id = which AND builtin AND name = 'taskforge.upkeep') THEN
    RETURN false;
  END IF;
  PERFORM pg_notify('tf_upkeep', '');
  PERFORM audit(actor, actor_name, address, 'schedule.run', which::text, NULL);
  RETURN true;
END $$;

-- Forgets ticks older than 30 days, and of each schedule all but the newest 10,000; at most `most` at once. How many.
CREATE FUNCTION forget_ticks(most integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  forgotten integer;
BEGIN
  DELETE FROM schedule_ticks d WHERE (d.schedule_id, d.tick) IN (
    SELECT t.schedule_id, t.tick FROM (
      SELECT s.id, greatest(now() - interval '30 days', (SELECT n.tick FROM schedule_ticks n WHERE n.schedule_id = s.id
                                                          ORDER BY n.tick DESC OFFSET 10000 LIMIT 1)) AS until
      FROM schedules s) o
    JOIN schedule_ticks t ON t.schedule_id = o.id AND t.tick <= o.until LIMIT most);
  GET DIAGNOSTICS forgotten = ROW_COUNT;
  RETURN forgotten;
END $$;

-- The scheduler's own work. Its leader writes here when it was done last and when it comes next.
INSERT INTO schedules (id, name, description, cron, time_zone, jitter_seconds, overlap, catch_up_seconds, builtin) VALUES
  ('00000000-0000-7000-8000-000000000001', 'taskforge.upkeep',
   'Makes partitions ahead, drops those past retention, forgets old idempotency keys, workers, throughput and ticks.',
   '@every 1h', 'UTC', 0, 'skip', 0, true),
  ('00000000-0000-7000-8000-000000000002', 'taskforge.rescue',
   'Finds workers that are lost and tries their jobs again.', '@every 5s', 'UTC', 0, 'skip', 0, true),
  ('00000000-0000-7000-8000-000000000003', 'taskforge.reconcile',
   'Puts jobs that Redis lost on their streams again.', '@every 5s', 'UTC', 0, 'skip', 0, true);
