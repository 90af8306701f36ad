CREATE TABLE hashes (
  target_id BIGINT NOT NULL REFERENCES targets (id),
  key       BIGINT NOT NULL,
  hash      BIGINT,
  ident     TEXT   NOT NULL,
  filed     BIGINT NOT NULL, -- the run that filed the row, 0 when it was sent
  seen      BIGINT NOT NULL, -- the newest run that read the row
  PRIMARY KEY (target_id, key)
) WITHOUT ROWID;
CREATE TABLE leases (
  target_id   BIGINT NOT NULL REFERENCES targets (id),
  token       BIGINT NOT NULL, -- greater than that of every earlier lease of the target
  run_id      TEXT,            -- the run that its holder is a member of; NULL: nobody else may be at the target
  holder      TEXT   NOT NULL,
  acquired_at BIGINT NOT NULL,
  expires_at  BIGINT NOT NULL, -- means nothing where the operating system's lock tells who is alive
  PRIMARY KEY (target_id, token)
);
CREATE TABLE ledger (
  target_id  BIGINT NOT NULL REFERENCES targets (id),
  seq        BIGINT NOT NULL, -- a greater one hides what smaller ones say of a key
  entries    BIGINT NOT NULL,
  filed      BIGINT NOT NULL, -- newest run that filed a row in it, 0 when none did
  cursor_max BIGINT NOT NULL,
  packed     BLOB NOT NULL,
  PRIMARY KEY (target_id, seq)
);
CREATE TABLE pauses (
  project TEXT   NOT NULL PRIMARY KEY,
  until   BIGINT NOT NULL -- nobody sends to the project before
);
CREATE TABLE rejects (
  id         TEXT   NOT NULL PRIMARY KEY,
  target_id  BIGINT NOT NULL REFERENCES targets (id),
  key        TEXT   NOT NULL,
  key_hash   BIGINT NOT NULL,
  code       TEXT   NOT NULL,
  field      TEXT   NOT NULL,
  message    TEXT   NOT NULL,
  run_id     TEXT   NOT NULL,
  first_seen BIGINT NOT NULL,
  attempts   BIGINT NOT NULL,
  payload    TEXT
);
CREATE TABLE runs (
  id          TEXT   NOT NULL PRIMARY KEY,
  target_id   BIGINT NOT NULL REFERENCES targets (id),
  seq         BIGINT NOT NULL,
  kind        TEXT   NOT NULL,
  status      TEXT   NOT NULL,
  bounds      TEXT   NOT NULL,
  shape       TEXT   NOT NULL,
  counts      TEXT   NOT NULL, -- of an ended attempt; before that the slices have them
  slices_done  BIGINT NOT NULL DEFAULT 0,
  slices_total BIGINT NOT NULL DEFAULT 0,
  attempts    BIGINT NOT NULL DEFAULT 1, -- the first, and one more each time it was taken up after a failure
  started_at  BIGINT NOT NULL,
  finished_at BIGINT,
  mark_before TEXT,
  mark_after  TEXT,
  error       TEXT, usage TEXT, reason TEXT,
  UNIQUE (target_id, seq)
);
CREATE TABLE schema_migrations (version BIGINT NOT NULL PRIMARY KEY, applied_at BIGINT NOT NULL);
CREATE TABLE slices (
  run_id          TEXT   NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  n               BIGINT NOT NULL, -- from 1, in order of the cursor
  bounds          TEXT   NOT NULL,
  status          TEXT   NOT NULL,
  token           BIGINT, -- of the lease under which it is worked on, or last was
  position        TEXT,
  reject_floor    TEXT,   -- a position before the first reject; {} is the start
  hold_floor      TEXT,   -- the same for the first row that is held back
  reached         TEXT,   -- the greatest cursor that is settled
  counts          TEXT   NOT NULL,
  judged_rows     BIGINT NOT NULL DEFAULT 0,
  judged_rejected BIGINT NOT NULL DEFAULT 0,
  judged_restated BIGINT NOT NULL DEFAULT 0,
  error           TEXT,
  PRIMARY KEY (run_id, n)
);
CREATE TABLE state (
  one     SMALLINT NOT NULL PRIMARY KEY CHECK (one = 1),
  uuid    TEXT     NOT NULL,
  made_at BIGINT   NOT NULL
);
CREATE TABLE targets (
  id          INTEGER PRIMARY KEY,
  sync        TEXT     NOT NULL,
  project     TEXT     NOT NULL,
  mark_kind   TEXT,
  mark        TEXT,
  fingerprint TEXT,
  sent        SMALLINT NOT NULL DEFAULT 0,
  columns     TEXT,
  run_seq     BIGINT   NOT NULL DEFAULT 0, -- of the newest run
  lease_seq   BIGINT   NOT NULL DEFAULT 0, -- the newest token
  turn_until  BIGINT   NOT NULL DEFAULT 0, -- an incremental run wants its turn until then
  ledger_from BIGINT,
  ledger_seq  BIGINT   NOT NULL DEFAULT 0, -- of the newest ledger segment, never given twice
  updated_at  BIGINT   NOT NULL, source TEXT,
  UNIQUE (sync, project),
  CHECK ((mark IS NULL) = (mark_kind IS NULL))
);
CREATE INDEX hashes_filed ON hashes (target_id, filed) WHERE filed <> 0;
CREATE INDEX rejects_key ON rejects (target_id, key_hash);
CREATE UNIQUE INDEX runs_unfinished ON runs (target_id, kind)
  WHERE status IN ('running', 'failed', 'interrupted');
