"""The upload queue: whose turn it is, among the drops that are at work."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from watcher.ledger import Candidate, LackingFile, Ledger, Observation, Verdict
from watcher.model import Drop, OnDelete, Signature

NOW = 1000.0


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.db") as ledger:
        yield ledger


def settle(ledger: Ledger, drop: str, names: list[str], now: float) -> list[Candidate]:
    """Files that are complete, and have no plan."""
    found = [
        (f"{drop}/{name}", Signature(dev=1, ino=number, size=1, mtime_ns=1, ctime_ns=1))
        for number, name in enumerate(names)
    ]
    ledger.intake.observed(
        drop, [Observation(path, signature, path.endswith(".obj")) for path, signature in found], now
    )
    ledger.intake.settled(drop, found, now)
    return ledger.plan.candidates([drop], now, len(names))


def queue(ledger: Ledger, drop: str, names: list[str], due: float) -> None:
    """Files that are settled and planned, due at this time."""
    for candidate in settle(ledger, drop, names, due):
        ledger.plan.ready(candidate, due)


def delete(ledger: Ledger, drop: str, names: list[str], now: float) -> None:
    """Files that were uploaded and are deleted now, in a drop whose deletions count on the server."""
    ledger.owed.policies([Drop(drop, "Remote", on_delete=OnDelete.DELETE)], now)
    queue(ledger, drop, names, now)
    while (job := ledger.uploads.take(now, drops=[drop])) is not None:
        digest = f"{drop} {job.main.name} {now}"
        upload_id = ledger.uploads.claim(job, "folder", digest, [digest], now).upload_id
        ledger.conversions.succeeded(upload_id, (), digest, (), now)
    ledger.intake.vanished(drop, [f"{drop}/{name}" for name in names], now)


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
    """SQLite tells how many steps a question took: with a thousand times as many files, also of a drop that is not at
    work and whose files stand before all others, it must not take many more."""

    def steps() -> dict[str, int]:
        questions: dict[str, Callable[[], object]] = {
            "the oldest unread": lambda: ledger.plan.oldest_unread("/drop"),
            "the oldest scene": lambda: ledger.plan.oldest_unread("/unplanned", scenes=True),
            "the next to be planned": lambda: ledger.plan.next_wake(["/drop"], NOW + 10),
            "those without a model": lambda: ledger.plan.release_unlinked(NOW, NOW, 0, 500),
            "the next upload": lambda: ledger.uploads.next_due(drops=["/drop"]),
            "the next to be uploaded": lambda: ledger.uploads.take(NOW - 500, drops=["/drop"]),
            "which to plan": lambda: ledger.plan.candidates(["/drop"], NOW + 2000, 20),
            "what is owed": lambda: ledger.owed.due(["/drop", "/held"], NOW + 1e6, 20, ["/held"]),
            "when something will be owed": lambda: ledger.owed.next_due(["/drop", "/held"], NOW + 10),
            "what is in doubt": ledger.doubts.in_doubt,
            "where conversions are followed": ledger.conversions.folders,
            "which conversions are followed": lambda: ledger.conversions.following("folder"),
            "whether all is planned": lambda: ledger.report.unplanned(["/drop"]),
            "whether all is done": lambda: ledger.report.at_work(["/drop"]),
            "how many there are": ledger.report.counts,
            "how many a drop has": lambda: ledger.report.counts(["/drop"]),
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

    def fill(files: int) -> None:
        names = [f"{number}.png" for number in range(files)]
        queue(ledger, "/drop", names, NOW + 1)
        queue(ledger, "/closed", names, NOW - 1)
        settle(ledger, "/unplanned", [*names, *(f"{number}.obj" for number in range(files))], NOW - 1)
        for candidate in settle(ledger, "/waiting", names, NOW - 1):
            ledger.plan.wait(candidate, NOW + 5, NOW)
        delete(ledger, "/held", names, NOW - 1)

    fill(1)
    few = steps()
    fill(1000)
    many = steps()
    assert {name: many[name] for name in many if many[name] > few[name] + 50} == {}


def test_what_went_away_at_once_is_counted_without_a_look_at_what_made_it(ledger: Ledger) -> None:
    """It is asked once a step, as long as a person is waited for."""
    names = [f"{number}.png" for number in range(30)]
    delete(ledger, "/held", names, NOW)
    queue(ledger, "/held", [f"{number}.obj" for number in range(29)], NOW)
    assert ledger.owed.held(["/held", "/drop"]) == {"/held": 30}
    assert ledger.owed.due(["/held"], NOW + 1e6, 20, ["/held"]) == []
    assert len(ledger.owed.due(["/held"], NOW + 1e6, 20, [])) == 20
    (sql,) = recorded(ledger, lambda: ledger.owed.held(["/held"]))
    plan = [row["detail"] for row in ledger._connection.rows(f"EXPLAIN QUERY PLAN {sql}")]
    assert "SCAN owed USING INDEX owed_unconfirmed" in plan
    assert not [step for step in plan if "files" in step or "uploads" in step or "TEMP B-TREE" in step]
    queue(ledger, "/held", ["one more.obj"], NOW)
    assert ledger.owed.held(["/held"]) == {}, "half of them is no more than half"


def test_the_models_that_wait_for_a_file_are_found_by_it(ledger: Ledger) -> None:
    """Each file that settles is asked for them."""
    (model,) = settle(ledger, "/drop", ["a.obj"], NOW)
    lacking = [LackingFile(name, "/drop/a.obj", f"/drop/{name}") for name in ("a.png", "b.png")]
    ledger.plan.wait(model, NOW + 10, NOW, [], lacking, patience=10.0)
    came = Signature(dev=1, ino=2, size=1, mtime_ns=1, ctime_ns=1)
    ledger.intake.observed("/drop", [Observation("/drop/a.png", came)], NOW)
    asked = recorded(
        ledger,
        lambda: ledger.intake.settled("/drop", [("/drop/a.png", came)], NOW + 5, name_nothing={"/drop/a.png"}),
    )
    (report,) = ledger.report.files(["/drop/a.obj"])
    assert report.missing == ("b.png",)
    assert ledger.plan.next_wake(["/drop"], NOW + 6) == NOW + 15
    steps = [
        row["detail"]
        for sql in asked
        if sql.startswith(("SELECT", "UPDATE"))
        for row in ledger._connection.rows(f"EXPLAIN QUERY PLAN {sql}")
    ]
    assert "SEARCH l USING INDEX links_by_missing (missing_key=?)" in steps
    assert {step for step in steps if step.startswith("SCAN")} <= {"SCAN k VIRTUAL TABLE INDEX 1:", ONE_BY_ONE}


ONE_BY_ONE = "SCAN json_each VIRTUAL TABLE INDEX 1:"


def recorded(ledger: Ledger, ask: Callable[[], object]) -> list[str]:
    """The SQL of a question, its parameters filled in."""
    asked: list[str] = []
    ledger._connection._sqlite.set_trace_callback(asked.append)
    ask()
    ledger._connection._sqlite.set_trace_callback(None)
    return asked


def test_what_is_kept_of_files_by_drop_stays_true_when_drops_change(ledger: Ledger) -> None:
    """A drop inside another one is configured, and later no more; a file with its content moves into a third."""
    outer = Drop("/outer", "Remote", on_delete=OnDelete.DELETE)
    inner = Drop("/outer/inner", "Remote", on_delete=OnDelete.DELETE)
    delete(ledger, outer.path, ["inner/c.png"], NOW)
    queue(ledger, outer.path, ["a.png", "inner/b.png"], NOW)
    ledger.owed.policies([outer, inner], NOW)

    def owed(drop: Drop) -> list[str]:
        assert tallied(ledger) == counted(ledger)
        return [each.path for each in ledger.owed.due([drop.path], NOW + 1e6, 20, [])]

    assert (owed(outer), owed(inner)) == (["/outer/inner/c.png"], [])
    ledger.intake.configured([outer.path, inner.path])
    assert (owed(outer), owed(inner)) == ([], ["/outer/inner/c.png"])
    job = ledger.uploads.take(NOW, drops=[inner.path])
    assert job is not None
    assert job.main.path == "/outer/inner/b.png"
    ledger.intake.configured([outer.path])
    assert (owed(outer), owed(inner)) == (["/outer/inner/c.png"], [])
    # Its removal has begun, and the content comes back elsewhere: what is owed is that drop's from now on.
    (each,) = ledger.owed.due([outer.path], NOW + 1e6, 20, [])
    assert ledger.owed.begin(each.upload_id, each.work, ["/third"])
    queue(ledger, "/third", ["c.png"], NOW)
    job = ledger.uploads.take(NOW, drops=["/third"])
    assert job is not None
    digest = f"/outer c.png {NOW}"
    assert ledger.uploads.claim(job, "folder", digest, [digest], NOW).verdict is Verdict.KNOWN
    (each,) = ledger.owed.due([], NOW + 1e6, 20, [])
    assert (each.drop, each.path, each.begun) == ("/third", "/third/c.png", True)
    ledger.upkeep.forget(["/outer/a.png", "/third/c.png"])
    assert tallied(ledger) == counted(ledger)


def tallied(ledger: Ledger) -> set[tuple[object, ...]]:
    return {tuple(row) for row in ledger._connection.rows("SELECT drop_id, state, role, files FROM tallies") if row[3]}


def counted(ledger: Ledger) -> set[tuple[object, ...]]:
    sql = (
        "SELECT d.drop_id, f.state, f.role, count(*) FROM files f JOIN dirs d ON d.id = f.dir_id"
        " WHERE f.drop_id = d.drop_id GROUP BY 1, 2, 3"
    )
    return {tuple(row) for row in ledger._connection.rows(sql)}


def test_what_came_last_can_be_taken_before_what_has_been_due_for_longest(ledger: Ledger) -> None:
    queue(ledger, "/many", [f"{number}.png" for number in range(100)], NOW)
    queue(ledger, "/other", ["old.png"], NOW)
    car = ("/many/car.png", Signature(dev=1, ino=1000, size=1, mtime_ns=1, ctime_ns=2))
    ledger.intake.observed("/many", [Observation(*car)], NOW)
    ledger.intake.settled("/many", [car], NOW + 1)
    (candidate,) = ledger.plan.candidates(["/many"], NOW + 1, 1000)
    ledger.plan.ready(candidate, NOW + 1)
    assert ledger.uploads.next_due() == NOW
    fresh = ledger.uploads.take(NOW + 1, fresh=True)
    assert fresh is not None
    assert fresh.main.path == "/many/car.png"
    ledger.uploads.put_back(fresh, NOW + 100, "try again later", NOW + 1)
    again = ledger.uploads.take(NOW + 1, drops=["/other"], fresh=True)
    assert again is not None
    assert again.main.path == "/other/old.png"
    rest = [ledger.uploads.take(NOW + 2, fresh=turn % 2 == 0) for turn in range(101)]
    assert rest.pop() is None
    assert len({job.main.path for job in rest if job}) == 100


def test_the_question_what_came_last_looks_at_a_few_files_only(ledger: Ledger) -> None:
    steps = []
    for number in (200, 2000):
        queue(ledger, "/many", [f"{number}-{file}.png" for file in range(number)], NOW)
        sqlite = ledger._connection._sqlite
        count = [0]
        sqlite.set_progress_handler(lambda count=count: count.__setitem__(0, count[0] + 1), 1)
        assert ledger.uploads.take(NOW, fresh=True) is not None
        ledger.plan.fresh_candidates(["/many"], NOW, refer=False)
        sqlite.set_progress_handler(None, 0)
        steps += count
    assert steps[1] < 1.2 * steps[0]
