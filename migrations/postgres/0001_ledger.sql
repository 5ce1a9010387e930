-- The ledger: leaves that stay for ever, payloads beside them that can be erased.
-- Times are microseconds since 1970. Only store/ledger and seal write these tables.

-- One leaf for each entry, in the order in which they were recorded, from 0 without a gap.
CREATE TABLE leaves (
    idx  BIGINT NOT NULL PRIMARY KEY,
    leaf BYTEA  NOT NULL,
    hash BYTEA  NOT NULL
);

-- Where an entry is found. `part` is 0 for a ruling or command and the index for an outcome,
-- so that an account has one ruling for a ref and any number of outcomes.
CREATE TABLE entries (
    account_id TEXT COLLATE "C" NOT NULL,
    idx        BIGINT NOT NULL,
    ref        TEXT COLLATE "C" NOT NULL,
    part       BIGINT NOT NULL,
    kind       TEXT   NOT NULL,
    at_us      BIGINT NOT NULL,
    PRIMARY KEY (account_id, idx)
);

-- Serves both the search by ref alone and the uniqueness of a ref within its account.
CREATE UNIQUE INDEX entries_ref ON entries (ref, account_id, part);

-- What the leaf's commitment stands for, sealed under the account's key. Erasure deletes the row.
CREATE TABLE payloads (
    account_id TEXT COLLATE "C" NOT NULL,
    idx        BIGINT NOT NULL,
    salt       BYTEA  NOT NULL,
    sealed     BYTEA  NOT NULL,
    PRIMARY KEY (account_id, idx)
);

-- One head for each commit: the root over the first `size` leaves, the last `leaves` of which it added.
CREATE TABLE heads (
    size   BIGINT NOT NULL PRIMARY KEY,
    leaves BIGINT NOT NULL,
    root   BYTEA  NOT NULL,
    at_us  BIGINT NOT NULL
);

-- The end of each account's own chain.
CREATE TABLE chains (
    account_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    seq        BIGINT NOT NULL,
    hash       BYTEA  NOT NULL
);

-- The data keys of an account, wrapped under the root key.
CREATE TABLE account_keys (
    account_id TEXT COLLATE "C" NOT NULL,
    generation BIGINT NOT NULL,
    key_id     BYTEA  NOT NULL,
    wrapped    BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, generation)
);
