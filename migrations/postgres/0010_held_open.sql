-- Lists of what is held now, however much has ended.
CREATE INDEX held_open ON held (at_us, ref) WHERE state IN ('held', 'releasing');
