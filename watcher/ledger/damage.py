"""What can be wrong with the ledger's file. A damaged one is set aside: never deleted, never silently replaced."""

import os
import sqlite3
import time
from pathlib import Path

MARK = ".damaged-"
"""Follows the ledger's name in the name of one that was set aside; then comes the time."""
_PARTS = ("", "-wal", "-shm")
"""The files of one database."""


def is_damage(error: BaseException) -> bool:
    """Whether SQLite says that the file itself is not what it was."""
    code = getattr(error, "sqlite_errorcode", None) or 0
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


_PASSING = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOMEM,
}


def is_outage(error: BaseException) -> bool:
    """Whether the ledger cannot be used just now: its disk is full or fails, or another program holds it."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_IOERR)  # without a code: the disk did not take it
    return isinstance(error, sqlite3.OperationalError) and code & 0xFF in _PASSING


def set_aside(path: Path) -> Path:
    """Rename the files of a ledger that nobody has open, and return the new name of the first.

    Its write-ahead log goes last: without it a sound file would be an older one, that knows less.

    Raises:
        OSError: it cannot be renamed.
    """
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = path.with_name(f"{path.name}{MARK}{moment}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}{MARK}{moment}-{number}")
    for part in _PARTS:
        if (file := Path(f"{path}{part}")).exists():
            file.rename(f"{aside}{part}")
    sync_folder(path.parent)
    return aside


def were_set_aside(path: Path) -> list[Path]:
    """The damaged ledgers that were in this place before, the oldest first."""
    return sorted(each for each in path.parent.glob(f"{path.name}{MARK}*") if not each.name.endswith(_PARTS[1:]))


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the names in a folder (where folders can be asked for that)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
