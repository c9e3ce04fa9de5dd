"""The intake loop: hints and scans in, settled files in the ledger out."""

import os
import queue
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

import structlog

from watcher import clock
from watcher.formats import Kind, extension_of, kind_of
from watcher.intake.coverage import Coverage, outermost
from watcher.intake.observe import Hint, Hints
from watcher.intake.rules import PassedOver, Reason, Rules
from watcher.intake.scan import FolderScan, Scanner, ScanTotals, Seen, signature_of
from watcher.intake.settle import Settled, Settler
from watcher.intake.writer import has_writer
from watcher.ledger import Ledger, Observation
from watcher.model import Drop, Signature
from watcher.plan import can_refer

_log = structlog.get_logger(__name__)

SLICE = 0.2
"""Seconds of scanning in one step."""
BATCH = 2000
"""Hints, or files, handled in one transaction."""
STRAY_SECONDS = 10.0
"""After which a file that came and is passed over is counted, by a full scan."""
STRAY_SHARE = 20
"""Such a scan is at least so many times its own duration away."""
MOST_STRAYS = 10_000


@dataclass
class _Place:
    """One drop with what the intake keeps in mind of it."""

    drop: Drop
    scanner: Scanner
    settler: Settler
    coverage: Coverage | None
    """None where nothing is watched."""
    folders: set[str] = field(default_factory=set)
    """Folders that hints named."""
    orphans: set[str] = field(default_factory=set)
    """Files that only travel with a model, and that no model names so far."""
    strays: set[str] = field(default_factory=set)
    """Files of which events told, that a person may have meant to upload, and that are passed over."""
    totals: ScanTotals = field(default_factory=ScanTotals)
    scan_began: float = 0.0
    scan_took: float = 0.0
    next_scan: float = 0.0
    next_poll: float = 0.0
    scan: Iterator[FolderScan] | None = None
    """The full scan that is under way."""
    look: Iterator[FolderScan] | None = None
    """The scan of some folders that is under way."""
    fresh_totals: ScanTotals = field(default_factory=ScanTotals)
    scanned_once: bool = False
    changed_totals: bool = False

    @property
    def idle(self) -> bool:
        """Whether everything was scanned and nothing waits to settle."""
        return (
            self.scanned_once
            and self.scan is None
            and self.look is None
            and not self.folders
            and not len(self.settler)
            and not (self.coverage is not None and self.coverage.waiting)
        )

    def start_anew(self) -> None:
        """Take nothing as known."""
        self.scan, self.look, self.scanned_once, self.next_scan = None, None, False, 0.0
        self.folders.clear()
        self.settler.forget()


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
            coverage = Coverage(drop) if watch else None
            rules, settle_seconds = Rules(drop), 0.0 if as_found else drop.settle_seconds
            self._places[drop.path] = _Place(
                drop,
                Scanner(drop, rules, ledger.intake, *([coverage.enter] if coverage else [])),
                Settler(settle_seconds, drop.writer_wait_seconds),
                coverage,
            )

    @property
    def idle(self) -> bool:
        """Whether everything was scanned and nothing waits to settle."""
        return self.hints.empty() and all(place.idle for place in self._places.values())

    def scanned(self, drop: str) -> bool:
        """Whether a drop was scanned in full at least once."""
        return self._places[drop].scanned_once

    def unwatched(self) -> dict[str, str]:
        """The drops that are away, or not watched as they should be now, and why. For any thread."""
        troubles = {}
        for path, place in self._places.items():
            trouble = place.totals.problems.get(path)
            if place.coverage is not None:
                trouble = place.coverage.trouble or trouble
            if trouble is not None:
                troubles[path] = trouble
        return troubles

    def close(self) -> None:
        for place in self._places.values():
            if place.coverage is not None:
                place.coverage.stop()

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
                place.start_anew()
            raise

    def _step(self, now: float) -> float:
        more = self._take_hints(now)
        for place in self._places.values():
            if place.coverage is not None and place.coverage.check(now):
                place.next_scan = 0.0
                place.scan = None
            more |= self._take_events(place, now)
            more |= self._look(place, now)
            more |= self._scan(place, now)
            more |= self._settle(place, now)
            if place.changed_totals and place.scan is None:
                self._record_totals(place, now)
        return 0.0 if more else self._until_next(now)

    # -- hints -------------------------------------------------------------------------------------------------------

    def _take_hints(self, now: float) -> bool:
        hints: dict[tuple[str, str], Hint] = {}
        for _ in range(BATCH):
            try:
                hint = self.hints.get_nowait()
            except queue.Empty:
                break
            hints[hint.drop, hint.path] = hint
        for hint in hints.values():
            place = self._places[hint.drop]
            if hint.is_folder:
                place.folders.add(hint.path)
            elif hint.companion:
                self._companion(place, hint.path, now)
            else:
                self._take(place, [place.scanner.look(hint.path)], now)
        return not self.hints.empty()

    def _take_events(self, place: _Place, now: float) -> bool:
        """Look where the watch says that something changed."""
        if place.coverage is None:
            return False
        files = set()
        for path, is_folder in place.coverage.take(BATCH):
            if is_folder or (place.drop.follow_symlinks and not os.path.isfile(path)):
                place.folders.add(path)
            if not is_folder:
                files.add(path)
        looks = [place.scanner.look(path) for path in files]
        self._take(place, looks, now)
        self._count_strays(
            place, {path for look in looks for path, verdict in look.passed_over if verdict.counted}, now
        )
        return place.coverage.waiting

    def _count_strays(self, place: _Place, passed_over: set[str], now: float) -> None:
        """Scan soon, once for each file that is passed over: who dropped it is to hear of it in `status`."""
        if passed_over <= place.strays:
            return
        if len(place.strays) > MOST_STRAYS:
            place.strays.clear()
        place.strays |= passed_over
        place.next_scan = min(place.next_scan, now + max(STRAY_SECONDS, STRAY_SHARE * place.scan_took))

    def _companion(self, place: _Place, path: str, now: float) -> None:
        """A model names this file: follow it even if it could not go by itself."""
        place.changed_totals |= path in place.orphans
        place.orphans.discard(path)
        self._take(place, [place.scanner.look(path, companion=True)], now, companion=True)

    # -- scans -------------------------------------------------------------------------------------------------------

    def _look(self, place: _Place, now: float) -> bool:
        """Scan the folders that hints named, and those that are polled; one that lies in another is covered by it."""
        if place.look is None:
            if place.drop.path in place.folders:
                place.next_scan = now
            folders = place.folders - {place.drop.path}
            place.folders = set()
            if place.coverage is not None and now >= place.next_poll and not place.coverage.polls_all:
                place.next_poll = now + place.drop.poll_interval
                folders.update(place.coverage.to_poll())
            if not folders:
                return False
            place.look = chain.from_iterable(map(place.scanner.walk, outermost(folders)))
        results, finished = _slice(place.look)
        self._take(place, results, now)
        if finished:
            place.look = None
        return not finished

    def _scan(self, place: _Place, now: float) -> bool:
        if place.scan is None:
            if now < place.next_scan or (place.scanned_once and not self._watching):
                return False
            place.scan = place.scanner.walk()
            place.scan_began = now
            place.fresh_totals = ScanTotals()
            place.orphans.clear()
            if place.coverage is not None:
                place.coverage.begin()
        results, finished = _slice(place.scan)
        for result in results:
            place.fresh_totals.add(result)
            if place.coverage is not None:
                for seen in result.new:
                    if not seen.known:
                        place.coverage.unheard(seen.unchanged_for, now)
        self._take(place, results, now)
        if finished:
            self._finish_scan(place, now)
        return not finished

    def _finish_scan(self, place: _Place, now: float) -> None:
        place.scan = None
        place.scanned_once = True
        place.scan_took = now - place.scan_began
        place.next_scan = now + self._rescan_interval
        if place.coverage is not None:
            place.coverage.finish()
            place.next_poll = now + place.drop.poll_interval
            if place.coverage.polls_all:
                place.next_scan = min(place.next_scan, place.next_poll)
        for path, error in place.fresh_totals.problems.items():
            if error != place.totals.problems.get(path):
                _log.warning("a place in a drop cannot be read", path=path, error=error)
        place.totals = place.fresh_totals
        self._record_totals(place, now)

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
            self._ledger.intake.observed(place.drop.path, (_observation(seen, companion) for seen in new), now)
        if vanished:
            for path in vanished:
                place.settler.gone(path)
                place.changed_totals |= path in place.orphans
                place.orphans.discard(path)
            self._ledger.intake.vanished(place.drop.path, vanished, now)

    # -- settling ----------------------------------------------------------------------------------------------------

    def _settle(self, place: _Place, now: float) -> bool:
        settled: list[tuple[str, Signature]] = []
        changed: list[FolderScan] = []
        paths = place.settler.due(now, BATCH)
        for path in paths:
            try:
                status = place.scanner.status(path)
            except OSError as error:
                # It is gone; or its folder became unreadable: then it stays pending, and a scan names the folder.
                place.settler.gone(path)
                changed.append(place.scanner.look(path))
                if not isinstance(error, FileNotFoundError | NotADirectoryError):
                    _log.warning("a file cannot be looked at", path=path, error=error.strerror)
                continue
            signature = signature_of(status)
            if not place.settler.unchanged(path, signature):
                place.settler.gone(path)
                changed.append(place.scanner.look(path))
                continue
            writer = has_writer(path) if self._watching else None
            if place.settler.judge(path, signature, writer, now) is Settled.YES:
                settled.append((path, signature))
        self._take(place, changed, now)
        if settled:
            self._ledger.intake.settled(place.drop.path, settled, now)
            self._on_settled()
        return len(paths) == BATCH

    def _until_next(self, now: float) -> float:
        times = []
        for place in self._places.values():
            if self._watching or not place.scanned_once:
                times.append(place.next_scan)
            if (check := place.settler.next_check()) is not None:
                times.append(check)
        # Hints do not wake the loop: a burst of them is handled in one go, a quarter of a second later at most.
        return max(0.02, min([0.25, *(at - now for at in times)]))


def _slice(scan: Iterator[FolderScan]) -> tuple[list[FolderScan], bool]:
    """What a scan finds in one step, and whether it is complete."""
    results: list[FolderScan] = []
    files = 0
    end = clock.now() + SLICE
    for result in scan:
        results.append(result)
        files += len(result.new) + len(result.unsettled) + len(result.vanished)
        if clock.now() >= end or files > BATCH:
            return results, False
    return results, True


def _observation(seen: Seen, companion: bool) -> Observation:
    return Observation(seen.path, seen.signature, _is_model(seen.path), companion, seen.seen_in)


def _is_model(path: str) -> bool:
    """Whether a file goes by itself and can name others (an MTL names textures, but goes with its OBJ only)."""
    return can_refer(path) and kind_of(path) not in {Kind.COMPANION, None}
