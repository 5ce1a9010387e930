-- Several logs in one store: one for each node, so that no node waits for another one's commits.
-- What was recorded before is log 0. Times are microseconds since 1970.
CREATE TABLE logs (
    log        BIGINT NOT NULL PRIMARY KEY,
    origin     TEXT   NOT NULL,   -- its name in checkpoints
    verifier   TEXT   NOT NULL,   -- the key of its checkpoints: NAME+ID+BASE64; what signs is derived from the root key
    continues  TEXT,              -- the checkpoint that it goes on from, of a log that was lost or set back
    began_us   BIGINT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX logs_origin ON logs (origin);

-- Keys begin with log and index, so that rows are added at the end of the file and a commit touches few pages.
CREATE TABLE leaves_of_logs (
    log  BIGINT NOT NULL,
    idx  BIGINT NOT NULL,
    leaf BLOB   NOT NULL,
    hash BLOB   NOT NULL,
    PRIMARY KEY (log, idx)
) WITHOUT ROWID;
INSERT INTO leaves_of_logs SELECT 0, idx, leaf, hash FROM leaves ORDER BY idx;
DROP TABLE leaves;
ALTER TABLE leaves_of_logs RENAME TO leaves;

-- `part` of an outcome is its log, shifted by 40 bits, and its index.
CREATE TABLE entries_of_logs (
    account_id TEXT   NOT NULL,
    log        BIGINT NOT NULL,
    idx        BIGINT NOT NULL,
    ref        TEXT   NOT NULL,
    part       BIGINT NOT NULL,
    kind       TEXT   NOT NULL,
    at_us      BIGINT NOT NULL,
    PRIMARY KEY (log, idx, account_id)
) WITHOUT ROWID;
INSERT INTO entries_of_logs SELECT account_id, 0, idx, ref, part, kind, at_us FROM entries ORDER BY idx;
DROP TABLE entries;
ALTER TABLE entries_of_logs RENAME TO entries;
CREATE UNIQUE INDEX entries_ref ON entries (ref, account_id, part);

CREATE TABLE payloads_of_logs (
    account_id TEXT   NOT NULL,
    log        BIGINT NOT NULL,
    idx        BIGINT NOT NULL,
    salt       BLOB   NOT NULL,
    sealed     BLOB   NOT NULL,
    PRIMARY KEY (log, idx, account_id)
);
INSERT INTO payloads_of_logs SELECT account_id, 0, idx, salt, sealed FROM payloads ORDER BY idx;
DROP TABLE payloads;
ALTER TABLE payloads_of_logs RENAME TO payloads;

CREATE TABLE heads_of_logs (
    log    BIGINT NOT NULL,
    size   BIGINT NOT NULL,
    leaves BIGINT NOT NULL,
    root   BLOB   NOT NULL,
    at_us  BIGINT NOT NULL,
    PRIMARY KEY (log, size)
) WITHOUT ROWID;
INSERT INTO heads_of_logs SELECT 0, size, leaves, root, at_us FROM heads ORDER BY size;
DROP TABLE heads;
ALTER TABLE heads_of_logs RENAME TO heads;

-- An account has a chain in each log; who reads merges them by time.
CREATE TABLE chains_of_logs (
    account_id TEXT   NOT NULL,
    log        BIGINT NOT NULL,
    seq        BIGINT NOT NULL,
    hash       BLOB   NOT NULL,
    PRIMARY KEY (account_id, log)
) WITHOUT ROWID;
INSERT INTO chains_of_logs SELECT account_id, 0, seq, hash FROM chains;
DROP TABLE chains;
ALTER TABLE chains_of_logs RENAME TO chains;

-- The tree in tiles of 256 hashes: full ones of level 0, and those above as far as they have grown. Hashes of
-- leaves after the last full tile stand with the leaves. What was recorded before gets them at the next start.
CREATE TABLE tiles (
    log    BIGINT NOT NULL,
    level  BIGINT NOT NULL,
    number BIGINT NOT NULL,
    hashes BLOB   NOT NULL,
    PRIMARY KEY (log, level, number)
);

-- Checkpoints as they were signed: a note each. One is here before anybody sees it.
CREATE TABLE checkpoints (
    log   BIGINT NOT NULL,
    size  BIGINT NOT NULL,
    note  TEXT   NOT NULL,
    at_us BIGINT NOT NULL,
    PRIMARY KEY (log, size)
);

-- The logs that we are a witness of, and the last checkpoint that we cosigned.
CREATE TABLE witnessed (
    origin TEXT   NOT NULL PRIMARY KEY,
    size   BIGINT NOT NULL,
    root   BLOB   NOT NULL,
    at_us  BIGINT NOT NULL
);

-- Who works on this store. A node that was not seen for long is gone.
CREATE TABLE nodes (
    log        BIGINT NOT NULL PRIMARY KEY,   -- of the node
    started_us BIGINT NOT NULL,
    seen_us    BIGINT NOT NULL
);

-- In whose log it was recorded: after a crash that node puts it right, or another one when it does not come back.
ALTER TABLE held ADD COLUMN log BIGINT;
ALTER TABLE transit ADD COLUMN log BIGINT;
