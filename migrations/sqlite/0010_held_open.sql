-- Lists of what is held now, however much has ended; and of what is being released, of which there is little.
DROP INDEX held_state;
CREATE INDEX held_open ON held (at_us, ref) WHERE state IN ('held', 'releasing');
CREATE INDEX held_releasing ON held (at_us, ref) WHERE state = 'releasing';
