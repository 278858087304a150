DROP FUNCTION worker_forget(uuid, uuid, text, text);
DROP FUNCTION worker_order(uuid, text, integer, uuid, text, text, text);
DROP FUNCTION queue_change(text, text, boolean, integer, boolean, text, boolean, json, integer, uuid, text, text, text);
DROP FUNCTION queue_matches(text, text);
ALTER TABLE workers DROP types, DROP labels, DROP stuck_since, DROP last_fetch_at, DROP desired_concurrency, DROP desired_status;
DROP TABLE queues;
