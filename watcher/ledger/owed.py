"""What is owed on the server because files changed, went away or were moved: removals, renames and moves."""

import json
import os
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from watcher.ledger.connection import Connection, blob_text
from watcher.ledger.intake import release_companions
from watcher.ledger.versions import AWAITS, STANDS
from watcher.model import Drop, SentFile

MANY_FILES = 20
"""So many deletions at once count as many; when they are more than half of a drop's files too, a person is asked."""
LONGEST_GOING_SECONDS = 600.0
"""After so long what went away first is removed also when more goes away all the time."""
FARTHEST_SECONDS = 7 * 86400.0
"""Nothing is due later: then the clock was set back."""


class OwedWork(StrEnum):
    """What is to be done with an upload on the server, and why."""

    REPLACED = "replaced"
    """Remove it: its file has a newer version there."""
    DELETED = "deleted"
    """Remove it: its file was deleted."""
    RELOCATE = "relocate"
    """Rename it, and move it to where its file lies now."""


class Judgement(StrEnum):
    """Whether it is still to be done."""

    GO = "go"
    LATER = "later"
    """Its conversion is under way, or a file that may have the same content is, or an upload that may have brought the
    same companions is in doubt."""
    OFF = "off"
    """A file needs it again, or the drop's policy changed."""


@dataclass(frozen=True, slots=True)
class Owed:
    """Work that is owed for one upload."""

    upload_id: int
    work: OwedWork
    drop: str
    path: str
    """Of the upload's main file."""
    folder_id: str
    """The remote folder that the upload went to."""
    begun: bool
    """Whether its removal was begun: then nothing calls it off."""
    source_file_ids: tuple[str, ...] | None
    """What was found to belong to it; None when that was not looked up yet."""
    attempts: int


@dataclass(frozen=True, slots=True)
class KeptAsset:
    """An asset that was not removed with its source file."""

    asset_id: str
    type: str
    name: str
    needed_by: str
    """What needs it, for people."""


@dataclass(frozen=True, slots=True)
class FileSent:
    """A file of an upload of which no source file is on record: a companion, or the main one of a lost task."""

    file: SentFile
    others: tuple[str, ...]
    """The names under which other uploads brought the same companion into the same remote folder, once for each time.
    Without those of which it was found already what is to be removed or moved."""


class OwedLedger:
    """Transitions and questions of the caretaker."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def policies(self, drops: Iterable[Drop], now: float) -> None:
        """These drops are at work now, with these policies."""
        with self._connection.transaction() as sql:
            sql.executemany(
                "INSERT INTO drops (path, on_change, on_delete, delete_wait) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (path) DO UPDATE SET on_change = excluded.on_change, on_delete = excluded.on_delete,"
                "  delete_wait = excluded.delete_wait",
                [(os.fsencode(d.path), d.on_change, d.on_delete, d.delete_wait_seconds) for d in drops],
            )
            # The clock was set back: what is owed "since" a time to come is owed since now.
            sql.execute("UPDATE owed SET due_at = due_at - (since - ?1), since = ?1 WHERE since > ?1", (now,))
            sql.execute("UPDATE owed SET due_at = ? WHERE due_at > ?", (now, now + FARTHEST_SECONDS))

    def due(self, drops: Collection[str], now: float, limit: int, held: Collection[str]) -> list[Owed]:
        """What is to be done now for files of these drops, and removals that were begun for any; the oldest first.

        Without the deletions of drops in which many files are going away just now: then it cannot be told yet how many
        there will be.

        Args:
            held: drops whose deletions are held back too, as :meth:`held` tells.
        """
        held = {*held, *self._going_away(drops, now)}
        # Each kind of each drop by itself: any number that is held back costs nothing.
        heads = [("state_before IS NOT NULL", ())] + [
            (f"drop_id = ({_DROP}) AND unconfirmed = {unconfirmed} AND state_before IS NULL", (os.fsencode(drop),))
            for drop in drops
            for unconfirmed in ((0,) if drop in held else (0, 1))
        ]
        rows = [
            row
            for condition, parameters in heads
            for row in self._connection.rows(
                f"SELECT o.*, u.folder_id, p.path AS drop_path, d.path AS dir, f.name{OF_OWED} WHERE o.upload_id IN"
                f" (SELECT upload_id FROM owed WHERE {condition} AND due_at <= ? ORDER BY due_at LIMIT ?)",
                (*parameters, now, limit),
            )
        ]
        rows.sort(key=lambda row: row["due_at"])
        return [_owed(row) for row in rows[:limit]]

    def next_due(self, drops: Collection[str], now: float) -> float | None:
        """When the next work of these drops will be due that is not due yet; None without any."""
        row = self._connection.row(
            "SELECT min(at) AS at FROM (SELECT (SELECT min(due_at) FROM owed INDEXED BY owed_due"
            "   WHERE drop_id = p.id AND unconfirmed = k.unconfirmed AND due_at > ?) AS at"
            "  FROM drops p CROSS JOIN (SELECT 0 AS unconfirmed UNION SELECT 1) k"
            f" WHERE p.path IN ({_marks(drops)}))",
            (now, *map(os.fsencode, drops)),
        )
        return None if row is None else row["at"]

    def held(self, drops: Collection[str]) -> dict[str, int]:
        """The drops of which so many files went away at once that a person is asked, and how many."""
        rows = self._connection.rows(
            # More than half: fewer than these are left.
            f"SELECT p.path, o.deleted FROM (SELECT drop_id, count(*) AS deleted FROM owed INDEXED BY owed_unconfirmed"
            "   WHERE unconfirmed = 1 GROUP BY drop_id) o CROSS JOIN drops p ON p.id = o.drop_id"
            f" WHERE o.deleted > ? AND p.path IN ({_marks(drops)}) AND o.deleted > ("
            "  SELECT coalesce(sum(files), 0) FROM tallies WHERE drop_id = p.id AND state != 'gone' AND role = 'main')",
            (MANY_FILES, *map(os.fsencode, drops)),
        )
        return {os.fsdecode(row["path"]): row["deleted"] for row in rows}

    def _going_away(self, drops: Collection[str], now: float) -> set[str]:
        """The drops of which many files went away, the last of them not long ago."""
        unconfirmed = "FROM owed INDEXED BY owed_unconfirmed WHERE unconfirmed = 1 AND drop_id = p.id"
        rows = self._connection.rows(
            f"SELECT p.path FROM drops p WHERE p.path IN ({_marks(drops)})"
            f" AND (SELECT max(since) {unconfirmed}) > ? - p.delete_wait AND (SELECT min(since) {unconfirmed}) > ?"
            f" AND (SELECT count(*) FROM (SELECT 1 {unconfirmed} LIMIT ?)) > ?",
            (*map(os.fsencode, drops), now, now - LONGEST_GOING_SECONDS, MANY_FILES + 1, MANY_FILES),
        )
        return {os.fsdecode(row["path"]) for row in rows}

    def confirm(self, paths: Sequence[str], now: float) -> int:
        """A person says that these deletions are meant, and that work on these files that failed is to be tried again.

        Returns:
            For how many files something is owed.
        """
        confirmed = 0
        with self._connection.transaction() as sql:
            for path in paths:
                directory, name = os.path.split(path)
                confirmed += sql.execute(
                    "UPDATE owed SET confirmed = 1, attempts = 0, error = NULL, due_at = min(due_at, ?)"
                    " WHERE upload_id IN (SELECT u.id FROM uploads u JOIN files f ON f.id = u.main_id"
                    "  JOIN dirs d ON d.id = f.dir_id WHERE d.path = ? AND f.name = ?)",
                    (now, os.fsencode(directory), os.fsencode(name)),
                ).rowcount
        return confirmed

    def at_work(self, drops: Collection[str], now: float) -> bool:
        """Whether anything is still to be done for these drops, of what is not held back and has no failed try to wait
        after."""
        held = self.held(drops)
        return any(
            self._connection.row(
                f"SELECT 1 FROM owed WHERE drop_id = ({_DROP}) AND unconfirmed IN (0, ?)"
                " AND (error IS NULL OR due_at <= ?) LIMIT 1",
                (os.fsencode(drop), int(drop not in held), now),
            )
            for drop in drops
        )

    # -- removal -----------------------------------------------------------------------------------------------------

    def sent_files(self, upload_id: int) -> tuple[tuple[str, ...], tuple[FileSent, ...]]:
        """The ids of the source files that were converted for this upload, and what travelled with them."""
        ids = [
            row["source_file_id"]
            for row in self._connection.rows(
                "SELECT source_file_id FROM uploads WHERE id = ?1 AND source_file_id IS NOT NULL"
                " UNION SELECT source_file_id FROM conversions WHERE upload_id = ?1 AND source_file_id != ''",
                (upload_id,),
            )
        ]
        rows = self._connection.rows(
            "SELECT * FROM members WHERE upload_id = ? AND position > 0 ORDER BY position", (upload_id,)
        )
        return tuple(ids), tuple(self._sent(row) for row in rows)

    def sent_main(self, upload_id: int) -> tuple[str | None, FileSent]:
        """The main file of this upload, and the id of the source file that it became, if that is known."""
        row = self._connection.row(
            "SELECT u.source_file_id, m.* FROM uploads u JOIN members m ON m.upload_id = u.id AND m.position = 0"
            " WHERE u.id = ?",
            (upload_id,),
        )
        assert row is not None
        return row["source_file_id"], self._sent(row)

    def _sent(self, row: sqlite3.Row) -> FileSent:
        file = SentFile(blob_text(row["name"]), row["digest"], row["size"])
        return FileSent(file, self._also_sent(row["upload_id"], row["digest"]))

    def _also_sent(self, upload_id: int, digest: str) -> tuple[str, ...]:
        rows = self._connection.rows(
            "SELECT c.name FROM members c JOIN uploads o ON o.id = c.upload_id"
            " WHERE c.digest = ?2 AND c.position > 0 AND o.id != ?1 AND o.state NOT IN ('void', 'removing')"
            " AND o.folder_id = (SELECT folder_id FROM uploads WHERE id = ?1)"
            " AND NOT EXISTS (SELECT 1 FROM owed w WHERE w.upload_id = o.id AND w.source_file_ids IS NOT NULL)",
            (upload_id, digest),
        )
        return tuple(blob_text(row["name"]) for row in rows)

    def owned(self, source_file_id: str) -> bool:
        """Whether a source file was converted for an upload on record, or was found to belong to one that is owed."""
        row = self._connection.row(
            "SELECT 1 FROM conversions WHERE source_file_id = ?1 UNION SELECT 1 FROM uploads WHERE source_file_id = ?1"
            " UNION SELECT 1 FROM owed o, json_each(o.source_file_ids) j WHERE j.value = ?1",
            (source_file_id,),
        )
        return row is not None

    def found(self, upload_id: int, source_file_ids: Sequence[str]) -> None:
        """These source files belong to an upload: looked up once, so that an interrupted removal takes no others."""
        with self._connection.transaction() as sql:
            sql.execute(
                "UPDATE owed SET source_file_ids = ? WHERE upload_id = ?", (json.dumps(source_file_ids), upload_id)
            )

    def judge(self, upload_id: int, work: OwedWork, drops: Collection[str]) -> Judgement:
        """Whether this work for an upload is to be done now."""
        with self._connection.snapshot() as sql:
            return _judge(sql, upload_id, work, drops)

    def begin(self, upload_id: int, work: OwedWork, drops: Collection[str]) -> bool:
        """The removal of an upload begins, unless something speaks against it now. From here on nothing calls it off:
        a file with this content waits for its end and is sent again."""
        with self._connection.transaction() as sql:
            if _judge(sql, upload_id, work, drops) is not Judgement.GO:
                return False
            sql.execute(
                "UPDATE owed SET state_before = (SELECT state FROM uploads WHERE id = ?1) WHERE upload_id = ?1",
                (upload_id,),
            )
            sql.execute("UPDATE uploads SET state = 'removing' WHERE id = ?", (upload_id,))
        # Also a power cut must not make the ledger believe again in what may be gone.
        self._connection.sync()
        return True

    def removed(self, upload_id: int, kept: Sequence[KeptAsset], now: float) -> None:
        """The server has the upload no more, but for assets that others need. Who waits for it may send its content."""
        with self._connection.transaction() as sql:
            known = sql.execute("UPDATE uploads SET state = 'void', finished_at = ? WHERE id = ?", (now, upload_id))
            if not known.rowcount:  # forgotten meanwhile
                return
            sql.execute("DELETE FROM owed WHERE upload_id = ?", (upload_id,))
            sql.execute("DELETE FROM assets WHERE upload_id = ?", (upload_id,))
            sql.executemany(
                "INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?, ?)",
                [(upload_id, asset.asset_id, asset.type, asset.name, asset.needed_by) for asset in kept],
            )
            _go_on(sql, upload_id, now)
            sql.execute("UPDATE files SET upload_id = NULL WHERE upload_id = ?", (upload_id,))
            main = sql.execute(
                "SELECT f.id FROM uploads u JOIN files f ON f.id = u.main_id WHERE u.id = ? AND f.state = 'gone'",
                (upload_id,),
            ).fetchone()
            if main is not None:
                release_companions(sql, main["id"], now)

    # -- renames and moves -------------------------------------------------------------------------------------------

    def aim(self, upload_id: int, folder_id: str) -> bool:
        """A moved upload is to go to this remote folder; False when the same content counts there already."""
        with self._connection.transaction() as sql:
            if _counts_elsewhere(sql, upload_id, folder_id):
                return False
            sql.execute("UPDATE owed SET to_folder_id = ? WHERE upload_id = ?", (folder_id, upload_id))
            return True

    def relocated(self, upload_id: int, folder_id: str) -> None:
        """An upload lies in this remote folder now."""
        with self._connection.transaction() as sql:
            sql.execute("UPDATE uploads SET folder_id = ?, moved = 0 WHERE id = ?", (folder_id, upload_id))
            sql.execute("DELETE FROM owed WHERE upload_id = ?", (upload_id,))

    # -- not now -----------------------------------------------------------------------------------------------------

    def put_off(
        self, upload_id: int, due_at: float, error: str | None = None, *, counts: bool = False, untouched: bool = False
    ) -> None:
        """It is to be tried again at ``due_at``.

        Args:
            counts: whether this was a failed try.
            untouched: whether a removal that had begun surely removed nothing: it can be called off again.
        """
        with self._connection.transaction() as sql:
            if untouched:
                sql.execute(
                    "UPDATE uploads SET state = (SELECT state_before FROM owed WHERE upload_id = ?1)"
                    " WHERE id = ?1 AND state = 'removing'",
                    (upload_id,),
                )
                sql.execute("UPDATE owed SET state_before = NULL WHERE upload_id = ?", (upload_id,))
                _go_on(sql, upload_id, due_at)
            sql.execute(
                "UPDATE owed SET due_at = ?, error = ?, attempts = attempts + ? WHERE upload_id = ?",
                (due_at, error, int(counts), upload_id),
            )

    def call_off(self, upload_id: int) -> None:
        """It is not to be done any more; a removal must not have begun."""
        with self._connection.transaction() as sql:
            sql.execute("DELETE FROM owed WHERE upload_id = ? AND state_before IS NULL", (upload_id,))


OF_OWED = (
    " FROM owed o CROSS JOIN uploads u ON u.id = o.upload_id CROSS JOIN files f ON f.id = u.main_id"
    " CROSS JOIN dirs d ON d.id = f.dir_id CROSS JOIN drops p ON p.id = o.drop_id"
)
"""What is owed, with the upload, its main file, that one's folder and drop. In this order: little is owed by many files
(SQLite would begin with the drops)."""
_DROP = "SELECT id FROM drops WHERE path = ?"


def _go_on(sql: sqlite3.Connection, upload_id: int, now: float) -> None:
    """Files that waited for the end of a removal see what has become of their content."""
    sql.execute(f"UPDATE files SET state = 'pending', due_at = ?2, updated_at = ?2 WHERE {AWAITS}", (upload_id, now))


def _owed(row: sqlite3.Row) -> Owed:
    return Owed(
        upload_id=row["upload_id"],
        work=OwedWork(row["work"]),
        drop=os.fsdecode(row["drop_path"]),
        path=os.path.join(os.fsdecode(row["dir"]), os.fsdecode(row["name"])),
        folder_id=row["folder_id"],
        begun=row["state_before"] is not None,
        source_file_ids=None if row["source_file_ids"] is None else tuple(json.loads(row["source_file_ids"])),
        attempts=row["attempts"],
    )


def _judge(sql: sqlite3.Connection, upload_id: int, work: OwedWork, drops: Collection[str]) -> Judgement:
    row = sql.execute(
        "SELECT o.work, u.state, b.size, b.digest, f.state AS file_state, f.role, p.on_change, p.on_delete"
        " FROM owed o JOIN uploads u ON u.id = o.upload_id JOIN members b ON b.upload_id = u.id AND b.position = 0"
        " JOIN files f ON f.id = u.main_id JOIN drops p ON p.id = f.drop_id WHERE o.upload_id = ?",
        (upload_id,),
    ).fetchone()
    if row is None or row["state"] == "void":
        return Judgement.OFF
    if row["work"] != work:  # other work since: a file that seemed deleted was moved
        return Judgement.LATER
    ended = row["state"] in ("success", "error", "replace")
    if row["work"] == OwedWork.RELOCATE:
        if row["file_state"] == "gone" or row["role"] != "main":
            return Judgement.OFF
        return Judgement.GO if ended and not _in_doubt(sql, upload_id) else Judgement.LATER
    stands = sql.execute(f"SELECT 1 FROM files WHERE {STANDS} LIMIT 1", (upload_id,)).fetchone()
    meant = (
        row["on_change"] == "replace"
        if row["work"] == OwedWork.REPLACED
        else row["on_delete"] == "delete" and row["file_state"] == "gone"
    )
    if stands or not meant:
        return Judgement.OFF
    coming = sql.execute(
        "SELECT 1 FROM files f INDEXED BY files_coming"
        " JOIN drops p ON p.id = f.drop_id"
        " WHERE f.state IN ('pending', 'waiting', 'uploading') AND f.size = ? AND (f.digest IS NULL OR f.digest = ?)"
        f" AND p.path IN ({_marks(drops)}) LIMIT 1",
        (row["size"], row["digest"], *map(os.fsencode, drops)),
    ).fetchone()
    return Judgement.GO if ended and not coming and not _in_doubt(sql, upload_id) else Judgement.LATER


def _in_doubt(sql: sqlite3.Connection, upload_id: int) -> bool:
    """Whether an upload may have brought the same companions: of equal ones it must be known how many are to stay."""
    row = sql.execute(
        "SELECT 1 FROM uploads mine JOIN members a ON a.upload_id = mine.id AND a.position > 0"
        " JOIN members b ON b.digest = a.digest AND b.position > 0"
        " JOIN uploads other ON other.id = b.upload_id AND other.id != mine.id AND other.folder_id = mine.folder_id"
        " WHERE mine.id = ? AND other.state IN ('sending', 'unknown') LIMIT 1",
        (upload_id,),
    ).fetchone()
    return row is not None


def _counts_elsewhere(sql: sqlite3.Connection, upload_id: int, folder_id: str) -> bool:
    """Whether another upload with the same content counts in a remote folder."""
    row = sql.execute(
        "SELECT 1 FROM uploads u LEFT JOIN owed o ON o.upload_id = u.id"
        " WHERE u.set_digest = (SELECT set_digest FROM uploads WHERE id = ?1) AND u.id != ?1 AND u.state != 'void'"
        " AND (u.folder_id = ?2 OR o.to_folder_id = ?2) LIMIT 1",
        (upload_id, folder_id),
    ).fetchone()
    return row is not None


def _marks(values: Collection[str]) -> str:
    return ", ".join("?" * len(values))
