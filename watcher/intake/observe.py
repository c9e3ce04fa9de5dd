"""What the intake is told of changes, and what it asks of whoever tells: events are hints of where to look."""

import errno
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from watcher.model import Drop


@dataclass(frozen=True, slots=True)
class Hint:
    """Look here soon."""

    drop: str
    path: str
    is_folder: bool
    companion: bool = False
    """A model names this file: it counts whatever the drop's rules say of its name."""


class WatchFailed(Exception):
    """A folder cannot be watched; the text says why and what to do."""

    def __init__(self, reason: str, *, is_fault: bool = True) -> None:
        """
        Args:
            is_fault: whether somebody can mend it.
        """
        super().__init__(reason)
        self.is_fault = is_fault


class Watch(Protocol):
    """Tells of changes in the folders of one drop. Used by one thread only."""

    def cover(self, directory: str, status: os.stat_result) -> None:
        """See to it that this folder (not those in it) is watched from now on; to be called before it is listed.

        Raises:
            WatchFailed: it cannot be.
        """

    def keep(self, directories: set[str]) -> None:
        """Let go of all other folders: these are all that there are."""

    def take(self, limit: int) -> list[tuple[str, bool]]:
        """Where something changed: paths, and whether each is a folder's. At most so many at a time."""

    @property
    def heard(self) -> bool:
        """Whether anything was ever told."""

    @property
    def waiting(self) -> bool:
        """Whether there is more to take."""

    def problem(self, now: float) -> str | None:
        """Why this watch can no longer be trusted, and a new one is needed; None while it can."""

    def stop(self) -> None:
        """Let go of everything. Does not wait for a thread that hangs."""


OpenWatch = Callable[[Drop], Watch]
"""Raises WatchFailed."""


def open_watch(drop: Drop) -> Watch:
    """What this system has for watching.

    Raises:
        WatchFailed: it has nothing left, or the folder is not there.
    """
    if sys.platform == "linux":
        from watcher.intake.inotify import InotifyWatch

        return InotifyWatch(drop)
    from watcher.intake.observer import ObserverWatch

    return ObserverWatch(drop)


def advice(error: OSError) -> str:
    """Why there is no watch, and what to do."""
    match error.errno:
        case errno.EMFILE if _descriptors_left():
            return "the system has no inotify instances left: raise sysctl fs.inotify.max_user_instances"
        case errno.EMFILE:
            return "this process has no file descriptors left: raise its limit (LimitNOFILE=, ulimit -n)"
        case errno.ENOSPC:
            return "the system has no inotify watches left: raise sysctl fs.inotify.max_user_watches"
    return error.strerror or str(error)


def _descriptors_left() -> bool:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return False
    return True
