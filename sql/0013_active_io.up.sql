-- Which of a worker's active jobs leave its executors free: they wait for the network, in the I/O executor. (A worker of an
-- older version does not say.)
ALTER TABLE workers ADD active_io integer NOT NULL DEFAULT 0;
