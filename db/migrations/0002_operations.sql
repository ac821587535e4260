-- What was asked for and what happened: operations, and the one sequence of events that also
-- numbers changes of objects and carries the audit log's hash chain.

CREATE TABLE operation (
  number      INTEGER PRIMARY KEY,            -- order of arrival
  id          TEXT NOT NULL UNIQUE,
  action      TEXT NOT NULL,
  object_kind TEXT NOT NULL,
  object_id   TEXT NOT NULL,                  -- no foreign key: history outlives the object
  state       TEXT NOT NULL CHECK (state IN
                ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
  actor       TEXT NOT NULL,
  arguments   TEXT NOT NULL,                  -- JSON: all that is needed to run it again
  sequence    INTEGER NOT NULL,
  created_at  INTEGER NOT NULL,               -- ms since 1970
  finished_at INTEGER,
  head        TEXT NOT NULL,                  -- ready-to-send document, as in object
  tail        TEXT NOT NULL
) STRICT;
CREATE INDEX operation_unfinished ON operation (object_id, number)
  WHERE state IN ('queued', 'running');
CREATE INDEX operation_by_object ON operation (object_id, number);
CREATE INDEX operation_by_state ON operation (state, number);
CREATE INDEX operation_by_finish ON operation (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE idempotency (
  actor        TEXT NOT NULL,
  key          TEXT NOT NULL,
  fingerprint  BLOB NOT NULL,                 -- hash of the request the key was used for
  operation_id TEXT NOT NULL REFERENCES operation (id) ON DELETE CASCADE,
  created_at   INTEGER NOT NULL,
  PRIMARY KEY (actor, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_operation ON idempotency (operation_id);

CREATE TABLE event (
  sequence    INTEGER PRIMARY KEY,
  at          INTEGER NOT NULL,               -- ms since 1970
  class       TEXT NOT NULL CHECK (class IN ('lifecycle', 'operation', 'audit')),
  type        TEXT NOT NULL,
  object_kind TEXT NOT NULL,
  object_id   TEXT NOT NULL,
  document    TEXT NOT NULL,
  hash        BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE INDEX event_by_object ON event (object_id, sequence);
CREATE INDEX event_by_class ON event (class, sequence);

-- Where the chain starts after old events were trimmed.
CREATE TABLE event_anchor (
  only_row    INTEGER PRIMARY KEY CHECK (only_row = 1),
  sequence    INTEGER NOT NULL,
  hash        BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
INSERT INTO event_anchor VALUES (1, 0, zeroblob(32));
