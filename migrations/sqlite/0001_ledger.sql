-- The ledger: leaves that stay for ever, payloads beside them that can be erased.
-- Times are microseconds since 1970. Only store/ledger and seal write these tables.
-- Here keys begin with the index, so that rows are added at the end of the file and a commit touches few
-- pages; where tables are sharded by account they begin with account_id.

-- One leaf for each entry, in the order in which they were recorded, from 0 without a gap.
CREATE TABLE leaves (
    idx  BIGINT NOT NULL PRIMARY KEY,
    leaf BLOB   NOT NULL,
    hash BLOB   NOT NULL
) WITHOUT ROWID;

-- Where an entry is found. `part` is 0 for a ruling or command and the index for an outcome,
-- so that an account has one ruling for a ref and any number of outcomes.
CREATE TABLE entries (
    account_id TEXT   NOT NULL,
    idx        BIGINT NOT NULL,
    ref        TEXT   NOT NULL,
    part       BIGINT NOT NULL,
    kind       TEXT   NOT NULL,
    at_us      BIGINT NOT NULL,
    PRIMARY KEY (idx, account_id)
) WITHOUT ROWID;

-- Serves both the search by ref alone and the uniqueness of a ref within its account.
CREATE UNIQUE INDEX entries_ref ON entries (ref, account_id, part);

-- What the leaf's commitment stands for, sealed under the account's key. Erasure deletes the row.
CREATE TABLE payloads (
    account_id TEXT   NOT NULL,
    idx        BIGINT NOT NULL,
    salt       BLOB   NOT NULL,
    sealed     BLOB   NOT NULL,
    PRIMARY KEY (idx, account_id)
);

-- One head for each commit: the root over the first `size` leaves, the last `leaves` of which it added.
CREATE TABLE heads (
    size   BIGINT NOT NULL PRIMARY KEY,
    leaves BIGINT NOT NULL,
    root   BLOB   NOT NULL,
    at_us  BIGINT NOT NULL
) WITHOUT ROWID;

-- The end of each account's own chain.
CREATE TABLE chains (
    account_id TEXT   NOT NULL PRIMARY KEY,
    seq        BIGINT NOT NULL,
    hash       BLOB   NOT NULL
) WITHOUT ROWID;

-- The data keys of an account, wrapped under the root key.
CREATE TABLE account_keys (
    account_id TEXT   NOT NULL,
    generation BIGINT NOT NULL,
    key_id     BLOB   NOT NULL,
    wrapped    BLOB   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, generation)
) WITHOUT ROWID;
