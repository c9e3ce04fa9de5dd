"""A plan without an upload: the intake and the plan stage at work on a copy of the ledger."""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from watcher import clock
from watcher.intake import Intake
from watcher.intake.rules import PassedOver
from watcher.ledger import Counts, FileReport, Ledger, NoLedger
from watcher.model import Drop, FileState
from watcher.planner import Planner


@dataclass(frozen=True, slots=True)
class Plan:
    """What a scan would do."""

    ledger: Ledger
    """A copy, with the plan in it."""
    counts: Counts
    files: Sequence[FileReport]
    """Every file of the drops; those that are passed over have state ``skipped`` and the reason as ``error``."""


@contextlib.contextmanager
def dry_run(drops: Sequence[Drop], ledger_path: Path) -> Iterator[Plan]:
    """Plan the drops as they are now. Neither the ledger nor a server is touched."""
    with scratch_copy(ledger_path) as ledger:
        yield _plan([replace(drop, writer_wait_seconds=0.0) for drop in drops], ledger)


@contextlib.contextmanager
def scratch_copy(ledger_path: Path | None) -> Iterator[Ledger]:
    """A copy of the ledger (a new one, without a path or when there is none) that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="3dverse-watcher-plan-") as folder:
        copy = Path(folder) / "ledger.db"
        if ledger_path is not None:
            with contextlib.suppress(NoLedger), Ledger(ledger_path, read_only=True) as original:
                original.copy_to(copy)
        with Ledger(copy) as ledger:
            yield ledger


def _plan(drops: Sequence[Drop], ledger: Ledger) -> Plan:
    skipped: dict[str, FileReport] = {}

    def passed_over(drop: str, path: str, verdict: PassedOver) -> None:
        skipped[path] = FileReport(path, drop, FileState.SKIPPED, error=f"{verdict.reason}: {verdict.detail}")

    plan_drops(drops, ledger, passed_over, as_found=True)
    paths = [drop.path for drop in drops]
    files = list(ledger.report.files(drops=paths))
    known = {file.path for file in files if file.state is not FileState.GONE}
    files += [file for path, file in skipped.items() if path not in known]
    return Plan(ledger, ledger.report.counts(paths), files)


def plan_drops(
    drops: Sequence[Drop],
    ledger: Ledger,
    on_passed_over: Callable[[str, str, PassedOver], None] = lambda _drop, _path, _verdict: None,
    *,
    as_found: bool,
) -> None:
    """Bring the drops into the ledger, all the way through the plan stage.

    Args:
        as_found: take every file as complete at once; without, files that may still be written are waited for.
    """
    intake = Intake(drops, ledger, watch=False, as_found=as_found, on_passed_over=on_passed_over)
    planner = Planner(drops, ledger, intake.hint, patient=False, scanned=intake.scanned)
    ledger.doubts.recover(clock.now())
    ledger.intake.configured(drop.path for drop in drops)
    paths = [drop.path for drop in drops]
    while not intake.idle or ledger.report.unplanned(paths):
        wait = min(intake.step(clock.now()), planner.step(clock.now()))
        if not as_found and wait > 0:
            time.sleep(wait)
