"""How the ledger's file is opened, and what a transaction is."""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from watcher.ledger.damage import is_damage, set_aside, sync_folder, were_set_aside

VERSION = 1
"""The schema that this program writes: how many migrations there are. A ledger with more is a newer program's."""
FIRST_MIGRATION = "tables"
"""What the first migration is called in the ledgers that this program can bring up to date."""
BUSY_SECONDS = 30.0
BUSY_AT_WORK = 1.0
"""Seconds that another program which holds the ledger is waited for: at the beginning, and by those that try again."""
CHECK_SECONDS = 10.0
"""So long a check of the whole file may take. A million files with their uploads (1 GB) were measured to take 3."""
CHECK_STEPS = 100_000
"""Steps of SQLite between two looks at the clock."""
_WHO_MAY = "state_dir has to be a folder in which this user may write"


class LedgerError(Exception):
    """The ledger cannot be used; the text says why and what to do."""


class NoLedger(LedgerError):
    """There is no ledger (yet)."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"there is no ledger at {path} yet: nothing was scanned or watched so far")


class DamagedLedger(LedgerError):
    """The ledger's file is not what was written."""

    def __init__(self, path: Path, fault: str, aside: Path | None = None) -> None:
        """
        Args:
            fault: what SQLite says.
            aside: what it is called now, when it was set aside.
        """
        self.fault = fault
        where = f" and was set aside as {aside}" if aside is not None else ""
        super().__init__(
            f"the ledger {path} is damaged{where}: {fault}. Without it everything would be uploaded a second time:"
            " let `3dverse-watcher adopt` rebuild it from what the server holds, or put a backup in its place"
        )


class Connection:
    """One connection that all threads of a process share, one transaction at a time."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open the ledger, and unless ``read_only`` create and migrate it.

        Raises:
            DamagedLedger: it is damaged, or was and nothing has taken its place.
            LedgerError: it is not there (read only), not readable, or of a newer program.
        """
        self.path = path
        self.damage: str | None = None
        """What SQLite said when it found the file damaged, if it did."""
        self._lock = threading.RLock()
        if not is_there(path):
            if aside := were_set_aside(path):
                raise DamagedLedger(path, "no other has taken its place", aside[-1])
            if read_only:
                raise NoLedger(path)
        try:
            if not read_only and not is_there(path):
                create(path)
            self._sqlite = _connect(path)
            try:
                self._prepare(read_only)
            except BaseException:
                self._sqlite.close()
                raise
        except (OSError, sqlite3.Error) as error:
            if is_damage(error):
                raise DamagedLedger(path, str(error)) from error
            code = getattr(error, "sqlite_errorcode", None) or 0
            closed = isinstance(error, OSError) or code & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
            advice = f"; {_WHO_MAY}" if closed else ""
            raise LedgerError(f"the ledger {path} cannot be opened: {error}{advice}") from error

    def _prepare(self, read_only: bool) -> None:
        self.schema = _applied(self._sqlite)
        if self.schema > VERSION:
            raise LedgerError(
                f"the ledger {self.path} has schema {self.schema}, written by a newer 3dverse-watcher;"
                f" this one knows {VERSION}. Update the program or use another state_dir"
            )
        if self.schema and not _begins_as_ours(self._sqlite):
            raise LedgerError(
                f"the ledger {self.path} was made by a 3dverse-watcher from before the first release: move it away, and"
                " let `3dverse-watcher adopt` build it anew from what the server holds"
            )
        if self.schema == 0:  # a file is made whole, or not at all
            raise DamagedLedger(self.path, "the file is empty")
        if read_only:
            self._sqlite.execute("PRAGMA query_only = ON")
        else:
            self.path.chmod(0o600)
            self._sqlite.execute("PRAGMA journal_mode = WAL")
            self._sqlite.execute("PRAGMA synchronous = NORMAL")
        self._sqlite.execute("PRAGMA foreign_keys = ON")
        if self.schema < VERSION:
            if read_only:
                raise LedgerError(
                    f"the ledger {self.path} is of an older program: start `run` or `scan` once to update it"
                )
            self._back_up()
            _migrate(self._sqlite)
        self.schema = VERSION

    def _back_up(self) -> None:
        """Keep the ledger as the older program left it."""
        backup = self.path.with_name(f"{self.path.name}.schema-{self.schema}.bak")
        unfinished = Path(f"{backup}.new")
        unfinished.unlink(missing_ok=True)
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        self.copy_to(unfinished)
        _put_in_place(unfinished, backup)

    def check(self, seconds: float = CHECK_SECONDS) -> str | None:
        """What is wrong with the file; None when nothing is, or the look at it took longer than ``seconds``."""
        end = time.monotonic() + seconds
        with self._lock:
            self._sqlite.set_progress_handler(lambda: time.monotonic() > end, CHECK_STEPS)
            try:
                found: str = self._sqlite.execute("PRAGMA quick_check(1)").fetchone()[0]
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
                    return None
                if not is_damage(error):
                    raise
                found = str(error)
            finally:
                self._sqlite.set_progress_handler(None, 0)
        return None if found == "ok" else found.removeprefix("*** in database main ***\n")

    def hurry(self) -> None:
        """From now on another program that holds the ledger is waited for a moment only."""
        with self._lock:
            self._sqlite.execute(f"PRAGMA busy_timeout = {BUSY_AT_WORK * 1000:.0f}")

    def copy_to(self, path: Path) -> None:
        """Write a copy of the database as it is at this moment."""
        with self._lock, contextlib.closing(sqlite3.connect(path)) as target:
            self._sqlite.backup(target)

    def close(self) -> None:
        with self._lock:
            self._sqlite.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction: all of it or nothing, one at a time. Within another one of its thread it is a part of
        that."""
        with self._lock:
            if self._sqlite.in_transaction:
                yield self._sqlite
                return
            self._sqlite.execute("BEGIN IMMEDIATE")
            try:
                yield self._sqlite
                self._sqlite.execute("COMMIT")
            except BaseException as error:
                self._notice(error)
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
            except sqlite3.Error as error:
                self._notice(error)
                raise
            finally:
                with contextlib.suppress(sqlite3.Error):  # nothing was written
                    self._sqlite.execute("COMMIT")

    def rows(self, sql: str, parameters: Iterable[Any] = ()) -> list[sqlite3.Row]:
        with self._lock:
            try:
                return self._sqlite.execute(sql, tuple(parameters)).fetchall()
            except sqlite3.Error as error:
                self._notice(error)
                raise

    def row(self, sql: str, parameters: Iterable[Any] = ()) -> sqlite3.Row | None:
        with self._lock:
            try:
                row: sqlite3.Row | None = self._sqlite.execute(sql, tuple(parameters)).fetchone()
            except sqlite3.Error as error:
                self._notice(error)
                raise
            return row

    def _notice(self, error: BaseException) -> None:
        if is_damage(error):
            self.damage = str(error)


def is_there(path: Path) -> bool:
    """Whether there is a ledger.

    Raises:
        LedgerError: nobody can tell: its folder is none, or closed to this user, or a link leads to what is away.
    """
    place = path
    try:
        for place in (path.parent, path):
            try:
                os.lstat(place)
            except FileNotFoundError:
                return False
            os.stat(place)
    except FileNotFoundError as error:
        raise LedgerError(f"the ledger {path} cannot be reached: {place} is a symbolic link to nothing") from error
    except OSError as error:
        reason = error.strerror or error
        raise LedgerError(f"the ledger {path} cannot be reached: {reason}; {_WHO_MAY}") from error
    return True


def create(path: Path, facts: Mapping[str, str] | None = None) -> None:
    """Make a new ledger: all of it at once, or nothing.

    Args:
        facts: what it remembers from the beginning, see :meth:`watcher.ledger.report.ReportLedger.meta`.

    Raises:
        OSError, sqlite3.Error: it cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if Path(f"{path}-wal").exists():
        set_aside(path)  # left of a ledger that is gone; SQLite would take it for the new one's
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    with contextlib.closing(_connect(unfinished)) as sql:
        sql.execute("PRAGMA synchronous = OFF")  # it is synced as a whole below
        _migrate(sql)
        sql.executemany("INSERT INTO meta VALUES (?, ?)", (facts or {}).items())
    _put_in_place(unfinished, path)


def _connect(path: Path) -> sqlite3.Connection:
    sql = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    sql.row_factory = sqlite3.Row
    return sql


def _applied(sql: sqlite3.Connection) -> int:
    """How many migrations a ledger has seen."""
    table = "SELECT 1 FROM sqlite_master WHERE name = '_sqlite_migrations'"
    if sql.execute(table).fetchone() is None:
        return 0
    applied: int = sql.execute("SELECT count(*) FROM _sqlite_migrations WHERE migration_set = 'ledger'").fetchone()[0]
    return applied


def _begins_as_ours(sql: sqlite3.Connection) -> bool:
    first = "SELECT 1 FROM _sqlite_migrations WHERE migration_set = 'ledger' AND name = ?"
    return sql.execute(first, (FIRST_MIGRATION,)).fetchone() is not None


def _migrate(sql: sqlite3.Connection) -> None:
    """Bring a ledger to this program's schema, all the way or not at all."""
    # Imported here: questions need no migrations, and are to be answered at once.
    from sqlite_utils import Database

    from watcher.ledger.schema import migrations

    database = Database(sql)
    with database.atomic():
        migrations.apply(database)


def _put_in_place(unfinished: Path, path: Path) -> None:
    """Give a finished file its name, durably."""
    descriptor = os.open(unfinished, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    unfinished.replace(path)
    sync_folder(path.parent)


def text_blob(text: str) -> bytes:
    """A text that may hold lone surrogates, as bytes for the ledger."""
    return text.encode("utf-8", "surrogatepass")


def blob_text(blob: bytes) -> str:
    return blob.decode("utf-8", "surrogatepass")
