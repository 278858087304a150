DROP TABLE job_types, workers, job_throughput, job_counts, job_logs, job_errors, job_expiry, jobs;
DROP SEQUENCE worker_incarnations;
DROP FUNCTION drop_partitions(interval);
DROP FUNCTION make_partitions(integer);
DROP FUNCTION uuid7();
DROP FUNCTION uuid_floor(timestamptz);
DROP TYPE job_status;
