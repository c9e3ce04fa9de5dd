"""Linux's inotify, folder for folder, on the reader of watchdog.

Of watchdog 7.1 only :class:`InotifyFD` is used: the thread that reads the kernel's queue and calls whoever registered
for a folder. Its observer and emitters, which keep recursive watches by themselves, are not, because they lose events
in silence: on an overflow they remove and set all watches again, which beyond some thousand folders overflows the
queue again, for ever; a KeyError ends the reader when the name of an archived folder is used again; folders that
cannot be watched are not mentioned; bursts of renames cost quadratic time, races of mkdir hundreds of megabytes of
warnings, and what is behind a rename in the queue waits for half a second.

Here the scan sets the watches, on each folder just before it lists it. So every folder that was seen is watched or
known not to be, nothing can fall between the watch and the list, and a scan repairs whatever there is to repair. The
reader's thread does nothing but queue; all else happens in the thread of the intake.
"""

import os
import queue
from dataclasses import dataclass
from itertools import count

from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchDescriptor,
)

from watcher.intake.observe import WatchFailed, advice
from watcher.model import Drop

PING_INTERVAL = 10.0
"""Seconds between two proofs that events arrive."""
PING_TIMEOUT = 15.0
"""Seconds after which an event that did not arrive never will."""
MOST_EVENTS = 1_000_000
"""Events that wait for the intake, in memory (some 200 bytes each); with more, everything is scanned instead."""
STOP_SECONDS = 2.0
"""So long the end of a reader is waited for."""

_CHANGES = (
    InotifyConstants.IN_CREATE
    | InotifyConstants.IN_CLOSE_WRITE
    | InotifyConstants.IN_MOVED_FROM
    | InotifyConstants.IN_MOVED_TO
    | InotifyConstants.IN_DELETE
    | InotifyConstants.IN_ONLYDIR
)
_PROBE = os.fsencode(os.devnull)
"""What is opened to make an event: it is everywhere, it is no folder, and opening it disturbs nobody."""


class _Listener:
    """What the reader's thread calls: a :class:`watchdog.observers.inotify_c.WatchCallback`."""

    def __init__(self) -> None:
        self.events: queue.SimpleQueue[tuple[int, int, bytes]] = queue.SimpleQueue()
        """Watch descriptor, mask and name."""
        self.overflowed = False
        self.probe: int | None = None
        """Watch descriptor of what :meth:`InotifyWatch._ping` opens."""
        self.answers = 0

    def on_event(self, event: InotifyEvent) -> None:
        if event.wd == self.probe:
            self.answers += 1
        elif self.events.qsize() >= MOST_EVENTS:
            self.overflowed = True
        else:
            self.events.put((event.wd, event.mask, event.name))

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        self.events.put((wd, InotifyConstants.IN_IGNORED, b""))

    def on_queue_overflow(self) -> None:
        self.overflowed = True


@dataclass(frozen=True, slots=True)
class _Covered:
    wd: WatchDescriptor
    identity: tuple[int, int]
    """``st_dev`` and ``st_ino`` of the folder that is watched."""
    callback: CallbackId


class InotifyWatch:
    """See :class:`watcher.intake.observe.Watch`. Takes one inotify instance, and a watch for each folder."""

    def __init__(self, drop: Drop) -> None:
        """Raises WatchFailed when the system has no inotify instance, or no watch at all, left."""
        self._root = drop.path
        self._mask = _CHANGES if drop.follow_symlinks else _CHANGES | InotifyConstants.IN_DONT_FOLLOW
        self._listener = _Listener()
        self._callbacks = count()
        self._probed: tuple[WatchDescriptor, CallbackId] | None = None
        self._by_path: dict[str, _Covered] = {}
        self._by_wd: dict[int, str] = {}
        self._heard = False
        self._next_ping = 0.0
        self._pinged: tuple[float, int] | None = None
        """When the last event was made that has not arrived, and the answers before it."""
        try:
            self._reader = InotifyFD()
        except OSError as error:
            raise WatchFailed(advice(error)) from error
        self._reader.start()
        try:
            # Held for good, so that the proof works also when there are no more watches to be had.
            self._probe(InotifyConstants.IN_DELETE_SELF)
        except WatchFailed:
            self.stop()
            raise

    def cover(self, directory: str, status: os.stat_result) -> None:
        """See :meth:`watcher.intake.observe.Watch.cover`."""
        identity = status.st_dev, status.st_ino
        covered = self._by_path.get(directory)
        if covered is not None:
            if covered.identity == identity:
                return
            self._uncover(directory)  # another folder took its place
        # The drop's own path may have become a link to it.
        wd, callback = self._add(os.fsencode(directory), _CHANGES if directory == self._root else self._mask)
        other = self._by_wd.get(wd)
        if other is not None:
            if _is(other, identity):
                raise WatchFailed(f"it is the same folder as {other}", is_fault=False)
            # It was renamed, and keeps its watch.
            self._reader.remove_callbacks([(wd, self._by_path.pop(other).callback)])
        self._by_path[directory] = _Covered(wd, identity, callback)
        self._by_wd[wd] = directory

    def keep(self, directories: set[str]) -> None:
        """See :meth:`watcher.intake.observe.Watch.keep`."""
        for directory in self._by_path.keys() - directories:
            self._uncover(directory)

    def take(self, limit: int) -> list[tuple[str, bool]]:
        """See :meth:`watcher.intake.observe.Watch.take`."""
        changed: list[tuple[str, bool]] = []
        for _ in range(limit):
            try:
                wd, mask, name = self._listener.events.get_nowait()
            except queue.Empty:
                break
            directory = self._by_wd.get(wd)
            if directory is None:
                continue
            self._heard = True
            if mask & InotifyConstants.IN_IGNORED:
                # It was deleted, or its disk unmounted; another may have its name by now, and even its number.
                del self._by_wd[wd], self._by_path[directory]
                changed.append((directory, True))
            elif name:
                path = os.path.join(directory, os.fsdecode(name))
                changed.append((path, bool(mask & InotifyConstants.IN_ISDIR)))
        return changed

    @property
    def heard(self) -> bool:
        """See :attr:`watcher.intake.observe.Watch.heard`."""
        return self._heard

    @property
    def waiting(self) -> bool:
        """See :attr:`watcher.intake.observe.Watch.waiting`."""
        return not self._listener.events.empty()

    def problem(self, now: float) -> str | None:
        """See :meth:`watcher.intake.observe.Watch.problem`.

        That the reader is alive is no proof that it hears: now and then an event is made for it.
        """
        if self._listener.overflowed:
            return "the queue of events overflowed"
        if not self._reader.is_alive():
            return "the thread that reads the kernel's events ended"
        if self._pinged is not None:
            since, before = self._pinged
            if self._listener.answers > before:
                self._pinged = None
            elif now - since > PING_TIMEOUT:
                return "the kernel's events do not arrive any more"
        if self._pinged is None and now >= self._next_ping:
            self._next_ping = now + PING_INTERVAL
            self._pinged = now, self._listener.answers
            try:
                self._ping()
            except (OSError, WatchFailed) as error:
                return f"the kernel's events cannot be had any more: {error}"
        return None

    def stop(self) -> None:
        """See :meth:`watcher.intake.observe.Watch.stop`."""
        self._reader.stop()
        self._reader.join(STOP_SECONDS)

    def _ping(self) -> None:
        """Make an event: the probe is opened while its opening is watched for."""
        self._probe(InotifyConstants.IN_OPEN)
        os.close(os.open(_PROBE, os.O_RDONLY | os.O_CLOEXEC))
        self._probe(InotifyConstants.IN_DELETE_SELF)  # all programs open it all the time

    def _probe(self, mask: int) -> None:
        before, self._probed = self._probed, self._add(_PROBE, mask)
        self._listener.probe = self._probed[0]
        if before is not None:
            self._reader.remove_callbacks([before])

    def _add(self, path: bytes, mask: int) -> tuple[WatchDescriptor, CallbackId]:
        callback = CallbackId(next(self._callbacks))  # a second one under the same number is a warning
        try:
            wd = self._reader.add_callback(path, Mask(mask), self._listener, callback)
        except OSError as error:
            raise WatchFailed(advice(error)) from error
        if wd < 0:  # which is how watchdog says EACCES
            raise WatchFailed("permission denied")
        return wd, callback

    def _uncover(self, directory: str) -> None:
        covered = self._by_path.pop(directory)
        del self._by_wd[covered.wd]
        self._reader.remove_callbacks([(covered.wd, covered.callback)])


def _is(directory: str, identity: tuple[int, int]) -> bool:
    try:
        status = os.stat(directory)
    except OSError:
        return False
    return (status.st_dev, status.st_ino) == identity
