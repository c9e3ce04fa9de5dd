"""What a person or the daemon itself does to the ledger: retry, forget, remember."""

import os
import sqlite3
from collections.abc import Sequence
from enum import StrEnum

from watcher.ledger.connection import Connection
from watcher.ledger.intake import BACK_TO_PLAN
from watcher.ledger.versions import STANDS


class Spent(StrEnum):
    """What the ledger needs no more after a while; what others stand on goes after them."""

    ATTEMPTS = "attempts"
    """Uploads that the server does not have, and of which nothing stayed there, nor may have."""
    FILES = "files"
    """Files that came and went, of which nothing was sent, and that no model names."""
    FOLDERS = "folders"
    """Folders without a file."""


_SPENT = {
    Spent.ATTEMPTS: (
        "uploads INDEXED BY uploads_void WHERE state = 'void' AND finished_at < ?",
        "EXISTS (SELECT 1 FROM kept WHERE upload_id = uploads.id)"
        " OR EXISTS (SELECT 1 FROM halves WHERE upload_id = uploads.id)"
        " OR EXISTS (SELECT 1 FROM files WHERE upload_id = uploads.id)",
    ),
    Spent.FILES: (
        "files INDEXED BY files_gone WHERE state = 'gone' AND updated_at < ?",
        "EXISTS (SELECT 1 FROM uploads WHERE main_id = files.id)"
        " OR EXISTS (SELECT 1 FROM links WHERE companion_id = files.id)",
    ),
    Spent.FOLDERS: ("dirs WHERE ? IS NOT NULL", "EXISTS (SELECT 1 FROM files WHERE dir_id = dirs.id)"),
}
"""Where they are, since when, and what keeps one."""


class UpkeepLedger:
    """Transitions that no stage makes by itself."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def remember(self, key: str, value: str) -> None:
        """A fact of the installation, see :meth:`ReportLedger.meta`."""
        with self._connection.transaction() as sql:
            sql.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def remote_folder(self, path: str) -> str | None:
        """The id of the remote folder at this path, when it was found before."""
        row = self._connection.row("SELECT folder_id FROM remote_folders WHERE path = ?", (path,))
        return None if row is None else row["folder_id"]

    def remember_folder(self, path: str, folder_id: str) -> None:
        with self._connection.transaction() as sql:
            sql.execute("INSERT OR REPLACE INTO remote_folders VALUES (?, ?)", (path, folder_id))

    def forget_folder(self, folder_id: str) -> None:
        """A remote folder is not there any more."""
        with self._connection.transaction() as sql:
            sql.execute("DELETE FROM remote_folders WHERE folder_id = ?", (folder_id,))

    def prune(self, spent: Spent, before: float, after: int, limit: int) -> int:
        """Let go of what is needed no more, and was not since ``before``, Unix seconds.

        Args:
            after: where the look before ended, 0 to begin: there may be very much that is to stay.
            limit: how many rows are looked at.

        Returns:
            Where this look ended; 0 when it saw the last of them.
        """
        rows_that_are, needed = _SPENT[spent]
        with self._connection.transaction() as sql:
            rows = sql.execute(
                f"SELECT id, {needed} AS needed FROM {rows_that_are} AND id > ? ORDER BY id LIMIT ?",
                (before, after, limit),
            ).fetchall()
            table = rows_that_are.split()[0]
            sql.executemany(f"DELETE FROM {table} WHERE id = ?", [(row["id"],) for row in rows if not row["needed"]])
        return rows[-1]["id"] if len(rows) == limit else 0

    def retry(self, paths: Sequence[str], now: float) -> int:
        """Failed files are tried again; what a failed conversion left on the server is removed before.

        Args:
            paths: files (see :meth:`ReportLedger.files` for finding those below a folder).

        Returns:
            How many models and files are tried again.
        """
        tried = 0
        with self._connection.transaction() as sql:
            for path in paths:
                row = _file(sql, path)
                if row is None or row["state"] != "failed" or row["role"] != "main":
                    continue
                if row["upload_id"] is not None:
                    sql.execute(
                        "UPDATE uploads SET state = 'replace' WHERE id = ? AND state = 'error'",
                        (row["upload_id"],),
                    )
                sql.execute(
                    f"UPDATE files SET {BACK_TO_PLAN}, settled_at = coalesce(settled_at, ?) WHERE id = ?",
                    (now, now, row["id"]),
                )
                tried += 1
        return tried

    def forget(self, paths: Sequence[str]) -> int:
        """The ledger loses all memory of these files; what is on the server stays.

        An upload that other files share (duplicates) passes to one of them.

        Returns:
            How many files were forgotten.
        """
        forgotten = 0
        with self._connection.transaction() as sql:
            for path in paths:
                row = _file(sql, path)
                if row is None:
                    continue
                for upload in sql.execute("SELECT id FROM uploads WHERE main_id = ?", (row["id"],)).fetchall():
                    heir = sql.execute(
                        f"SELECT id FROM files WHERE {STANDS} AND id != ?2 LIMIT 1",
                        (upload["id"], row["id"]),
                    ).fetchone()
                    if heir is None:
                        sql.execute("UPDATE files SET upload_id = NULL WHERE upload_id = ?", (upload["id"],))
                        sql.execute("DELETE FROM uploads WHERE id = ?", (upload["id"],))
                    else:
                        sql.execute("UPDATE uploads SET main_id = ? WHERE id = ?", (heir["id"], upload["id"]))
                        sql.execute(
                            "UPDATE files SET state = 'done' WHERE id = ? AND state = 'duplicate'",
                            (heir["id"],),
                        )
                sql.execute(
                    "UPDATE files SET state = 'pending', due_at = NULL, wake_at = NULL, generation = generation + 1"
                    " WHERE state != 'gone' AND settled_at IS NOT NULL"
                    " AND id IN (SELECT main_id FROM links WHERE companion_id = ?)",
                    (row["id"],),
                )
                sql.execute("DELETE FROM files WHERE id = ?", (row["id"],))
                forgotten += 1
        return forgotten


def _file(sql: sqlite3.Connection, path: str) -> sqlite3.Row | None:
    directory, name = os.path.split(path)
    row: sqlite3.Row | None = sql.execute(
        "SELECT f.* FROM files f JOIN dirs d ON d.id = f.dir_id WHERE d.path = ? AND f.name = ?",
        (os.fsencode(directory), os.fsencode(name)),
    ).fetchone()
    return row
