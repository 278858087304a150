DROP FUNCTION check_jobs(integer);
DROP FUNCTION check_counts();
DROP FUNCTION retention_step(json, integer);
DROP FUNCTION retention_rules(json);
DROP TABLE retention_later;
DROP TABLE retention_walks;
