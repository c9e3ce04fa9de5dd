-- The emulator's data. Ids are UUIDs; `seq` is the order of creation, which is the order of every list.
-- Times are ISO 8601 in UTC.

CREATE TABLE user (
  seq INTEGER PRIMARY KEY,
  user_id TEXT NOT NULL UNIQUE,
  username TEXT NOT NULL UNIQUE,
  registered_at TEXT NOT NULL
) STRICT;

CREATE TABLE token (
  digest TEXT PRIMARY KEY,      -- SHA-256 of the token, which itself is never stored
  user_id TEXT NOT NULL REFERENCES user (user_id) ON DELETE CASCADE,
  scope TEXT NOT NULL,
  expires_on REAL NOT NULL      -- Unix time
) STRICT, WITHOUT ROWID;

CREATE TABLE user_group (
  seq INTEGER PRIMARY KEY,
  group_id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  description TEXT,
  created_at TEXT NOT NULL
) STRICT;

CREATE TABLE membership (
  seq INTEGER PRIMARY KEY,
  group_id TEXT NOT NULL REFERENCES user_group (group_id) ON DELETE CASCADE,
  member_type TEXT NOT NULL,    -- users | groups
  member_id TEXT NOT NULL,
  group_access TEXT NOT NULL,
  folder_access TEXT NOT NULL,
  joined_at TEXT NOT NULL,
  UNIQUE (member_type, member_id, group_id)
) STRICT;
CREATE INDEX membership_group ON membership (group_id);

CREATE TABLE folder (
  seq INTEGER PRIMARY KEY,
  folder_id TEXT NOT NULL UNIQUE,
  parent_id TEXT REFERENCES folder (folder_id),
  name TEXT NOT NULL,
  created_at TEXT NOT NULL,
  created_by TEXT REFERENCES user (user_id) ON DELETE SET NULL
) STRICT;
CREATE INDEX folder_parent ON folder (parent_id);
CREATE INDEX folder_creator ON folder (created_by);

CREATE TABLE folder_access (
  seq INTEGER PRIMARY KEY,
  folder_id TEXT NOT NULL REFERENCES folder (folder_id) ON DELETE CASCADE,
  member_type TEXT NOT NULL,
  member_id TEXT NOT NULL,
  access TEXT NOT NULL,
  UNIQUE (member_type, member_id, folder_id)
) STRICT;
CREATE INDEX folder_access_folder ON folder_access (folder_id);

-- Content on disk, by digest. The triggers below keep `refs`; what nobody refers to any more is removed
-- at the end of the transaction that released it.
CREATE TABLE blob (
  digest TEXT PRIMARY KEY,
  size INTEGER NOT NULL,
  refs INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_unused ON blob (digest) WHERE refs = 0;

CREATE TABLE upload_task (
  seq INTEGER PRIMARY KEY,
  upload_task_id TEXT NOT NULL UNIQUE,
  folder_id TEXT NOT NULL REFERENCES folder (folder_id) ON DELETE CASCADE,
  uploaded_at TEXT NOT NULL,
  user_id TEXT NOT NULL,        -- not a reference: the task remembers users that are gone
  username TEXT NOT NULL
) STRICT;
CREATE INDEX upload_task_folder ON upload_task (folder_id);
CREATE INDEX upload_task_user ON upload_task (user_id);

CREATE TABLE source_file (
  seq INTEGER PRIMARY KEY,
  source_file_id TEXT NOT NULL UNIQUE,
  upload_task_id TEXT NOT NULL, -- not a reference: a moved file outlives its task's folder
  folder_id TEXT NOT NULL REFERENCES folder (folder_id),
  original_name TEXT NOT NULL,
  name TEXT NOT NULL,
  size INTEGER NOT NULL,
  digest TEXT NOT NULL REFERENCES blob (digest)
) STRICT;
CREATE INDEX source_file_folder ON source_file (folder_id);
CREATE INDEX source_file_upload ON source_file (upload_task_id);
CREATE INDEX source_file_digest ON source_file (digest);

CREATE TABLE conversion_task (
  seq INTEGER PRIMARY KEY,
  conversion_task_id TEXT NOT NULL UNIQUE,
  upload_task_id TEXT NOT NULL REFERENCES upload_task (upload_task_id) ON DELETE CASCADE,
  source_file_id TEXT NOT NULL, -- not a reference: the task remembers files that are gone
  source_file_name TEXT NOT NULL,
  asset_id TEXT NOT NULL,       -- kept for the main asset, which exists only after success
  pipeline TEXT NOT NULL,
  status TEXT NOT NULL,         -- waiting | success | error; what runs at the moment is known in memory only
  message TEXT,
  log TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX conversion_task_upload ON conversion_task (upload_task_id);
CREATE INDEX conversion_task_source ON conversion_task (source_file_id);
CREATE INDEX conversion_task_waiting ON conversion_task (seq) WHERE status = 'waiting';

CREATE TABLE asset (
  seq INTEGER PRIMARY KEY,
  asset_id TEXT NOT NULL UNIQUE,
  type TEXT NOT NULL,
  name TEXT NOT NULL,
  folder_id TEXT NOT NULL REFERENCES folder (folder_id),
  source_file_id TEXT REFERENCES source_file (source_file_id) ON DELETE SET NULL,
  description TEXT NOT NULL,    -- JSON, without uuid and name
  created_at TEXT NOT NULL,
  created_by TEXT REFERENCES user (user_id) ON DELETE SET NULL
) STRICT;
CREATE INDEX asset_folder ON asset (folder_id);
CREATE INDEX asset_source ON asset (source_file_id);
CREATE INDEX asset_creator ON asset (created_by);

CREATE TABLE asset_blob (
  asset_id TEXT NOT NULL REFERENCES asset (asset_id) ON DELETE CASCADE,
  part TEXT NOT NULL,           -- payload | thumbnail | a sub-resource such as mips0, position, histogram
  digest TEXT NOT NULL REFERENCES blob (digest),
  PRIMARY KEY (asset_id, part)
) STRICT, WITHOUT ROWID;
CREATE INDEX asset_blob_digest ON asset_blob (digest);

CREATE TABLE asset_edit (
  seq INTEGER PRIMARY KEY,
  asset_id TEXT NOT NULL REFERENCES asset (asset_id) ON DELETE CASCADE,
  user_id TEXT REFERENCES user (user_id) ON DELETE SET NULL,
  edited_at TEXT NOT NULL,
  action TEXT NOT NULL
) STRICT;
CREATE INDEX asset_edit_asset ON asset_edit (asset_id);
CREATE INDEX asset_edit_user ON asset_edit (user_id);

-- What an asset's description refers to; also assets that are not (or not yet) here.
CREATE TABLE dependency (
  asset_id TEXT NOT NULL REFERENCES asset (asset_id) ON DELETE CASCADE,
  target_id TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (asset_id, target_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX dependency_target ON dependency (target_id);

CREATE TRIGGER source_file_in AFTER INSERT ON source_file BEGIN
  UPDATE blob SET refs = refs + 1 WHERE digest = NEW.digest;
END;
CREATE TRIGGER source_file_out AFTER DELETE ON source_file BEGIN
  UPDATE blob SET refs = refs - 1 WHERE digest = OLD.digest;
END;
CREATE TRIGGER asset_blob_in AFTER INSERT ON asset_blob BEGIN
  UPDATE blob SET refs = refs + 1 WHERE digest = NEW.digest;
END;
CREATE TRIGGER asset_blob_out AFTER DELETE ON asset_blob BEGIN
  UPDATE blob SET refs = refs - 1 WHERE digest = OLD.digest;
END;
