"""Looking at the ledger's file without leaving a trace on it: is it sound, and what does it remember?"""

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from watcher.ledger.connection import VERSION, LedgerError, NoLedger, is_there

SHOWN = 5
"""Faults that are told of one file."""


@dataclass(frozen=True, slots=True)
class Health:
    """What the file says of itself."""

    schema: int
    """Migrations that were applied; :data:`watcher.ledger.connection.VERSION` is the one of this program."""
    faults: tuple[str, ...]
    """What SQLite's quick check found; empty for a sound file."""
    meta: dict[str, str]
    """Facts of the installation, see :meth:`watcher.ledger.report.ReportLedger.meta`."""
    remote_folders: dict[str, str]
    """The ids of the remote folders that are known, by path."""

    @property
    def current(self) -> bool:
        return self.schema == VERSION


def examine(path: Path) -> Health:
    """Check the ledger's file. Unlike opening it, this makes no file beside it and changes none.

    Raises:
        NoLedger: there is none.
        LedgerError: it cannot be read at all.
    """
    if not is_there(path):
        raise NoLedger(path)
    # Without a write-ahead log nobody has it open for writing; then SQLite need not make one to read it.
    mode = "mode=ro" if path.with_name(path.name + "-wal").exists() else "immutable=1"
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?{mode}", uri=True, timeout=5)) as sql:
            faults = [row[0] for row in sql.execute(f"PRAGMA quick_check({SHOWN})")]
            tables = {row[0] for row in sql.execute("SELECT name FROM sqlite_master")}
            if not {"_sqlite_migrations", "meta", "remote_folders"} <= tables:
                return Health(0, faults=("it holds no ledger",), meta={}, remote_folders={})
            schema = "SELECT count(*) FROM _sqlite_migrations WHERE migration_set = 'ledger'"
            return Health(
                schema=sql.execute(schema).fetchone()[0],
                faults=() if faults == ["ok"] else tuple(faults),
                meta=dict(sql.execute("SELECT key, value FROM meta")),
                remote_folders=dict(sql.execute("SELECT path, folder_id FROM remote_folders")),
            )
    except sqlite3.Error as error:
        raise LedgerError(f"the ledger {path} cannot be read: {error}") from error
