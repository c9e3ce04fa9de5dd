"""The state directory: who works on it, and for which server."""

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from watcher.ledger import Ledger

if sys.platform != "win32":
    import fcntl

LEDGER = "ledger.db"
LOCK = "daemon.lock"
EMULATOR_DATA = "emulator"
EMULATOR = "emulator"
"""How the ledger remembers that it belongs to the embedded emulator, whose address changes."""


class StateInUse(Exception):
    """Another process works on this state directory."""


class WrongServer(Exception):
    """The ledger holds what another server said."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that works on a state directory."""

    pid: int


class StateLock:
    """Held while a process works on the state directory, so that two never do. The kernel lets go of it when the
    process ends, however it ends."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / LOCK
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        """Raises StateInUse."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        if not _lock(descriptor):
            pid = _pid(descriptor)
            os.close(descriptor)
            raise StateInUse(
                f"process {pid} is at work in {self._path.parent}: stop it first, or use another state_dir"
                " (`3dverse-watcher status` works meanwhile)"
            )
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        self._descriptor = descriptor
        return self

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
        if _lock(descriptor):
            return None
        return Owner(_pid(descriptor))
    finally:
        os.close(descriptor)


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


def _pid(descriptor: int) -> int:
    with contextlib.suppress(OSError, ValueError):
        return int(os.pread(descriptor, 20, 0) or b"0")
    return 0
