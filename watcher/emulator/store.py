"""The emulator's SQLite database and its transactions.

Every thread has its own connection. Readers see a snapshot and never wait; writers take turns. Blobs are part of a
transaction: rolled back, none of them stays; committed, what nobody refers to any more is gone from the disk.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Any

from watcher.emulator.blobs import Blobs, IncomingBlob

SCHEMA_VERSION = 1


class StoreError(Exception):
    """The data folder cannot be used."""


class Transaction:
    """One consistent view of the data, and within ``Store.write`` one change of it."""

    def __init__(self, db: sqlite3.Connection, blobs: Blobs) -> None:
        self.db = db
        self.blobs = blobs
        self.placed: list[str] = []

    def run(self, sql: str, *values: Any) -> int:
        """Execute a statement; the number of rows it changed."""
        return self.db.execute(sql, values).rowcount

    def run_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        self.db.executemany(sql, rows)

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        return self.db.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self.db.execute(sql, values).fetchone()
        return row

    def value(self, sql: str, *values: Any) -> Any:
        """The first column of the first row, or None when there is none."""
        row = self.row(sql, *values)
        return None if row is None else row[0]

    def keep(self, blob: IncomingBlob) -> str:
        """Store a received content once, whoever sent it first; returns its digest."""
        digest = blob.close()
        if self.run("INSERT INTO blob (digest, size) VALUES (?, ?) ON CONFLICT DO NOTHING", digest, blob.size):
            blob.path.replace(self.blobs.path(digest))
            self.placed.append(digest)
        else:
            blob.discard()
        return digest


class Store:
    """The database file of a data folder. ``open`` before use, ``close`` when no thread uses it any more."""

    def __init__(self, path: Path, blobs: Blobs) -> None:
        self._path = path
        self._blobs = blobs
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._write_lock = threading.Lock()

    def open(self) -> None:
        """Create or check the schema, and remove blobs that no row knows. Raises StoreError."""
        self._blobs.open_folders()
        try:
            self._prepare()
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{self._path} cannot be opened: {error}") from error
        with self.write() as tx:
            known = {row[0] for row in tx.rows("SELECT digest FROM blob")}
            for digest in list(self._blobs.stored()):
                if digest not in known:
                    self._blobs.path(digest).unlink(missing_ok=True)

    def close(self) -> None:
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        self._local = threading.local()

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A snapshot of the data."""
        db = self._connection()
        db.execute("BEGIN")
        try:
            yield Transaction(db, self._blobs)
        finally:
            db.execute("ROLLBACK")

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A change of the data: all of it or, after an exception, nothing. Keep it short, others wait."""
        with self._write_lock:
            db = self._connection()
            db.execute("BEGIN IMMEDIATE")
            tx = Transaction(db, self._blobs)
            unused = tx.placed
            try:
                yield tx
                unreferred = [row[0] for row in tx.rows("DELETE FROM blob WHERE refs = 0 RETURNING digest")]
                db.execute("COMMIT")
                unused = unreferred
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk may have ended the transaction
                    db.execute("ROLLBACK")
                raise
            finally:
                for digest in unused:
                    self._blobs.path(digest).unlink(missing_ok=True)

    def _prepare(self) -> None:
        db = self._connection()
        db.execute("PRAGMA journal_mode = WAL")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            schema = resources.files("watcher.emulator").joinpath("schema.sql").read_text("utf-8")
            db.executescript(f"BEGIN;\n{schema}\nPRAGMA user_version = {SCHEMA_VERSION};\nCOMMIT;")
        elif version != SCHEMA_VERSION:
            raise StoreError(
                f"{self._path} was written by another version of the emulator (schema {version}, this one"
                f" knows {SCHEMA_VERSION}); use another data folder."
            )

    def _connection(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            # Closed by close(), which is another thread.
            db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("PRAGMA busy_timeout = 10000")
            db.create_function("casefold", 1, _casefold, deterministic=True)
            self._connections.append(db)
            self._local.db = db
        return db


def _casefold(text: str) -> str:
    return text.casefold()
