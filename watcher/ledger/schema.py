"""The ledger's tables, as sqlite-utils migrations.

Names are BLOBs (the bytes that the file system holds), so that any name Linux allows is kept loss-free. Times are
Unix seconds. ``files.generation`` counts the versions of a file: a worker's transition applies only to the version
that it saw.
"""

from sqlite_utils import Database, Migrations

from watcher.ledger.connection import FIRST_MIGRATION
from watcher.ledger.expressions import OPEN, PLANNED_AT, STATE_OF_MODELS, rank

migrations = Migrations("ledger")

_FIRST = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

-- The policy is that of the configuration with which a daemon worked last.
CREATE TABLE drops (
    id INTEGER PRIMARY KEY,
    path BLOB NOT NULL UNIQUE,
    on_change TEXT NOT NULL DEFAULT 'new',
    on_delete TEXT NOT NULL DEFAULT 'keep',
    delete_wait REAL NOT NULL DEFAULT 0  -- seconds
) STRICT;

CREATE TABLE dirs (
    id INTEGER PRIMARY KEY,
    drop_id INTEGER NOT NULL REFERENCES drops(id),
    path BLOB NOT NULL UNIQUE,
    UNIQUE (drop_id, id)
) STRICT;

CREATE TABLE files (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again: a worker may hold one that was forgotten
    dir_id INTEGER NOT NULL,
    drop_id INTEGER NOT NULL,            -- of its folder: each drop's files stand in an order of their own
    name BLOB NOT NULL,
    state TEXT NOT NULL,
    role TEXT NOT NULL DEFAULT 'main',
    generation INTEGER NOT NULL DEFAULT 1,
    dev INTEGER NOT NULL, ino INTEGER NOT NULL, size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL,
    folder_dev INTEGER,                  -- the device of the folder in which it was seen,
    root_ino INTEGER,                    -- and the inode of the drop's folder then; NULL: not known
    observed_at REAL NOT NULL,           -- when this version was first seen
    settled_at REAL,                     -- NULL while it may still be written
    refers INTEGER NOT NULL DEFAULT 0,   -- whether its format can name other files
    scene INTEGER NOT NULL DEFAULT 0,    -- whether these are often models
    refs BLOB,                           -- what this version names, as JSON; NULL before its first plan
    wake_at REAL,                        -- a waiting file is planned again at this time
    patience REAL,                       -- and waits on for what it lacks, so many seconds after some of it came
    due_at REAL,                         -- planned: an upload may start at this time; NULL while not planned
    attempts INTEGER NOT NULL DEFAULT 0,
    digest TEXT,                         -- of this version's content
    upload_id INTEGER REFERENCES uploads(id),
    error TEXT,
    unreadable BLOB,                     -- failed: the path that could not be read; once it can, it is tried again
    updated_at REAL NOT NULL,
    UNIQUE (dir_id, name),
    FOREIGN KEY (dir_id, drop_id) REFERENCES dirs(id, drop_id) ON UPDATE CASCADE
) STRICT;
CREATE INDEX files_to_plan ON files(drop_id, refers, {PLANNED_AT})
    WHERE due_at IS NULL AND role = 'main' AND state IN ('pending', 'waiting');
CREATE INDEX files_unread ON files(drop_id, observed_at)
    WHERE refers = 1 AND refs IS NULL AND due_at IS NULL AND role = 'main' AND state IN ('pending', 'waiting');
CREATE INDEX files_unread_scenes ON files(drop_id, observed_at)
    WHERE scene = 1 AND refs IS NULL AND due_at IS NULL AND role = 'main' AND state IN ('pending', 'waiting');
CREATE INDEX files_due ON files(drop_id, due_at) WHERE state = 'pending' AND role = 'main';
-- What came last: it is not to wait behind all that came before.
CREATE INDEX files_fresh ON files(drop_id, ctime_ns) WHERE role = 'main' AND state IN ('pending', 'waiting');
-- Those that travel with a model, or were only looked at for one.
CREATE INDEX files_following ON files(role) WHERE role = 'companion' AND state IN ('pending', 'waiting');
-- Of one size: files that may turn out to have the content of one that is gone.
CREATE INDEX files_coming ON files(size, drop_id) WHERE state IN ('pending', 'waiting', 'uploading');
CREATE INDEX files_by_state ON files(state, drop_id);
-- Files that are gone, in the order of their ids; as the attempts below that came to nothing.
CREATE INDEX files_gone ON files(state) WHERE state = 'gone';
CREATE INDEX files_by_upload ON files(upload_id);
CREATE INDEX files_by_update ON files(updated_at);

-- What shows that half of a file is its beginning. Of files that come in one set only, until they are sent.
CREATE TABLE beginnings (
    file_id INTEGER PRIMARY KEY REFERENCES files(id) ON DELETE CASCADE,
    digest TEXT NOT NULL,                -- of all of it
    marks BLOB NOT NULL
) STRICT;

-- How many files there are: to count millions takes a moment. Kept by triggers.
CREATE TABLE tallies (
    drop_id INTEGER NOT NULL REFERENCES drops(id),
    state TEXT NOT NULL,
    role TEXT NOT NULL,
    files INTEGER NOT NULL,
    PRIMARY KEY (drop_id, state, role)
) WITHOUT ROWID, STRICT;

-- What a model names: a companion that is there, one that is there and was not seen yet (it has no companion_id, and a
-- name to travel under), or one that is missing.
CREATE TABLE links (
    id INTEGER PRIMARY KEY,
    main_id INTEGER NOT NULL REFERENCES files(id) ON DELETE CASCADE,
    companion_id INTEGER REFERENCES files(id) ON DELETE CASCADE,
    text BLOB NOT NULL,                  -- the reference as the model wrote it
    upload_name BLOB,                    -- the name it travels under
    missing_key BLOB,                    -- the case-folded file name of a missing one
    named_by BLOB,                       -- of a missing one: the path of the file that names it
    expected BLOB,                       -- and where to put it; empty when the text can be no file of the drop.
                                         -- Without a text: a name that would do as well, or the paths of better
                                         -- ones, with a NUL between them
    note TEXT                            -- and why the text cannot be taken literally, if so
) STRICT;
CREATE INDEX links_by_main ON links(main_id, companion_id);
CREATE INDEX links_by_companion ON links(companion_id, main_id);
CREATE INDEX links_by_missing ON links(missing_key) WHERE missing_key IS NOT NULL;

-- One row an attempt to put a set of files into a remote folder.
CREATE TABLE uploads (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again: a worker may hold one that was forgotten
    main_id INTEGER NOT NULL REFERENCES files(id) ON DELETE CASCADE,
    folder_id TEXT NOT NULL,
    set_digest TEXT NOT NULL,
    size INTEGER NOT NULL,
    state TEXT NOT NULL,
    superseded INTEGER NOT NULL DEFAULT 0,  -- an older version of its file, that stays as the policy says
    moved INTEGER NOT NULL DEFAULT 0,    -- its file was moved, and it counts wherever that lies now
    upload_task_id TEXT,
    source_file_id TEXT,
    progress REAL NOT NULL DEFAULT 0,    -- of the conversion, 0 to 1
    status TEXT,                         -- what the server called it last
    moved_at REAL,                       -- when it last gave a sign of progress
    error TEXT,
    started_at REAL NOT NULL,
    server_time REAL,                    -- the same by the server's clock; NULL: not known
    late_seconds REAL,                   -- in doubt: how long it may take to become visible; NULL: as long as any
    not_before REAL NOT NULL DEFAULT 0,  -- in doubt: if it did not arrive, it is not sent again before this time
    sent_at REAL,
    finished_at REAL
) STRICT;
-- One content, one folder, one upload: the promise is the index.
CREATE UNIQUE INDEX uploads_once ON uploads(folder_id, set_digest) WHERE state != 'void';
CREATE INDEX uploads_open ON uploads(state) WHERE {OPEN};
CREATE INDEX uploads_void ON uploads(state) WHERE state = 'void';
CREATE INDEX uploads_by_main ON uploads(main_id);
CREATE INDEX uploads_by_task ON uploads(upload_task_id);
CREATE INDEX uploads_by_source ON uploads(source_file_id);

CREATE TABLE members (
    upload_id INTEGER NOT NULL REFERENCES uploads(id) ON DELETE CASCADE,
    position INTEGER NOT NULL,           -- 0 is the main file
    name BLOB NOT NULL,
    digest TEXT NOT NULL,
    size INTEGER NOT NULL,
    beginnings BLOB,                     -- digests of its beginnings, until the attempt is settled
    PRIMARY KEY (upload_id, position)
) STRICT;
CREATE INDEX members_by_digest ON members(digest);

CREATE TABLE conversions (
    upload_id INTEGER NOT NULL REFERENCES uploads(id) ON DELETE CASCADE,
    source_file_id TEXT NOT NULL,
    source_file_name TEXT NOT NULL,
    asset_id TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    status TEXT NOT NULL,
    progress REAL NOT NULL,
    PRIMARY KEY (upload_id, source_file_id)
) STRICT;
CREATE INDEX conversions_by_source ON conversions(source_file_id);

CREATE TABLE assets (
    upload_id INTEGER NOT NULL REFERENCES uploads(id) ON DELETE CASCADE,
    asset_id TEXT NOT NULL,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (upload_id, asset_id)
) STRICT;

-- What is to be done on the server because files changed, went away or were moved.
CREATE TABLE owed (
    upload_id INTEGER PRIMARY KEY REFERENCES uploads(id) ON DELETE CASCADE,
    drop_id INTEGER NOT NULL REFERENCES drops(id),  -- of the upload's main file; kept by triggers
    work TEXT NOT NULL,                  -- see OwedWork
    since REAL NOT NULL,
    due_at REAL NOT NULL,
    confirmed INTEGER NOT NULL DEFAULT 0,  -- a person said that so many deletions at once are meant
    to_folder_id TEXT,                   -- where a moved one belongs
    source_file_ids TEXT,                -- what is to be removed, as JSON; NULL while not looked up
    state_before TEXT,                   -- of the upload, while it is being removed
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    -- Whether it is a deletion that a person may be asked about.
    unconfirmed INTEGER NOT NULL AS (work = 'deleted' AND confirmed = 0 AND state_before IS NULL)
) STRICT;
CREATE INDEX owed_due ON owed(drop_id, unconfirmed, due_at);
CREATE INDEX owed_unconfirmed ON owed(drop_id, since) WHERE unconfirmed = 1;
CREATE INDEX owed_begun ON owed(due_at) WHERE state_before IS NOT NULL;
CREATE INDEX owed_to_folder ON owed(to_folder_id) WHERE to_folder_id IS NOT NULL;

-- Assets that were not removed with their source file, because others need them.
CREATE TABLE kept (
    upload_id INTEGER NOT NULL REFERENCES uploads(id) ON DELETE CASCADE,
    asset_id TEXT NOT NULL,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    needed_by TEXT NOT NULL,
    PRIMARY KEY (upload_id, asset_id)
) STRICT;

-- Source files that may be half of an attempt, and cannot be shown to be: a person decides.
CREATE TABLE halves (
    source_file_id TEXT PRIMARY KEY,
    upload_id INTEGER NOT NULL REFERENCES uploads(id) ON DELETE CASCADE,
    name TEXT NOT NULL                   -- on the server
) STRICT;
CREATE INDEX halves_by_upload ON halves(upload_id);

CREATE TABLE remote_folders (path TEXT PRIMARY KEY, folder_id TEXT NOT NULL) STRICT;

-- What the last full scan of a drop passed over, and what it could not read.
CREATE TABLE passed_over (
    drop_id INTEGER NOT NULL REFERENCES drops(id) ON DELETE CASCADE,
    extension BLOB NOT NULL,
    files INTEGER NOT NULL,
    PRIMARY KEY (drop_id, extension)
) STRICT;
CREATE TABLE problems (
    drop_id INTEGER NOT NULL REFERENCES drops(id) ON DELETE CASCADE,
    path BLOB NOT NULL,
    error TEXT NOT NULL,
    PRIMARY KEY (drop_id, path)
) STRICT;
"""

# All models that share a companion are looked at only where this one's state was the one that told, and no other model
# is in that state still: those that come to it in the order of their ids find the next one at once.
_COMPANIONS_FOLLOW = f"""
CREATE TRIGGER companions_follow AFTER UPDATE OF state ON files WHEN NEW.role = 'main' BEGIN
    UPDATE files SET updated_at = NEW.updated_at, state = CASE
        WHEN {rank("NEW.state")} < {rank("state")} THEN NEW.state ELSE coalesce({STATE_OF_MODELS}, state) END
    WHERE role = 'companion' AND state NOT IN ('gone', NEW.state)
        AND id IN (SELECT companion_id FROM links WHERE main_id = NEW.id)
        AND ({rank("NEW.state")} < {rank("state")} OR {rank("OLD.state")} <= {rank("state")} AND NOT (
            state = OLD.state AND EXISTS (
                SELECT 1 FROM links l JOIN files m ON m.id = l.main_id
                WHERE l.companion_id = files.id AND m.role = 'main' AND m.state = OLD.state ORDER BY l.main_id DESC)));
END;
"""

_TALLY = """
INSERT INTO tallies VALUES ({0}.drop_id, {0}.state, {0}.role, {1})
    ON CONFLICT DO UPDATE SET files = files + excluded.files;
"""
_TALLIES = (
    f"CREATE TRIGGER tally_new AFTER INSERT ON files BEGIN {_TALLY.format('NEW', 1)} END",
    f"CREATE TRIGGER tally_old AFTER DELETE ON files BEGIN {_TALLY.format('OLD', -1)} END",
    "CREATE TRIGGER tally_changed AFTER UPDATE OF drop_id, state, role ON files"
    " WHEN (OLD.drop_id, OLD.state, OLD.role) != (NEW.drop_id, NEW.state, NEW.role)"
    f" BEGIN {_TALLY.format('OLD', -1)} {_TALLY.format('NEW', 1)} END",
)

_OWED_FOLLOW = (
    "CREATE TRIGGER owed_follow_file AFTER UPDATE OF drop_id ON files BEGIN UPDATE owed SET drop_id = NEW.drop_id"
    " WHERE upload_id IN (SELECT id FROM uploads WHERE main_id = NEW.id); END",
    "CREATE TRIGGER owed_follow_upload AFTER UPDATE OF main_id ON uploads BEGIN UPDATE owed SET drop_id ="
    " (SELECT drop_id FROM files WHERE id = NEW.main_id) WHERE upload_id = NEW.id; END",
)

# What shows that half a file is ours is long, and wanted only while a file may arrive in half.
_NO_HALVES = (
    "CREATE TRIGGER no_half_file AFTER UPDATE OF state ON files WHEN NEW.state = 'gone'"
    " OR (NEW.role = 'main' AND NEW.refers = 0 AND NEW.state IN ('converting', 'done', 'duplicate'))"
    " BEGIN DELETE FROM beginnings WHERE file_id = NEW.id; END",
    "CREATE TRIGGER no_half_upload AFTER UPDATE OF state ON uploads WHEN NEW.state NOT IN ('sending', 'unknown')"
    " BEGIN UPDATE members SET beginnings = NULL WHERE upload_id = NEW.id AND beginnings IS NOT NULL; END",
)


@migrations(name=FIRST_MIGRATION)
def first(db: Database) -> None:
    """The tables of the first release."""
    _run(db, _FIRST)
    for trigger in (_COMPANIONS_FOLLOW, *_TALLIES, *_OWED_FOLLOW, *_NO_HALVES):
        db.execute(trigger)


def _run(db: Database, script: str) -> None:
    """Run statements one by one, inside the migration's transaction (``executescript`` would commit it)."""
    for statement in script.split(";\n"):
        if statement.strip():
            db.execute(statement)
