-- How far a job has got, for handlers that go on there when the job runs again: worker/checkpoint.h. One row per job,
-- replaced as it goes; it means something only until the job has ended, and the scheduler removes it after that.

CREATE TABLE job_checkpoints (
  job_id      uuid        PRIMARY KEY,
  epoch       integer     NOT NULL,  -- a job that was retried by hand begins anew
  attempt     integer     NOT NULL,  -- of the run that wrote it
  data        json        NOT NULL,
  updated_at  timestamptz NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
