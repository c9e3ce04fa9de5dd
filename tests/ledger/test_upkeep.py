"""What the ledger needs no more leaves it, and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from watcher.ledger import Job, KeptAsset, LackingFile, Ledger, LinkedFile, Observation, Spent, Verdict
from watcher.model import FileState, Signature
from watcher.upkeep import KEPT_SECONDS, ROUND, Upkeep

DROP = "/drop"
LATER = 100.0 + KEPT_SECONDS


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.db") as ledger:
        yield ledger


def come(ledger: Ledger, *names: str, now: float = 10.0) -> None:
    found = [
        (f"{DROP}/{name}", Signature(dev=1, ino=number, size=1, mtime_ns=1, ctime_ns=int(now)))
        for number, name in enumerate(names)
    ]
    ledger.intake.observed(
        DROP, [Observation(path, signature, path.endswith(".obj")) for path, signature in found], now
    )
    ledger.intake.settled(DROP, found, now)


def go(ledger: Ledger, *names: str, now: float = 20.0) -> None:
    ledger.intake.vanished(DROP, [f"{DROP}/{name}" for name in names], now)


def claimed(ledger: Ledger, content: str, now: float = 11.0) -> tuple[Job, int]:
    """Bring the only file without a plan as far as an attempt to send it."""
    for candidate in ledger.plan.candidates([DROP], now, 10):
        ledger.plan.ready(candidate, now)
    job = ledger.uploads.take(now)
    assert job is not None
    claim = ledger.uploads.claim(job, "folder", content, [content], now)
    assert claim.verdict is Verdict.SEND
    return job, claim.upload_id


def a_round(ledger: Ledger, now: float) -> int:
    """One round to its end; how many steps it took."""
    upkeep, steps = Upkeep(ledger), 1
    while upkeep.step(now) != ROUND:
        steps += 1
    return steps


def rows(ledger: Ledger, table: str) -> int:
    return int(ledger._connection.rows(f"SELECT count(*) FROM {table}")[0][0])


def test_files_that_came_and_went_unsent_are_forgotten_after_a_while_with_their_folders(ledger: Ledger) -> None:
    names = [f"{number % 7}/{number}.png" for number in range(1200)]
    come(ledger, *names, "here.png")
    go(ledger, *names, now=100.0)
    a_round(ledger, LATER)
    assert rows(ledger, "files") == 1201, "they are remembered for as long as that"
    assert a_round(ledger, LATER + 1) == 5, "a few rows at a time"
    assert [file.path for file in ledger.report.files()] == [f"{DROP}/here.png"]
    assert ledger.report.counts().states[FileState.GONE] == 0
    assert rows(ledger, "dirs") == 1
    come(ledger, names[0], now=LATER)
    assert ledger.report.counts().states[FileState.PENDING] == 2, "and come again as new ones"


def test_what_was_sent_is_remembered_for_ever(ledger: Ledger) -> None:
    come(ledger, "a.png")
    _, upload_id = claimed(ledger, "blake3:a")
    ledger.conversions.succeeded(upload_id, (), "source", (), 12.0)
    go(ledger, "a.png")
    a_round(ledger, LATER * 9)
    assert ledger.uploads.known("folder", "blake3:a")
    come(ledger, "again.png", now=LATER * 9)
    (candidate,) = ledger.plan.candidates([DROP], LATER * 9, 10)
    ledger.plan.ready(candidate, LATER * 9)
    job = ledger.uploads.take(LATER * 9)
    assert job is not None
    assert ledger.uploads.claim(job, "folder", "blake3:a", ["blake3:a"], LATER * 9).verdict is Verdict.KNOWN


def test_a_companion_that_is_gone_is_known_for_as_long_as_a_model_names_it(ledger: Ledger) -> None:
    """Should it come back, its models are planned anew."""
    come(ledger, "m.obj", "wood.png")
    for candidate in ledger.plan.candidates([DROP], 11.0, 10, refer=True):
        ledger.plan.ready(candidate, 11.0, [LinkedFile(f"{DROP}/wood.png", "wood.png", "wood.png")])
    go(ledger, "wood.png")
    a_round(ledger, LATER)
    assert rows(ledger, "links") == 1
    (model,) = ledger.plan.candidates([DROP], LATER, 10)
    ledger.plan.ready(model, LATER, (), [LackingFile("wood.png", expected=f"{DROP}/wood.png")])
    a_round(ledger, LATER)
    assert {file.path for file in ledger.report.files()} == {f"{DROP}/m.obj"}


def test_attempts_that_came_to_nothing_go_but_not_those_of_which_assets_stayed(ledger: Ledger) -> None:
    come(ledger, "a.png")
    for number in range(3):
        job, upload_id = claimed(ledger, "blake3:a", 11.0 + number)
        ledger.uploads.void(upload_id, 11.0 + number)
        ledger.uploads.put_back(job, 12.0 + number, "refused", 11.0 + number)
    job, upload_id = claimed(ledger, "blake3:a", 15.0)
    ledger.owed.removed(upload_id, [KeptAsset("asset", "mesh", "a", "a scene")], 15.0)
    come(ledger, "a.png", now=16.0)
    claimed(ledger, "blake3:a", 16.0)
    assert rows(ledger, "uploads") == rows(ledger, "members") == 5
    a_round(ledger, LATER)
    assert {row["state"] for row in ledger._connection.rows("SELECT state FROM uploads")} == {"void", "sending"}
    assert rows(ledger, "uploads") == rows(ledger, "members") == 2
    assert [asset.asset_id for _, asset in ledger.report.kept()] == ["asset"]


def test_a_look_ends_after_so_many_rows_whatever_there_is_to_stay(ledger: Ledger) -> None:
    come(ledger, *(f"{number}.png" for number in range(30)))
    for candidate in ledger.plan.candidates([DROP], 11.0, 100):
        ledger.plan.ready(candidate, 11.0)
    while (job := ledger.uploads.take(11.0)) is not None:
        ledger.uploads.claim(job, "folder", job.main.path, [job.main.path], 11.0)
    go(ledger, *(f"{number}.png" for number in range(30)))
    after, looks = 0, 0
    while (after := ledger.upkeep.prune(Spent.FILES, LATER, after, 10)) != 0:
        looks += 1
    assert (looks, rows(ledger, "files")) == (3, 30)
