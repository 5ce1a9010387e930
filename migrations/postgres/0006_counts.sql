-- What an account did in a day, where a cap is set. Days are counted from 1970 in UTC.
CREATE TABLE day_counts (
  account_id TEXT COLLATE "C" NOT NULL,
  day        BIGINT NOT NULL,
  what       TEXT COLLATE "C" NOT NULL,   -- login:NAME | new-recipients
  n          BIGINT NOT NULL,
  PRIMARY KEY (account_id, day, what)
);
CREATE INDEX day_counts_day ON day_counts (day);

-- To whom an account has written, as keyed pseudonyms of its own: nobody reads an address here.
CREATE TABLE known_recipients (
  account_id TEXT COLLATE "C" NOT NULL,
  who        BYTEA  NOT NULL,
  day        BIGINT NOT NULL,   -- when first
  PRIMARY KEY (account_id, who)
);

ALTER TABLE account_credentials ADD COLUMN daily_cap BIGINT;
