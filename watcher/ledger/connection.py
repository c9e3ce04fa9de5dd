"""How the ledger's file is opened, and what a transaction is."""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

VERSION = 1
"""The schema that this program writes: how many migrations there are. A ledger with more is a newer program's."""
BUSY_SECONDS = 30.0


class LedgerError(Exception):
    """The ledger cannot be used; the text says why and what to do."""


class NoLedger(LedgerError):
    """There is no ledger (yet)."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"there is no ledger at {path} yet: nothing was scanned or watched so far")


class Connection:
    """One connection that all threads of a process share, one transaction at a time."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open the ledger, and unless ``read_only`` create and migrate it.

        Raises:
            LedgerError: it is not there (read only), not readable, damaged, or of a newer program.
        """
        self.path = path
        self._lock = threading.RLock()
        if read_only and not path.exists():
            raise NoLedger(path)
        try:
            if not read_only:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
                path.chmod(0o600)
            self._sqlite = sqlite3.connect(
                path,
                timeout=BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=256,
            )
            self._sqlite.row_factory = sqlite3.Row
            self._prepare(read_only)
        except LedgerError:
            self._sqlite.close()
            raise
        except (OSError, sqlite3.Error) as error:
            raise LedgerError(f"the ledger {path} cannot be opened: {error}") from error

    def _prepare(self, read_only: bool) -> None:
        if read_only:
            self._sqlite.execute("PRAGMA query_only = ON")
        else:
            self._sqlite.execute("PRAGMA journal_mode = WAL")
            self._sqlite.execute("PRAGMA synchronous = NORMAL")
        self._sqlite.execute("PRAGMA foreign_keys = ON")
        self.schema = self._applied()
        if self.schema > VERSION:
            raise LedgerError(
                f"the ledger {self.path} has schema {self.schema}, written by a newer 3dverse-watcher;"
                f" this one knows {VERSION}. Update the program or use another state_dir"
            )
        if not read_only:
            self._migrate()
        elif self.schema == 0:  # made this moment, by a daemon that starts
            raise NoLedger(self.path)
        elif self.schema < VERSION:
            raise LedgerError(f"the ledger {self.path} is of an older program: start `run` or `scan` once to update it")
        self.schema = VERSION

    def _applied(self) -> int:
        table = "SELECT 1 FROM sqlite_master WHERE name = '_sqlite_migrations'"
        if self._sqlite.execute(table).fetchone() is None:
            return 0
        sql = "SELECT count(*) FROM _sqlite_migrations WHERE migration_set = 'ledger'"
        applied: int = self._sqlite.execute(sql).fetchone()[0]
        return applied

    def _migrate(self) -> None:
        # Imported here: questions need no migrations, and are to be answered at once.
        from sqlite_utils import Database

        from watcher.ledger.schema import migrations

        migrations.apply(Database(self._sqlite))

    def copy_to(self, path: Path) -> None:
        """Write a copy of the database as it is at this moment."""
        with self._lock, contextlib.closing(sqlite3.connect(path)) as target:
            self._sqlite.backup(target)

    def close(self) -> None:
        with self._lock:
            self._sqlite.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction: all of it or nothing, one at a time."""
        with self._lock:
            self._sqlite.execute("BEGIN IMMEDIATE")
            try:
                yield self._sqlite
                self._sqlite.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._sqlite.execute("ROLLBACK")
                raise

    def sync(self) -> None:
        """Wait until the disk has every transaction so far, so that they survive a power cut too.

        Unlike with ``synchronous = FULL`` other threads go on meanwhile, and several that wait are served by one pass
        of the disk.

        Raises:
            sqlite3.OperationalError: the disk does not take it.
        """
        try:
            # Closing a descriptor of the WAL is harmless; one of the database itself would let go of SQLite's locks.
            descriptor = os.open(f"{self.path}-wal", os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise sqlite3.OperationalError(f"the ledger cannot be written: {error}") from error

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """A read transaction: every query in it sees the same moment."""
        with self._lock:
            self._sqlite.execute("BEGIN")
            try:
                yield self._sqlite
            finally:
                self._sqlite.execute("COMMIT")

    def rows(self, sql: str, parameters: Iterable[Any] = ()) -> list[sqlite3.Row]:
        with self._lock:
            return self._sqlite.execute(sql, tuple(parameters)).fetchall()

    def row(self, sql: str, parameters: Iterable[Any] = ()) -> sqlite3.Row | None:
        with self._lock:
            row: sqlite3.Row | None = self._sqlite.execute(sql, tuple(parameters)).fetchone()
            return row


def text_blob(text: str) -> bytes:
    """A text that may hold lone surrogates, as bytes for the ledger."""
    return text.encode("utf-8", "surrogatepass")


def blob_text(blob: bytes) -> str:
    return blob.decode("utf-8", "surrogatepass")
