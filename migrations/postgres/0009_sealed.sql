-- What a message said is nowhere in the clear. `mail_from` of held mail and `rcpt` of mail of ours are empty from
-- now on: the one is sealed here, the other with its message. Rows of before are sealed at the next start.
ALTER TABLE held ADD COLUMN sender BYTEA;   -- the reverse path, sealed with the account's key
CREATE INDEX held_clear ON held (account_id, ref) WHERE mail_from <> '';

-- What was sent is only remembered, and what did not leave said why in the words of others.
UPDATE outbox SET rcpt = '' WHERE state = 'sent';
UPDATE outbox SET last_error = NULL;
UPDATE jobs SET last_error = NULL;
