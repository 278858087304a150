DROP FUNCTION search_job_ranges(text, text, uuid, integer, uuid, uuid, integer, integer);
DROP FUNCTION forget_job_ranges();
DROP FUNCTION gather_job_ranges(integer, interval);
DROP FUNCTION job_range(uuid, uuid);
DROP FUNCTION uuid_zero();
DROP TABLE job_ranges;
