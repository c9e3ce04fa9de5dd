"""What the plan stage asks of the ledger and tells it: which files belong together, and who waits."""

import json
import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from watcher.ledger.connection import Connection, blob_text, text_blob
from watcher.ledger.expressions import FRESH, PLANNED_AT, STATE_OF_MODELS
from watcher.ledger.intake import BACK_TO_PLAN, left_by_gone, missing_key
from watcher.model import Signature

FEW = 20
"""Transitions in one transaction."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A settled file that has no plan yet."""

    file_id: int
    generation: int
    path: str
    drop: str
    refers: bool
    """Whether its format can name other files."""
    settled_at: float
    planned_at: float
    """When its time came; candidates are in the order of this, then of their ids."""
    references: tuple[str, ...] | None
    """What it names, when that was read before."""
    used: bool
    """Whether a model that is there uses it as a companion."""


@dataclass(frozen=True, slots=True)
class LinkedFile:
    """A companion that a model names and that is there."""

    path: str
    text: str
    """The reference as the model wrote it."""
    upload_name: str
    alone: bool = False
    """Whether it is also an asset of its own."""


@dataclass(frozen=True, slots=True)
class LackingFile:
    """A companion that a model names and that cannot be had."""

    text: str
    """The reference as it was written."""
    named_by: str = ""
    """Path of the file that names it; empty for the model itself."""
    expected: str = ""
    """Path where to put it; empty when the text can be no file of the drop."""
    note: str = ""
    """Why the text cannot be taken literally, if so."""


@dataclass(frozen=True, slots=True)
class CompanionState:
    """What the ledger knows of a file that a model names."""

    file_id: int
    settled_at: float | None


@dataclass(frozen=True, slots=True)
class SentSet:
    """An upload set that went."""

    at: float
    names: frozenset[str]
    """Under which its files travelled."""


class PlanLedger:
    """Transitions and questions of the plan stage."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read_by(self, readers: int) -> None:
        """References that readers of another version found are forgotten, and found anew when they are needed."""
        with self._connection.transaction() as sql:
            version = sql.execute("SELECT value FROM meta WHERE key = 'readers'").fetchone()
            if version is None or version["value"] != str(readers):
                sql.execute("UPDATE files SET refs = NULL WHERE refs IS NOT NULL")
                sql.execute("INSERT OR REPLACE INTO meta VALUES ('readers', ?)", (str(readers),))

    def candidates(
        self,
        drops: Collection[str],
        now: float,
        limit: int,
        *,
        refer: bool | None = None,
        after: Mapping[str, tuple[float, int]] | None = None,
    ) -> list[Candidate]:
        """Settled files of these drops without a plan whose time has come, in the order of that time.

        Args:
            refer: those of the formats that can name others, or the rest; all without.
            after: by drop, ``planned_at`` and id of the candidate behind which to begin.
        """
        after = after or {}
        heads = [
            (drop, row)
            for drop in drops
            for refers in ((0, 1) if refer is None else (int(refer),))
            for row in self._head(drop, refers, now, limit, *after.get(drop, (0.0, 0)))
        ]
        heads.sort(key=lambda head: head[1]["planned_at"])
        return [_candidate(drop, row) for drop, row in heads[:limit]]

    def fresh_candidates(self, drops: Collection[str], now: float, *, refer: bool) -> list[Candidate]:
        """Those of the files that came last, see :meth:`candidates`: they are not to wait behind very many others."""
        return [
            _candidate(drop, row)
            for drop in drops
            for row in self._connection.rows(
                f"SELECT {_CANDIDATE} FROM drops p CROSS JOIN files f CROSS JOIN dirs d ON d.id = f.dir_id"
                f" WHERE p.path = ? AND f.id IN (SELECT id FROM {FRESH})"
                f" AND f.refers = ? AND f.due_at IS NULL AND f.settled_at IS NOT NULL AND {PLANNED_AT} <= ?",
                (os.fsencode(drop), int(refer), now),
            )
        ]

    def _head(self, drop: str, refers: int, now: float, limit: int, after: float, after_id: int) -> list[sqlite3.Row]:
        """The first candidates of one drop."""
        return self._connection.rows(
            f"SELECT {_CANDIDATE} FROM files f INDEXED BY files_to_plan CROSS JOIN dirs d ON d.id = f.dir_id"
            " WHERE f.due_at IS NULL AND f.role = 'main' AND f.state IN ('pending', 'waiting')"
            " AND f.drop_id = (SELECT id FROM drops WHERE path = ?) AND f.refers = ?"
            f" AND f.settled_at IS NOT NULL AND {PLANNED_AT} BETWEEN ? AND ? AND NOT ({PLANNED_AT} = ? AND f.id <= ?)"
            f" ORDER BY {PLANNED_AT}, f.id LIMIT ?",
            (os.fsencode(drop), refers, after, now, after, after_id, limit),
        )

    def next_wake(self, drops: Collection[str], now: float) -> float | None:
        """When the next file of these drops is to be planned that is no candidate yet, or None."""
        row = self._connection.row(
            "SELECT min(at) AS at FROM ("
            f" SELECT (SELECT {PLANNED_AT} FROM files INDEXED BY files_to_plan"
            "   WHERE due_at IS NULL AND role = 'main' AND state IN ('pending', 'waiting') AND settled_at IS NOT NULL"
            f"  AND drop_id = p.id AND refers = r.refers AND {PLANNED_AT} > ? ORDER BY {PLANNED_AT} LIMIT 1) AS at"
            "  FROM drops p CROSS JOIN (SELECT 0 AS refers UNION SELECT 1) r"
            f" WHERE p.path IN ({', '.join('?' * len(drops))}))",
            (now, *map(os.fsencode, drops)),
        )
        return None if row is None else row["at"]

    def oldest_unread(self, drop: str, *, scenes: bool = False) -> float | None:
        """When the oldest file was first seen that can name others and has no plan yet; None without one.

        Args:
            scenes: of those alone that often load models.
        """
        index, kind = ("files_unread_scenes", "scene = 1") if scenes else ("files_unread", "refers = 1")
        row = self._connection.row(
            f"SELECT min(observed_at) AS at FROM files INDEXED BY {index} WHERE {kind} AND refs IS NULL"
            " AND due_at IS NULL AND role = 'main' AND state IN ('pending', 'waiting')"
            " AND drop_id = (SELECT id FROM drops WHERE path = ?)",
            (os.fsencode(drop),),
        )
        return None if row is None else row["at"]

    def state_of(self, path: str, signature: Signature) -> CompanionState | None:
        """What the ledger knows of this version of a file; None when it does not know the file or this version."""
        directory, name = os.path.split(path)
        row = self._connection.row(
            "SELECT f.id, f.settled_at FROM files f JOIN dirs d ON d.id = f.dir_id WHERE d.path = ? AND f.name = ?"
            " AND f.state != 'gone' AND f.size = ? AND f.mtime_ns = ? AND f.ctime_ns = ?",
            (
                os.fsencode(directory),
                os.fsencode(name),
                signature.size,
                signature.mtime_ns,
                signature.ctime_ns,
            ),
        )
        return None if row is None else CompanionState(row["id"], row["settled_at"])

    def sent_before(self, candidate: Candidate) -> SentSet | None:
        """The set of this file that was sent last; None before the first."""
        rows = self._connection.rows(
            "SELECT u.started_at, b.name FROM members b JOIN uploads u ON u.id = b.upload_id"
            " WHERE u.id = (SELECT max(id) FROM uploads WHERE main_id = ? AND state != 'void')",
            (candidate.file_id,),
        )
        return SentSet(rows[0]["started_at"], frozenset(blob_text(row["name"]) for row in rows)) if rows else None

    def believed_there(self, candidate: Candidate, missing: Sequence[LackingFile]) -> list[str]:
        """Of what a model misses on the disk, the paths of files that are there for all the ledger knows: where they
        are expected, or where they were when the model took them along before."""
        if not missing:
            return []
        texts = {text_blob(lacking.text) for lacking in missing}
        rows = self._connection.rows(
            "SELECT l.text, d.path AS dir, c.name FROM links l JOIN files c ON c.id = l.companion_id"
            " JOIN dirs d ON d.id = c.dir_id WHERE l.main_id = ? AND c.state != 'gone'",
            (candidate.file_id,),
        )
        known = {
            os.path.join(os.fsdecode(row["dir"]), os.fsdecode(row["name"])) for row in rows if row["text"] in texts
        }
        for lacking in missing:
            directory, name = os.path.split(lacking.expected)
            row = self._connection.row(
                "SELECT 1 FROM files f JOIN dirs d ON d.id = f.dir_id"
                " WHERE d.path = ? AND f.name = ? AND f.state != 'gone'",
                (os.fsencode(directory), os.fsencode(name)),
            )
            if row is not None:
                known.add(lacking.expected)
        return sorted(known)

    def read(self, file_id: int, generation: int, references: Sequence[str]) -> None:
        """What this version of a file names."""
        with self._connection.transaction() as sql:
            sql.execute(
                "UPDATE files SET refs = ? WHERE id = ? AND generation = ?",
                (json.dumps(references).encode(), file_id, generation),
            )

    def record(self, decisions: Sequence[Callable[[], None]]) -> None:
        """Several transitions of this stage, a few of them in each transaction: neighbours in the tables are written
        once, and the others who need the ledger are not kept waiting."""
        for first in range(0, len(decisions), FEW):
            with self._connection.transaction():
                for decision in decisions[first : first + FEW]:
                    decision()

    def wait(
        self,
        candidate: Candidate,
        until: float,
        now: float,
        linked: Sequence[LinkedFile] = (),
        missing: Sequence[LackingFile] = (),
        patience: float = 0.0,
    ) -> None:
        """A model waits for a companion; it is planned again at ``until``.

        Args:
            patience: seconds that it waits for what it lacks after something of it came.
        """
        with self._connection.transaction() as sql:
            changed = sql.execute(
                "UPDATE files SET updated_at = CASE state WHEN 'waiting' THEN updated_at ELSE ? END, state = 'waiting',"
                " wake_at = ?, patience = ?, error = NULL WHERE id = ? AND generation = ?",
                (now, until, patience, candidate.file_id, candidate.generation),
            ).rowcount
            if changed:
                _link(sql, candidate.file_id, linked, missing, now)

    def waits_for_more(self, path: str) -> bool:
        """Whether a model waits for companions that may still come."""
        directory, name = os.path.split(path)
        row = self._connection.row(
            "SELECT 1 FROM files WHERE name = ? AND dir_id = (SELECT id FROM dirs WHERE path = ?)"
            " AND role = 'main' AND state = 'waiting' AND wake_at IS NOT NULL AND patience > 0",
            (os.fsencode(name), os.fsencode(directory)),
        )
        return row is not None

    def wait_all(self, waits: Sequence[tuple[Candidate, float]], now: float, error: str | None = None) -> None:
        """Files wait, each until its time; their companions stay as they are known."""
        with self._connection.transaction() as sql:
            sql.executemany(
                "UPDATE files SET updated_at = CASE state WHEN 'waiting' THEN updated_at ELSE ? END,"
                " state = 'waiting', wake_at = ?, error = ? WHERE id = ? AND generation = ?",
                [(now, until, error, candidate.file_id, candidate.generation) for candidate, until in waits],
            )

    def ready(
        self,
        candidate: Candidate,
        now: float,
        linked: Sequence[LinkedFile] = (),
        missing: Sequence[LackingFile] = (),
    ) -> None:
        """A file and its companions may be uploaded; what it names and the folder lacks is recorded."""
        with self._connection.transaction() as sql:
            changed = sql.execute(
                "UPDATE files SET state = 'pending', role = 'main', due_at = ?, wake_at = NULL, error = NULL,"
                " updated_at = ? WHERE id = ? AND generation = ?",
                (now, now, candidate.file_id, candidate.generation),
            ).rowcount
            if changed:
                _link(sql, candidate.file_id, linked, missing, now)

    def becomes_companion(self, candidate: Candidate, now: float, leader: str | None = None) -> None:
        """A file that a model uses does not go by itself; its state follows the model's.

        Args:
            leader: the file that leads its set (the first slice of a series, the first of scenes that load each other):
                that one takes it along when it is planned.
        """
        with self._connection.transaction() as sql:
            sql.execute(
                "UPDATE files SET role = 'companion', wake_at = NULL, updated_at = ? WHERE id = ? AND generation = ?",
                (now, candidate.file_id, candidate.generation),
            )
            if leader is not None:
                _led_by(sql, leader, candidate, now)
            _follow(sql, [candidate.file_id])

    def companions(self, drop: str) -> list[str]:
        """Paths of the files of a drop that travel with models only."""
        rows = self._connection.rows(
            "SELECT d.path AS dir, f.name FROM files f JOIN dirs d ON d.id = f.dir_id JOIN drops p ON p.id = f.drop_id"
            " WHERE f.role = 'companion' AND f.state != 'gone' AND p.path = ?",
            (os.fsencode(drop),),
        )
        return [os.path.join(os.fsdecode(row["dir"]), os.fsdecode(row["name"])) for row in rows]

    def stand_alone(self, paths: Iterable[str], now: float) -> None:
        """Companions that are assets of their own from now on, too."""
        with self._connection.transaction() as sql:
            for path in paths:
                directory, name = os.path.split(path)
                sql.execute(
                    f"{_STAND_ALONE} WHERE role = 'companion' AND state != 'gone' AND settled_at IS NOT NULL"
                    " AND name = ? AND dir_id = (SELECT id FROM dirs WHERE path = ?)",
                    (now, os.fsencode(name), os.fsencode(directory)),
                )

    def release_unlinked(self, settled_before: float, now: float, after: int, limit: int) -> int:
        """Files that were followed for a model that names them no more (or never came to it) stand for themselves.

        Args:
            after: where the look before ended, 0 to begin: there may be very many that travel with a model.
            limit: how many are looked at.

        Returns:
            Where this look ended; 0 when it saw the last of them.
        """
        rows = self._connection.rows(
            "SELECT id, NOT EXISTS (SELECT 1 FROM links l JOIN files m ON m.id = l.main_id"
            "   WHERE l.companion_id = files.id AND m.state != 'gone') AS unlinked"
            " FROM files INDEXED BY files_following"
            " WHERE role = 'companion' AND state IN ('pending', 'waiting') AND id > ? ORDER BY id LIMIT ?",
            (after, limit),
        )
        if unlinked := [row["id"] for row in rows if row["unlinked"]]:
            with self._connection.transaction() as sql:
                sql.executemany(
                    f"{_STAND_ALONE} WHERE id = ? AND role = 'companion' AND state IN ('pending', 'waiting')"
                    " AND settled_at < ?",
                    [(now, file_id, settled_before) for file_id in unlinked],
                )
        return rows[-1]["id"] if len(rows) == limit else 0

    def failed(
        self,
        candidate: Candidate,
        reason: str,
        now: float,
        unreadable: str | None = None,
        linked: Sequence[LinkedFile] = (),
    ) -> None:
        """A file cannot be planned, whatever became of what it sent before. What travels with it goes on to do so.

        Args:
            unreadable: the path that could not be read, if that is why: once it can, or when it changes, the file is
                planned anew.
            linked: what travels with it, as far as could be seen; of one that was planned before, that is known.
        """
        with self._connection.transaction() as sql:
            changed = sql.execute(
                "UPDATE files SET state = 'failed', upload_id = NULL, error = ?, unreadable = ?, wake_at = NULL,"
                " updated_at = ? WHERE id = ? AND generation = ?",
                (
                    reason,
                    None if unreadable is None else os.fsencode(unreadable),
                    now,
                    candidate.file_id,
                    candidate.generation,
                ),
            ).rowcount
            if (
                changed
                and linked
                and not sql.execute("SELECT 1 FROM links WHERE main_id = ?", (candidate.file_id,)).fetchone()
            ):
                _link(sql, candidate.file_id, linked, (), now)
            if changed and unreadable not in (None, candidate.path):
                sql.execute(
                    "INSERT INTO links (main_id, text, missing_key, expected) SELECT ?1, ?2, ?3, ?4"
                    " WHERE NOT EXISTS (SELECT 1 FROM links WHERE main_id = ?1 AND expected = ?4)",
                    (
                        candidate.file_id,
                        text_blob(os.path.basename(unreadable)),
                        missing_key(unreadable),
                        os.fsencode(unreadable),
                    ),
                )

    def dismissed(self, candidate: Candidate) -> None:
        """A file that cannot go by itself, or that the rules pass over now, leaves the ledger; what it made stays."""
        with self._connection.transaction() as sql:
            sql.execute(
                "DELETE FROM files WHERE id = ? AND generation = ? AND upload_id IS NULL"
                " AND NOT EXISTS (SELECT 1 FROM uploads WHERE main_id = files.id)",
                (candidate.file_id, candidate.generation),
            )
            sql.execute(
                "UPDATE files SET state = 'done', wake_at = NULL WHERE id = ? AND generation = ?",
                (candidate.file_id, candidate.generation),
            )


_CANDIDATE = (
    f"f.id, f.generation, d.path AS dir, f.name, f.refers, f.settled_at, f.refs, {PLANNED_AT} AS planned_at,"
    " EXISTS (SELECT 1 FROM links l JOIN files m ON m.id = l.main_id"
    "   WHERE l.companion_id = f.id AND m.state != 'gone') AS used"
)


def _candidate(drop: str, row: sqlite3.Row) -> Candidate:
    return Candidate(
        file_id=row["id"],
        generation=row["generation"],
        path=os.path.join(os.fsdecode(row["dir"]), os.fsdecode(row["name"])),
        drop=drop,
        refers=bool(row["refers"]),
        settled_at=row["settled_at"],
        planned_at=row["planned_at"],
        references=None if row["refs"] is None else tuple(json.loads(row["refs"])),
        used=bool(row["used"]),
    )


def _led_by(sql: sqlite3.Connection, leader: str, part: Candidate, now: float) -> None:
    """That file takes this one along, and not the other way round."""
    leader_id = _file_id(sql, leader)
    sql.execute("DELETE FROM links WHERE main_id = ? AND companion_id = ?", (part.file_id, leader_id))
    sql.execute(
        f"{_STAND_ALONE} WHERE id = ? AND role = 'companion' AND state != 'gone' AND NOT EXISTS (SELECT 1 FROM links l"
        " JOIN files m ON m.id = l.main_id WHERE l.companion_id = files.id AND m.state != 'gone')",
        (now, leader_id),
    )
    row = sql.execute(
        "SELECT id, state = 'waiting' AND wake_at IS NOT NULL AS waits,"
        " EXISTS (SELECT 1 FROM links WHERE companion_id = ? AND main_id = files.id) AS knows FROM files"
        " WHERE id = ? AND role = 'main' AND state != 'gone' AND settled_at IS NOT NULL",
        (part.file_id, leader_id),
    ).fetchone()
    if row is None or row["knows"]:
        return
    if row["waits"]:
        sql.execute(
            "INSERT INTO links (main_id, companion_id, text, upload_name) VALUES (?, ?, x'', ?)",
            (row["id"], part.file_id, text_blob(os.path.basename(part.path))),
        )
        sql.execute(
            "UPDATE files SET wake_at = max(wake_at, ? + patience) WHERE id = ? AND patience > 0",
            (part.settled_at, row["id"]),
        )
    else:
        sql.execute(f"UPDATE files SET {BACK_TO_PLAN} WHERE id = ?", (now, row["id"]))


def _link(
    sql: sqlite3.Connection, main_id: int, linked: Sequence[LinkedFile], missing: Sequence[LackingFile], now: float
) -> None:
    found: list[tuple[LinkedFile, int]] = []
    unseen: list[LinkedFile] = []
    for companion in linked:
        if (file_id := _file_id(sql, companion.path)) is not None:
            found.append((companion, file_id))
        else:
            unseen.append(companion)
    absent = [
        *((lacking, None) for lacking in missing),
        *((LackingFile("", expected=companion.path), text_blob(companion.upload_name)) for companion in unseen),
    ]
    links = [
        (main_id, file_id, text_blob(companion.text), text_blob(companion.upload_name), None, None, None, None)
        for companion, file_id in found
    ] + [
        (
            main_id,
            None,
            text_blob(lacking.text),
            upload_name,
            missing_key(lacking.expected or lacking.text.replace("\\", "/")),
            os.fsencode(lacking.named_by),
            os.fsencode(lacking.expected),
            lacking.note,
        )
        for lacking, upload_name in absent
    ]
    before = [tuple(row) for row in sql.execute(f"SELECT {_LINK} FROM links WHERE main_id = ? ORDER BY id", (main_id,))]
    if links != before:
        sql.execute("DELETE FROM links WHERE main_id = ?", (main_id,))
        sql.executemany(f"INSERT INTO links ({_LINK}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", links)
    alone = {file_id for companion, file_id in found if companion.alone}
    travelling = {file_id for _, file_id in found} - alone
    left = {row[1] for row in before if row[1] is not None} - travelling - alone
    if not (alone or travelling or left):
        return
    sql.execute(f"{_STAND_ALONE} WHERE {_AMONG} AND role = 'companion'", (now, _ids(alone)))
    # What one of them would have taken along by itself goes with this model.
    sql.execute(
        "DELETE FROM links WHERE main_id IN (SELECT id FROM files"
        f" WHERE {_AMONG} AND refers = 1 AND upload_id IS NULL)",
        (_ids(travelling),),
    )
    sql.execute(
        "UPDATE files SET role = 'companion', due_at = NULL, wake_at = NULL"
        f" WHERE {_AMONG} AND (role = 'main' OR due_at IS NOT NULL OR wake_at IS NOT NULL)",
        (_ids(travelling),),
    )
    # Those in the model's state are where they belong: what another model says for them, it said before.
    _follow(sql, travelling, but=sql.execute("SELECT state FROM files WHERE id = ?", (main_id,)).fetchone()["state"])
    sql.execute(
        f"{_STAND_ALONE} WHERE {_AMONG} AND role = 'companion' AND state != 'gone'"
        " AND NOT EXISTS (SELECT 1 FROM links WHERE companion_id = files.id)",
        (now, _ids(left)),
    )
    _follow(sql, left)
    left_by_gone(sql, left, now)


_LINK = "main_id, companion_id, text, upload_name, missing_key, named_by, expected, note"


def _file_id(sql: sqlite3.Connection, path: str) -> int | None:
    directory, name = os.path.split(path)
    row = sql.execute(
        "SELECT f.id FROM files f JOIN dirs d ON d.id = f.dir_id WHERE d.path = ? AND f.name = ?",
        (os.fsencode(directory), os.fsencode(name)),
    ).fetchone()
    return None if row is None else row["id"]


_STAND_ALONE = (
    "UPDATE files SET role = 'main', state = 'pending', due_at = NULL, wake_at = NULL, attempts = 0, error = NULL,"
    " updated_at = ?"
)


_AMONG = "id IN (SELECT value FROM json_each(?))"


def _ids(files: Collection[int]) -> str:
    """Ids as a parameter of _AMONG."""
    return json.dumps(list(files))


def _follow(sql: sqlite3.Connection, companions: Collection[int], but: str = "gone") -> None:
    """The state of companions, worked out anew, but for those in one state."""
    sql.execute(
        f"UPDATE files SET state = coalesce({STATE_OF_MODELS}, state) WHERE {_AMONG} AND role = 'companion'"
        f" AND state NOT IN ('gone', ?) AND state != coalesce({STATE_OF_MODELS}, state)",
        (_ids(companions), but),
    )
