-- Keys of programs, and what their requests were answered. Times are microseconds since 1970.

-- A key is found by the keyed digest of its secret; one of SMTP has none.
ALTER TABLE account_credentials ADD COLUMN tag BYTEA;
ALTER TABLE account_credentials ADD COLUMN scopes TEXT NOT NULL DEFAULT '[]';   -- JSON list
CREATE INDEX account_credentials_tag ON account_credentials (tag);

-- Members of staff. They belong to the platform's account.
CREATE TABLE staff (
  account_id TEXT COLLATE "C" NOT NULL,
  email      TEXT COLLATE "C" NOT NULL,
  scopes     TEXT   NOT NULL,   -- JSON list
  hash       TEXT   NOT NULL,   -- Argon2id, PHC form; empty when there is no key
  tag        BYTEA, 
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (account_id, email)
);
CREATE INDEX staff_tag ON staff (tag);

-- What a POST with an Idempotency-Key was answered. The key and the request are keyed digests, the answer is sealed.
CREATE TABLE answers (
  account_id TEXT COLLATE "C" NOT NULL,
  key        BYTEA  NOT NULL,
  request    BYTEA  NOT NULL,
  at_us      BIGINT NOT NULL,
  lease_us   BIGINT NOT NULL,   -- until then somebody works on it
  until_us   BIGINT NOT NULL,   -- until then it is remembered
  answer     BYTEA,             -- not there yet, as long as somebody works on it
  PRIMARY KEY (account_id, key)
);
CREATE INDEX answers_until ON answers (until_us);

-- Pages of held mail, newest first: of everybody, and of one account.
CREATE INDEX held_at ON held (at_us, ref);
CREATE INDEX held_account_at ON held (account_id, at_us, ref);
