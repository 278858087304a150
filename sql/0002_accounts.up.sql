-- Who may use the system, and what they did. Secrets are kept as hashes only.

CREATE TABLE users (
  id                   uuid        PRIMARY KEY,
  username             text        NOT NULL,
  email                text        NOT NULL,
  password_hash        text        NOT NULL,           -- argon2id, encoded form; '!' = cannot log in
  role                 text        NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
  active               boolean     NOT NULL DEFAULT true,
  failed_logins        integer     NOT NULL DEFAULT 0, -- since the last good one, in the lockout's window
  failed_at            timestamptz,                    -- the last of them
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
  revoked_at    timestamptz
);
CREATE UNIQUE INDEX api_keys_name ON api_keys (user_id, name) WHERE revoked_at IS NULL;
CREATE INDEX api_keys_user ON api_keys (user_id, id);

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
CREATE INDEX audit_log_actor ON audit_log (actor, id);

CREATE FUNCTION audit_hash(audit_log) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
  SELECT sha256($1.prev || convert_to(concat_ws(E'\x1f', $1.id, extract(epoch FROM $1.at), coalesce($1.actor::text, '-'),
    $1.actor_name, coalesce($1.address, '-'), $1.action, $1.object, coalesce($1.detail::text, '-')), 'UTF8'))
$$;

-- The newest row of the chain, so that a missing end shows too; its lock lets one writer add at a time.
CREATE TABLE audit_head (
  one   boolean  PRIMARY KEY DEFAULT true CHECK (one),
  id    bigint   NOT NULL,
  hash  bytea    NOT NULL
);
INSERT INTO audit_head (id, hash) VALUES (0, '');

-- Default privileges give the daemons' role every table; these two it may read, and add to through audit() alone.
SELECT format('REVOKE INSERT, UPDATE, DELETE ON audit_log, audit_head FROM %I', rolname)
  FROM pg_roles WHERE rolname = 'taskforge' AND rolname <> current_user \gexec

-- Adds a row to the chain, in the caller's transaction; waits for others that do the same. Call it last.
CREATE FUNCTION audit(actor uuid, actor_name text, address text, action text, object text, detail json)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  last audit_head;
  row  audit_log;
BEGIN
  SELECT * INTO STRICT last FROM audit_head FOR UPDATE;
  row.id := last.id + 1;
  row.at := clock_timestamp();
  row.actor := audit.actor;
  row.actor_name := audit.actor_name;
  row.address := audit.address;
  row.action := audit.action;
  row.object := audit.object;
  row.detail := audit.detail;
  row.prev := last.hash;
  row.hash := audit_hash(row);
  INSERT INTO audit_log SELECT (row).*;
  UPDATE audit_head SET id = row.id, hash = row.hash;
  RETURN row.id;
END $$;

-- The first row that does not fit the chain, or nothing.
CREATE FUNCTION audit_verify() RETURNS TABLE (id bigint, problem text) LANGUAGE sql STABLE AS $$
  SELECT * FROM (
    SELECT a.id, CASE
        WHEN a.id <> row_number() OVER w THEN 'a row before this one is missing'
        WHEN a.prev <> coalesce(lag(a.hash) OVER w, '\x'::bytea) THEN 'the row before this one was changed'
        WHEN a.hash <> audit_hash(a) THEN 'this row was changed'
      END AS problem
    FROM audit_log a WINDOW w AS (ORDER BY a.id)
    UNION ALL
    SELECT h.id, 'this row, the newest, is missing or was changed' FROM audit_head h
    WHERE EXISTS (SELECT FROM audit_log a WHERE a.id > h.id)
       OR h.id > 0 AND NOT EXISTS (SELECT FROM audit_log a WHERE a.id = h.id AND a.hash = h.hash)
  ) p WHERE problem IS NOT NULL ORDER BY id LIMIT 1
$$;

-- What happens to accounts. Each function is one transaction of one statement: the change, what other nginx workers
-- must hear (NOTIFY tf_auth '<user, family or key>:<uuid>') and its row in the chain. The row comes last, because
-- its lock is one for everybody. actor, actor_name, address: who does it, from where.

-- NULL: made. 'username' or 'email': somebody has it.
CREATE FUNCTION user_create(new_id uuid, new_username text, new_email text, new_hash text, new_role text,
                            actor uuid, actor_name text, address text)
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO users (id, username, email, password_hash, role)
  VALUES (new_id, new_username, new_email, new_hash, new_role) ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    RETURN CASE WHEN EXISTS (SELECT FROM users WHERE lower(username) = lower(new_username))
           THEN 'username' ELSE 'email' END;
  END IF;
  PERFORM audit(actor, actor_name, address, 'user.create', new_id::text,
                json_build_object('username', new_username, 'role', new_role));
  RETURN NULL;
END $$;

-- NULL in new_role or new_active: stays. 'changed', 'same', 'missing', or 'last_admin': refused, nobody could
-- undo it. Deactivating ends all sessions; keys of an inactive user are refused as long as that lasts.
CREATE FUNCTION user_change(target uuid, new_role text, new_active boolean,
                            actor uuid, actor_name text, address text)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  u users;
BEGIN
  -- two admins who demote each other at the same time must not both succeed
  PERFORM pg_advisory_xact_lock(hashtext('taskforge admins'));
  SELECT * INTO u FROM users WHERE id = target FOR UPDATE;
  IF NOT FOUND THEN
    RETURN 'missing';
  END IF;
  new_role := coalesce(new_role, u.role);
  new_active := coalesce(new_active, u.active);
  IF new_role = u.role AND new_active = u.active THEN
    RETURN 'same';
  END IF;
  IF u.role = 'admin' AND u.active AND NOT (new_role = 'admin' AND new_active)
     AND NOT EXISTS (SELECT FROM users WHERE role = 'admin' AND active AND id <> target) THEN
    RETURN 'last_admin';
  END IF;
  UPDATE users SET role = new_role, active = new_active, updated_at = now() WHERE id = target;
  IF NOT new_active THEN
    UPDATE refresh_families SET revoked_at = now(), reason = 'deactivated'
    WHERE user_id = target AND revoked_at IS NULL;
  END IF;
  PERFORM pg_notify('tf_auth', 'user:' || target);
  IF new_role <> u.role THEN
    PERFORM audit(actor, actor_name, address, 'user.role', target::text,
                  json_build_object('from', u.role, 'to', new_role));
  END IF;
  IF new_active <> u.active THEN
    PERFORM audit(actor, actor_name, address,
                  CASE WHEN new_active THEN 'user.activate' ELSE 'user.deactivate' END, target::text, NULL);
  END IF;
  RETURN 'changed';
END $$;

-- The rule above, also for whoever changes users by hand.
CREATE FUNCTION keep_an_admin() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM users WHERE role = 'admin' AND active) THEN
    RAISE EXCEPTION 'the last active admin cannot go' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER keep_an_admin_update AFTER UPDATE OF role, active ON users
  FOR EACH ROW WHEN (OLD.role = 'admin' AND OLD.active AND NOT (NEW.role = 'admin' AND NEW.active))
  EXECUTE FUNCTION keep_an_admin();
CREATE TRIGGER keep_an_admin_delete AFTER DELETE ON users
  FOR EACH ROW WHEN (OLD.role = 'admin' AND OLD.active) EXECUTE FUNCTION keep_an_admin();

-- A wrong password. The allowed'th one within lock_seconds of the one before locks the account for as long.
CREATE FUNCTION login_failed(who uuid, allowed integer, lock_seconds integer, address text)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  u users;
BEGIN
  UPDATE users SET failed_at = now(), failed_logins =
    CASE WHEN failed_at < now() - lock_seconds * interval '1 second' THEN 1 ELSE failed_logins + 1 END
  WHERE id = who RETURNING * INTO u;
  IF NOT FOUND OR u.failed_logins < allowed THEN
    RETURN false;
  END IF;
  UPDATE users SET failed_logins = 0, locked_until = now() + lock_seconds * interval '1 second' WHERE id = who;
  PERFORM audit(who, u.username, address, 'auth.lock', who::text, json_build_object('failures', u.failed_logins));
  RETURN true;
END $$;

-- The right password: a new family of refresh tokens. checked_hash: what the password was compared with; new_hash:
-- NULL, or the same password under stronger parameters. No row: the account changed meanwhile. A user has at most 50
-- sessions; the oldest give way.
CREATE FUNCTION session_start(who uuid, checked_hash text, new_hash text, new_family uuid, token bytea,
                              ttl_seconds integer, address text, agent text)
RETURNS SETOF users LANGUAGE plpgsql AS $$
DECLARE
  u    users;
  gone uuid;
BEGIN
  UPDATE users SET failed_logins = 0, locked_until = NULL, last_login_at = now(),
                   password_hash = coalesce(new_hash, password_hash)
  WHERE id = who AND active AND password_hash = checked_hash AND (locked_until IS NULL OR locked_until <= now())
  RETURNING * INTO u;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  DELETE FROM refresh_families WHERE user_id = who AND expires_at < now();
  FOR gone IN
    UPDATE refresh_families SET revoked_at = now(), reason = 'replaced' WHERE id IN (
      SELECT f.id FROM refresh_families f WHERE f.user_id = who AND f.revoked_at IS NULL
      ORDER BY f.created_at DESC OFFSET 49) RETURNING id
  LOOP
    PERFORM pg_notify('tf_auth', 'family:' || gone);
  END LOOP;
  INSERT INTO refresh_families (id, user_id, address, user_agent, expires_at)
  VALUES (new_family, who, session_start.address, agent, now() + ttl_seconds * interval '1 second');
  INSERT INTO refresh_tokens (hash, family_id) VALUES (token, new_family);
  PERFORM audit(who, u.username, session_start.address, 'auth.login', who::text,
                json_build_object('session', new_family));
  RETURN NEXT u;
END $$;

-- Replaces a refresh token. outcome 'fresh': it is done, and the session lasts ttl_seconds from now; 'raced': another
-- request used the token less than grace_seconds ago, nothing changed; 'reuse': it was used long ago, so somebody has
-- a copy: the whole family died; 'dead': unknown, expired, revoked, or the user is not active.
CREATE FUNCTION session_refresh(old bytea, fresh bytea, ttl_seconds integer, grace_seconds integer, address text)
RETURNS TABLE (outcome text, family uuid, user_id uuid, username text, role text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  t refresh_tokens;
  f refresh_families;
  u users;
BEGIN
  outcome := 'dead';
  SELECT * INTO t FROM refresh_tokens WHERE hash = old FOR UPDATE; -- of two, the second waits here
  SELECT * INTO f FROM refresh_families WHERE id = t.family_id FOR UPDATE;
  SELECT * INTO u FROM users WHERE id = f.user_id;
  family := f.id;
  user_id := u.id;
  username := u.username;
  role := u.role;
  IF f.id IS NULL OR f.revoked_at IS NOT NULL OR f.expires_at <= now() OR NOT u.active THEN
    outcome := 'dead';
  ELSIF t.used_at > clock_timestamp() - grace_seconds * interval '1 second' THEN
    outcome := 'raced';
  ELSIF t.used_at IS NOT NULL THEN
    outcome := 'reuse';
    UPDATE refresh_families SET revoked_at = now(), reason = 'reuse' WHERE id = f.id;
    PERFORM pg_notify('tf_auth', 'family:' || f.id);
    PERFORM audit(u.id, u.username, address, 'auth.reuse', f.id::text, NULL);
  ELSE
    outcome := 'fresh';
    UPDATE refresh_tokens SET used_at = clock_timestamp() WHERE hash = old;
    INSERT INTO refresh_tokens (hash, family_id) VALUES (fresh, f.id);
    UPDATE refresh_families SET expires_at = now() + ttl_seconds * interval '1 second' WHERE id = f.id;
    -- what is older than a session can last proves nothing any more
    DELETE FROM refresh_tokens WHERE family_id = f.id AND used_at < now() - ttl_seconds * interval '1 second';
  END IF;
  RETURN NEXT;
END $$;

-- Logout.
CREATE FUNCTION session_end(ended uuid, actor uuid, actor_name text, address text)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  UPDATE refresh_families SET revoked_at = now(), reason = 'logout' WHERE id = ended AND revoked_at IS NULL;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM pg_notify('tf_auth', 'family:' || ended);
  PERFORM audit(actor, actor_name, address, 'auth.logout', coalesce(actor::text, '-'),
                json_build_object('session', ended));
  RETURN true;
END $$;

-- false: the password is not the one that was checked any more. All sessions but `kept` end; API keys stay.
CREATE FUNCTION password_change(who uuid, checked_hash text, new_hash text, kept uuid,
                                actor_name text, address text)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  UPDATE users SET password_hash = new_hash, password_changed_at = now(), updated_at = now(), failed_logins = 0,
                   locked_until = NULL
  WHERE id = who AND active AND password_hash = checked_hash;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  UPDATE refresh_families SET revoked_at = now(), reason = 'password'
  WHERE user_id = who AND revoked_at IS NULL AND id IS DISTINCT FROM kept;
  PERFORM pg_notify('tf_auth', 'user:' || who);
  PERFORM audit(who, actor_name, address, 'user.password', who::text, NULL);
  RETURN true;
END $$;

-- replace: a living key of that name is revoked first. 'created', 'name' (taken) or 'full' (20 living keys). Revoked
-- keys are remembered for 30 days.
CREATE FUNCTION key_create(new_id uuid, owner uuid, new_name text, new_prefix text, new_hash bytea,
                           new_scopes text[], expires timestamptz, replace boolean, actor_name text, address text)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  gone uuid;
BEGIN
  PERFORM FROM users WHERE id = owner FOR UPDATE; -- two at once are counted one after the other
  DELETE FROM api_keys WHERE user_id = owner AND revoked_at < now() - interval '30 days';
  IF replace THEN
    UPDATE api_keys SET revoked_at = now()
    WHERE user_id = owner AND name = new_name AND revoked_at IS NULL RETURNING id INTO gone;
    IF FOUND THEN
      PERFORM pg_notify('tf_auth', 'key:' || gone);
      PERFORM audit(owner, actor_name, address, 'key.revoke', gone::text, json_build_object('name', new_name));
    END IF;
  ELSIF EXISTS (SELECT FROM api_keys WHERE user_id = owner AND name = new_name AND revoked_at IS NULL) THEN
    RETURN 'name';
  END IF;
  IF (SELECT count(*) FROM api_keys WHERE user_id = owner AND revoked_at IS NULL) >= 20 THEN
    RETURN 'full';
  END IF;
  INSERT INTO api_keys (id, user_id, name, prefix, hash, scopes, expires_at)
  VALUES (new_id, owner, new_name, new_prefix, new_hash, new_scopes, expires);
  PERFORM audit(owner, actor_name, address, 'key.create', new_id::text,
                json_build_object('name', new_name, 'scopes', new_scopes, 'expires_at', expires));
  RETURN 'created';
END $$;

-- By its id, or where that is NULL by its name. false: the owner has no such living key.
CREATE FUNCTION key_revoke(owner uuid, key uuid, key_name text, actor_name text, address text)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  k api_keys;
BEGIN
  UPDATE api_keys SET revoked_at = now()
  WHERE user_id = owner AND revoked_at IS NULL AND (id = key OR key IS NULL AND name = key_name)
  RETURNING * INTO k;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM pg_notify('tf_auth', 'key:' || k.id);
  PERFORM audit(owner, actor_name, address, 'key.revoke', k.id::text, json_build_object('name', k.name));
  RETURN true;
END $$;
