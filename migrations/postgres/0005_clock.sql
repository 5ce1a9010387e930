-- What has a time: jobs to be done, and mail that we write ourselves. Times are microseconds since 1970.
-- Whoever works on a row has a lease: until then `due_us` is the end of the lease, so nobody else takes it.

CREATE TABLE jobs (
  account_id TEXT COLLATE "C" NOT NULL,
  id         TEXT COLLATE "C" NOT NULL,   -- kind and object: one job of a kind for a thing
  kind       TEXT   NOT NULL,   -- held-expire
  object     TEXT   NOT NULL,   -- what it is about: a ref
  due_us     BIGINT NOT NULL,
  attempts   BIGINT NOT NULL,   -- how often it was begun
  lease_us   BIGINT,
  lease_by   TEXT,
  last_error TEXT,
  PRIMARY KEY (account_id, id)
);
CREATE INDEX jobs_due ON jobs (due_us);

-- Mail that was held before there were jobs.
INSERT INTO jobs (account_id, id, kind, object, due_us, attempts)
  SELECT account_id, 'held-expire:' || ref, 'held-expire', ref, until_us, 0
  FROM held WHERE state IN ('held', 'releasing');

-- Notices and delivery status notifications on their way out.
CREATE TABLE outbox (
  account_id TEXT COLLATE "C" NOT NULL,   -- whom it is about
  id         TEXT COLLATE "C" NOT NULL,   -- what it is about: one mail for one thing and recipient
  kind       TEXT   NOT NULL,   -- dsn | notice
  state      TEXT   NOT NULL,   -- waiting | sent | failed
  mail_from  TEXT   NOT NULL,   -- empty is <>
  rcpt       TEXT   NOT NULL,
  sealed     BYTEA,              -- the message without its From field; gone when it was sent
  at_us      BIGINT NOT NULL,
  keep_us    BIGINT NOT NULL,   -- until when a sent one is remembered, so that no second one is written
  due_us     BIGINT NOT NULL,
  attempts   BIGINT NOT NULL,
  lease_us   BIGINT,
  lease_by   TEXT,
  last_error TEXT,
  PRIMARY KEY (account_id, id)
);
CREATE INDEX outbox_due ON outbox (state, due_us);
