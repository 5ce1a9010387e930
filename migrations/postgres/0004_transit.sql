-- Messages on their way: what a client that lost our answer would send again. A row goes in with the leaf,
-- says `sent` with the outcome, and is gone when the client's next command shows that it heard us.
-- Times are microseconds since 1970.
CREATE TABLE transit (
  account_id TEXT COLLATE "C" NOT NULL,
  print      BYTEA  NOT NULL,   -- keyed digest of octets, reverse path and offered recipients
  accepted   BYTEA  NOT NULL,   -- keyed digest of the recipients that were accepted
  ref        TEXT COLLATE "C" NOT NULL,
  state      TEXT   NOT NULL,   -- sending | doubt | sent
  at_us      BIGINT NOT NULL,
  PRIMARY KEY (account_id, print)
);

-- Whether a release was interrupted, so that the mail may have been sent already.
ALTER TABLE held ADD COLUMN in_doubt BIGINT NOT NULL DEFAULT 0;

-- What is stopped besides whole accounts: a domain (of one account, or of all: account `platform`) or a credential.
CREATE TABLE blocks (
  account_id TEXT COLLATE "C" NOT NULL,
  scope      TEXT COLLATE "C" NOT NULL,   -- domain | credential
  subject    TEXT COLLATE "C" NOT NULL,
  reason     TEXT   NOT NULL,
  at_us      BIGINT NOT NULL,
  PRIMARY KEY (account_id, scope, subject)
);
