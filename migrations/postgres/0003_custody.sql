-- Held mail. The message is sealed with the account's key; state moves by compare-and-swap.
CREATE TABLE held (
  account_id TEXT COLLATE "C" NOT NULL,
  ref        TEXT COLLATE "C" NOT NULL,
  gate       TEXT COLLATE "C" NOT NULL,
  state      TEXT   NOT NULL,   -- held | releasing | released | refused | expired
  mail_from  TEXT   NOT NULL,
  recipients BIGINT NOT NULL,
  size       BIGINT NOT NULL,
  reasons    TEXT   NOT NULL,   -- JSON list of codes
  sealed     BYTEA,              -- envelope and message; gone when the custody has ended
  at_us      BIGINT NOT NULL,
  until_us   BIGINT NOT NULL,
  PRIMARY KEY (account_id, ref)
);
CREATE UNIQUE INDEX held_ref ON held (ref);
CREATE INDEX held_state ON held (state, at_us);
