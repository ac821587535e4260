-- Every named thing of the API is a row of `object`: a document that is ready to send, cut in
-- two so that a change of status does not rewrite what the client said. The tables beside it
-- hold only what queries need: fields to filter by, and references as foreign keys.

CREATE TABLE object (
  id         TEXT PRIMARY KEY,
  kind       TEXT NOT NULL CHECK (kind IN
               ('vm', 'disk', 'image', 'network', 'snapshot', 'host', 'user', 'token')),
  scope      TEXT NOT NULL DEFAULT '',       -- names are unique within kind and scope
  name       TEXT NOT NULL CHECK (name <> ''),
  state      TEXT NOT NULL DEFAULT '',
  revision   INTEGER NOT NULL DEFAULT 1,     -- counts changes of what the client said
  sequence   INTEGER NOT NULL,               -- the event that changed the row last
  head       TEXT NOT NULL,                  -- the document up to its sequence: {"uuid":"x","y":1
  tail       TEXT NOT NULL DEFAULT '',       -- the rest, without the last brace: ,"status":{}
  UNIQUE (kind, scope, name)
) STRICT;
CREATE INDEX object_by_sequence ON object (kind, sequence);
CREATE INDEX object_by_state ON object (kind, state);

CREATE TABLE tombstone (
  id         TEXT PRIMARY KEY,
  kind       TEXT NOT NULL,
  name       TEXT NOT NULL,
  sequence   INTEGER NOT NULL
) STRICT;
CREATE INDEX tombstone_by_sequence ON tombstone (kind, sequence);

-- Values to filter lists by: tags, roles, modes.
CREATE TABLE label (
  object_id  TEXT NOT NULL REFERENCES object ON DELETE CASCADE,
  field      TEXT NOT NULL,
  value      TEXT NOT NULL,
  PRIMARY KEY (object_id, field, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX label_by_value ON label (field, value);

-- One object needs another, which therefore cannot be deleted. An exclusive reference is the
-- only one of its target: a disk belongs to one VM.
CREATE TABLE reference (
  from_id    TEXT NOT NULL REFERENCES object ON DELETE CASCADE,
  role       TEXT NOT NULL,                  -- where in the document, such as disks/root
  to_id      TEXT NOT NULL REFERENCES object ON DELETE RESTRICT,
  exclusive  INTEGER NOT NULL CHECK (exclusive IN (0, 1)),
  PRIMARY KEY (from_id, role)
) STRICT, WITHOUT ROWID;
CREATE INDEX reference_by_target ON reference (to_id);
CREATE UNIQUE INDEX reference_exclusive ON reference (to_id) WHERE exclusive = 1;

CREATE TABLE mac (
  mac        TEXT PRIMARY KEY,
  vm_id      TEXT NOT NULL REFERENCES object ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX mac_by_vm ON mac (vm_id);

CREATE TABLE token (
  id         TEXT PRIMARY KEY REFERENCES object ON DELETE CASCADE,
  hash       BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
  role       TEXT NOT NULL,
  expires_at INTEGER                         -- ms since 1970, NULL: never
) STRICT;
