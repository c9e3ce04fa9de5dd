"""Attempts of which only the server knows whether they arrived: after a kill, a lost answer, a full disk."""

import sqlite3
from dataclasses import dataclass

from watcher.ledger.connection import Connection, blob_text
from watcher.ledger.uploads import Job, refund_attempt
from watcher.model import SentFile


@dataclass(frozen=True, slots=True)
class OpenAttempt:
    """An attempt of which only the server knows whether it arrived."""

    upload_id: int
    folder_id: str
    started_at: float
    files: tuple[SentFile, ...]
    """The main file first."""


class DoubtLedger:
    """Transitions and questions of the reconciler, and of those who leave something to it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def unknown(self, upload_id: int, error: str, now: float, *, refund: bool = False) -> None:
        """The attempt was cut off after its last byte: the reconciler asks the server before it is repeated.

        Args:
            refund: take the try off the count: it was an outage, not a fault of the set.
        """
        with self._connection.transaction() as sql:
            _doubt(sql, upload_id, error, now)
            if refund:
                refund_attempt(sql, upload_id)

    def abandoned(self, job: Job, upload_id: int | None, now: float) -> None:
        """The outcome of an upload could not be recorded: it may have arrived if it had been claimed."""
        with self._connection.transaction() as sql:
            open_still = (
                upload_id is not None
                and sql.execute("SELECT 1 FROM uploads WHERE id = ? AND state = 'sending'", (upload_id,)).fetchone()
            )
            if open_still:
                assert upload_id is not None
                _doubt(sql, upload_id, "the outcome of the upload could not be recorded", now)
            sql.execute(
                "UPDATE files SET state = 'pending', due_at = ?, updated_at = ? WHERE id = ? AND state = 'uploading'",
                (now, now, job.main.file_id),
            )

    def recover(self, now: float) -> int:
        """Sort out what a killed process left: attempts that may have arrived become ``unknown``.

        Returns:
            How many there are.
        """
        with self._connection.transaction() as sql:
            cut_off = [row["id"] for row in sql.execute("SELECT id FROM uploads WHERE state = 'sending'")]
            for upload_id in cut_off:
                _doubt(sql, upload_id, "the program was stopped during the upload", now)
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
            return len(cut_off)

    def in_doubt(self) -> list[OpenAttempt]:
        """Attempts of which only the server knows whether they arrived, oldest first."""
        rows = self._connection.rows("SELECT * FROM uploads WHERE state = 'unknown' ORDER BY id")
        return [
            OpenAttempt(
                upload_id=row["id"],
                folder_id=row["folder_id"],
                started_at=row["started_at"],
                files=tuple(
                    SentFile(blob_text(member["name"]), member["digest"], member["size"])
                    for member in self._connection.rows(
                        "SELECT * FROM members WHERE upload_id = ? ORDER BY position", (row["id"],)
                    )
                ),
            )
            for row in rows
        ]

    def owned(self, upload_task_id: str) -> bool:
        """Whether an upload on record has this task."""
        return (
            self._connection.row("SELECT 1 FROM uploads WHERE upload_task_id = ? LIMIT 1", (upload_task_id,))
            is not None
        )

    def adopted(self, upload_id: int, upload_task_id: str, now: float) -> None:
        """The server has the attempt after all, under this task."""
        with self._connection.transaction() as sql:
            sql.execute(
                "UPDATE uploads SET state = 'sent', upload_task_id = ?, sent_at = ?, error = NULL WHERE id = ?",
                (upload_task_id, now, upload_id),
            )
            sql.execute(
                "UPDATE files SET state = 'converting', due_at = NULL, error = NULL, updated_at = ?"
                " WHERE id = (SELECT main_id FROM uploads WHERE id = ?) AND upload_id = ?"
                " AND state = 'waiting' AND wake_at IS NULL",
                (now, upload_id, upload_id),
            )


def _doubt(sql: sqlite3.Connection, upload_id: int, error: str, now: float) -> None:
    sql.execute("UPDATE uploads SET state = 'unknown', error = ? WHERE id = ?", (error, upload_id))
    sql.execute(
        "UPDATE files SET state = 'waiting', due_at = NULL, wake_at = NULL, error = ?, updated_at = ?"
        " WHERE upload_id = ? AND state = 'uploading'",
        (error, now, upload_id),
    )
