-- as sql/0003_schedules made it
CREATE OR REPLACE FUNCTION schedule_tick(which uuid, at timestamptz, rev integer, following timestamptz, verdict text, why text)
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
