-- How much a worker does and takes, as of its heartbeats. They hold while measured_at is heartbeat_at: the beat that was the
-- last one had them. A worker of an older version beats without them, and who registers anew has none yet.
ALTER TABLE workers
  ADD measured_at           timestamptz,
  ADD memory_bytes          bigint,            -- of the daemon and its executors, worker/usage.h
  ADD cpu_percent           double precision,  -- of one processor, over the last minute, worker/rates.h
  ADD processed_per_second  double precision,  -- over the last minute
  ADD failed_per_second     double precision;

-- Jobs below this level it leaves to others. (A worker of an older version does not say.)
ALTER TABLE workers
  ADD lowest_priority       smallint NOT NULL DEFAULT 0;
