"""Attempts of which only the server knows whether they arrived: after a kill, a lost answer, a full disk."""

import os
import sqlite3
from dataclasses import dataclass

from watcher.ledger.connection import Connection, blob_text, text_blob
from watcher.ledger.expressions import OPEN
from watcher.ledger.uploads import Job, UploadState, refund_attempt
from watcher.ledger.versions import AWAITS, DECIDED_BY
from watcher.model import SentFile

CUT_OFF_BY_STOP = "it was cut off by a stop: the server is asked whether it arrived"


@dataclass(frozen=True, slots=True)
class OpenAttempt:
    """An attempt of which only the server knows whether it arrived."""

    upload_id: int
    folder_id: str
    path: str
    """Of the main file."""
    started_at: float
    server_time: float | None
    """When it began, by the server's clock, if that was known."""
    size: int
    """Bytes of all its files."""
    late_seconds: float | None
    """How long it may take to become visible; None: as long as one of its size can."""
    files: tuple[SentFile, ...]
    """The main file first."""
    upload_task_id: str | None = None
    """Under which the server took it, and which it does not know any more."""


class DoubtLedger:
    """Transitions and questions of the reconciler, and of those who leave something to it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def unknown(
        self,
        upload_id: int,
        error: str,
        now: float,
        *,
        refund: bool = False,
        late_seconds: float | None = None,
        not_before: float = 0.0,
    ) -> None:
        """The attempt was cut off after its first byte: the reconciler asks the server before it is repeated.

        Args:
            late_seconds: how long it may take to become visible; None: as long as one of its size can.
            not_before: if it did not arrive, it is not sent again before this time.
            refund: take the try off the count: it was an outage, not a fault of the set.
        """
        with self._connection.transaction() as sql:
            _doubt(sql, upload_id, error, now)
            sql.execute(
                "UPDATE uploads SET late_seconds = ?, not_before = ? WHERE id = ?",
                (late_seconds, not_before, upload_id),
            )
            if refund:
                refund_attempt(sql, upload_id)

    def lost(self, upload_id: int, error: str, now: float) -> None:
        """The server took an attempt, and does not know its upload task any more: what became of it?"""
        with self._connection.transaction() as sql:
            sql.execute(
                "UPDATE uploads SET state = 'unknown', error = ? WHERE id = ? AND state = 'sent'", (error, upload_id)
            )
            sql.execute(
                "UPDATE files SET state = 'waiting', due_at = NULL, wake_at = NULL, error = ?2, updated_at = ?3"
                f" WHERE {DECIDED_BY} AND state = 'converting'",
                (upload_id, error, now),
            )

    def abandoned(self, job: Job, upload_id: int | None, now: float) -> None:
        """The outcome of an upload could not be recorded: it may have arrived if it had been claimed.

        Args:
            upload_id: of the claim; None also when the ledger failed in the midst of it.
        """
        with self._connection.transaction() as sql:
            claimed = sql.execute(
                "SELECT upload_id FROM files WHERE id = ? AND generation = ? AND state = 'uploading'",
                (job.main.file_id, job.main.generation),
            ).fetchone()
            for each in {upload_id, claimed and claimed["upload_id"]} - {None}:
                _doubt(sql, each, "the outcome of the upload could not be recorded", now)
            sql.execute(
                "UPDATE files SET state = 'pending', due_at = ?, updated_at = ?"
                " WHERE id = ? AND generation = ? AND state = 'uploading'",
                (now, now, job.main.file_id, job.main.generation),
            )

    def recover(self, now: float) -> int:
        """Sort out what a killed process left: attempts that may have arrived become ``unknown``.

        Returns:
            How many there are.
        """
        with self._connection.transaction() as sql:
            cut_off = [row["id"] for row in sql.execute("SELECT id FROM uploads WHERE state = 'sending'")]
            for upload_id in cut_off:
                _doubt(sql, upload_id, CUT_OFF_BY_STOP, now)
            sql.execute(
                "UPDATE files SET state = 'pending', updated_at = ?,"
                " due_at = CASE role WHEN 'main' THEN coalesce(due_at, ?) END WHERE state = 'uploading'",
                (now, now),
            )
            # Times that a clock wrote which was in the future then would keep files waiting for years.
            sql.execute(
                "UPDATE files SET due_at = min(due_at, ?), wake_at = min(wake_at, ?), settled_at = min(settled_at, ?),"
                " observed_at = min(observed_at, ?) WHERE max(due_at, 0) > ? OR max(wake_at, 0) > ? OR settled_at > ?"
                " OR observed_at > ?",
                (now,) * 8,
            )
            sql.execute("UPDATE uploads SET moved_at = ? WHERE state = 'sent' AND moved_at > ?", (now, now))
            sql.execute("UPDATE uploads SET not_before = ? WHERE state = 'unknown' AND not_before > ?", (now, now))
            return len(cut_off)

    def in_doubt(self) -> list[OpenAttempt]:
        """Attempts of which only the server knows whether they arrived, oldest first."""
        rows = self._connection.rows(
            "SELECT u.*, d.path AS dir, f.name FROM uploads u INDEXED BY uploads_open JOIN files f ON f.id = u.main_id"
            f" JOIN dirs d ON d.id = f.dir_id WHERE u.{OPEN} AND u.state = 'unknown' ORDER BY u.id"
        )
        return [
            OpenAttempt(
                upload_id=row["id"],
                folder_id=row["folder_id"],
                path=os.path.join(os.fsdecode(row["dir"]), os.fsdecode(row["name"])),
                size=row["size"],
                late_seconds=row["late_seconds"],
                started_at=row["started_at"],
                server_time=row["server_time"],
                upload_task_id=row["upload_task_id"],
                files=tuple(
                    SentFile(blob_text(member["name"]), member["digest"], member["size"], member["beginnings"] or b"")
                    for member in self._connection.rows(
                        "SELECT * FROM members WHERE upload_id = ? ORDER BY position", (row["id"],)
                    )
                ),
            )
            for row in rows
        ]

    def rivals(self, attempt: OpenAttempt) -> dict[int, UploadState]:
        """Other attempts, not settled yet, whose main file bears the same name in the same folder, by upload id."""
        rows = self._connection.rows(
            "SELECT u.id, u.state FROM uploads u INDEXED BY uploads_open"
            " JOIN members m ON m.upload_id = u.id AND m.position = 0"
            f" WHERE u.{OPEN} AND u.state IN ('sending', 'unknown') AND u.folder_id = ? AND u.id != ? AND m.name = ?",
            (attempt.folder_id, attempt.upload_id, text_blob(attempt.files[0].name)),
        )
        return {row["id"]: UploadState(row["state"]) for row in rows}

    def names_on_record(self, folder_id: str, digest: str) -> list[str]:
        """The names under which uploads that reached a folder brought this content, once for each time."""
        rows = self._connection.rows(
            "SELECT m.name FROM members m JOIN uploads u ON u.id = m.upload_id"
            " WHERE m.digest = ? AND u.folder_id = ? AND u.state IN ('sent', 'success', 'error', 'replace')",
            (digest, folder_id),
        )
        return [blob_text(row["name"]) for row in rows]

    def is_whole(self, folder_id: str, digest: str) -> bool:
        """Whether an upload that reached a folder, or may have, brought this content as one of its files."""
        sql = (
            "SELECT 1 FROM members m JOIN uploads u ON u.id = m.upload_id"
            " WHERE m.digest = ? AND u.folder_id = ? AND u.state != 'void' LIMIT 1"
        )
        return self._connection.row(sql, (digest, folder_id)) is not None

    def half(self, upload_id: int, source_file_id: str, name: str) -> None:
        """A source file may be half of this attempt, and cannot be shown to be."""
        with self._connection.transaction() as sql:
            sql.execute(
                "INSERT OR IGNORE INTO halves SELECT ?, id, ? FROM uploads WHERE id = ?",
                (source_file_id, name, upload_id),
            )

    def halves(self) -> list[str]:
        """The ids of all such source files."""
        return [row["source_file_id"] for row in self._connection.rows("SELECT source_file_id FROM halves")]

    def half_is_gone(self, source_file_id: str) -> None:
        """The server has it no more, or a person has decided that it stays."""
        with self._connection.transaction() as sql:
            sql.execute("DELETE FROM halves WHERE source_file_id = ?", (source_file_id,))

    def owned(self, upload_task_id: str) -> bool:
        """Whether an upload on record has this task, and it is not in doubt."""
        sql = "SELECT 1 FROM uploads WHERE upload_task_id = ? AND state != 'unknown' LIMIT 1"
        return self._connection.row(sql, (upload_task_id,)) is not None

    def undecided(self, upload_id: int, error: str, now: float) -> None:
        """The server fails to say whether an attempt arrived: its files fail, until it says so after all."""
        with self._connection.transaction() as sql:
            sql.execute(
                f"UPDATE files SET state = 'failed', error = ?2, updated_at = ?3 WHERE {AWAITS}",
                (upload_id, error, now),
            )

    def decided(self, upload_id: int, now: float) -> None:
        """The server has said whether an attempt arrived: files that failed for want of its answer go on."""
        with self._connection.transaction() as sql:
            sql.execute(
                f"UPDATE files SET state = 'waiting', updated_at = ?2 WHERE {DECIDED_BY} AND state = 'failed'",
                (upload_id, now),
            )

    def adopted(self, upload_id: int, upload_task_id: str, now: float) -> None:
        """The server has the attempt after all, under this task."""
        with self._connection.transaction() as sql:
            sql.execute(
                "UPDATE uploads SET state = 'sent', upload_task_id = ?, sent_at = ?, moved_at = ?, error = NULL"
                " WHERE id = ?",
                (upload_task_id, now, now, upload_id),
            )
            sql.execute(
                "UPDATE files SET state = 'converting', due_at = NULL, error = NULL, updated_at = ?2"
                f" WHERE id = (SELECT main_id FROM uploads WHERE id = ?1) AND {AWAITS}",
                (upload_id, now),
            )


def _doubt(sql: sqlite3.Connection, upload_id: int, error: str, now: float) -> None:
    doubtful = sql.execute(
        "UPDATE uploads SET state = 'unknown', error = ? WHERE id = ? AND state = 'sending'", (error, upload_id)
    ).rowcount
    if not doubtful:  # it has a receipt by now
        return
    sql.execute(
        "UPDATE files SET state = 'waiting', due_at = NULL, wake_at = NULL, error = ?2, updated_at = ?3"
        f" WHERE {DECIDED_BY} AND state = 'uploading'",
        (upload_id, error, now),
    )
