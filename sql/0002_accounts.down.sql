DROP FUNCTION audit_verify();
DROP FUNCTION audit(uuid, text, text, text, text, json);
DROP FUNCTION audit_hash(audit_log);
DROP TABLE audit_log, idempotency_keys, api_keys, refresh_tokens, refresh_families, users;
