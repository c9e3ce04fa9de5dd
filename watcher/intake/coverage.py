"""How the changes of one drop come to be known: which of its folders are watched, and which are polled, and why."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from watcher.intake.mounts import read_mounts, silent_devices
from watcher.intake.observe import OpenWatch, Watch, WatchFailed, open_watch
from watcher.model import Drop, WatchMode

_log = structlog.get_logger(__name__)

HEALTH_INTERVAL = 2.0
"""Seconds between looks at the health of a watch."""
WATCH_AGAIN = 20.0
"""Seconds until a watch that could not be had is asked for again."""
DEAF_AFTER = 10.0
"""Seconds that a file has to be there, unheard of, to count as a proof that nothing is told."""


@dataclass(frozen=True, slots=True)
class Polled:
    """Why a folder is polled."""

    reason: str
    is_fault: bool
    """Whether it should be watched, and somebody can mend it."""


class Coverage:
    """The watch of one drop, and what it does not reach. Used by the thread of the intake only."""

    def __init__(self, drop: Drop, open_watch: OpenWatch = open_watch) -> None:
        self._drop = drop
        self._open = open_watch
        self._watch: Watch | None = None
        self._no_watch = Polled("it is not watched yet", is_fault=True)
        self._root: tuple[int, int] | None = None
        """``st_dev`` and ``st_ino`` of the drop folder; None while it is away."""
        self._away: str | None = None
        self._silent: dict[int, str] = {}
        self._polled: dict[str, Polled] = {}
        self._seen: set[str] | None = None
        """The folders of the full scan that is under way."""
        self._told: set[str] = set()
        """Reasons for polling that were logged."""
        self._renewed: str | None = None
        """Why the watch was set anew, until everything is scanned."""
        self._complete = False
        """Whether everything was scanned since the watch was set."""
        self.trouble: str | None = None
        """Why the drop is not watched as it should be, for a person. Any thread may read it."""
        self._unheard_since: float | None = None
        self._deaf = False
        self._next_check = 0.0
        self._watch_again = 0.0

    # -- health ------------------------------------------------------------------------------------------------------

    def check(self, now: float) -> bool:
        """Look whether the drop folder is there and its watch can be trusted; a new one is made when not.

        Returns:
            Whether everything is to be scanned anew.
        """
        if now < self._next_check:
            return False
        self._next_check = now + HEALTH_INTERVAL
        anew = self._check(now)
        self.trouble = self._trouble()
        return anew

    def _check(self, now: float) -> bool:
        try:
            status = os.stat(self._drop.path)
        except OSError as error:
            return self._lost(error)
        root = status.st_dev, status.st_ino
        if root != self._root:
            if self._away is not None:
                _log.info("the drop folder is there again", drop=self._drop.path)
            elif self._root is not None:
                _log.warning("another folder took the place of the drop folder", drop=self._drop.path)
            self._root, self._away = root, None
            self._renew(now)
            return True
        return self._check_again(now) if self._watch is None else self._check_watch(self._watch, now)

    def _check_again(self, now: float) -> bool:
        if self._drop.watch is WatchMode.POLL or now < self._watch_again:
            return False
        self._renew(now)
        return self._watch is not None

    def _check_watch(self, watch: Watch, now: float) -> bool:
        problem = watch.problem(now)
        if problem is None:
            return self._finds_out(now)
        self._renewed = problem
        if self._seen is not None:
            return False  # the scan that is under way comes to its end first, or under a steady load none ever would
        _log.warning("the watch of a drop is set anew, and everything is scanned", drop=self._drop.path, reason=problem)
        self._renew(now)
        return True

    def _lost(self, error: OSError) -> bool:
        away = "the drop folder is not there" if isinstance(error, FileNotFoundError) else f"{error.strerror or error}"
        if away != self._away:
            _log.error("a drop folder cannot be reached", drop=self._drop.path, reason=away)
        was_there = self._root is not None
        self._root, self._away = None, away
        self.stop()
        self._polled.clear()
        return was_there

    def _renew(self, now: float) -> None:
        self.stop()
        self._polled.clear()
        self._complete, self._deaf, self._unheard_since = False, False, None
        if self._drop.watch is WatchMode.POLL:
            self._no_watch = Polled("the configuration says so", is_fault=False)
            return
        try:
            self._watch = self._open(self._drop)
        except WatchFailed as error:
            self._no_watch = Polled(str(error), error.is_fault)
            self._watch_again = now + WATCH_AGAIN

    def _finds_out(self, now: float) -> bool:
        """Files were found of which nothing was told: does this file system ever tell of any? True when it turns out
        that it does not."""
        assert self._watch is not None
        if self._watch.heard:
            self._deaf, self._unheard_since = False, None
        elif self._unheard_since is not None and not self._deaf and now - self._unheard_since > DEAF_AFTER:
            self._deaf = True
            _log.warning("a drop is polled: its file system does not tell of changes", drop=self._drop.path)
            return True
        return False

    def unheard(self, unchanged_for: float, now: float) -> None:
        """A full scan found a new file that is there since then."""
        if self._watch is not None and self._complete and not self._watch.heard and unchanged_for > DEAF_AFTER:
            self._unheard_since = self._unheard_since or now

    # -- what the scan says ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """A full scan begins."""
        self._seen = set()
        self._silent = silent_devices(read_mounts()) if self._drop.watch is WatchMode.AUTO else {}

    def enter(self, directory: str, status: os.stat_result | OSError) -> None:
        """A folder is about to be listed, or cannot be: from now on it is watched, or polled."""
        if self._seen is not None:
            self._seen.add(directory)
        if isinstance(status, OSError):
            polled: Polled | None = Polled(f"it cannot be read: {status.strerror or status}", is_fault=False)
        else:
            polled = self._cover(directory, status)
        if polled is None:
            self._polled.pop(directory, None)
        else:
            self._polled[directory] = polled

    def _cover(self, directory: str, status: os.stat_result) -> Polled | None:
        if self._watch is None:
            return self._no_watch
        if kind := self._silent.get(status.st_dev):
            return Polled(f"{kind} does not tell of changes that others make", is_fault=False)
        try:
            self._watch.cover(directory, status)
        except WatchFailed as error:
            return Polled(str(error), error.is_fault)
        return None

    def finish(self) -> None:
        """The full scan is complete."""
        seen, self._seen = self._seen or set(), None
        if self._drop.path not in seen:
            self._root = None  # it was away, or cannot be read: what follows is another start
        if self._watch is not None:
            self._watch.keep(seen)
        for directory in self._polled.keys() - seen:
            del self._polled[directory]
        self._complete, self._renewed = True, None
        self._tell()
        self.trouble = self._trouble()

    def _tell(self) -> None:
        """Log each reason for polling once."""
        reasons: dict[str, list[str]] = {}
        for directory, polled in self._polled.items():
            reasons.setdefault(polled.reason, []).append(directory)
        for reason, directories in reasons.items():
            if reason not in self._told:
                _log.warning(
                    "folders are polled, not watched",
                    drop=self._drop.path,
                    folders=len(directories),
                    such_as=min(directories),
                    reason=reason,
                    seconds=self._drop.poll_interval,
                )
        self._told = set(reasons)

    def _trouble(self) -> str | None:
        if self._away is not None:
            return self._away
        if self._renewed is not None:
            return f"everything is scanned, because {self._renewed}"
        every = f"polled every {self._drop.poll_interval:g} s"
        if self._deaf:
            return f"its file system does not tell of changes; it is {every}"
        faults = [polled.reason for polled in self._polled.values() if polled.is_fault]
        if not faults:
            return None
        reason = max(set(faults), key=faults.count)
        return f"{len(faults):,} {'folders are' if len(faults) > 1 else 'folder is'} not watched but {every}: {reason}"

    # -- what follows ------------------------------------------------------------------------------------------------

    def take(self, limit: int) -> list[tuple[str, bool]]:
        """Where something changed; see :meth:`watcher.intake.observe.Watch.take`."""
        return [] if self._watch is None else self._watch.take(limit)

    @property
    def waiting(self) -> bool:
        """Whether there is more to take."""
        return self._watch is not None and self._watch.waiting

    @property
    def polls_all(self) -> bool:
        """Whether the whole drop is to be polled."""
        return self._deaf or self._drop.path in self._polled

    def to_poll(self) -> list[str]:
        """The folders that are to be polled, with all below them."""
        return outermost(self._polled)

    def stop(self) -> None:
        """Let go of the watch."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.stop()


def outermost(paths: Iterable[str]) -> list[str]:
    """Those of the folders that lie in no other of them."""
    kept: list[str] = []
    # Compared by their components: "a b" stands between "a" and "a/b" in the order of characters.
    for path in sorted(paths, key=lambda path: path.split(os.sep)):
        if not kept or not path.startswith(kept[-1].rstrip(os.sep) + os.sep):
            kept.append(path)
    return kept
