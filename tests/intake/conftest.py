"""An intake on a real folder and a real ledger, stepped by hand."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from watcher import clock
from watcher.intake import Intake
from watcher.ledger import Ledger
from watcher.model import Drop, FileState


class HandDriven:
    """An intake whose steps the test makes."""

    def __init__(self, drop: Drop, ledger: Ledger, *, watch: bool) -> None:
        self.drop = drop
        self.ledger = ledger
        self.intake = Intake([drop], ledger, watch=watch)

    def step(self) -> None:
        self.intake.step(clock.now())

    def files(self) -> dict[str, FileState]:
        """State by path relative to the drop."""
        root = len(self.drop.path) + 1
        return {file.path[root:]: file.state for file in self.ledger.report.files()}

    def settled(self) -> set[str]:
        """Files that settled, relative to the drop."""
        root = len(self.drop.path) + 1
        candidates = self.ledger.plan.candidates([self.drop.path], clock.now(), 100_000)
        return {candidate.path[root:] for candidate in candidates}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "state" / "ledger.db") as ledger:
        yield ledger


@pytest.fixture
def hand_driven(drop_folder: Path, ledger: Ledger) -> Iterator[Callable[..., HandDriven]]:
    """Makes an intake on the drop folder; keyword arguments go to the drop."""
    made: list[HandDriven] = []

    def make(*, watch: bool = True, settle_seconds: float = 0.2, **rules: object) -> HandDriven:
        drop = Drop(str(drop_folder.resolve()), "Remote", settle_seconds=settle_seconds, **rules)  # type: ignore[arg-type]
        driven = HandDriven(drop, ledger, watch=watch)
        made.append(driven)
        return driven

    yield make
    for driven in made:
        driven.intake.close()
