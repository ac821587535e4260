-- Image uploads that can be resumed: how much is safely on disk.
CREATE TABLE upload (
  image_id    TEXT PRIMARY KEY REFERENCES object ON DELETE CASCADE,
  received    INTEGER NOT NULL,               -- bytes that were synced
  updated_at  INTEGER NOT NULL
) STRICT;

-- Tokens act for a user, may be bound to one VM, and remember when they were used.
ALTER TABLE token ADD COLUMN user_id TEXT REFERENCES object ON DELETE CASCADE;
ALTER TABLE token ADD COLUMN vm_id TEXT;
ALTER TABLE token ADD COLUMN used_at INTEGER;
CREATE INDEX token_by_user ON token (user_id);

-- Client certificates that were signed, so that they can be listed and refused again.
CREATE TABLE certificate (
  fingerprint TEXT PRIMARY KEY,               -- SHA-256 in hexadecimal
  user_id     TEXT NOT NULL REFERENCES object ON DELETE CASCADE,
  not_after   INTEGER NOT NULL                -- ms since 1970
) STRICT;
CREATE INDEX certificate_by_user ON certificate (user_id);
