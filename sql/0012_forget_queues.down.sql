DROP FUNCTION forget_queues(text[]);
DROP FUNCTION forget_queue_settings();
