-- Image uploads that can be resumed: how much is safely on disk.

CREATE TABLE upload (
  image_id    TEXT PRIMARY KEY REFERENCES image ON DELETE CASCADE,
  received    INTEGER NOT NULL,               -- bytes that were synced
  updated_at  INTEGER NOT NULL
) STRICT;

-- Tokens may be bound to one object (a console of one VM), and remember when they were used.
ALTER TABLE token ADD COLUMN object_id TEXT;
ALTER TABLE token ADD COLUMN used_at INTEGER;
