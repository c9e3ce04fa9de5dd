"""What the intake tells the ledger: files seen, settled, vanished, passed over."""

import json
import os
import re
import sqlite3
import unicodedata
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from watcher.ledger.connection import Connection, blob_text, text_blob
from watcher.ledger.versions import left_by
from watcher.model import FileState, Role, Signature

BACK_TO_PLAN = (
    "state = 'pending', due_at = NULL, wake_at = NULL, attempts = 0, error = NULL, generation = generation + 1,"
    " updated_at = ?"
)
"""What an UPDATE of files sets to have settled ones planned anew; its parameter is the time."""


SeenIn = tuple[int, int]
"""``st_dev`` of the folder in which a file was seen, and ``st_ino`` of the drop's folder then."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A file as it was seen."""

    path: str
    signature: Signature
    refers: bool = False
    """Whether its format can name other files."""
    scene: bool = False
    """Whether these are often models."""
    companion: bool = False
    """Whether it was looked at because a model names it."""
    seen_in: SeenIn | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger holds of one file."""

    signature: Signature
    state: FileState
    settled: bool
    seen_in: SeenIn | None = None
    unreadable: str | None = None
    """It failed because this path, of itself or of a companion, could not be read."""


class IntakeLedger:
    """Transitions and questions of the intake stage."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def known(self, directory: str, after: bytes, limit: int) -> dict[str, Known]:
        """The next files of one folder that the ledger knows and that are not gone, by name, in the order of the names.

        Args:
            after: the name behind which to begin; empty for the first.
            limit: how many; there may be very many.
        """
        rows = self._connection.rows(
            f"SELECT f.name, {_KNOWN} WHERE d.path = ? AND f.name > ? AND f.state != 'gone' ORDER BY f.name LIMIT ?",
            (os.fsencode(directory), after, limit),
        )
        return {os.fsdecode(row["name"]): _known(row) for row in rows}

    def known_file(self, path: str) -> Known | None:
        """What the ledger holds of this file, or None when it knows none or it is gone."""
        directory, name = os.path.split(path)
        row = self._connection.row(
            f"SELECT {_KNOWN} WHERE d.path = ? AND f.name = ? AND f.state != 'gone'",
            (os.fsencode(directory), os.fsencode(name)),
        )
        return None if row is None else _known(row)

    def directories(self, root: str) -> list[str]:
        """The folders at and below ``root`` in which the ledger knows files that are not gone."""
        at = os.fsencode(root)
        below = at.rstrip(b"/") + b"/"
        rows = self._connection.rows(
            "SELECT path FROM dirs d WHERE (path = ? OR (path >= ? AND path < ?))"
            " AND EXISTS (SELECT 1 FROM files f WHERE f.dir_id = d.id AND f.state != 'gone')",
            (at, below, below[:-1] + b"0"),
        )
        return [os.fsdecode(row["path"]) for row in rows]

    def drops(self) -> set[str]:
        """The drops that were ever at work."""
        return {os.fsdecode(row["path"]) for row in self._connection.rows("SELECT path FROM drops")}

    def moved_in(self, drop: str, places: Mapping[SeenIn, SeenIn]) -> None:
        """What was seen in one place is in another now, where some of it was recognised."""
        with self._connection.transaction() as sql:
            for before, now in places.items():
                sql.execute(
                    "UPDATE files SET folder_dev = ?, root_ino = ? WHERE folder_dev = ? AND root_ino = ?"
                    " AND dir_id IN (SELECT id FROM dirs WHERE drop_id = ?)",
                    (*map(_signed, now), *map(_signed, before), _drop_id(sql, drop)),
                )

    def wanted(self, drop: str, name: str) -> bool:
        """Whether a model of this drop names a file called so that is missing so far."""
        keys = _missing_keys(name)
        row = self._connection.row(
            "SELECT 1 FROM links l JOIN files f ON f.id = l.main_id JOIN drops p ON p.id = f.drop_id"
            f" WHERE l.missing_key IN ({', '.join('?' * len(keys))})"
            " AND p.path = ? AND f.state != 'gone' LIMIT 1",
            (*keys, os.fsencode(drop)),
        )
        return row is not None

    def wants_anything(self) -> bool:
        """Whether any model names a file that is missing so far."""
        return self._connection.row("SELECT 1 FROM links WHERE missing_key IS NOT NULL LIMIT 1") is not None

    def configured(self, drops: Iterable[str]) -> None:
        """These drops are at work now: what the ledger knows at and below them is theirs, also when it was seen as part
        of another drop before (inside or around this one)."""
        with self._connection.transaction() as sql:
            for drop in drops:
                at, drop_id = os.fsencode(drop), _drop_id(sql, drop)
                below = at.rstrip(b"/") + b"/"
                # Their files follow them, see the schema.
                sql.execute(
                    "UPDATE dirs SET drop_id = ? WHERE drop_id != ? AND (path = ? OR (path >= ? AND path < ?))",
                    (drop_id, drop_id, at, below, below[:-1] + b"0"),
                )

    def observed(self, drop: str, files: Iterable[Observation], now: float) -> None:
        """New files and changed ones: each waits to settle, and what was known of an older version is void."""
        with self._connection.transaction() as sql:
            for file in files:
                self._observe(sql, drop, file, now)

    def _observe(self, sql: sqlite3.Connection, drop: str, file: Observation, now: float) -> None:
        directory, name = os.path.split(file.path)
        dir_id = self._dir_id(sql, drop, directory)
        sql.execute(
            "INSERT INTO files"
            " (dir_id, drop_id, name, state, role, dev, ino, size, mtime_ns, ctime_ns, folder_dev, root_ino, refers,"
            " scene, observed_at, updated_at)"
            " VALUES (?1, (SELECT drop_id FROM dirs WHERE id = ?1), ?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (dir_id, name) DO UPDATE SET"
            "  observed_at = CASE WHEN settled_at IS NULL AND state != 'gone' THEN observed_at"
            "                     ELSE excluded.observed_at END,"
            "  role = CASE WHEN state = 'gone' OR NOT EXISTS (SELECT 1 FROM links l JOIN files m ON m.id = l.main_id"
            "   WHERE l.companion_id = files.id AND m.state != 'gone') THEN excluded.role ELSE role END,"
            "  state = 'pending', generation = generation + 1, settled_at = NULL, refs = NULL, wake_at = NULL,"
            "  due_at = NULL, attempts = 0, digest = NULL, error = NULL, dev = excluded.dev, ino = excluded.ino,"
            "  size = excluded.size, mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns,"
            "  folder_dev = excluded.folder_dev, root_ino = excluded.root_ino, updated_at = excluded.updated_at",
            (
                dir_id,
                os.fsencode(name),
                Role.COMPANION if file.companion else Role.MAIN,
                *_columns(file.signature),
                *((None, None) if file.seen_in is None else map(_signed, file.seen_in)),
                int(file.refers),
                int(file.scene),
                now,
                now,
            ),
        )

    def settled(
        self,
        drop: str,
        files: Iterable[tuple[str, Signature]],
        now: float,
        *,
        name_nothing: Container[str] = (),
    ) -> None:
        """Files that stayed unchanged long enough. Models that use or miss one of them are planned anew, or wait on for
        what else they lack.

        Args:
            name_nothing: paths of those that can name no other files.
        """
        with self._connection.transaction() as sql:
            settled: dict[int, str] = {}
            for path, signature in files:
                directory, name = os.path.split(path)
                row = sql.execute(
                    "UPDATE files SET settled_at = ?, wake_at = NULL, updated_at = ?"
                    " WHERE dir_id = ? AND name = ? AND dev = ? AND ino = ? AND size = ? AND mtime_ns = ?"
                    " AND ctime_ns = ? AND settled_at IS NULL RETURNING id",
                    (now, now, self._dir_id(sql, drop, directory), os.fsencode(name), *_columns(signature)),
                ).fetchone()
                if row is not None:
                    settled[row["id"]] = path
            _replan_users(sql, drop, settled, name_nothing, now)

    def vanished(self, drop: str, paths: Iterable[str], now: float) -> None:
        """Files that are no longer there. Models on their way that use them are planned anew; uploads stay."""
        with self._connection.transaction() as sql:
            for path in paths:
                directory, name = os.path.split(path)
                row = sql.execute(
                    "UPDATE files SET state = 'gone', generation = generation + 1, settled_at = NULL, due_at = NULL,"
                    " wake_at = NULL, error = NULL, updated_at = ? WHERE dir_id = ? AND name = ? AND state != 'gone'"
                    " RETURNING id, role",
                    (now, self._dir_id(sql, drop, directory), os.fsencode(name)),
                ).fetchone()
                if row is None:
                    continue
                if row["role"] == Role.COMPANION:
                    # Should it come back, under whatever spelling, its models are planned anew.
                    sql.execute(
                        "UPDATE links SET missing_key = ? WHERE companion_id = ?", (missing_key(name), row["id"])
                    )
                    _replan_users_at_work(sql, row["id"], now)
                if row["role"] == Role.MAIN or not _used(sql, row["id"]):
                    left_by(sql, row["id"], now)
                release_companions(sql, row["id"], now)
                used = sql.execute("SELECT companion_id FROM links WHERE main_id = ?", (row["id"],)).fetchall()
                left_by_gone(sql, [link["companion_id"] for link in used], now)

    def scanned(
        self,
        drop: str,
        passed_over: Mapping[str, int],
        problems: Mapping[str, str],
        now: float,
    ) -> None:
        """The outcome of a full scan: files passed over by extension, and what could not be read and why."""
        with self._connection.transaction() as sql:
            drop_id = _drop_id(sql, drop)
            sql.execute("DELETE FROM passed_over WHERE drop_id = ?", (drop_id,))
            sql.execute("DELETE FROM problems WHERE drop_id = ?", (drop_id,))
            sql.executemany(
                "INSERT INTO passed_over VALUES (?, ?, ?)",
                [(drop_id, text_blob(extension), count) for extension, count in passed_over.items()],
            )
            sql.executemany(
                "INSERT INTO problems VALUES (?, ?, ?)",
                [(drop_id, os.fsencode(path), error) for path, error in problems.items()],
            )
            sql.execute("INSERT OR REPLACE INTO meta VALUES ('last_scan_at', ?)", (str(now),))

    def problem(self, drop: str, path: str, error: str | None) -> None:
        """Something of a drop cannot be read (or can again, with None); the next full scan judges anew."""
        with self._connection.transaction() as sql:
            drop_id = _drop_id(sql, drop)
            if error is None:
                sql.execute("DELETE FROM problems WHERE drop_id = ? AND path = ?", (drop_id, os.fsencode(path)))
            else:
                sql.execute("INSERT OR REPLACE INTO problems VALUES (?, ?, ?)", (drop_id, os.fsencode(path), error))

    def _dir_id(self, sql: sqlite3.Connection, drop: str, directory: str) -> int:
        row = sql.execute("SELECT id FROM dirs WHERE path = ?", (os.fsencode(directory),)).fetchone()
        if row is None:  # those that are known were given to their drop by `configured`
            row = sql.execute(
                "INSERT INTO dirs (drop_id, path) VALUES (?, ?) RETURNING id",
                (_drop_id(sql, drop), os.fsencode(directory)),
            ).fetchone()
        dir_id: int = row["id"]
        return dir_id


def missing_key(name: str) -> bytes:
    """How a missing companion is recognised when it comes: its file name, without regard to case, Unicode form, and
    dots and spaces at its end."""
    return text_blob(unicodedata.normalize("NFC", os.path.basename(name).rstrip(" .").casefold()))


def _missing_keys(name: str) -> set[bytes]:
    """As what a file that came may be missing: as itself, under a shorter name of old, and as a tile of a texture or
    another part of a sequence."""
    stem, extension = os.path.splitext(name)
    short = stem.replace(" ", "")[:6]
    old = (name[:12], stem[:8] + extension[:4], *(f"{short}~{rank}{extension[:4]}" for rank in range(1, 5)))
    return {missing_key(each) for each in (name, *old)} | {
        missing_key(name[: tile.start()] + token + name[tile.end() :])
        for pattern, tokens in _TILES.items()
        for tile in pattern.finditer(name)
        for token in tokens
    }


_TILES = {
    re.compile("1[0-9]{3}"): ("<udim>", "%(udim)d"),
    re.compile("(?i)u[0-9]{1,3}_v[0-9]{1,3}"): ("<uvtile>", "<tile>"),
    **{re.compile(f"(?<![0-9])[0-9]{{{size}}}(?![0-9])"): ("#" * size, f"%0{size}d") for size in range(1, 9)},
}
"""Numbers of tiles and of the parts of a sequence, and what stands for one in the name of the whole."""


def _drop_id(sql: sqlite3.Connection, drop: str) -> int:
    sql.execute("INSERT OR IGNORE INTO drops (path) VALUES (?)", (os.fsencode(drop),))
    drop_id: int = sql.execute("SELECT id FROM drops WHERE path = ?", (os.fsencode(drop),)).fetchone()["id"]
    return drop_id


def _replan_users(
    sql: sqlite3.Connection, drop: str, settled: Mapping[int, str], name_nothing: Container[str], now: float
) -> None:
    """Send the models that use these files, or miss one of such a name, back to the plan stage.

    One that waits for its companions to settle waits for the last of them; and one whose file came to the very place
    where it is missed waits on for the others that it misses: it need not be planned for each of them.
    """
    by_key: dict[bytes, list[int]] = {}
    for file_id, path in settled.items():
        for key in _missing_keys(os.path.basename(path)):
            by_key.setdefault(key, []).append(file_id)
    ids = json.dumps(list(settled))
    served = {
        row["main_id"] for row in sql.execute(f"SELECT DISTINCT main_id FROM links WHERE companion_id {_IN}", [ids])
    }
    stirred: set[int] = set()
    found: list[tuple[int, bytes, int]] = []
    for link in sql.execute(_MISSED, (json.dumps([blob_text(key) for key in by_key]), os.fsencode(drop))):
        for file_id in by_key[link["missing_key"]]:
            path, main_id = settled[file_id], link["main_id"]
            if file_id in (main_id, link["companion_id"]):
                continue
            places = (link["expected"] or b"").split(b"\0")
            here = os.fsencode(path) in places
            if not link["text"] and b"/" in places[0] and not here:
                continue  # it has found what it names elsewhere, and awaits a file at certain places alone
            was_there = link["upload_name"] is not None
            if here and link["companion_id"] is None and (was_there or (link["text"] and path in name_nothing)):
                found.append((file_id, text_blob(os.path.basename(path)), link["id"]))
                served.add(main_id)
            else:
                stirred.add(main_id)
    sql.executemany("UPDATE links SET companion_id = ?, upload_name = ?, missing_key = NULL WHERE id = ?", found)
    replan = f"UPDATE files SET {BACK_TO_PLAN} WHERE id {_IN} AND state != 'gone' AND settled_at IS NOT NULL"
    waits = "state = 'waiting' AND wake_at IS NOT NULL"
    sql.execute(f"{replan} AND NOT ({waits} AND {_SETTLING})", (now, json.dumps(list(stirred))))
    waiting = json.dumps(list(served - stirred))
    sql.execute(f"{replan} AND NOT ({waits} AND (patience > 0 AND {_LACKING} OR {_SETTLING}))", (now, waiting))
    sql.execute(
        f"UPDATE files SET wake_at = max(wake_at, ? + patience) WHERE id {_IN} AND {waits} AND patience > 0"
        f" AND {_LACKING}",
        (now, waiting),
    )


_IN = "IN (SELECT value FROM json_each(?))"
_MISSED = (
    "SELECT l.id, l.main_id, l.companion_id, l.text, l.upload_name, l.missing_key, l.expected"
    " FROM json_each(?) k CROSS JOIN links l ON l.missing_key = CAST(k.value AS BLOB)"
    " JOIN files m ON m.id = l.main_id JOIN drops p ON p.id = m.drop_id WHERE p.path = ? AND m.state != 'gone'"
)
_LACKING = (
    "EXISTS (SELECT 1 FROM links o WHERE o.main_id = files.id AND o.companion_id IS NULL"
    " AND length(o.text) AND length(o.expected))"
)
"""Whether a model misses a file that can still come."""
_SETTLING = (
    "(EXISTS (SELECT 1 FROM links o"
    "  WHERE o.main_id = files.id AND o.companion_id IS NULL AND o.upload_name IS NOT NULL)"
    " OR EXISTS (SELECT 1 FROM links o JOIN files c ON c.id = o.companion_id"
    "  WHERE o.main_id = files.id AND c.settled_at IS NULL AND c.state != 'gone'))"
)
"""Whether a companion of a model is still to settle, or to be seen at all."""


def _used(sql: sqlite3.Connection, companion_id: int) -> bool:
    """Whether a model that is there uses this file."""
    used = sql.execute(
        "SELECT 1 FROM links l JOIN files m ON m.id = l.main_id WHERE l.companion_id = ? AND m.state != 'gone' LIMIT 1",
        (companion_id,),
    ).fetchone()
    return used is not None


def left_by_gone(sql: sqlite3.Connection, companion_ids: Iterable[int], now: float) -> None:
    """A model uses these files no more. What those of them had sent by themselves that are gone was kept for its sake:
    it goes the way of a deleted file's, unless another model uses them."""
    for companion_id in companion_ids:
        gone = sql.execute("SELECT 1 FROM files WHERE id = ? AND state = 'gone'", (companion_id,)).fetchone()
        if gone is not None and not _used(sql, companion_id):
            left_by(sql, companion_id, now)


def _replan_users_at_work(sql: sqlite3.Connection, companion_id: int, now: float) -> None:
    sql.execute(
        "UPDATE files SET state = 'pending', due_at = NULL, wake_at = NULL, generation = generation + 1, updated_at = ?"
        " WHERE state IN ('pending', 'waiting', 'uploading') AND settled_at IS NOT NULL"
        " AND id IN (SELECT main_id FROM links WHERE companion_id = ?)",
        (now, companion_id),
    )


def release_companions(sql: sqlite3.Connection, main_id: int, now: float) -> None:
    """A model is gone: companions that no other model uses come to rest when they are in the remote folder that
    it was sent to, and stand for themselves when not."""
    left_alone = (
        " WHERE role = 'companion' AND state != 'gone'"
        " AND id IN (SELECT companion_id FROM links WHERE main_id = ?2)"
        " AND NOT EXISTS (SELECT 1 FROM links l JOIN files m ON m.id = l.main_id"
        "   WHERE l.companion_id = files.id AND m.state != 'gone')"
    )
    # In another remote folder its content does not count.
    on_the_server = (
        " EXISTS (SELECT 1 FROM members b JOIN uploads u ON u.id = b.upload_id"
        "   WHERE b.digest = files.digest AND u.state IN ('sent', 'success') AND u.folder_id IN ("
        "    SELECT folder_id FROM uploads WHERE main_id = ?2 OR id = (SELECT upload_id FROM files WHERE id = ?2)))"
    )
    sql.execute(
        f"UPDATE files SET state = 'done', updated_at = ?1{left_alone} AND {on_the_server}"
        " AND state IN ('pending', 'waiting', 'uploading', 'converting', 'failed')",
        (now, main_id),
    )
    sql.execute(
        "UPDATE files SET role = 'main', state = 'pending', due_at = NULL, wake_at = NULL, updated_at = ?1"
        f"{left_alone} AND NOT {on_the_server}",
        (now, main_id),
    )


def _columns(signature: Signature) -> tuple[int, int, int, int, int]:
    return (
        _signed(signature.dev),
        _signed(signature.ino),
        signature.size,
        signature.mtime_ns,
        signature.ctime_ns,
    )


def _signed(number: int) -> int:
    """Device and inode numbers are unsigned 64 bit; SQLite's integers are signed."""
    return number - (1 << 64) if number >= 1 << 63 else number


def _unsigned(number: int) -> int:
    return number % (1 << 64)


_KNOWN = (
    "f.dev, f.ino, f.size, f.mtime_ns, f.ctime_ns, f.state, f.settled_at, f.folder_dev, f.root_ino,"
    " CASE WHEN f.state = 'failed' AND f.role = 'main' THEN f.unreadable END AS unreadable"
    " FROM files f JOIN dirs d ON d.id = f.dir_id"
)


def _known(row: sqlite3.Row) -> Known:
    signature = Signature(_unsigned(row["dev"]), _unsigned(row["ino"]), row["size"], row["mtime_ns"], row["ctime_ns"])
    seen_in = None if row["root_ino"] is None else (_unsigned(row["folder_dev"]), _unsigned(row["root_ino"]))
    unreadable = None if row["unreadable"] is None else os.fsdecode(row["unreadable"])
    return Known(signature, FileState(row["state"]), row["settled_at"] is not None, seen_in, unreadable)
