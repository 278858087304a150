-- Run once per database, by a superuser, before the first migration; ./taskforge up does it for its private server.
-- taskforge_owner owns every table and runs the migrations. taskforge is what nginx, worker and scheduler log in as:
-- it reads and writes rows, and can create, alter or drop nothing (partitions through two functions of the owner).
-- Running it again changes nothing.

SELECT 'CREATE ROLE taskforge_owner LOGIN' WHERE to_regrole('taskforge_owner') IS NULL \gexec
SELECT 'CREATE ROLE taskforge LOGIN'       WHERE to_regrole('taskforge') IS NULL \gexec

SELECT format('GRANT CREATE ON DATABASE %I TO taskforge_owner', current_database()) \gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database()) \gexec
SELECT format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO taskforge_owner', current_database()) \gexec
SELECT format('GRANT CONNECT ON DATABASE %I TO taskforge', current_database()) \gexec

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO taskforge_owner;
GRANT USAGE ON SCHEMA public TO taskforge;

-- Whatever the owner creates, now and in later migrations and partitions:
ALTER DEFAULT PRIVILEGES FOR ROLE taskforge_owner GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO taskforge;
ALTER DEFAULT PRIVILEGES FOR ROLE taskforge_owner GRANT USAGE, SELECT ON SEQUENCES TO taskforge;
ALTER DEFAULT PRIVILEGES FOR ROLE taskforge_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE taskforge_owner GRANT EXECUTE ON FUNCTIONS TO taskforge;
