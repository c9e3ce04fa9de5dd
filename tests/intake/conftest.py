"""An intake on a real folder and a real ledger, stepped by hand."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from watcher import clock
from watcher.intake import Intake
from watcher.intake.coverage import Coverage
from watcher.ledger import Ledger
from watcher.model import Drop, FileState


class HandDriven:
    """An intake whose steps the test makes."""

    def __init__(self, drop: Drop, ledger: Ledger, until: Callable[..., None], *, watch: bool) -> None:
        self.drop = drop
        self.ledger = ledger
        self.intake = Intake([drop], ledger, watch=watch)
        self._until = until

    def step(self) -> None:
        self.intake.step(clock.now())

    def until(self, condition: Callable[[], object], what: str, seconds: float = 20.0) -> None:
        """Step until the condition holds."""

        def step_and_look() -> object:
            self.step()
            return condition()

        self._until(step_and_look, seconds, what)

    def until_settled(self, names: set[str], what: str = "settling", seconds: float = 20.0) -> None:
        """Step until just these files have settled."""
        self.until(lambda: self.settled() == names, what, seconds)

    def until_idle(self, what: str = "the scan", seconds: float = 20.0) -> None:
        """Step until everything is scanned and settled."""
        self.until(lambda: self.intake.idle, what, seconds)

    @property
    def coverage(self) -> Coverage:
        """How the drop is watched."""
        coverage = self.intake._loops[self.drop.path].coverage
        assert coverage is not None
        return coverage

    @property
    def trouble(self) -> str | None:
        """What is told about the drop, for a person."""
        return self.intake.unwatched().get(self.drop.path)

    def settled_count(self) -> int:
        """How many files settled."""
        row = self.ledger._connection.row("SELECT count(*) FROM files WHERE settled_at IS NOT NULL")
        assert row is not None
        return int(row[0])

    def files(self) -> dict[str, FileState]:
        """State by path relative to the drop."""
        root = len(self.drop.path) + 1
        return {file.path[root:]: file.state for file in self.ledger.report.files()}

    def gone(self) -> set[str]:
        """Files that are taken for deleted, relative to the drop."""
        return {name for name, state in self.files().items() if state is FileState.GONE}

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
def hand_driven(drop_folder: Path, ledger: Ledger, until: Callable[..., None]) -> Iterator[Callable[..., HandDriven]]:
    """Makes an intake on the drop folder; keyword arguments go to the drop."""
    made: list[HandDriven] = []

    def make(*, watch: bool = True, settle_seconds: float = 0.2, **rules: object) -> HandDriven:
        if "mode" in rules:
            rules["watch"] = rules.pop("mode")
        drop = Drop(str(drop_folder.resolve()), "Remote", settle_seconds=settle_seconds, **rules)  # type: ignore[arg-type]
        driven = HandDriven(drop, ledger, until, watch=watch)
        made.append(driven)
        return driven

    yield make
    for driven in made:
        driven.intake.close()
