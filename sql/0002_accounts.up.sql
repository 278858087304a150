-- Who may use the system, and what they did. Secrets are kept as hashes only.

CREATE TABLE users (
  id                   uuid        PRIMARY KEY,
  username             text        NOT NULL,
  email                text        NOT NULL,
  password_hash        text        NOT NULL,           -- argon2id, encoded form; '!' = cannot log in
  role                 text        NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
  active               boolean     NOT NULL DEFAULT true,
  failed_logins        integer     NOT NULL DEFAULT 0, -- since the last good one
  locked_until         timestamptz,
  created_at           timestamptz NOT NULL DEFAULT now(),
  updated_at           timestamptz NOT NULL DEFAULT now(),
  password_changed_at  timestamptz NOT NULL DEFAULT now(),
  last_login_at        timestamptz
);
CREATE UNIQUE INDEX users_username ON users (lower(username));
CREATE UNIQUE INDEX users_email ON users (lower(email));

-- One family per login; every refresh replaces the token. A used token seen again kills the family.
CREATE TABLE refresh_families (
  id          uuid        PRIMARY KEY,
  user_id     uuid        NOT NULL REFERENCES users ON DELETE CASCADE,
  address     text        NOT NULL,
  user_agent  text,
  created_at  timestamptz NOT NULL DEFAULT now(),
  expires_at  timestamptz NOT NULL,
  revoked_at  timestamptz,
  reason      text                                     -- logout, reuse, password, deactivated, role
);
CREATE INDEX refresh_families_user ON refresh_families (user_id) WHERE revoked_at IS NULL;
CREATE INDEX refresh_families_expiry ON refresh_families (expires_at);

CREATE TABLE refresh_tokens (
  hash        bytea       PRIMARY KEY,                 -- SHA-256 of the token
  family_id   uuid        NOT NULL REFERENCES refresh_families ON DELETE CASCADE,
  created_at  timestamptz NOT NULL DEFAULT now(),
  used_at     timestamptz
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (family_id);

CREATE TABLE api_keys (
  id            uuid        PRIMARY KEY,
  user_id       uuid        NOT NULL REFERENCES users ON DELETE CASCADE,
  name          text        NOT NULL,
  prefix        text        NOT NULL,                  -- the first characters, to recognise it
  hash          bytea       NOT NULL UNIQUE,           -- SHA-256 of the whole key
  scopes        text[]      NOT NULL,                  -- of read, submit, manage
  created_at    timestamptz NOT NULL DEFAULT now(),
  expires_at    timestamptz,
  last_used_at  timestamptz,
  revoked_at    timestamptz,
  UNIQUE (user_id, name)
);

-- owner: the user, or the nil UUID where nobody logs in. Kept for 24 hours.
CREATE TABLE idempotency_keys (
  owner         uuid        NOT NULL,
  key           text        NOT NULL,
  request_hash  bytea       NOT NULL,
  job_id        uuid        NOT NULL,
  created_at    timestamptz NOT NULL,
  PRIMARY KEY (owner, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

-- Who did what to what, from where. Each row's hash covers its content and the hash before it, so a changed or
-- missing row shows: ./taskforge audit verify.
CREATE TABLE audit_log (
  id          bigint      PRIMARY KEY,                 -- 1, 2, 3 ... without gaps
  at          timestamptz NOT NULL,
  actor       uuid,
  actor_name  text        NOT NULL,
  address     text,
  action      text        NOT NULL,                    -- job.cancel, user.role, key.create, auth.login, ...
  object      text        NOT NULL,                    -- id of what it was done to
  detail      json,
  prev        bytea       NOT NULL,
  hash        bytea       NOT NULL
);
CREATE INDEX audit_log_object ON audit_log (object, id);

CREATE FUNCTION audit_hash(audit_log) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
  SELECT sha256($1.prev || convert_to(concat_ws(E'\x1f', $1.id, extract(epoch FROM $1.at), coalesce($1.actor::text, '-'),
    $1.actor_name, coalesce($1.address, '-'), $1.action, $1.object, coalesce($1.detail::text, '-')), 'UTF8'))
$$;

-- Adds a row to the chain, in the caller's transaction; waits for others that do the same.
CREATE FUNCTION audit(actor uuid, actor_name text, address text, action text, object text, detail json)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
  last audit_log;
  row  audit_log;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('taskforge audit'));
  SELECT * INTO last FROM audit_log ORDER BY id DESC LIMIT 1;
  row.id := coalesce(last.id, 0) + 1;
  row.at := clock_timestamp();
  row.actor := audit.actor;
  row.actor_name := audit.actor_name;
  row.address := audit.address;
  row.action := audit.action;
  row.object := audit.object;
  row.detail := audit.detail;
  row.prev := coalesce(last.hash, '\x'::bytea);
  row.hash := audit_hash(row);
  INSERT INTO audit_log SELECT (row).*;
  RETURN row.id;
END $$;

-- The first row that does not fit the chain, or nothing.
CREATE FUNCTION audit_verify() RETURNS TABLE (id bigint, problem text) LANGUAGE sql STABLE AS $$
  SELECT a.id, CASE
      WHEN a.id <> row_number() OVER (ORDER BY a.id) THEN 'a row before this one is missing'
      WHEN a.prev <> coalesce(lag(a.hash) OVER (ORDER BY a.id), '\x'::bytea) THEN 'the row before this one was changed'
      WHEN a.hash <> audit_hash(a) THEN 'this row was changed'
    END
  FROM audit_log a
$$;
