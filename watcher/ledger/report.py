"""What people and scripts ask the ledger: where does this file stand?"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from watcher.formats import IMAGES, kind_of
from watcher.ledger.connection import Connection, blob_text
from watcher.ledger.intake import missing_key
from watcher.ledger.owed import OF_OWED, KeptAsset, OwedWork
from watcher.ledger.plan import LackingFile
from watcher.model import Asset, FileState, Role, Sending

MOST_PATHS = 100
"""Paths in one query: SQLite limits the depth of an expression."""


@dataclass(frozen=True, slots=True)
class Use:
    """A model takes a companion along."""

    path: str
    """Of the companion, or of the model that uses it: whichever the report is not about."""
    uploaded_as: str
    """The name under which the companion travels."""
    text: str
    """The reference as it was written; empty for what belongs to the model without being named."""


@dataclass(frozen=True, slots=True)
class FileReport:
    """Everything that is known of one dropped file."""

    path: str
    drop: str
    state: FileState
    role: Role = Role.MAIN
    users: tuple[Use, ...] = ()
    """The models that use this companion."""
    companions: tuple[Use, ...] = ()
    """What this model takes along."""
    size: int = 0
    digest: str | None = None
    folder_id: str | None = None
    upload_task_id: str | None = None
    source_file_id: str | None = None
    progress: float = 0.0
    """Of the conversion, 0 to 1."""
    sending: Sending | None = None
    """Of an upload that is under way; the process at work knows it, the ledger does not."""
    assets: tuple[Asset, ...] = ()
    lacking: tuple[LackingFile, ...] = ()
    """Companions that the model, or one of its companions, names and the folder lacks."""
    error: str | None = None
    attempts: int = 0
    updated_at: float = 0.0
    """Unix seconds."""
    uploads_again_at: float | None = None
    """When the next try is due, Unix seconds."""
    waits_until: float | None = None
    """Of a waiting file: until when it waits for a companion, or for a model that may name it, Unix seconds."""
    same_as: str | None = None
    """Of a duplicate: the path of the file that was sent with the same content."""
    moved_to: str | None = None
    """Of a file that is gone: where the very same file is now, when what it sent went with it."""
    settled: bool = True
    """Whether it stayed unchanged for long enough to be taken for complete."""

    @property
    def mains(self) -> tuple[str, ...]:
        """Paths of the models that use this companion."""
        return tuple(use.path for use in self.users)

    @property
    def missing(self) -> tuple[str, ...]:
        """The companions that are not there, as they are named."""
        return tuple(one.text for one in self.lacking)


@dataclass(frozen=True, slots=True)
class OwedReport:
    """Something that is still to be done on the server for a file."""

    path: str
    drop: str
    work: OwedWork
    folder_id: str
    """The remote folder in which it lies."""
    since: float
    """Unix seconds; as ``due_at``."""
    due_at: float
    error: str | None
    """Why it could not be done so far."""


@dataclass(frozen=True, slots=True)
class HalfReport:
    """A source file on the server that may be half of an upload that was cut off, and cannot be shown to be."""

    path: str
    """Of the upload's main file."""
    folder_id: str
    """The remote folder in which it lies."""
    source_file_id: str
    name: str
    """On the server."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Files by state, files that were passed over by extension, and what could not be read."""

    states: dict[FileState, int] = field(default_factory=dict)
    passed_over: dict[str, int] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    go_without: int = 0
    """Models at rest that went without files that they name."""


_FILES = (
    "SELECT f.*, d.path AS dir, p.path AS drop_path, u.folder_id, u.upload_task_id, u.source_file_id, u.progress,"
    " u.state AS upload_state"
    " FROM files f{index} JOIN dirs d ON d.id = f.dir_id JOIN drops p ON p.id = f.drop_id"
    " LEFT JOIN uploads u ON u.id = CASE f.role WHEN 'main' THEN f.upload_id ELSE ("
    "  SELECT m.upload_id FROM links l JOIN files m ON m.id = l.main_id WHERE l.companion_id = f.id AND m.role = 'main'"
    "  ORDER BY m.updated_at DESC LIMIT 1) END"
)


# Through the index of what is missing: most models lack nothing.
_GOES_WITHOUT = (
    "f.id IN (SELECT main_id FROM links WHERE missing_key IS NOT NULL AND companion_id IS NULL AND length(text))"
    " AND f.state != 'gone' AND f.role = 'main'"
)


class ReportLedger:
    """Questions only; nothing here changes the ledger."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def counts(self, drops: Sequence[str] | None = None) -> Counts:
        """How many files are in which state; of all drops, or of the given ones."""
        where, parameters = _of_drops(drops)
        with self._connection.snapshot() as sql:
            states = {FileState(state): 0 for state in FileState if state is not FileState.SKIPPED}
            for row in sql.execute(
                f"SELECT t.state, sum(t.files) AS files FROM tallies t JOIN drops p ON p.id = t.drop_id{where}"
                " GROUP BY t.state",
                parameters,
            ):
                states[FileState(row["state"])] = row["files"]
            passed_over = {
                blob_text(row["extension"]): row["files"]
                for row in sql.execute(
                    "SELECT o.extension, sum(o.files) AS files FROM passed_over o JOIN drops p ON p.id = o.drop_id"
                    + where
                    + " GROUP BY o.extension ORDER BY files DESC",
                    parameters,
                )
            }
            problems = {
                os.fsdecode(row["path"]): row["error"]
                for row in sql.execute(
                    "SELECT o.path, o.error FROM problems o JOIN drops p ON p.id = o.drop_id" + where,
                    parameters,
                )
            }
            go_without = sql.execute(
                f"SELECT count(*) AS models FROM files f WHERE {_GOES_WITHOUT} AND +f.state IN ('done', 'duplicate')"
                + _in_drops(drops),
                parameters,
            ).fetchone()["models"]
        return Counts(states, passed_over, problems, go_without)

    def files(
        self,
        paths: Sequence[str] = (),
        *,
        states: Sequence[FileState] | None = None,
        drops: Sequence[str] | None = None,
        updated_since: float | None = None,
        lacking: bool = False,
    ) -> Iterator[FileReport]:
        """Reports on the files at or below ``paths`` (all files without), in path order.

        Args:
            states: only files in these states.
            drops: only files of these drops.
            updated_since: only files whose row changed at or after this time, Unix seconds.
            lacking: with `states`, also models in other states that went without files that they name.
        """
        if len(paths) > MOST_PATHS:
            for start in range(0, len(paths), MOST_PATHS):
                some = paths[start : start + MOST_PATHS]
                yield from self.files(some, states=states, drops=drops, updated_since=updated_since, lacking=lacking)
            return
        where, parameters = _of_drops(drops)
        conditions = [where.removeprefix(" WHERE ")] if where else []
        if paths:
            spots = []
            for path in paths:
                blob, (directory, name) = os.fsencode(path), os.path.split(path)
                below = blob.rstrip(b"/") + b"/"
                spots.append("(d.path = ? AND f.name = ?) OR d.path = ? OR (d.path >= ? AND d.path < ?)")
                parameters += [os.fsencode(directory), os.fsencode(name), blob, below, below[:-1] + b"0"]
            conditions.append("(" + " OR ".join(spots) + ")")
        if states is not None:
            in_states = f"f.state IN ({', '.join('?' * len(states))})"
            conditions.append(f"({in_states} OR {_GOES_WITHOUT})" if lacking else in_states)
            parameters += [str(state) for state in states]
        index = ""
        if updated_since is not None:
            index = " INDEXED BY files_by_update"
            conditions.append("f.updated_at >= ?")
            parameters.append(updated_since)
        sql = (
            _FILES.format(index=index)
            + (" WHERE " + " AND ".join(conditions) if conditions else "")
            + " ORDER BY d.path, f.name"
        )
        for row in self._connection.rows(sql, parameters):
            yield self._report(row)

    def lacking(self, path: str) -> list[str]:
        """Paths of the models that go without, or wait for, a file that they expect at ``path``."""
        rows = self._connection.rows(
            "SELECT DISTINCT d.path AS dir, f.name FROM links l INDEXED BY links_by_missing"
            " JOIN files f ON f.id = l.main_id JOIN dirs d ON d.id = f.dir_id"
            " WHERE l.missing_key = ? AND l.expected = ? AND length(l.text) AND l.companion_id IS NULL"
            " AND f.state != 'gone'"
            " ORDER BY d.path, f.name",
            (missing_key(path), os.fsencode(path)),
        )
        return [os.path.join(os.fsdecode(row["dir"]), os.fsdecode(row["name"])) for row in rows]

    def at_work(self, drops: Sequence[str]) -> bool:
        """Whether any file of these drops is still on its way."""
        sql = (
            "SELECT 1 FROM files f INDEXED BY files_by_state WHERE f.role = 'main'"
            f" AND f.state IN ('pending', 'waiting', 'uploading', 'converting'){_in_drops(drops)} LIMIT 1"
        )
        return self._connection.row(sql, _of_drops(drops)[1]) is not None

    def unplanned(self, drops: Sequence[str]) -> bool:
        """Whether any file of these drops has no plan yet."""
        where, parameters = _of_drops(drops)
        sql = (
            "SELECT 1 FROM drops p CROSS JOIN files f INDEXED BY files_to_plan ON f.drop_id = p.id"
            + where
            + " AND f.role = 'main' AND f.due_at IS NULL AND f.state IN ('pending', 'waiting')"
            " AND (f.state = 'pending' OR f.wake_at IS NOT NULL) LIMIT 1"
        )
        return self._connection.row(sql, parameters) is not None

    def owed(self, drops: Sequence[str] | None = None) -> list[OwedReport]:
        """What is still to be done on the server because files changed, went away or were moved; the oldest first."""
        where, parameters = _of_drops(drops)
        rows = self._connection.rows(
            f"SELECT o.*, u.folder_id, p.path AS drop_path, d.path AS dir, f.name{OF_OWED}{where}"
            " ORDER BY o.since, o.upload_id",
            parameters,
        )
        return [
            OwedReport(
                path=os.path.join(os.fsdecode(row["dir"]), os.fsdecode(row["name"])),
                drop=os.fsdecode(row["drop_path"]),
                work=OwedWork(row["work"]),
                folder_id=row["folder_id"],
                since=row["since"],
                due_at=row["due_at"],
                error=row["error"],
            )
            for row in rows
        ]

    def kept(self, drops: Sequence[str] | None = None) -> list[tuple[str, KeptAsset]]:
        """Assets of removed source files that stayed because others need them, each with the path of its file."""
        where, parameters = _of_drops(drops)
        rows = self._connection.rows(
            "SELECT k.*, d.path AS dir, f.name AS file_name FROM kept k CROSS JOIN uploads u ON u.id = k.upload_id"
            " CROSS JOIN files f ON f.id = u.main_id CROSS JOIN dirs d ON d.id = f.dir_id"
            f" CROSS JOIN drops p ON p.id = d.drop_id{where}"
            " ORDER BY k.rowid",
            parameters,
        )
        return [
            (
                os.path.join(os.fsdecode(row["dir"]), os.fsdecode(row["file_name"])),
                KeptAsset(row["asset_id"], row["type"], row["name"], row["needed_by"]),
            )
            for row in rows
        ]

    def halves(self, drops: Sequence[str] | None = None) -> list[HalfReport]:
        """What may be half of an upload, and turned out to be no other one that is on record; the oldest first."""
        where, parameters = _of_drops(drops)
        rows = self._connection.rows(
            "SELECT h.*, u.folder_id, d.path AS dir, f.name AS file_name FROM halves h"
            " CROSS JOIN uploads u ON u.id = h.upload_id CROSS JOIN files f ON f.id = u.main_id"
            f" CROSS JOIN dirs d ON d.id = f.dir_id CROSS JOIN drops p ON p.id = d.drop_id{where}"
            " ORDER BY h.rowid",
            parameters,
        )
        return [
            HalfReport(
                path=os.path.join(os.fsdecode(row["dir"]), os.fsdecode(row["file_name"])),
                folder_id=row["folder_id"],
                source_file_id=row["source_file_id"],
                name=row["name"],
            )
            for row in rows
            if not self._is_on_record(row["source_file_id"])
        ]

    def _is_on_record(self, source_file_id: str) -> bool:
        sql = (
            "SELECT 1 FROM uploads WHERE source_file_id = ?1"
            " UNION ALL SELECT 1 FROM conversions WHERE source_file_id = ?1 LIMIT 1"
        )
        return self._connection.row(sql, (source_file_id,)) is not None

    def sent_anything(self) -> bool:
        """Whether any upload is on record."""
        return self._connection.row("SELECT 1 FROM uploads LIMIT 1") is not None

    def meta(self, key: str) -> str | None:
        """A remembered fact of the installation, such as ``last_scan_at``."""
        row = self._connection.row("SELECT value FROM meta WHERE key = ?", (key,))
        return None if row is None else row["value"]

    def _report(self, row: sqlite3.Row) -> FileReport:
        role, state = Role(row["role"]), FileState(row["state"])
        users: tuple[Use, ...] = ()
        companions: tuple[Use, ...] = ()
        lacking: tuple[LackingFile, ...] = ()
        assets: tuple[Asset, ...] = ()
        error = row["error"]
        if role is Role.COMPANION or kind_of(os.fsdecode(row["name"])) in IMAGES:
            rows = self._connection.rows(
                "SELECT d.path AS dir, f.name, f.error, f.state, l.text, l.upload_name"
                " FROM links l JOIN files f ON f.id = l.main_id"
                " JOIN dirs d ON d.id = f.dir_id WHERE l.companion_id = ? AND f.role = 'main' AND f.state != 'gone'"
                " ORDER BY d.path, f.name",
                (row["id"],),
            )
            users = tuple(map(_use, rows))
            if role is Role.COMPANION:
                error = next((user["error"] for user in rows if user["state"] == state and user["error"]), None)
        if role is Role.MAIN:
            links = self._connection.rows(
                "SELECT l.*, d.path AS dir, f.name FROM links l LEFT JOIN files f ON f.id = l.companion_id"
                " LEFT JOIN dirs d ON d.id = f.dir_id WHERE l.main_id = ? ORDER BY l.id",
                (row["id"],),
            )
            companions = tuple(_use(link) for link in links if link["missing_key"] is None)
            lacking = tuple(_lacking(link) for link in links if link["missing_key"] is not None and link["text"])
            if row["upload_state"] == "success" and state in {FileState.DONE, FileState.DUPLICATE}:
                assets = tuple(
                    Asset(asset["asset_id"], asset["type"], asset["name"])
                    for asset in self._connection.rows(
                        "SELECT * FROM assets WHERE upload_id = ? ORDER BY rowid", (row["upload_id"],)
                    )
                )
        return FileReport(
            path=os.path.join(os.fsdecode(row["dir"]), os.fsdecode(row["name"])),
            drop=os.fsdecode(row["drop_path"]),
            state=state,
            role=role,
            users=users,
            companions=companions,
            size=row["size"],
            digest=row["digest"],
            folder_id=row["folder_id"],
            upload_task_id=row["upload_task_id"],
            source_file_id=row["source_file_id"],
            progress=row["progress"] or 0.0,
            assets=assets,
            lacking=lacking,
            error=error,
            attempts=row["attempts"],
            updated_at=row["updated_at"],
            uploads_again_at=row["due_at"] if state is FileState.PENDING else None,
            waits_until=row["wake_at"] if state is FileState.WAITING else None,
            same_as=self._sender(row["upload_id"]) if role is Role.MAIN and state is FileState.DUPLICATE else None,
            settled=row["settled_at"] is not None,
            moved_to=self._moved_to(row["id"]) if state is FileState.GONE else None,
        )

    def _moved_to(self, file_id: int) -> str | None:
        row = self._connection.row(
            "SELECT d.path AS dir, f.name FROM files g JOIN uploads u ON u.id = g.upload_id"
            " JOIN files f ON f.id = u.main_id JOIN dirs d ON d.id = f.dir_id"
            " WHERE g.id = ? AND f.id != g.id AND f.dev = g.dev AND f.ino = g.ino AND f.state != 'gone'",
            (file_id,),
        )
        return None if row is None else os.path.join(os.fsdecode(row["dir"]), os.fsdecode(row["name"]))

    def _sender(self, upload_id: int | None) -> str | None:
        row = self._connection.row(
            "SELECT d.path AS dir, f.name FROM uploads u JOIN files f ON f.id = u.main_id"
            " JOIN dirs d ON d.id = f.dir_id WHERE u.id = ?",
            (upload_id,),
        )
        return None if row is None else os.path.join(os.fsdecode(row["dir"]), os.fsdecode(row["name"]))


def _use(row: sqlite3.Row) -> Use:
    path = os.path.join(os.fsdecode(row["dir"]), os.fsdecode(row["name"]))
    return Use(path, blob_text(row["upload_name"]), blob_text(row["text"]))


def _lacking(row: sqlite3.Row) -> LackingFile:
    expected = os.fsdecode(row["expected"] or b"")
    if row["companion_id"] is not None:  # it was there
        expected = os.path.join(os.fsdecode(row["dir"]), os.fsdecode(row["name"]))
    return LackingFile(blob_text(row["text"]), os.fsdecode(row["named_by"] or b""), expected, row["note"] or "")


def _in_drops(drops: Sequence[str] | None) -> str:
    """A further condition on ``files f``, with the parameters of :func:`_of_drops`."""
    if drops is None:
        return ""
    where, _ = _of_drops(drops)
    return f" AND f.drop_id IN (SELECT p.id FROM drops p{where})"


def _of_drops(drops: Sequence[str] | None) -> tuple[str, list[bytes | str | float]]:
    if drops is None:
        return "", []
    return f" WHERE p.path IN ({', '.join('?' * len(drops))})", [os.fsencode(drop) for drop in drops]
