-- Accounts, what they own and how they sign in. Times are microseconds since 1970.
CREATE TABLE accounts (
  account_id     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  name           TEXT   NOT NULL,
  tier           TEXT,
  mode           TEXT,              -- as applied
  mode_set       TEXT,              -- as set by observe or enforce; wins
  upstream       TEXT,
  networks       TEXT   NOT NULL,   -- JSON list
  owner_email    TEXT,
  spec           TEXT   NOT NULL,   -- the applied table as JSON, for what no gate reads yet
  blocked_reason TEXT,
  blocked_at     BIGINT,
  updated_at     BIGINT NOT NULL
);

CREATE TABLE account_domains (
  account_id TEXT COLLATE "C" NOT NULL,
  domain     TEXT COLLATE "C" NOT NULL,
  subdomains BIGINT NOT NULL,
  from_local TEXT,
  from_name  TEXT,
  proved_at  BIGINT,
  proof      TEXT,                  -- how it was proved: trusted
  PRIMARY KEY (account_id, domain)
);

CREATE TABLE account_credentials (
  account_id TEXT COLLATE "C" NOT NULL,
  login      TEXT COLLATE "C" NOT NULL,
  kind       TEXT   NOT NULL,
  hash       TEXT   NOT NULL,       -- Argon2id, PHC form
  networks   TEXT   NOT NULL,       -- JSON list
  expires_at BIGINT,
  PRIMARY KEY (account_id, login)
);
CREATE UNIQUE INDEX account_credentials_login ON account_credentials (login);

-- When SPF last passed for a domain that an account wrote as: one that ceases to pass is held, not refused.
CREATE TABLE account_spf (
  account_id TEXT COLLATE "C" NOT NULL,
  domain     TEXT COLLATE "C" NOT NULL,
  passed_at  BIGINT NOT NULL,
  PRIMARY KEY (account_id, domain)
);

-- Modes of gates, set by observe or enforce.
CREATE TABLE gate_modes (
  gate TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  mode TEXT NOT NULL
);

-- One row a change, so that every node forgets what it has cached.
CREATE TABLE changes (
  scope   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  version BIGINT NOT NULL
);
