"""The state directory: who works on it, and for which server."""

import contextlib
import json
import os
import sqlite3
import sys
import time
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog

from watcher import clock
from watcher.ledger import DamagedLedger, Ledger, LedgerError, create, is_there
from watcher.ledger.damage import set_aside
from watcher.model import Sending
from watcher.spelling import shown

if sys.platform != "win32":
    import fcntl

_log = structlog.get_logger(__name__)

LEDGER = "ledger.db"
ADOPTING = "adopting"
"""Under which a ledger that is being rebuilt remembers since when (Unix seconds)."""
LOCK = "daemon.lock"
_ROOM = 16_384
"""Bytes of the lock's file: the process id in the first line, in the second what the process has to tell, as JSON."""
_TELL_INTERVAL = 1.0
_UP_TO_DATE = 5.0
"""Seconds for which it holds how far uploads are."""
EMULATOR_DATA = "emulator"
EMULATOR = "emulator"
"""How the ledger remembers that it belongs to the embedded emulator, whose address changes."""


class StateInUse(Exception):
    """Another process works on this state directory."""


class UnusableState(Exception):
    """The state directory cannot be made or written."""


class WrongServer(Exception):
    """The ledger holds what another server said."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that works on a state directory."""

    pid: int
    trouble: str | None = None
    """What keeps it from its work now, in its own words."""
    sending: Mapping[str, Sending] = field(default_factory=dict)
    """The uploads under way, by path of the main file."""


class StateLock:
    """Held while a process works on the state directory, so that two never do. The kernel lets go of it when the
    process ends, however it ends."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / LOCK
        self._descriptor: int | None = None
        self._told: str | None = None
        self._tell_again = 0.0

    def __enter__(self) -> Self:
        """Raises StateInUse, UnusableState."""
        try:
            return self._take()
        except OSError as error:
            raise UnusableState(
                f"the state directory {self._path.parent} cannot be written: {error.strerror}. Mend that, or set"
                " state_dir (WATCHER_STATE_DIR) to another folder"
            ) from error

    def _take(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        if not _lock(descriptor):
            pid = _owner(descriptor).pid
            os.close(descriptor)
            raise StateInUse(
                f"process {pid} is at work in {self._path.parent}: stop it first, or use another state_dir"
                " (`3dverse-watcher status` works meanwhile)"
            )
        self._descriptor = descriptor
        self._write(None, {})
        return self

    def tell(self, trouble: str | None, sending: Mapping[str, Sending]) -> None:
        """Let ``status`` know what keeps the process from its work, and how far its uploads are; at most once a second.

        Not by the ledger, which may be the trouble: here the room was taken at the beginning and is written over, which
        a full disk still allows.
        """
        if (now := clock.now()) >= self._tell_again:
            self._tell_again = now + _TELL_INTERVAL
            with contextlib.suppress(OSError):
                self._write(trouble, sending)

    def _write(self, trouble: str | None, sending: Mapping[str, Sending]) -> None:
        assert self._descriptor is not None
        said: dict[str, Any] = {"trouble": trouble and shown(trouble)[: _ROOM // 4], "sending": {}}
        text = json.dumps(said)
        for path, each in sending.items():
            said["sending"][path] = astuple(each)
            if len(longer := json.dumps(said)) > _ROOM - 100:
                break
            text = longer
        if text != self._told:
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            os.write(self._descriptor, f"{os.getpid()}\n{text}".encode().ljust(_ROOM, b"\n"))
            self._told = text

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def owner(state_dir: Path) -> Owner | None:
    """The process that works on a state directory now, or None."""
    try:
        descriptor = os.open(state_dir / LOCK, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return None
    try:
        return None if _lock(descriptor) else _owner(descriptor)
    finally:
        os.close(descriptor)


def open_ledger(state_dir: Path) -> Ledger:
    """The ledger of a state directory whose lock the caller holds, for the daemon to work on.

    Raises:
        DamagedLedger: it was found damaged, and is set aside now; or it was before, and nothing took its place.
        LedgerError: it cannot be used, or is rebuilt only in part.
    """
    ledger = _sound(state_dir / LEDGER)
    if begun := ledger.report.meta(ADOPTING):
        ledger.close()
        raise LedgerError(
            f"the ledger {ledger.path} is rebuilt only in part: `3dverse-watcher adopt`, begun {_when(begun)}, did not"
            " come to its end. Run it again, it goes on where it was (`adopt --give-up`: what it did not reach is new)"
        )
    return ledger


def open_ledger_to_adopt(state_dir: Path) -> Ledger:
    """The ledger of a state directory whose lock the caller holds, for :mod:`watcher.adopt`.

    A damaged one is set aside. A new one remembers that it is not rebuilt yet, see :func:`rebuilt`.

    Raises:
        LedgerError: it cannot be used.
    """
    path = state_dir / LEDGER
    if is_there(path):
        try:
            return _sound(path)
        except DamagedLedger as damage:
            _log.warning("the ledger is rebuilt", reason=str(damage))
    try:
        create(path, {ADOPTING: str(clock.now())})
    except (OSError, sqlite3.Error) as error:
        raise LedgerError(f"the ledger {path} cannot be made: {error}") from error
    return Ledger(path)


def rebuilt(ledger: Ledger) -> None:
    """The daemon may go on with this ledger."""
    ledger.upkeep.remember(ADOPTING, "")


def ledger_was_damaged(ledger: Ledger) -> DamagedLedger:
    """Set aside the ledger that damage was noticed in, which nobody has open any more; returns what to raise."""
    return _set_aside(ledger.path, ledger.damage or "")


def _sound(path: Path) -> Ledger:
    """Raises DamagedLedger, after it was set aside."""
    try:
        ledger = Ledger(path)
    except DamagedLedger as damage:
        if not path.exists():
            raise
        raise _set_aside(path, damage.fault) from damage
    fault = ledger.check()
    if fault is not None:
        ledger.close()
        raise _set_aside(path, fault)
    return ledger


def _set_aside(path: Path, fault: str) -> DamagedLedger:
    aside = set_aside(path)
    _log.error("the ledger is damaged and was set aside", ledger=str(path), aside=str(aside), fault=fault)
    return DamagedLedger(path, fault, aside)


def _when(seconds: str) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(float(seconds)))


def claim_for_server(ledger: Ledger, server: str) -> None:
    """Remember which server the ledger speaks of.

    Raises:
        WrongServer: it speaks of another one: its ids mean nothing here.
    """
    known = ledger.report.meta("server")
    if known is None:
        ledger.upkeep.remember("server", server)
    elif known != server:
        raise WrongServer(
            f"the ledger {ledger.path} belongs to {_named(known)}, not to {_named(server)}:"
            " use another state_dir for each server (state_dir in the configuration, or WATCHER_STATE_DIR)"
        )


def _named(server: str) -> str:
    return "the embedded emulator" if server == EMULATOR else server


def _lock(descriptor: int) -> bool:
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner(descriptor: int) -> Owner:
    pid = 0
    for _ in range(3):  # it may be written at this moment
        with contextlib.suppress(OSError, ValueError):
            os.lseek(descriptor, 0, os.SEEK_SET)
            first, _, text = os.read(descriptor, _ROOM).partition(b"\n")
            pid = int(first)
            said = json.loads(text)
            is_new = clock.age(os.fstat(descriptor).st_mtime) < _UP_TO_DATE
            sending = {path: Sending(*each) for path, each in said["sending"].items()} if is_new else {}
            return Owner(pid, said["trouble"], sending)
    return Owner(pid)
