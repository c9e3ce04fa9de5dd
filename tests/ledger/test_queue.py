"""The upload queue: whose turn it is, among the drops that are at work."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from watcher.ledger import Ledger, Observation
from watcher.model import Signature

NOW = 1000.0


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.db") as ledger:
        yield ledger


def queue(ledger: Ledger, drop: str, names: list[str], due: float) -> None:
    """Files that are settled and planned, due at this time."""
    found = [
        (f"{drop}/{name}", Signature(dev=1, ino=number, size=1, mtime_ns=1, ctime_ns=1))
        for number, name in enumerate(names)
    ]
    ledger.intake.observed(drop, [Observation(path, signature, False) for path, signature in found], due)
    ledger.intake.settled(drop, found, due)
    for candidate in ledger.plan.candidates([drop], due, len(names)):
        ledger.plan.ready(candidate, due)


def test_the_files_of_other_drops_wait_where_they_are(ledger: Ledger) -> None:
    queue(ledger, "/early", ["a.png"], NOW - 2)
    queue(ledger, "/late", ["b.png"], NOW - 1)
    assert ledger.uploads.next_due(drops=["/late"]) == NOW - 1
    assert ledger.uploads.next_due(drops=["/early", "/late"]) == ledger.uploads.next_due() == NOW - 2
    assert ledger.uploads.next_due(drops=[]) is None
    assert ledger.uploads.take(NOW, drops=[]) is None
    job = ledger.uploads.take(NOW, drops=["/late"])
    assert job is not None
    assert job.main.path == "/late/b.png"
    assert ledger.uploads.take(NOW, drops=["/late"]) is None
    waiting = ledger.uploads.take(NOW, drops=["/early"])
    assert waiting is not None
    assert waiting.main.path == "/early/a.png"


def test_whose_turn_it_is_does_not_take_longer_with_a_longer_queue(ledger: Ledger) -> None:
    def seconds() -> float:
        began = time.perf_counter()
        for _ in range(50):
            ledger.uploads.next_due(drops=["/drop"])
        return time.perf_counter() - began

    queue(ledger, "/drop", ["first.png"], NOW)
    short = min(seconds() for _ in range(3))
    queue(ledger, "/drop", [f"{number}.png" for number in range(5000)], NOW + 1)
    assert min(seconds() for _ in range(3)) < 10 * short


def test_no_question_of_a_loop_looks_at_every_file(ledger: Ledger) -> None:
    """SQLite tells how many steps a question took: with a thousand times as many files it must not take many more."""

    def steps() -> dict[str, int]:
        questions: dict[str, Callable[[], object]] = {
            "the oldest unread": lambda: ledger.plan.oldest_unread("/drop"),
            "the next to be planned": lambda: ledger.plan.next_wake(["/drop"], NOW + 10),
            "those without a model": lambda: ledger.plan.release_unlinked(NOW, NOW, 0, 500),
            "the next upload": lambda: ledger.uploads.next_due(drops=["/drop"]),
            "what is owed": lambda: ledger.owed.due(["/drop"], NOW + 10, 20, ledger.owed.held(["/drop"])),
            "whether anything is owed": lambda: ledger.owed.at_work(["/drop"], NOW + 10),
            "whether all is planned": lambda: ledger.report.unplanned(["/drop"]),
        }
        taken = {}
        for name, ask in questions.items():
            count = 0

            def step() -> int:
                nonlocal count
                count += 1
                return 0

            sqlite = ledger._connection._sqlite
            sqlite.set_progress_handler(step, 10)
            ask()
            sqlite.set_progress_handler(None, 0)
            taken[name] = count
        return taken

    queue(ledger, "/drop", ["first.png"], NOW)
    few = steps()
    queue(ledger, "/drop", [f"{number}.png" for number in range(1000)], NOW + 1)
    many = steps()
    assert {name: many[name] for name in many if many[name] > few[name] + 50} == {}
