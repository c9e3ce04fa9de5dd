"""The intake loop: hints and scans in, settled files in the ledger out."""

import heapq
import os
import queue
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import structlog

from watcher import clock
from watcher.formats import Kind, extension_of, kind_of
from watcher.intake.observe import FolderWatch, Hint, Hints, WatchFailed
from watcher.intake.rules import PassedOver, Reason, Rules
from watcher.intake.scan import FolderScan, Scanner, ScanTotals, Seen, signature_of, unchanged_for
from watcher.intake.settle import Settled, Settler
from watcher.intake.writer import has_writer
from watcher.ledger import Ledger, Observation
from watcher.model import Drop
from watcher.plan import can_refer

_log = structlog.get_logger(__name__)

HEALTH_INTERVAL = 2.0
"""Seconds between looks at the health of the watches."""
SLICE = 0.2
"""Seconds of scanning in one step."""
BATCH = 2000
"""Hints, or files, handled in one transaction."""
LOOK_AGAIN = 1.0
"""A folder that a hint named is scanned again after so many seconds: files can come before its watch is set."""


@dataclass
class _Place:
    """One drop with what the intake keeps in mind of it."""

    drop: Drop
    scanner: Scanner
    settler: Settler
    watch: FolderWatch | None
    orphans: set[str] = field(default_factory=set)
    """Files that only travel with a model, and that no model names so far."""
    totals: ScanTotals = field(default_factory=ScanTotals)
    next_scan: float = 0.0
    next_watch: float = 0.0
    full_scan: Iterator[FolderScan] | None = None
    fresh_totals: ScanTotals = field(default_factory=ScanTotals)
    scanned_once: bool = False
    changed_totals: bool = False
    unwatched: str | None = None
    """Why the drop is not watched now."""


class Intake:
    """Watches and scans the drops. ``step`` is called by one thread only."""

    name = "intake"

    def __init__(
        self,
        drops: Sequence[Drop],
        ledger: Ledger,
        *,
        watch: bool,
        rescan_interval: float = 300.0,
        as_found: bool = False,
        on_settled: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            watch: observe the folders with watchdog; without, the first scan is the only one.
            rescan_interval: seconds between full scans.
            as_found: take every file as complete at once, for a dry run.
            on_settled: called when files became complete.
        """
        self._ledger = ledger
        self._watching = watch
        self._rescan_interval = rescan_interval
        self._on_settled = on_settled
        self.hints: Hints = queue.SimpleQueue()
        self.on_passed_over: Callable[[str, str, PassedOver], None] | None = None
        """Called with (drop, path, verdict) for each file that a scan passes over."""
        self._places: dict[str, _Place] = {}
        for drop in drops:
            self._places[drop.path] = _Place(
                drop,
                Scanner(drop, Rules(drop), ledger.intake),
                Settler(0.0 if as_found else drop.settle_seconds, drop.writer_wait_seconds),
                FolderWatch(drop, self.hints) if watch else None,
            )
        self._folders: list[tuple[float, str, str]] = []
        """A heap of the folders to scan: when, drop, path."""
        self._next_health = 0.0

    @property
    def idle(self) -> bool:
        """Whether everything was scanned and nothing waits to settle."""
        return (
            self.hints.empty()
            and not self._folders
            and all(p.scanned_once and p.full_scan is None and not len(p.settler) for p in self._places.values())
        )

    def scanned(self, drop: str) -> bool:
        """Whether a drop was scanned in full at least once."""
        return self._places[drop].scanned_once

    def unwatched(self) -> dict[str, str]:
        """The drops that are not watched now, and why."""
        return {path: place.unwatched for path, place in self._places.items() if place.unwatched}

    def close(self) -> None:
        for place in self._places.values():
            if place.watch is not None:
                place.watch.stop()

    def request_scan(self) -> None:
        """Let the next step begin a full scan of every drop."""
        for place in self._places.values():
            place.next_scan = 0.0

    def dismiss(self, drop: str, path: str) -> None:
        """A file that was followed does not count after all; see :meth:`Scanner.dismiss`."""
        self._places[drop].scanner.dismiss(path)

    def step(self, now: float) -> float:
        """Look at the watches, at hints, at a slice of the scans and at files that may have settled."""
        try:
            return self._step(now)
        except Exception:
            # What was seen may not be on record (a full disk): nothing is taken as known until it was seen again.
            for place in self._places.values():
                place.full_scan, place.scanned_once, place.next_scan = None, False, now
                place.settler.forget()
            raise

    def _step(self, now: float) -> float:
        if self._watching and now >= self._next_health:
            self._check_watches(now)
            self._next_health = now + HEALTH_INTERVAL
        more = self._take_hints(now)
        self._scan_folders(now)
        for place in self._places.values():
            more |= self._scan(place, now)
            more |= self._settle(place, now)
            if place.changed_totals and place.full_scan is None:
                self._record_totals(place, now)
        return 0.0 if more else self._until_next(now)

    # -- watches -----------------------------------------------------------------------------------------------------

    def _check_watches(self, now: float) -> None:
        for place in self._places.values():
            if place.watch is None or now < place.next_watch:
                continue
            problem = place.watch.problem()
            if problem is None:
                continue
            if place.scanned_once or place.next_watch > 0.0:  # not the first time
                _log.warning("the watch of a drop is set anew", drop=place.drop.path, reason=problem)
            try:
                place.watch.start()
            except WatchFailed as error:
                place.unwatched = str(error)
                _log.error("a drop cannot be watched, it is scanned instead", drop=place.drop.path, reason=str(error))
                place.next_watch = now + 10 * HEALTH_INTERVAL
            else:
                place.unwatched = None
                place.next_watch = now + HEALTH_INTERVAL / 2
            place.next_scan = now

    # -- hints -------------------------------------------------------------------------------------------------------

    def _take_hints(self, now: float) -> bool:
        paths: dict[tuple[str, str], Hint] = {}
        for _ in range(BATCH):
            try:
                hint = self.hints.get_nowait()
            except queue.Empty:
                break
            if hint.is_folder:
                heapq.heappush(self._folders, (now, hint.drop, hint.path))
                heapq.heappush(self._folders, (now + LOOK_AGAIN, hint.drop, hint.path))
            else:
                paths[hint.drop, hint.path] = hint
        looks: dict[str, list[FolderScan]] = {}
        for hint in paths.values():
            place = self._places[hint.drop]
            if hint.companion:
                self._companion(place, hint.path, now)
            else:
                looks.setdefault(hint.drop, []).append(place.scanner.look(hint.path))
        for drop, results in looks.items():
            self._take(self._places[drop], results, now)
        return not self.hints.empty()

    def _companion(self, place: _Place, path: str, now: float) -> None:
        """A model names this file: follow it even if it could not go by itself."""
        place.changed_totals |= path in place.orphans
        place.orphans.discard(path)
        known = self._ledger.intake.known_file(path)
        try:
            status = os.lstat(path)
        except OSError:
            return
        seen = Seen(path, signature_of(status), unchanged_for(status))
        result = FolderScan()
        if known is None or known.signature != seen.signature:
            result.new.append(seen)
        elif not known.settled and path not in place.settler:
            result.unsettled.append(seen)
        self._take(place, [result], now, companion=True)

    def _scan_folders(self, now: float) -> None:
        """Scan the folders that hints named; one that lies in another is covered by it."""
        due: dict[str, set[str]] = {}
        while self._folders and self._folders[0][0] <= now:
            _, drop, path = heapq.heappop(self._folders)
            due.setdefault(drop, set()).add(path)
        for drop, paths in due.items():
            place = self._places[drop]
            if place.drop.path in paths:
                place.next_scan = now
            for path in _outermost(paths - {place.drop.path}):
                self._take(place, list(place.scanner.walk(path)), now)

    # -- scans -------------------------------------------------------------------------------------------------------

    def _scan(self, place: _Place, now: float) -> bool:
        if place.full_scan is None:
            if now < place.next_scan or (place.scanned_once and not self._watching):
                return False
            place.full_scan = place.scanner.walk()
            place.fresh_totals = ScanTotals()
            place.orphans.clear()
        results: list[FolderScan] = []
        files = 0
        end = clock.now() + SLICE
        finished = True
        for result in place.full_scan:
            place.fresh_totals.add(result)
            results.append(result)
            files += len(result.new) + len(result.unsettled) + len(result.vanished)
            if clock.now() >= end or files > BATCH:
                finished = False
                break
        self._take(place, results, now)
        if finished:
            place.full_scan = None
            place.scanned_once = True
            place.next_scan = now + self._rescan_interval
            place.totals = place.fresh_totals
            for path, error in place.totals.problems.items():
                _log.warning("a place in a drop cannot be read", path=path, error=error)
            self._record_totals(place, now)
        return not finished

    def _record_totals(self, place: _Place, now: float) -> None:
        extensions = Counter(place.totals.passed_over)
        extensions.update("." + extension_of(path) for path in place.orphans)
        self._ledger.intake.scanned(place.drop.path, extensions, place.totals.problems, now)
        place.changed_totals = False

    def _take(self, place: _Place, results: Sequence[FolderScan], now: float, *, companion: bool = False) -> None:
        """Bring what a look found into the ledger and the settler."""
        new: list[Seen] = []
        vanished: list[str] = []
        for result in results:
            vanished += result.vanished
            for path, verdict in result.passed_over:
                if verdict.reason is Reason.COMPANION and path not in place.orphans:
                    place.orphans.add(path)
                    place.changed_totals = True
                if self.on_passed_over is not None:
                    self.on_passed_over(place.drop.path, path, verdict)
            for seen in result.new:
                if place.settler.seen(seen.path, seen.signature, now, seen.unchanged_for):
                    new.append(seen)
            for seen in result.unsettled:
                place.settler.seen(seen.path, seen.signature, now, seen.unchanged_for)
        if new:
            self._ledger.intake.observed(
                place.drop.path, (Observation(s.path, s.signature, _is_model(s.path), companion) for s in new), now
            )
        if vanished:
            for path in vanished:
                place.settler.gone(path)
                place.changed_totals |= path in place.orphans
                place.orphans.discard(path)
            self._ledger.intake.vanished(place.drop.path, vanished, now)

    # -- settling ----------------------------------------------------------------------------------------------------

    def _settle(self, place: _Place, now: float) -> bool:
        settled = []
        changed: list[Seen] = []
        vanished = []
        paths = place.settler.due(now, BATCH)
        for path in paths:
            try:
                status = os.lstat(path)
            except (FileNotFoundError, NotADirectoryError):
                place.settler.gone(path)
                vanished.append(path)
                continue
            except OSError as error:
                # Its folder became unreadable: the file stays pending, and the next scan names the folder.
                place.settler.gone(path)
                _log.warning("a file cannot be looked at", path=path, error=error.strerror)
                continue
            signature = signature_of(status)
            if not place.settler.unchanged(path, signature):
                changed.append(Seen(path, signature, 0.0))
            writer = has_writer(path) if self._watching else None
            if place.settler.judge(path, signature, writer, now) is Settled.YES:
                settled.append((path, signature))
        if changed:
            self._ledger.intake.observed(
                place.drop.path, (Observation(s.path, s.signature, _is_model(s.path)) for s in changed), now
            )
        if vanished:
            self._ledger.intake.vanished(place.drop.path, vanished, now)
        if settled:
            self._ledger.intake.settled(place.drop.path, settled, now)
            self._on_settled()
        return len(paths) == BATCH

    def _until_next(self, now: float) -> float:
        times = [self._next_health] if self._watching else []
        if self._folders:
            times.append(self._folders[0][0])
        for place in self._places.values():
            if self._watching or not place.scanned_once:
                times.append(place.next_scan)
            if (check := place.settler.next_check()) is not None:
                times.append(check)
        # Hints do not wake the loop: a burst of them is handled in one go, a quarter of a second later at most.
        return max(0.02, min([0.25, *(at - now for at in times)]))


def _is_model(path: str) -> bool:
    """Whether a file goes by itself and can name others (an MTL names textures, but goes with its OBJ only)."""
    return can_refer(path) and kind_of(path) not in {Kind.COMPANION, None}


def _outermost(paths: set[str]) -> list[str]:
    """The folders that lie in no other of them."""
    outermost: list[str] = []
    for path in sorted(paths):
        if not outermost or not path.startswith(outermost[-1] + os.sep):
            outermost.append(path)
    return outermost
