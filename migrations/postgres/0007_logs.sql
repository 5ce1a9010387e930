-- Several logs in one store: one for each node, so that no node waits for another one's commits.
-- What was recorded before is log 0. Times are microseconds since 1970.
CREATE TABLE logs (
    log        BIGINT NOT NULL PRIMARY KEY,
    origin     TEXT COLLATE "C" NOT NULL,   -- its name in checkpoints
    verifier   TEXT   NOT NULL,   -- the key of its checkpoints: NAME+ID+BASE64; what signs is derived from the root key
    continues  TEXT,              -- the checkpoint that it goes on from, of a log that was lost or set back
    began_us   BIGINT NOT NULL
);
CREATE UNIQUE INDEX logs_origin ON logs (origin);

ALTER TABLE leaves ADD COLUMN log BIGINT NOT NULL DEFAULT 0;
ALTER TABLE leaves ALTER COLUMN log DROP DEFAULT;
ALTER TABLE leaves DROP CONSTRAINT leaves_pkey;
ALTER TABLE leaves ADD PRIMARY KEY (log, idx);

-- `part` of an outcome is its log, shifted by 40 bits, and its index.
ALTER TABLE entries ADD COLUMN log BIGINT NOT NULL DEFAULT 0;
ALTER TABLE entries ALTER COLUMN log DROP DEFAULT;
ALTER TABLE entries DROP CONSTRAINT entries_pkey;
ALTER TABLE entries ADD PRIMARY KEY (account_id, log, idx);
CREATE INDEX entries_log ON entries (log, idx);

ALTER TABLE payloads ADD COLUMN log BIGINT NOT NULL DEFAULT 0;
ALTER TABLE payloads ALTER COLUMN log DROP DEFAULT;
ALTER TABLE payloads DROP CONSTRAINT payloads_pkey;
ALTER TABLE payloads ADD PRIMARY KEY (account_id, log, idx);

ALTER TABLE heads ADD COLUMN log BIGINT NOT NULL DEFAULT 0;
ALTER TABLE heads ALTER COLUMN log DROP DEFAULT;
ALTER TABLE heads DROP CONSTRAINT heads_pkey;
ALTER TABLE heads ADD PRIMARY KEY (log, size);

-- An account has a chain in each log; who reads merges them by time.
ALTER TABLE chains ADD COLUMN log BIGINT NOT NULL DEFAULT 0;
ALTER TABLE chains ALTER COLUMN log DROP DEFAULT;
ALTER TABLE chains DROP CONSTRAINT chains_pkey;
ALTER TABLE chains ADD PRIMARY KEY (account_id, log);

-- The tree in tiles of 256 hashes: full ones of level 0, and those above as far as they have grown. Hashes of
-- leaves after the last full tile stand with the leaves. What was recorded before gets them at the next start.
CREATE TABLE tiles (
    log    BIGINT NOT NULL,
    level  BIGINT NOT NULL,
    number BIGINT NOT NULL,
    hashes BYTEA  NOT NULL,
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
    origin TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    size   BIGINT NOT NULL,
    root   BYTEA  NOT NULL,
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

-- Other nodes hear at once that something changed; who cannot listen asks every half second.
CREATE FUNCTION tell_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('countersign_changes', NEW.scope);
    RETURN NULL;
END
$$;
CREATE TRIGGER tell_change AFTER INSERT OR UPDATE ON changes FOR EACH ROW EXECUTE FUNCTION tell_change();
