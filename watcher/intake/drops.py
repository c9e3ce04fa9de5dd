"""The intake of all drops. Each has a loop of its own, so that a disk that hangs holds up nobody else."""

from collections.abc import Callable, Sequence

from watcher.intake.loop import DropIntake
from watcher.intake.observe import Hint
from watcher.intake.rules import PassedOver
from watcher.intake.silence import SILENT_AFTER
from watcher.ledger import Ledger
from watcher.model import Drop


class Intake:
    """Watches and scans the drops."""

    def __init__(
        self,
        drops: Sequence[Drop],
        ledger: Ledger,
        *,
        watch: bool,
        rescan_interval: float = 300.0,
        as_found: bool = False,
        on_settled: Callable[[str], None] = lambda _drop: None,
        on_passed_over: Callable[[str, str, PassedOver], None] = lambda _drop, _path, _verdict: None,
    ) -> None:
        """
        Args:
            watch: observe the folders with watchdog; without, the first scan is the only one.
            rescan_interval: seconds between full scans.
            as_found: take every file as complete at once, for a dry run.
            on_settled: called with a drop in which files became complete.
            on_passed_over: called with (drop, path, verdict) for each file that a scan passes over.
        """
        self._loops = {
            drop.path: DropIntake(
                drop,
                ledger,
                watch=watch,
                rescan_interval=rescan_interval,
                as_found=as_found,
                on_settled=on_settled,
                on_passed_over=on_passed_over,
            )
            for drop in drops
        }

    @property
    def loops(self) -> Sequence[DropIntake]:
        """One for each drop, to be run in a thread of its own."""
        return list(self._loops.values())

    def step(self, now: float) -> float:
        """A step of every drop, for whoever has no thread for each."""
        return min(loop.step(now) for loop in self._loops.values())

    @property
    def idle(self) -> bool:
        """Whether everything was scanned and nothing waits to settle."""
        return all(loop.idle for loop in self._loops.values())

    def scanned(self, drop: str) -> bool:
        """Whether a drop was scanned in full at least once."""
        return self._loops[drop].scanned_once

    def silent(self) -> dict[str, float]:
        """The drops whose disk does not answer, and for how many seconds. For any thread."""
        silence = {path: loop.pulse.silence() for path, loop in self._loops.items()}
        return {path: seconds for path, seconds in silence.items() if seconds > SILENT_AFTER}

    def why_silent(self) -> dict[str, str]:
        """Of the drops that are silent, as far as it is known. For any thread."""
        reasons = {path: loop.why_silent() for path, loop in self._loops.items()}
        return {path: reason for path, reason in reasons.items() if reason is not None}

    def unwatched(self) -> dict[str, str]:
        """The drops that are away, or not watched as they should be now, and why. For any thread."""
        troubles = {path: loop.trouble() for path, loop in self._loops.items()}
        return {path: trouble for path, trouble in troubles.items() if trouble is not None}

    def hint(self, hint: Hint) -> None:
        """Let a drop's next step look somewhere."""
        self._loops[hint.drop].hints.put(hint)

    def request_scan(self) -> None:
        """Let the next step begin a full scan of every drop."""
        for loop in self._loops.values():
            loop.request_scan()

    def dismiss(self, drop: str, path: str) -> None:
        """A file that was followed does not count after all; see :meth:`watcher.intake.scan.Scanner.dismiss`."""
        self._loops[drop].scanner.dismiss(path)

    def close(self) -> None:
        """Let go of all watches."""
        for loop in self._loops.values():
            loop.close()
