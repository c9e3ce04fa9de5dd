"""What the upload worker and the reconciler ask of the ledger and tell it."""

import os
import sqlite3
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from watcher.formats import extension_of
from watcher.ledger.connection import Connection, blob_text, text_blob
from watcher.ledger.conversions import succeeded
from watcher.ledger.expressions import FRESH
from watcher.ledger.versions import AWAITS, DECIDED_BY, cancel_removal, settled_on
from watcher.model import Asset, FileState, Signature


class UploadState(StrEnum):
    """Where one attempt stands."""

    SENDING = "sending"
    """Its bytes may be on their way."""
    UNKNOWN = "unknown"
    """It was cut off: only the server knows whether it arrived."""
    SENT = "sent"
    """The server answered with an upload task; the conversion is followed."""
    SUCCESS = "success"
    ERROR = "error"
    """The server has the content and could not convert it, or refused it."""
    REPLACE = "replace"
    """It is to be tried again: what it left on the server is looked at, and removed before the content is sent."""
    REMOVING = "removing"
    """It is being removed, because its file changed or was deleted; then it is void."""
    VOID = "void"
    """The server does not have it."""


@dataclass(frozen=True, slots=True)
class JobMember:
    """One file of an upload set."""

    file_id: int
    generation: int
    path: str
    name: str
    """The name it travels under, relative to the main file's folder."""
    signature: Signature


@dataclass(frozen=True, slots=True)
class Job:
    """An upload set whose turn it is; the main file is the first member."""

    drop: str
    members: tuple[JobMember, ...]
    attempts: int
    """How many tries failed before."""
    error: str | None
    """Why the last one failed."""

    @property
    def main(self) -> JobMember:
        return self.members[0]


class Verdict(StrEnum):
    """What the ledger answers to the wish to send a content to a folder."""

    SEND = "send"
    """It is nowhere: send it."""
    KNOWN = "known"
    """It is there already, or on its way; the file's row says so now."""
    LOOK_AGAIN = "look_again"
    """An upload of it failed: if it fares well by now it is followed again, else what it left is removed first."""
    STALE = "stale"
    """The file changed in the meantime, and will come again; or it travels with a model now."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The ledger's answer to a wish to send."""

    verdict: Verdict
    upload_id: int = 0
    upload_task_id: str | None = None
    """With LOOK_AGAIN: the task to look at."""


@dataclass(frozen=True, slots=True)
class There:
    """How the server holds a content that was not sent by this ledger's leave."""

    upload_task_id: str | None
    """Under which it was sent; None when no task tells of it any more: then it is converted."""
    sent_at: float | None = None
    """When that was, Unix seconds."""
    source_file_id: str | None = None
    assets: tuple[Asset, ...] = ()


class UploadLedger:
    """Transitions and questions of the upload stage."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def take(self, now: float, *, drops: Collection[str] | None = None, fresh: bool = False) -> Job | None:
        """The next upload set that is due, now marked as being uploaded; None when there is none.

        A set of which a companion changed since it was planned, and may still be written, is planned anew instead.

        Args:
            drops: those that are at work now; the files of others wait.
            fresh: the one whose model came last, rather than the one that has been due for longest.
        """
        first, parameters = _first_due("f.id", drops)
        with self._connection.transaction() as sql:
            while True:
                if fresh and (last := sql.execute(*_freshest(now, drops)).fetchone()) is not None:
                    first, parameters = "?", [last["id"]]
                row = sql.execute(
                    # An answer to an older version's upload must not land on this one.
                    "UPDATE files SET state = 'uploading', upload_id = NULL, unreadable = NULL, updated_at = ?"
                    f" WHERE due_at <= ? AND id = ({first}) RETURNING *",
                    (now, now, *parameters),
                ).fetchone()
                if row is None or not sql.execute(_UNSETTLED, (row["id"],)).fetchone():
                    return None if row is None else _job(sql, row)
                sql.execute("UPDATE files SET state = 'pending', due_at = NULL WHERE id = ?", (row["id"],))

    def next_due(self, *, drops: Collection[str] | None = None) -> float | None:
        """When the next upload is due, or None when none is planned; see :meth:`take`."""
        row = self._connection.row(*_first_due("f.due_at", drops))
        return None if row is None else row["due_at"]

    def hashed(self, member: JobMember, digest: str, beginnings: bytes) -> None:
        """The content digest of one version of a file, and what shows that half of it is its beginning."""
        seen = member.signature
        with self._connection.transaction() as sql:
            current = sql.execute(
                "UPDATE files SET digest = ? WHERE id = ? AND generation = ? AND size = ? AND mtime_ns = ?",
                (digest, member.file_id, member.generation, seen.size, seen.mtime_ns),
            ).rowcount
            if current:
                sql.execute("INSERT OR REPLACE INTO beginnings VALUES (?, ?, ?)", (member.file_id, digest, beginnings))

    def digest_of(self, member: JobMember) -> tuple[str, bytes] | None:
        """The content digest of this version of a file, and its beginnings, when both are known."""
        row = self._connection.row(
            "SELECT f.digest, b.marks FROM files f JOIN beginnings b ON b.file_id = f.id AND b.digest = f.digest"
            " WHERE f.id = ? AND f.generation = ? AND f.size = ? AND f.mtime_ns = ?",
            (member.file_id, member.generation, member.signature.size, member.signature.mtime_ns),
        )
        return None if row is None else (row["digest"], row["marks"])

    def claim(
        self,
        job: Job,
        folder_id: str,
        set_digest: str,
        digests: Sequence[str],
        now: float,
        *,
        beginnings: Sequence[bytes] = (),
        there: There | None = None,
        server_time: float | None = None,
    ) -> Claim:
        """Reserve a content for a folder: one content, one folder, one upload.

        With SEND the attempt is on record, durably, before its first byte leaves.

        Args:
            beginnings: what shows of each member that half of it is its beginning.
            there: the server has it already: it counts as sent, or as converted, in the same moment.
            server_time: the present moment by the server's clock, if that is known.
        """
        with self._connection.transaction() as sql:
            claim = self._claim(sql, job, folder_id, set_digest, digests, now, server_time, beginnings)
            if claim.verdict is Verdict.SEND and there is not None:
                _sent(sql, claim.upload_id, there.upload_task_id, now, there.sent_at)
                if there.upload_task_id is None:
                    succeeded(sql, claim.upload_id, (), there.source_file_id, there.assets, now)
                return claim
        if claim.verdict is Verdict.SEND:
            try:
                self._connection.sync()
            except sqlite3.Error:
                self.void(claim.upload_id, now, refund=True)
                raise
        return claim

    def _claim(
        self,
        sql: sqlite3.Connection,
        job: Job,
        folder_id: str,
        set_digest: str,
        digests: Sequence[str],
        now: float,
        server_time: float | None,
        beginnings: Sequence[bytes],
    ) -> Claim:
        current = sql.execute(
            "UPDATE files SET digest = ? WHERE id = ? AND generation = ? AND role = 'main' RETURNING id",
            (digests[0], job.main.file_id, job.main.generation),
        ).fetchone()
        if current is None:
            return Claim(Verdict.STALE)
        found = sql.execute(
            "SELECT u.*, m.state AS main_state, m.name AS main_name FROM uploads u JOIN files m ON m.id = u.main_id"
            " WHERE u.state != 'void' AND u.id IN ("
            "  SELECT id FROM uploads WHERE folder_id = ? AND set_digest = ? AND state != 'void'"
            # One that is on its way into this folder counts there.
            "  UNION SELECT o.upload_id FROM owed o JOIN uploads t ON t.id = o.upload_id"
            "   WHERE o.to_folder_id = ? AND t.set_digest = ?)",
            (folder_id, set_digest) * 2,
        ).fetchone()
        if found is not None:
            return join(sql, job, found, now)
        upload_id: int = sql.execute(
            "INSERT INTO uploads (main_id, folder_id, set_digest, size, state, started_at, server_time)"
            " VALUES (?, ?, ?, ?, 'sending', ?, ?) RETURNING id",
            (job.main.file_id, folder_id, set_digest, sum(m.signature.size for m in job.members), now, server_time),
        ).fetchone()["id"]
        sql.executemany(
            "INSERT INTO members VALUES (?, ?, ?, ?, ?, ?)",
            [
                (upload_id, position, text_blob(member.name), digest, member.signature.size, marks)
                for position, (member, digest, marks) in enumerate(
                    zip(job.members, digests, beginnings or [b""] * len(digests), strict=True)
                )
            ],
        )
        # The set changed before an attempt that was to be tried again had its turn: that is an older version now.
        sql.execute("UPDATE uploads SET state = 'error' WHERE main_id = ? AND state = 'replace'", (job.main.file_id,))
        sql.execute(
            "UPDATE files SET upload_id = ?, attempts = attempts + 1, updated_at = ? WHERE id = ?",
            (upload_id, now, job.main.file_id),
        )
        return Claim(Verdict.SEND, upload_id)

    def known(self, folder_id: str, set_digest: str) -> bool:
        """Whether a content is on record for a folder, or on its way there."""
        sql = "SELECT 1 FROM uploads WHERE folder_id = ? AND set_digest = ? AND state != 'void'"
        return self._connection.row(sql, (folder_id, set_digest)) is not None

    def owns(self, source_file_id: str) -> bool:
        """Whether an upload on record has this source file, and it is not in doubt."""
        sql = (
            "SELECT 1 FROM uploads WHERE source_file_id = ?1 AND state NOT IN ('void', 'unknown') UNION ALL"
            " SELECT 1 FROM conversions c JOIN uploads u ON u.id = c.upload_id"
            " WHERE c.source_file_id = ?1 AND u.state NOT IN ('void', 'unknown') LIMIT 1"
        )
        return self._connection.row(sql, (source_file_id,)) is not None

    def sent(self, upload_id: int, upload_task_id: str, now: float) -> None:
        """The server took the upload and named its task."""
        with self._connection.transaction() as sql:
            _sent(sql, upload_id, upload_task_id, now, None)

    def put_back(self, job: Job, due_at: float, error: str | None, now: float, *, counts: bool = False) -> None:
        """Nothing was sent (or nothing arrived); the set is due again at ``due_at``.

        ``counts`` says whether this was a failed try of the set itself that was not counted by a claim.
        """
        with self._connection.transaction() as sql:
            sql.execute(
                "UPDATE files SET state = 'pending', due_at = ?, error = ?, attempts = attempts + ?, updated_at = ?"
                " WHERE id = ? AND generation = ? AND state = 'uploading'",
                (due_at, error, int(counts), now, job.main.file_id, job.main.generation),
            )

    def replan(self, job: Job, now: float) -> None:
        """A member is not what was planned any more: the set goes back to the plan stage."""
        with self._connection.transaction() as sql:
            sql.execute(
                "UPDATE files SET state = 'pending', due_at = NULL, updated_at = ?"
                " WHERE id = ? AND generation = ? AND state = 'uploading'",
                (now, job.main.file_id, job.main.generation),
            )

    def failed(self, job: Job, error: str, now: float, unreadable: str | None = None) -> None:
        """The set cannot be uploaded; a person has to act.

        Args:
            unreadable: the path that could not be read, if that is why: once it can, the set is tried again.
        """
        with self._connection.transaction() as sql:
            sql.execute(
                "UPDATE files SET state = 'failed', due_at = NULL, error = ?, unreadable = ?, updated_at = ?"
                " WHERE id = ? AND generation = ? AND state = 'uploading'",
                (
                    error,
                    None if unreadable is None else os.fsencode(unreadable),
                    now,
                    job.main.file_id,
                    job.main.generation,
                ),
            )

    def void(
        self,
        upload_id: int,
        now: float,
        *,
        refund: bool = False,
        backoff: Callable[[int], float] | None = None,
    ) -> None:
        """The server does not have this attempt: whoever waits for it may send its content. One that has a receipt by
        now, or was forgotten, is left as it is.

        Args:
            refund: take the try off the count: it was an outage, not a fault of the set.
            backoff: the seconds that a set waits after so many attempts.
        """
        with self._connection.transaction() as sql:
            voided = sql.execute(
                "UPDATE uploads SET state = 'void', finished_at = ? WHERE id = ? AND state IN ('sending', 'unknown')"
                " RETURNING not_before",
                (now, upload_id),
            ).fetchone()
            if voided is None:
                return
            sql.execute("DELETE FROM owed WHERE upload_id = ?", (upload_id,))
            for row in sql.execute(f"SELECT id, attempts FROM files WHERE {AWAITS}", (upload_id,)).fetchall():
                due_at = max(voided["not_before"], now + (backoff(max(1, row["attempts"])) if backoff else 0.0))
                sql.execute(
                    "UPDATE files SET state = 'pending', due_at = ?, updated_at = ? WHERE id = ?",
                    (due_at, now, row["id"]),
                )
            if refund:
                refund_attempt(sql, upload_id)
            sql.execute("UPDATE files SET upload_id = NULL WHERE upload_id = ?", (upload_id,))

    def folder_of(self, upload_id: int) -> str:
        """The remote folder that an attempt goes to."""
        row = self._connection.row("SELECT folder_id FROM uploads WHERE id = ?", (upload_id,))
        assert row is not None
        folder_id: str = row["folder_id"]
        return folder_id

    def follow_again(self, upload_id: int, job: Job, now: float) -> None:
        """The server has an upload that counted as failed, and it fares well: nothing is sent."""
        with self._connection.transaction() as sql:
            sql.execute(
                "UPDATE uploads SET state = 'sent', moved_at = ?, main_id = ?, error = NULL, finished_at = NULL"
                " WHERE id = ?",
                (now, job.main.file_id, upload_id),
            )
            sql.execute(
                "UPDATE files SET state = 'converting', upload_id = ?, due_at = NULL, error = NULL, updated_at = ?"
                " WHERE id = ? AND generation = ? AND state = 'uploading'",
                (upload_id, now, job.main.file_id, job.main.generation),
            )

    def removed(self, upload_id: int, now: float) -> None:
        """What a failed conversion had left on the server is gone."""
        with self._connection.transaction() as sql:
            removed = sql.execute(
                "UPDATE uploads SET state = 'void', finished_at = ? WHERE id = ? AND state IN ('error', 'replace')",
                (now, upload_id),
            ).rowcount
            if not removed:
                return
            sql.execute("DELETE FROM owed WHERE upload_id = ?", (upload_id,))
            sql.execute("UPDATE files SET upload_id = NULL WHERE upload_id = ?", (upload_id,))


def _sent(
    sql: sqlite3.Connection, upload_id: int, upload_task_id: str | None, now: float, sent_at: float | None
) -> None:
    sql.execute(
        "UPDATE uploads SET state = 'sent', upload_task_id = ?, sent_at = ?, moved_at = ?, error = NULL WHERE id = ?",
        (upload_task_id, now if sent_at is None else sent_at, now, upload_id),
    )
    sql.execute(
        "UPDATE files SET state = 'converting', due_at = NULL, error = NULL, updated_at = ?2"
        f" WHERE {DECIDED_BY} AND state = 'uploading'",
        (upload_id, now),
    )


_UNSETTLED = (
    "SELECT 1 FROM links l JOIN files c ON c.id = l.companion_id"
    " WHERE l.main_id = ? AND c.settled_at IS NULL AND c.state != 'gone' LIMIT 1"
)


def _first_due(column: str, drops: Collection[str] | None) -> tuple[str, list[Any]]:
    """A question, with its parameters, for a column of the file that is due first: of each drop only the first is
    looked at, so that any number of files of another costs nothing."""
    sql = (
        f"SELECT {column} FROM drops p CROSS JOIN files f ON f.id = (SELECT id FROM files INDEXED BY files_due"
        "  WHERE drop_id = p.id AND state = 'pending' AND role = 'main' AND due_at IS NOT NULL ORDER BY due_at LIMIT 1)"
    )
    where, parameters = _of_drops(drops)
    return f"{sql}{where} ORDER BY f.due_at LIMIT 1", parameters


def _freshest(now: float, drops: Collection[str] | None) -> tuple[str, list[Any]]:
    """A question, with its parameters, for the file that came last of those that are due."""
    sql = (
        "SELECT f.id FROM drops p CROSS JOIN files f ON f.id = (SELECT id FROM"
        f"  (SELECT id, state, due_at, ctime_ns FROM {FRESH}) WHERE state = 'pending' AND due_at <= ?"
        "  ORDER BY ctime_ns DESC LIMIT 1)"
    )
    where, parameters = _of_drops(drops)
    return f"{sql}{where} ORDER BY f.ctime_ns DESC LIMIT 1", [now, *parameters]


def _of_drops(drops: Collection[str] | None) -> tuple[str, list[Any]]:
    if drops is None:
        return "", []
    return f" WHERE p.path IN ({', '.join('?' * len(drops))})", [os.fsencode(drop) for drop in drops]


def refund_attempt(sql: sqlite3.Connection, upload_id: int) -> None:
    sql.execute(
        "UPDATE files SET attempts = max(0, attempts - 1)"
        " WHERE id = (SELECT main_id FROM uploads WHERE id = ?) AND upload_id = ?",
        (upload_id, upload_id),
    )


def _job(sql: sqlite3.Connection, main: sqlite3.Row) -> Job:
    place = sql.execute(
        "SELECT d.path, p.path AS drop_path FROM dirs d JOIN drops p ON p.id = d.drop_id WHERE d.id = ?",
        (main["dir_id"],),
    ).fetchone()
    path = os.path.join(os.fsdecode(place["path"]), os.fsdecode(main["name"]))
    members = [_member(main, path, os.path.basename(path))]
    for row in sql.execute(
        "SELECT f.*, d.path AS dir, l.upload_name FROM links l JOIN files f ON f.id = l.companion_id"
        " JOIN dirs d ON d.id = f.dir_id WHERE l.main_id = ? ORDER BY l.id",
        (main["id"],),
    ):
        companion = os.path.join(os.fsdecode(row["dir"]), os.fsdecode(row["name"]))
        members.append(_member(row, companion, blob_text(row["upload_name"])))
    return Job(os.fsdecode(place["drop_path"]), tuple(members), main["attempts"], main["error"])


def _member(row: sqlite3.Row, path: str, name: str) -> JobMember:
    signature = Signature(row["dev"] % (1 << 64), row["ino"] % (1 << 64), row["size"], row["mtime_ns"], row["ctime_ns"])
    return JobMember(row["id"], row["generation"], path, name, signature)


def join(sql: sqlite3.Connection, job: Job, upload: sqlite3.Row, now: float) -> Claim:
    """The content is on record for this folder already: the file's row joins that upload."""
    file_id, state = job.main.file_id, UploadState(upload["state"])
    # The same content under another extension is read as another format: what failed before may convert now.
    other_format = extension_of(os.fsdecode(upload["main_name"])) != extension_of(job.main.path)
    if state is UploadState.REPLACE or (state is UploadState.ERROR and other_format):
        task = upload["upload_task_id"] if state is UploadState.REPLACE else None
        return Claim(Verdict.LOOK_AGAIN, upload["id"], task)
    mine = upload["main_id"] == file_id
    if not mine and upload["main_state"] == FileState.GONE:
        # The file was renamed or moved: it takes the place of the one that is gone.
        sql.execute("UPDATE uploads SET main_id = ? WHERE id = ?", (file_id, upload["id"]))
        mine = True
    if state is UploadState.SUCCESS:
        new_state, error = (FileState.DONE if mine else FileState.DUPLICATE), None
    elif state is UploadState.ERROR:
        new_state, error = (
            FileState.FAILED,
            upload["error"] if mine else f"same content as before: {upload['error']}",
        )
    elif state is UploadState.SENT and mine:
        new_state, error = FileState.CONVERTING, None
    else:
        new_state, error = FileState.WAITING, None
    sql.execute(
        "UPDATE files SET state = ?, upload_id = ?, due_at = NULL, wake_at = NULL, error = ?, updated_at = ?"
        " WHERE id = ?",
        (new_state, upload["id"], error, now, file_id),
    )
    cancel_removal(sql, upload["id"])
    if state is UploadState.SUCCESS:
        settled_on(sql, file_id, upload["id"], now)
    return Claim(Verdict.KNOWN, upload["id"])
