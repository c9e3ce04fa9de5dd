"""Builds the parts of the daemon, and runs them: for ever (``run``) or until all is at rest (``scan``)."""

import contextlib
import math
import sqlite3
import threading
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from watcher import clock
from watcher.access import FolderAccess
from watcher.arrival import Arrival
from watcher.belongings import Belongings
from watcher.caretaker import Caretaker
from watcher.config import Auth, Settings
from watcher.gate import Gate, Knocker, why_away
from watcher.hashing import Hashing
from watcher.identity import Identity
from watcher.intake import Intake
from watcher.intake.silence import Sentry
from watcher.ledger.damage import is_outage
from watcher.model import FileState
from watcher.pause import LedgerPause
from watcher.planner import Planner
from watcher.reconcile import Reconciler
from watcher.remains import Halves
from watcher.remote import RemoteFolders
from watcher.runner import Loop, Runner
from watcher.server import Server
from watcher.state import claim_for_server, ledger_was_damaged, open_ledger
from watcher.track import Tracker
from watcher.upkeep import Upkeep
from watcher.upload import Backoff, Progress, Uploader

_log = structlog.get_logger(__name__)

STEP_GRACE = 5.0
"""Seconds that a loop has to end its step when the daemon stops; an upload has ``shutdown_grace``."""
CUT_GRACE = 2.0
"""Seconds that an upload has to end when it is cut off, and once more when its connection is."""
STOP_SECONDS = STEP_GRACE + 3 * CUT_GRACE
"""Seconds within which a stop is over, besides ``shutdown_grace``."""
AT_A_DISK = ("intake", "planner", "upload")
"""Loops that the disk of a drop can hold for ever, which no restart would mend."""
LOCAL = ("upkeep",)
STALLED_SECONDS = 120.0
"""A loop that works with this machine only, and has not come back for so long, is not well."""
STALLED_WITH_SERVER = 3600.0
"""The same for one that works with the server, which may be slow."""
AT_WORK = (FileState.PENDING, FileState.WAITING, FileState.UPLOADING, FileState.CONVERTING)


class Daemon:
    """All parts at work on one state directory, whose lock the caller holds. A context manager."""

    def __init__(self, settings: Settings, server: Server, stop: threading.Event, *, watch: bool) -> None:
        """
        Args:
            stop: set by whoever wants the daemon to stop; then nothing new begins.
            watch: keep watching, and wait for companions that may still come; without, take the folders as they are.
        """
        self._settings = settings
        self._server = server
        self._stop = stop
        self._watch = watch
        self._exits = contextlib.ExitStack()
        self._cut = threading.Event()
        self._started = False
        self.gate = Gate(lambda: why_away(self._api))
        self.progress = Progress()
        self._pause = LedgerPause(settings.state_dir)

    def __enter__(self) -> "Daemon":
        """
        Raises:
            WrongServer: its ledger belongs to another server.
            LedgerError: the ledger cannot be used.
        """
        with contextlib.ExitStack() as exits:
            self.ledger = exits.enter_context(open_ledger(self._settings.state_dir))
            claim_for_server(self.ledger, self._server.identity)
            self._build(exits)
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            self.stop()
        finally:
            self._exits.close()
            if self.ledger.damage is not None:
                raise ledger_was_damaged(self.ledger)

    def stop(self, while_waiting: Callable[[], object] = lambda: None) -> None:
        """End all work: what is being uploaded may go on for ``shutdown_grace`` seconds, then it is cut off safely.

        Args:
            while_waiting: called several times a second meanwhile.
        """
        if not self._started:
            return
        self._started = False
        ends = clock.now() + self._settings.shutdown_grace
        hung = self._hung()
        stop = partial(self._runner.stop, but=hung, while_waiting=while_waiting)
        left = stop(min(STEP_GRACE, self._settings.shutdown_grace))
        if any(name.startswith("upload") for name in left):
            left = stop(ends - clock.now(), prefix="upload")
        cut_off = sum(uploader.sends for uploader in self._uploaders)
        self._cut.set()
        if left:
            left = stop(CUT_GRACE, prefix="upload")
        if left:
            # They wait for an answer; whether theirs arrived is settled at the next start.
            self._server.api.abort()
            left = stop(CUT_GRACE)
        if waiting := sorted(hung.intersection(self._runner.stop(0.0))):
            _log.warning("some work is left to a disk that does not answer", loops=waiting)
        if left:
            _log.error("some work did not stop in time", loops=left)
        if self.ledger.damage is not None:
            return
        try:
            states = self.ledger.report.counts().states
        except sqlite3.OperationalError as error:
            _log.error("stopped; what is left at work cannot be told", error=str(error), uploads_cut_off=cut_off)
            return
        counts = {str(state): count for state, count in states.items() if count}
        _log.info("stopped", left_at_work=sum(states[state] for state in AT_WORK), uploads_cut_off=cut_off, **counts)

    def _build(self, exits: contextlib.ExitStack) -> None:
        settings, drops = self._settings, self._settings.drops
        now = clock.now()
        in_doubt = self.ledger.doubts.recover(now)
        if in_doubt:
            _log.warning("uploads were cut off; the server is asked whether they arrived", uploads=in_doubt)
        self.ledger.intake.configured(drop.path for drop in drops)
        self.ledger.owed.policies(drops, now)
        self.ledger.upkeep.remember("started_at", str(now))
        backoff = Backoff(settings.upload.max_attempts, settings.upload.backoff_base, settings.upload.backoff_max)
        wake = self._wake
        self.intake = Intake(
            drops,
            self.ledger,
            watch=self._watch,
            rescan_interval=settings.rescan_interval,
            on_settled=lambda drop: wake(f"planner {drop}"),
        )
        exits.callback(self.intake.close)
        planners = [
            Planner(
                [drop],
                self.ledger,
                self.intake.hint,
                patient=self._watch,
                scanned=self.intake.scanned,
                on_ready=lambda: wake("upload"),
                on_dismissed=self.intake.dismiss,
                name=f"planner {drop.path}",
            )
            for drop in drops
        ]
        # While the server is away nothing is repeated: the gate says when it is asked again.
        patience = self._server.api.retry.unless(lambda: self.gate.reason is not None)
        api, self._identity = self._server.api.with_options(retry=patience), None
        if settings.api.auth is Auth.USER:
            # From here on the key is out of reach, for all but the identity.
            self._identity = Identity(api, self.ledger, settings.api)
            api = api.with_options(credential=self._identity)
        self._api = api
        folders = RemoteFolders(api, self.ledger, self._identity)
        self.access = FolderAccess(
            drops,
            api,
            folders,
            self.gate,
            who=settings.api.acts_as,
            user=self._identity.name if self._identity else None,
            rounds=settings.api.acts_as != "the API key",
            on_open=lambda: wake("upload", "caretaker"),
        )
        hashing = Hashing(self.ledger)
        arrival = Arrival(api, proof=settings.upload.proof, stop=self._stop)
        belongings = Belongings(self.ledger, api, arrival)

        def uploader(number: int, stands_in_for: Uploader | None = None) -> Uploader:
            return Uploader(
                number,
                drops,
                self.ledger,
                api,
                folders,
                self.access,
                self.gate,
                self.intake.hint,
                hashing,
                belongings,
                self._stop,
                cut=self._cut,
                backoff=backoff,
                progress=self.progress,
                scanned=self.intake.scanned,
                silent=self.intake.silent,
                stands_in_for=stands_in_for,
                on_sent=lambda: wake("tracker"),
                on_doubt=lambda: wake("reconcile"),
            )

        workers = settings.upload.workers
        self._uploaders = [uploader(number + 1) for number in range(workers)]
        if len(drops) > 1:  # a disk that hangs is not to keep the others from being uploaded
            self._uploaders += [uploader(workers + one.number, one) for one in self._uploaders]
        tracker = Tracker(
            self.ledger,
            api,
            self.gate,
            interval_min=settings.track.interval_min,
            interval_max=settings.track.interval_max,
            give_up_after=settings.track.give_up_after,
            on_change=lambda: wake("caretaker"),
        )
        exits.callback(tracker.close)
        self._reconciler = Reconciler(
            self.ledger,
            api,
            self.gate,
            arrival,
            belongings,
            backoff=backoff,
            on_change=lambda: wake("tracker", "upload"),
        )
        caretaker = Caretaker(
            drops,
            self.ledger,
            api,
            folders,
            self.access,
            self.gate,
            belongings,
            self._stop,
            backoff=backoff,
            scanned=self.intake.scanned,
            silent=self.intake.silent,
            on_change=lambda: wake("upload"),
        )
        knocker = Knocker(
            self.gate,
            on_open=lambda: wake("planner", "upload", "tracker", "reconcile", "caretaker", "access"),
        )
        loops: Sequence[Loop] = [
            *self.intake.loops,
            *planners,
            Sentry(self.intake.why_silent),
            *self._uploaders,
            tracker,
            self._reconciler,
            Halves(self.ledger, api, self.gate),
            caretaker,
            self.access,
            knocker,
            Upkeep(self.ledger),
        ]
        self._runner = Runner(loops, self._stop, on_error=self._pause.failed, on_success=self._pause.succeeded)

    def _wake(self, *names: str) -> None:
        for name in names:
            self._runner.wake(name)

    def start(self) -> None:
        """Let all loops run."""
        self.ledger.hurry()
        self._runner.start()
        self._started = True

    def ask_again(self) -> None:
        """Ask at once a server that refused us, or was away: somebody may have mended it."""
        self.gate.hurry()
        self._wake("knocker")

    def stalled(self) -> list[str]:
        """Loops that do not come back, or died: a new process may be better off."""

        def patience(name: str) -> float:
            if name.startswith(AT_A_DISK):
                return math.inf
            return STALLED_SECONDS if name in LOCAL else STALLED_WITH_SERVER

        return self._runner.stalled(patience)

    def _hung(self) -> set[str]:
        """Loops that may wait for a disk that does not answer."""
        local = {f"{name} {drop}" for drop in self.intake.silent() for name in ("intake", "planner")}
        return local | {uploader.name for uploader in self._uploaders if uploader.hangs}

    def _slow(self) -> list[str]:
        """Planners that do not come back, although the disk seems to answer."""
        stalled = self._runner.stalled(lambda name: STALLED_SECONDS if name.startswith("planner") else math.inf)
        return sorted(set(stalled) - self._hung())

    def trouble(self) -> str | None:
        """What keeps the daemon from its work now, for a person; None when all is well."""
        problems = []
        if self._identity is not None and (lacking := self._identity.trouble()):
            problems.append(lacking)
        elif self.gate.reason:
            what = f"{self._settings.api.acts_as} is refused" if self.gate.refused else "the server does not answer"
            problems.append(f"{what}: {self.gate.reason}")
        problems += dict.fromkeys(self.access.closed().values())
        problems += [f"{path}: {reason}" for path, reason in self.intake.unwatched().items()]
        problems += [f"{name} has not come back for more than {STALLED_SECONDS:.0f} s" for name in self._slow()]
        if waiting := self._pause.reason():
            problems.append(waiting)
        problems += [
            f"{name} fails and is tried again: {error}"
            for name, error in self._runner.failures().items()
            if not self._pause.waits(name)
        ]
        return "; ".join(problems) or None

    def away_for(self, now: float) -> float:
        """Seconds since the server, or a remote folder, was closed to us; 0 while none is."""
        return max(self.gate.closed_for(now), self.access.closed_for(now))

    def at_rest(self) -> bool:
        """Whether every drop was scanned, every file of them came to rest, what they owe the server is done, and it has
        said of every upload that was cut off what became of it."""
        drops = [drop.path for drop in self._settings.drops]
        return (
            self.intake.idle
            and not self.ledger.report.at_work(drops)
            and not self.ledger.owed.at_work(drops, clock.now())
            and not self._reconciler.at_work()
        )

    def run(self, tick: Callable[["Daemon"], bool], interval: float = 1.0) -> None:
        """Start, and call ``tick`` every ``interval`` seconds until it answers False or the stop event is set."""
        self.start()
        while not self._stop.is_set() and self.ledger.damage is None:
            try:
                if not tick(self):
                    break
            except sqlite3.OperationalError as error:
                if not is_outage(error):  # else the loops say so, and all wait until it is over
                    raise
            self._stop.wait(interval)
