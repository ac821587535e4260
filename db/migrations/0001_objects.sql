-- Every named thing of the API is a row of `object`: a document that is ready to send, cut in
-- two so that a change of status does not rewrite what the client said. The tables beside it
-- hold only what queries need: references (as foreign keys) and columns to filter by.

CREATE TABLE object (
  id         TEXT PRIMARY KEY,
  kind       TEXT NOT NULL CHECK (kind IN
               ('vm', 'disk', 'image', 'network', 'snapshot', 'token', 'user', 'host')),
  scope      TEXT NOT NULL DEFAULT '',       -- names are unique within kind and scope
  name       TEXT NOT NULL CHECK (name <> ''),
  revision   INTEGER NOT NULL DEFAULT 1,     -- counts changes of what the client said
  sequence   INTEGER NOT NULL,               -- the event that changed the row last
  head       TEXT NOT NULL,                  -- the document up to its status: {"id":...,"x":1
  status     TEXT NOT NULL DEFAULT '{}',     -- a JSON object
  UNIQUE (kind, scope, name)
) STRICT;
CREATE INDEX object_by_sequence ON object (kind, sequence);

CREATE TABLE tombstone (
  id         TEXT PRIMARY KEY,
  kind       TEXT NOT NULL,
  name       TEXT NOT NULL,
  sequence   INTEGER NOT NULL
) STRICT;
CREATE INDEX tombstone_by_sequence ON tombstone (kind, sequence);

CREATE TABLE image (
  id         TEXT PRIMARY KEY REFERENCES object ON DELETE CASCADE,
  state      TEXT NOT NULL,
  format     TEXT NOT NULL,
  size       INTEGER NOT NULL DEFAULT 0      -- virtual size in bytes, 0 until known
) STRICT;

CREATE TABLE disk (
  id         TEXT PRIMARY KEY REFERENCES object ON DELETE CASCADE,
  state      TEXT NOT NULL,
  format     TEXT NOT NULL CHECK (format IN ('raw', 'qcow2')),
  size       INTEGER NOT NULL CHECK (size > 0),
  image_id   TEXT REFERENCES image ON DELETE RESTRICT
) STRICT;
CREATE INDEX disk_by_image ON disk (image_id);

CREATE TABLE network (
  id         TEXT PRIMARY KEY REFERENCES object ON DELETE CASCADE,
  mode       TEXT NOT NULL CHECK (mode IN ('nat', 'isolated', 'bridged')),
  bridge     TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE vm (
  id            TEXT PRIMARY KEY REFERENCES object ON DELETE CASCADE,
  state         TEXT NOT NULL,
  desired_state TEXT NOT NULL CHECK (desired_state IN ('running', 'paused', 'stopped'))
) STRICT;
CREATE INDEX vm_by_state ON vm (state);
CREATE INDEX vm_by_desired_state ON vm (desired_state);

CREATE TABLE vm_disk (
  vm_id      TEXT NOT NULL REFERENCES vm ON DELETE CASCADE,
  slot       INTEGER NOT NULL,
  disk_id    TEXT REFERENCES disk ON DELETE RESTRICT,
  image_id   TEXT REFERENCES image ON DELETE RESTRICT,
  PRIMARY KEY (vm_id, slot),
  CHECK (disk_id IS NULL OR image_id IS NULL)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX vm_disk_by_disk ON vm_disk (disk_id) WHERE disk_id IS NOT NULL;
CREATE INDEX vm_disk_by_image ON vm_disk (image_id) WHERE image_id IS NOT NULL;

CREATE TABLE vm_nic (
  vm_id      TEXT NOT NULL REFERENCES vm ON DELETE CASCADE,
  slot       INTEGER NOT NULL,
  network_id TEXT NOT NULL REFERENCES network ON DELETE RESTRICT,
  mac        TEXT NOT NULL UNIQUE,
  PRIMARY KEY (vm_id, slot)
) STRICT, WITHOUT ROWID;
CREATE INDEX vm_nic_by_network ON vm_nic (network_id);

CREATE TABLE vm_tag (
  vm_id      TEXT NOT NULL REFERENCES vm ON DELETE CASCADE,
  tag        TEXT NOT NULL,
  PRIMARY KEY (vm_id, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX vm_tag_by_tag ON vm_tag (tag);

CREATE TABLE snapshot (
  id         TEXT PRIMARY KEY REFERENCES object ON DELETE CASCADE,
  vm_id      TEXT NOT NULL REFERENCES vm ON DELETE RESTRICT,
  state      TEXT NOT NULL
) STRICT;
CREATE INDEX snapshot_by_vm ON snapshot (vm_id);

CREATE TABLE token (
  id         TEXT PRIMARY KEY REFERENCES object ON DELETE CASCADE,
  hash       BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
  role       TEXT NOT NULL,
  expires_at INTEGER                          -- ms since 1970, NULL: never
) STRICT;
