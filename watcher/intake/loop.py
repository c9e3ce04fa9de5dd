"""The intake loop of one drop: hints and scans in, settled files in the ledger out."""

import os
import queue
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import structlog

from watcher import clock
from watcher.formats import Kind, extension_of, kind_of
from watcher.intake.coverage import Coverage, outermost
from watcher.intake.observe import Hint
from watcher.intake.rules import PassedOver, Reason, Rules
from watcher.intake.scan import FolderScan, Scanner, ScanTotals, Seen, signature_of
from watcher.intake.settle import Settled, Settler
from watcher.intake.silence import SILENT_AFTER, Pulse, Witness
from watcher.intake.writer import has_writer
from watcher.ledger import Ledger, Observation
from watcher.model import Drop, Signature
from watcher.plan import can_refer, is_scene

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
STEPS_TO_SCAN = 8
"""While more files are due than a step can look at, one in so many scans on."""


class DropIntake:
    """Watches and scans one drop. ``step`` is called by one thread only: where its disk hangs, so does that thread."""

    def __init__(
        self,
        drop: Drop,
        ledger: Ledger,
        *,
        watch: bool,
        rescan_interval: float,
        as_found: bool,
        on_settled: Callable[[str], None],
        on_passed_over: Callable[[str, str, PassedOver], None],
    ) -> None:
        """See :class:`watcher.intake.drops.Intake`."""
        self.name = f"intake {drop.path}"
        self.drop = drop
        self.hints: queue.SimpleQueue[Hint] = queue.SimpleQueue()
        self.coverage = Coverage(drop) if watch else None
        """None where nothing is watched."""
        self.scanner = Scanner(drop, Rules(drop), ledger.intake, *([self.coverage.enter] if self.coverage else []))
        self.settler = Settler(0.0 if as_found else drop.settle_seconds, drop.writer_wait_seconds)
        self.pulse = Pulse()
        self._witness = Witness(drop.path)
        self.scanned_once = False
        self._ledger = ledger
        self._rescan_interval = rescan_interval
        self._on_settled = on_settled
        self._on_passed_over = on_passed_over
        self._folders: set[str] = set()
        """Folders that hints named."""
        self._orphans: set[str] = set()
        """Files that only travel with a model, and that no model names so far."""
        self._strays: set[str] = set()
        """Files of which events told, that a person may have meant to upload, and that are passed over."""
        self._totals = ScanTotals()
        self._fresh_totals = ScanTotals()
        self._changed_totals = False
        self._scan_began = 0.0
        self._scan_took = 0.0
        self._next_scan = 0.0
        self._next_poll = 0.0
        self._scanning: Iterator[FolderScan] | None = None
        """The full scan that is under way."""
        self._looking: Iterator[FolderScan] | None = None
        """The scan of some folders that is under way."""
        self._behind = 0
        """For how many steps more files have been due to be settled than one could look at: first these, as a rule, or
        a file that comes now would wait behind all that a scan found before."""
        self._closed = False

    @property
    def idle(self) -> bool:
        """Whether everything was scanned and nothing waits to settle."""
        return (
            self.hints.empty()
            and self.scanned_once
            and self._scanning is None
            and self._looking is None
            and not self._folders
            and not len(self.settler)
            and not (self.coverage is not None and self.coverage.waiting)
        )

    def trouble(self) -> str | None:
        """Why the drop is away, or not watched as it should be now. For any thread."""
        if self.pulse.silence() > SILENT_AFTER:
            return f"{self.why_silent() or 'a look at its disk has not come back yet'}; what lies there waits"
        away = self._totals.problems.get(self.drop.path)
        return away if self.coverage is None else self.coverage.trouble or away

    def why_silent(self) -> str | None:
        """Why a look at the disk does not come back; None while all do, or nobody knows yet. For any thread."""
        if (seconds := self.pulse.silence()) <= SILENT_AFTER:
            self._witness.forget()
            return None
        match self._witness.answers():
            case None:
                return None
            case False:
                return f"its disk has not answered for {seconds:.0f} s"
            case True:
                return (
                    f"a look at it has not come back for {seconds:.0f} s, although the folder itself answers: a disk"
                    " mounted below it may not, or the fault is ours"
                )

    def request_scan(self) -> None:
        """Let the next step begin a full scan."""
        self._next_scan = 0.0

    def close(self) -> None:
        """Let go of the watch; a thread that is still in a step does it when its disk answers."""
        self._closed = True
        if self.coverage is not None and not self.pulse.beats:
            self.coverage.stop()

    def step(self, now: float) -> float:
        """Look at the watch, at hints, at a slice of the scans and at files that may have settled."""
        self.pulse.beat()
        try:
            return self._step(now)
        except Exception:
            # What was seen may not be on record (a full disk): nothing is taken as known until it was seen again.
            self._start_anew()
            raise
        finally:
            self.pulse.rest()
            if self._closed:
                self.close()

    def _start_anew(self) -> None:
        """Take nothing as known."""
        self._scanning, self._looking, self.scanned_once, self._next_scan = None, None, False, 0.0
        self._folders.clear()
        self.settler.forget()

    def _step(self, now: float) -> float:
        more = self._take_hints(now)
        if self.coverage is not None and self.coverage.check(now):
            self._next_scan, self._scanning = 0.0, None
        more |= self._take_events(now)
        if self._behind % STEPS_TO_SCAN == 0:
            more |= self._look(now)
            more |= self._scan(now)
        self._behind = self._behind + 1 if self._settle(now) else 0
        more |= self._behind > 0
        if self._changed_totals and self._scanning is None:
            self._record_totals(now)
        return 0.0 if more else self._until_next(now)

    def _look_at(self, path: str, *, companion: bool = False) -> FolderScan:
        self.pulse.beat()
        return self.scanner.look(path, companion=companion)

    # -- hints -------------------------------------------------------------------------------------------------------

    def _take_hints(self, now: float) -> bool:
        hints: dict[str, Hint] = {}
        for _ in range(BATCH):
            try:
                hint = self.hints.get_nowait()
            except queue.Empty:
                break
            hints[hint.path] = hint
        self._folders.update(hint.path for hint in hints.values() if hint.is_folder)
        files = [hint for hint in hints.values() if not hint.is_folder]
        self._take([self._look_at(hint.path) for hint in files if not hint.companion], now)
        self._follow([hint.path for hint in files if hint.companion], now)
        return not self.hints.empty()

    def _take_events(self, now: float) -> bool:
        """Look where the watch says that something changed."""
        if self.coverage is None:
            return False
        files = set()
        for path, is_folder in self.coverage.take(BATCH):
            if is_folder or (self.drop.follow_symlinks and not os.path.isfile(path)):
                self._folders.add(path)
            if not is_folder:
                files.add(path)
        looks = [self._look_at(path) for path in files]
        self._take(looks, now)
        self._count_strays({path for look in looks for path, verdict in look.passed_over if verdict.counted}, now)
        return self.coverage.waiting

    def _count_strays(self, passed_over: set[str], now: float) -> None:
        """Scan soon, once for each file that is passed over: who dropped it is to hear of it in `status`."""
        if passed_over <= self._strays:
            return
        if len(self._strays) > MOST_STRAYS:
            self._strays.clear()
        self._strays |= passed_over
        self._next_scan = min(self._next_scan, now + max(STRAY_SECONDS, STRAY_SHARE * self._scan_took))

    def _follow(self, paths: Sequence[str], now: float) -> None:
        """Models name these files: they are followed even if they could not go by themselves."""
        looks = []
        for path in paths:
            self._changed_totals |= path in self._orphans
            self._orphans.discard(path)
            look = self._look_at(path, companion=True)
            if self._scanning is None and any(
                not seen.known and clock.now() - seen.unchanged_for < self._scan_began for seen in look.new
            ):
                self._changed_totals |= self._totals.followed(path)  # it was there, and passed over
            looks.append(look)
        self._take(looks, now, companion=True)

    # -- scans -------------------------------------------------------------------------------------------------------

    def _look(self, now: float) -> bool:
        """Scan the folders that hints named, and those that are polled; one that lies in another is covered by it."""
        if self._looking is None:
            if self.drop.path in self._folders:
                self._next_scan = now
            folders = self._folders - {self.drop.path}
            self._folders = set()
            if self.coverage is not None and now >= self._next_poll and not self.coverage.polls_all:
                self._next_poll = now + self.drop.poll_interval
                folders.update(self.coverage.to_poll())
            if not folders:
                return False
            self._looking = chain.from_iterable(map(self.scanner.walk, outermost(folders)))
        results, finished = self._slice(self._looking)
        self._take(results, now)
        if finished:
            self._looking = None
        return not finished

    def _scan(self, now: float) -> bool:
        if self._scanning is None:
            if now < self._next_scan or (self.scanned_once and self.coverage is None):
                return False
            self._scanning = self.scanner.walk()
            self._scan_began = now
            self._fresh_totals = ScanTotals()
            self._orphans.clear()
            if self.coverage is not None:
                self.coverage.begin()
        results, finished = self._slice(self._scanning)
        for result in results:
            self._fresh_totals.add(result)
            if self.coverage is not None:
                for seen in result.new:
                    if not seen.known:
                        self.coverage.unheard(seen.unchanged_for, now)
        self._take(results, now)
        if finished:
            self._finish_scan(now)
        return not finished

    def _finish_scan(self, now: float) -> None:
        self._scanning = None
        self.scanned_once = True
        self._scan_took = now - self._scan_began
        self._next_scan = now + self._rescan_interval
        if self.coverage is not None:
            self.coverage.finish()
            self._next_poll = now + self.drop.poll_interval
            if self.coverage.polls_all:
                self._next_scan = min(self._next_scan, self._next_poll)
        for path, error in self._fresh_totals.problems.items():
            if error != self._totals.problems.get(path):
                _log.warning("a place in a drop cannot be read", path=path, error=error)
        self._totals = self._fresh_totals
        self._record_totals(now)

    def _record_totals(self, now: float) -> None:
        extensions = Counter(self._totals.passed_over)
        extensions.update("." + extension_of(path) for path in self._orphans)
        self._ledger.intake.scanned(self.drop.path, extensions, self._totals.problems, now)
        self._changed_totals = False

    def _take(self, results: Sequence[FolderScan], now: float, *, companion: bool = False) -> None:
        """Bring what a look found into the ledger and the settler."""
        new: list[Seen] = []
        vanished: list[str] = []
        for result in results:
            vanished += result.vanished
            for path, verdict in result.passed_over:
                if verdict.reason is Reason.COMPANION and path not in self._orphans:
                    self._orphans.add(path)
                    self._changed_totals = True
                self._on_passed_over(self.drop.path, path, verdict)
            for seen in result.new:
                if self.settler.seen(seen.path, seen.signature, now, seen.unchanged_for):
                    new.append(seen)
            for seen in result.unsettled:
                self.settler.seen(seen.path, seen.signature, now, seen.unchanged_for)
        if new:
            self._ledger.intake.observed(self.drop.path, (_observation(seen, companion) for seen in new), now)
        if vanished:
            for path in vanished:
                self.settler.gone(path)
                self._changed_totals |= path in self._orphans
                self._orphans.discard(path)
            self._ledger.intake.vanished(self.drop.path, vanished, now)

    def _slice(self, scan: Iterator[FolderScan]) -> tuple[list[FolderScan], bool]:
        """What a scan finds in one step, and whether it is complete."""
        results: list[FolderScan] = []
        files = 0
        end = clock.now() + SLICE
        for result in scan:
            self.pulse.beat()
            results.append(result)
            files += len(result.new) + len(result.unsettled) + len(result.vanished)
            if clock.now() >= end or files > BATCH:
                return results, False
        return results, True

    # -- settling ----------------------------------------------------------------------------------------------------

    def _settle(self, now: float) -> bool:
        settled: list[tuple[str, Signature]] = []
        changed: list[FolderScan] = []
        paths = self.settler.due(now, BATCH)
        for path in paths:
            self.pulse.beat()
            try:
                status = self.scanner.status(path)
            except OSError as error:
                # It is gone; or its folder became unreadable: then it stays pending, and a scan names the folder.
                self.settler.gone(path)
                changed.append(self._look_at(path))
                if not isinstance(error, FileNotFoundError | NotADirectoryError):
                    _log.warning("a file cannot be looked at", path=path, error=error.strerror)
                continue
            signature = signature_of(status)
            if not self.settler.unchanged(path, signature):
                self.settler.gone(path)
                changed.append(self._look_at(path))
                continue
            writer = has_writer(path) if self.coverage is not None else None
            if self.settler.judge(path, signature, writer, now) is Settled.YES:
                settled.append((path, signature))
        self._take(changed, now)
        if settled:
            self._ledger.intake.settled(
                self.drop.path,
                settled,
                now,
                name_nothing={path for path, _ in settled if not can_refer(path)},
            )
            self._on_settled(self.drop.path)
        return len(paths) == BATCH

    def _until_next(self, now: float) -> float:
        times = []
        if self.coverage is not None or not self.scanned_once:
            times.append(self._next_scan)
        if (check := self.settler.next_check()) is not None:
            times.append(check)
        # Hints do not wake the loop: a burst of them is handled in one go, a quarter of a second later at most.
        return max(0.02, min([0.25, *(at - now for at in times)]))


def _observation(seen: Seen, companion: bool) -> Observation:
    return Observation(
        seen.path, seen.signature, _is_model(seen.path), is_scene(seen.path), companion=companion, seen_in=seen.seen_in
    )


def _is_model(path: str) -> bool:
    """Whether a file goes by itself and can name others (an MTL names textures, but goes with its OBJ only)."""
    return can_refer(path) and kind_of(path) not in {Kind.COMPANION, None}
