"""Conversions on a server that does not say, says nonsense, or never comes to an end."""

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

import watcher.reconcile
import watcher.track
from watcher.api import FilePart
from watcher.ledger import Ledger
from watcher.model import FileState
from watcher.state import LEDGER

Picture = Callable[[int], bytes]


class Tasks:
    """Spoils what the server says of upload tasks, for as long as it is ``spoiled``."""

    def __init__(self, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
        """change: another task for a task; None for one that the server does not know."""
        self.change = change
        self.spoiled = True

    def __call__(self, exchange: Any) -> None:
        if not self.spoiled or exchange.method != "GET" or "/upload-tasks" not in exchange.path:
            exchange.passes()
            return
        answer = exchange.forward(exchange.head, exchange.read()).partition(b"\r\n\r\n")[2]
        said = json.loads(answer)
        listed = said if isinstance(said, list) else [said]
        told = [changed for task in listed if (changed := self.change(task)) is not None]
        if isinstance(said, list):
            exchange.answers("200 OK", json.dumps(told).encode())
        elif told:
            exchange.answers("200 OK", json.dumps(told[0]).encode())
        else:
            exchange.answers("404 Not Found", b'{"message": "no such upload task"}')


def pending(task: dict[str, Any]) -> dict[str, Any]:
    conversions = [{**conversion, "status": "pending", "progress": 0} for conversion in task["conversion_tasks"]]
    return {**task, "status": "pending", "progress": 0, "conversion_tasks": conversions}


def polishing(task: dict[str, Any]) -> dict[str, Any]:
    return {**pending(task), "status": "polishing"}


def vanished(_task: dict[str, Any]) -> None:
    return None


@pytest.mark.parametrize("state", [pending, polishing])
def test_a_conversion_that_never_moves_is_given_up_and_retry_looks_at_it_before_it_sends(
    station: Any, line: Any, picture: Picture, state: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    station.environ["WATCHER_TRACK__GIVE_UP_AFTER"] = "1"
    line.spoil = tasks = Tasks(state)
    station.drops("a.png", picture(1))
    station.scan()
    report = station.reports()["a.png"]
    assert report.state is FileState.FAILED
    assert "no sign of progress" in report.error
    assert f"(the server calls it {state.__name__}); `retry` looks at it again" in report.error
    station.retry()
    station.scan()
    assert station.states() == {"a.png": FileState.FAILED}, "it still does not move"
    tasks.spoiled = False
    station.retry()
    station.scan()
    assert station.reports()["a.png"].assets
    assert station.states() == {"a.png": FileState.DONE}
    assert (station.on_server(), line.uploads) == ({"a.png": 1}, 1)


@pytest.fixture
def soon_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher.track, "VANISHED_SECONDS", 0.3)
    monkeypatch.setattr(watcher.reconcile, "ARRIVAL_SECONDS", 0.3)
    monkeypatch.setattr(watcher.reconcile, "LATE_SECONDS", 0.5)


@pytest.mark.usefixtures("soon_lost")
def test_a_file_whose_upload_task_vanishes_is_found_by_its_bytes_and_not_sent_again(
    station: Any, line: Any, picture: Picture
) -> None:
    line.spoil = Tasks(vanished)
    station.drops("a.png", picture(1))
    station.scan()
    assert station.states() == {"a.png": FileState.DONE}
    assert station.reports()["a.png"].assets
    assert (station.on_server(), line.uploads) == ({"a.png": 1}, 1)


@pytest.mark.usefixtures("soon_lost")
def test_an_upload_whose_task_vanishes_is_not_taken_for_another_one_of_the_same_file(
    station: Any, line: Any, picture: Picture
) -> None:
    content = station.drops("a.png", picture(1)).read_bytes()
    ours: list[str] = []

    def lost(task: dict[str, Any]) -> dict[str, Any] | None:
        if not ours:
            ours.append(task["upload_task_id"])
            station.direct.folders.upload(
                station.folder_id(), [FilePart("a.png", len(content), lambda: iter([content]))]
            )
            station.until(lambda: all(task.ended for task in station.direct.upload_tasks.iterate()))
        return None if task["upload_task_id"] in ours else task

    line.spoil = Tasks(lost)
    station.scan()
    sources = {
        conversion.source_file_id
        for task in station.direct.upload_tasks.iterate()
        for conversion in task.conversion_tasks
        if task.upload_task_id in ours
    }
    assert {station.reports()["a.png"].source_file_id} == sources
    assert (station.on_server(), line.uploads) == ({"a.png": 2}, 1)


@pytest.mark.usefixtures("soon_lost")
@pytest.mark.parametrize("comes_back", [True, False])
def test_an_upload_that_vanishes_with_its_file_is_told_and_sent_again_only_if_it_stays_away(
    station: Any, line: Any, picture: Picture, comes_back: bool
) -> None:
    """What cannot be proven is not there, too."""
    station.environ["WATCHER_UPLOAD__PROOF"] = str(not comes_back)

    def lost(_task: dict[str, Any]) -> None:
        if not comes_back:
            there = [source.source_file_id for source in station.direct.folders.source_files(station.folder_id())]
            station.direct.source_files.delete(there, delete_assets=True) if there else None

    line.spoil = tasks = Tasks(lost)
    station.drops("a.png", picture(1))
    station.scan()
    report = station.reports()["a.png"]
    assert report.state is FileState.FAILED
    assert (
        report.error == f"the server no longer knows the upload task {report.upload_task_id}; `retry` uploads it again"
    )
    tasks.change = lambda task: task if comes_back or task["upload_task_id"] != report.upload_task_id else None
    station.retry()
    station.scan()
    assert station.states() == {"a.png": FileState.DONE}
    assert (station.on_server(), line.uploads) == ({"a.png": 1}, 1 if comes_back else 2)


def loses_tasks_and_assets(station: Any) -> "Tasks":
    """What is made of a file goes with its upload task; the file stays."""

    def lost(task: dict[str, Any]) -> None:
        for conversion in task["conversion_tasks"]:
            made = station.direct.source_files.assets(conversion["source_file_id"]).refs()
            station.direct.assets.delete_many([entry.asset_id for entry in made]) if made else None

    return Tasks(lost)


def halves(station: Any) -> list[str]:
    """The names of what is told to a person."""
    with Ledger(station.state / LEDGER, read_only=True) as ledger:
        return [half.name for half in ledger.report.halves()]


@pytest.mark.usefixtures("soon_lost")
@pytest.mark.parametrize("proof", ["true", "false"])
@pytest.mark.parametrize("name", ["a.png", 'a"b.png', "wood.png"])
def test_what_may_be_left_of_a_lost_upload_is_told_and_stays_when_it_is_sent_again(
    station: Any, line: Any, picture: Picture, name: str, proof: str
) -> None:
    """It could as well have come with somebody's model, of which the ledger knows nothing: ours is no such."""
    station.environ["WATCHER_UPLOAD__PROOF"] = proof
    station.drops("car.obj", b"mtllib car.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    station.drops("car.mtl", b"newmtl a\nmap_Kd wood.png\n")
    station.drops("wood.png", picture(1))
    station.scan()
    (station.drop / "alone").mkdir()
    lost = station.drops(f"alone/{name}", picture(1)).name.replace('"', "%22")
    line.spoil = tasks = loses_tasks_and_assets(station)
    station.scan()
    report = station.reports()[f"alone/{name}"]
    assert report.state is FileState.FAILED
    assert "`retry` uploads it again" in report.error
    tasks.change = lambda task: None if task["upload_task_id"] == report.upload_task_id else task
    station.retry()
    station.scan()
    assert station.reports()[f"alone/{name}"].assets
    assert station.on_server() == Counter(["car.obj", "car.mtl", "wood.png", lost, lost])
    assert (halves(station), line.uploads) == ([lost.removesuffix(".png")], 3)


@pytest.mark.usefixtures("soon_lost")
def test_what_may_be_left_of_an_upload_whose_answer_was_lost_too_is_told_and_it_is_sent_again(
    station: Any, line: Any, picture: Picture
) -> None:
    lost: list[str] = []

    def loses(exchange: Any) -> None:
        if exchange.is_upload and not lost:
            answer = exchange.forward(exchange.head, exchange.read()).partition(b"\r\n\r\n")[2]
            lost.append(json.loads(answer)["upload_task_id"])
            exchange.resets()
        else:
            tasks(exchange)

    tasks = loses_tasks_and_assets(station)
    loses_all = tasks.change
    tasks.change = lambda task: loses_all(task) if task["upload_task_id"] in lost else task
    line.spoil = loses
    station.drops("car.obj", b"mtllib car.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    station.drops("car.mtl", b"newmtl a\nmap_Kd wood.png\n")
    station.drops("wood.png", picture(1))
    station.scan()
    assert station.reports()["car.obj"].assets
    assert (station.on_server(), line.uploads) == ({"car.obj": 2, "car.mtl": 2, "wood.png": 2}, 2)
    assert sorted(halves(station)) == ["car", "car", "wood"]


@pytest.mark.usefixtures("soon_lost")
@pytest.mark.parametrize("proof", ["true", "false"])
def test_an_upload_whose_task_is_lost_while_it_counts_as_failed_is_not_sent_again_if_its_assets_are_there(
    station: Any, line: Any, picture: Picture, proof: str
) -> None:
    station.environ |= {"WATCHER_UPLOAD__PROOF": proof, "WATCHER_TRACK__GIVE_UP_AFTER": "1"}
    line.spoil = tasks = Tasks(lambda task: {**pending(task), "conversion_tasks": []})
    station.drops("a.png", picture(1))
    station.scan()
    assert station.states() == {"a.png": FileState.FAILED}
    tasks.change = vanished
    station.retry()
    station.scan()
    assert station.reports()["a.png"].assets
    assert station.states() == {"a.png": FileState.DONE}
    assert (station.on_server(), line.uploads) == ({"a.png": 1}, 1)


@pytest.mark.usefixtures("soon_lost")
def test_a_file_that_came_with_somebodys_model_is_not_removed_for_a_lost_one_that_is_like_it(
    station: Any, line: Any, picture: Picture
) -> None:
    def gone(task: dict[str, Any]) -> None:
        there = [source.source_file_id for source in station.direct.folders.source_files(station.folder_id())]
        station.direct.source_files.delete(there, delete_assets=True) if there else None

    line.spoil = tasks = Tasks(gone)
    texture = station.drops("wood.png", picture(1)).read_bytes()
    station.scan()
    lost = station.reports()["wood.png"].upload_task_id
    model = {"car.obj": b"mtllib car.mtl\nv 0 0 0\n", "car.mtl": b"newmtl a\nmap_Kd wood.png\n", "wood.png": texture}
    folder_id = station.folder_id()
    station.direct.folders.upload(
        folder_id, [FilePart(name, len(data), lambda data=data: iter([data])) for name, data in model.items()]
    )
    station.until(lambda: station.on_server()["wood.png"] == 1)
    theirs = {source.source_file_id for source in station.direct.folders.source_files(folder_id)}
    tasks.change = lambda task: None if task["upload_task_id"] == lost else task
    station.retry()
    station.scan()
    assert station.states() == {"wood.png": FileState.DONE}
    assert theirs < {source.source_file_id for source in station.direct.folders.source_files(folder_id)}


@pytest.mark.usefixtures("soon_lost")
def test_a_failed_upload_of_the_same_content_under_another_extension_is_not_taken_for_a_lost_one(
    station: Any, line: Any, picture: Picture
) -> None:
    def fails(task: dict[str, Any]) -> dict[str, Any]:
        return {
            **task,
            "status": "error",
            "conversion_tasks": [c | {"status": "error"} for c in task["conversion_tasks"]],
        }

    line.spoil = tasks = Tasks(fails)
    content = station.drops("a.png", picture(1)).read_bytes()
    station.scan()
    assert station.states() == {"a.png": FileState.FAILED}
    tasks.spoiled = False
    station.drops("b.tga", content)
    station.scan()
    assert (station.on_server(), line.uploads) == ({"b.tga": 1}, 2)


@pytest.mark.usefixtures("soon_lost")
@pytest.mark.parametrize("arrives", [True, False])
def test_a_texture_is_not_taken_for_the_same_one_that_a_model_brought(
    station: Any, line: Any, picture: Picture, arrives: bool
) -> None:
    """Of the model's copy nothing is made. The texture itself does not arrive, or its upload task is lost."""

    def does_not_arrive(exchange: Any) -> None:
        exchange.read()
        exchange.resets()

    station.drops("car.obj", b"mtllib car.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    station.drops("car.mtl", b"newmtl a\nmap_Kd wood.png\n")
    texture = station.drops("wood.png", picture(1))
    station.scan()
    (station.drop / "alone").mkdir()
    (station.drop / "alone" / "wood.png").write_bytes(texture.read_bytes())
    if arrives:
        line.spoil = Tasks(vanished)
    else:
        line.once = [does_not_arrive]
    station.scan()
    assert station.states()["alone/wood.png"] is FileState.DONE
    assert station.reports()["alone/wood.png"].assets
    assert station.on_server() == {"car.obj": 1, "car.mtl": 1, "wood.png": 2}


def test_an_upload_that_the_server_cannot_tell_of_holds_up_no_other(
    station: Any, line: Any, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No list, no answer about one upload, and no list of what became of another."""
    monkeypatch.setattr(watcher.track, "UNSAID_SECONDS", 1.0)
    uploads: list[str] = []
    poisoned = True

    def chokes(exchange: Any) -> None:
        if exchange.is_upload:
            answer = exchange.forward(exchange.head, exchange.read())
            uploads.append(json.loads(answer.partition(b"\r\n\r\n")[2])["upload_task_id"])
            exchange.client.sendall(answer)
        elif poisoned and exchange.path.endswith("/upload-tasks") and "/folders/" in exchange.path:
            exchange.answers("500 Oops", b"{}")
        elif poisoned and uploads and exchange.path.endswith(uploads[0]):
            exchange.resets()
        else:
            exchange.passes()

    line.spoil = chokes
    station.environ["WATCHER_UPLOAD__WORKERS"] = "1"
    for number in range(3):
        station.drops(f"{number}.png", picture(number))
    with station.daemon(watch=True) as daemon:
        station.until(lambda: sorted(station.states().values()) == [FileState.DONE, FileState.DONE, FileState.FAILED])
        assert daemon.gate.reason is None
    (failed,) = [report for report in station.reports().values() if report.state is FileState.FAILED]
    assert failed.upload_task_id == uploads[0]
    assert "the server fails to tell what became of the upload" in failed.error
    poisoned = False
    station.retry()
    station.scan()
    assert set(station.states().values()) == {FileState.DONE}
    assert line.uploads == 3


def test_assets_that_cannot_be_listed_are_told_and_retry_asks_for_them_again(
    station: Any, line: Any, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher.track, "UNSAID_SECONDS", 1.0)
    first: list[str] = []
    poisoned = True

    def chokes(exchange: Any) -> None:
        if found := re.search(r"/source-files/([^/]+)/assets$", exchange.path):
            first.append(found[1])
            if poisoned and found[1] == first[0]:
                exchange.resets()
                return
        exchange.passes()

    line.spoil = chokes
    for number in range(3):
        station.drops(f"{number}.png", picture(number))
    station.scan()
    (failed,) = [report for report in station.reports().values() if report.state is FileState.FAILED]
    assert failed.source_file_id == first[0]
    assert "the conversion succeeded, but its assets cannot be listed" in failed.error
    poisoned = False
    station.retry()
    station.scan()
    assert set(station.states().values()) == {FileState.DONE}
    assert all(report.assets for report in station.reports().values())
    assert line.uploads == 3
