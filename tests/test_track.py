"""The tracker against servers that say unexpected things: real HTTP, scripted answers."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import watcher.track
from watcher.api import AssetApi, RetryPolicy
from watcher.gate import Gate, why_away
from watcher.ledger import FileReport, Ledger, Observation, Verdict
from watcher.model import FileState, Signature
from watcher.track import Tracker, fraction

FOLDER = "folder-1"


class Scripted:
    """A server that knows upload tasks and the assets of source files."""

    def __init__(self) -> None:
        self.tasks: list[dict[str, Any]] = []
        self.listed = True
        """Whether the folder's list shows the tasks."""
        self.most = 100
        """Tasks in one page, whatever the client asks for."""
        self.assets: dict[str, dict[str, Any]] = {}
        self.requests: list[str] = []
        self.away = False

    def answer(self, path: str, query: dict[str, list[str]]) -> Any:
        parts = path.removeprefix("/app/v1/").split("/")
        if parts == ["folders", FOLDER, "upload-tasks"]:
            offset, limit = int(query["offset"][0]), min(self.most, int(query["limit"][0]))
            return self.tasks[offset : offset + limit] if self.listed else []
        if parts[0] == "upload-tasks":
            return next((task for task in self.tasks if task["upload_task_id"] == parts[1]), None)
        return self.assets.get(parts[1], {})


def task(number: int, status: str, conversion: str = "success", **more: Any) -> dict[str, Any]:
    return {
        "upload_task_id": f"task-{number}",
        "folder_id": FOLDER,
        "uploaded_at": "2026-01-01T00:00:00Z",
        "uploaded_by": {"user_id": "u", "username": "u"},
        "progress": 50,
        "status": status,
        "conversion_tasks": [
            {
                "asset_id": f"asset-{number}",
                "source_file_id": f"source-{number}",
                "source_file_name": f"{number}.obj",
                "conversion_pipeline": "scene",
                "progress": 50,
                "status": conversion,
                **more,
            }
        ],
    }


@pytest.fixture
def server() -> Iterator[Scripted]:
    scripted = Scripted()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            scripted.requests.append(self.path)
            if scripted.away:
                self.close_connection = True
                return
            answer = scripted.answer(address.path, parse_qs(address.query))
            body = json.dumps(answer if answer is not None else {"errorCode": 404, "message": "unknown"}).encode()
            self.send_response(404 if answer is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scripted.url = f"http://127.0.0.1:{http.server_port}/app/v1"  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield scripted
    http.shutdown()
    http.server_close()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.db") as ledger:
        yield ledger


@pytest.fixture
def tracker(server: Scripted, ledger: Ledger) -> Iterator[Tracker]:
    with AssetApi(server.url, api_key="key", retry=RetryPolicy.none()) as api:  # type: ignore[attr-defined]
        tracker = Tracker(ledger, api, Gate(lambda: why_away(api)), interval_min=0.5, interval_max=30.0)
        yield tracker
        tracker.close()


def sent(ledger: Ledger, number: int, at: float = 0.0) -> None:
    """A file whose upload the server took as ``task-NUMBER``."""
    signature = Signature(1, number, 10, 1, 1)
    path = f"/drop/{number}.obj"
    ledger.intake.observed("/drop", [Observation(path, signature)], at)
    ledger.intake.settled("/drop", [(path, signature)], at)
    (candidate,) = ledger.plan.candidates(["/drop"], at, 10)
    ledger.plan.ready(candidate, at)
    job = ledger.uploads.take(at)
    assert job is not None
    claim = ledger.uploads.claim(job, FOLDER, f"digest-{number}", [f"digest-{number}"], at)
    assert claim.verdict is Verdict.SEND
    ledger.uploads.sent(claim.upload_id, f"task-{number}", at)


def report(ledger: Ledger, number: int = 1) -> FileReport:
    (file,) = ledger.report.files([f"/drop/{number}.obj"])
    return file


def steps(tracker: Tracker, begin: float, end: float) -> None:
    """Looks from ``begin`` to ``end``, without a break."""
    now = begin
    while now < end:
        tracker.step(now)
        now = min(end, now + 120.0)
    tracker.step(end)


def test_an_unknown_status_is_still_running_and_its_progress_is_kept(
    server: Scripted, ledger: Ledger, tracker: Tracker
) -> None:
    sent(ledger, 1)
    server.tasks = [task(1, "polishing", "sanding", shiny=True)]
    tracker.step(0.0)
    assert (report(ledger).state, report(ledger).progress) == (FileState.CONVERTING, 0.5)


def test_success_brings_all_assets_the_main_one_first_and_unknown_kinds_too(
    server: Scripted, ledger: Ledger, tracker: Tracker
) -> None:
    sent(ledger, 1)
    server.tasks = [task(1, "success")]
    server.assets["source-1"] = {
        "materials": [{"asset_id": "m", "name": "wood"}],
        "holograms": [{"asset_id": "h", "name": "new"}],
        "scenes": [{"asset_id": "asset-1", "name": "1"}],
    }
    tracker.step(0.0)
    done = report(ledger)
    assert done.state is FileState.DONE
    assert (done.assets[0].asset_id, done.assets[0].type) == ("asset-1", "scene")
    assert {asset.asset_id for asset in done.assets} == {"m", "h", "asset-1"}
    assert done.source_file_id == "source-1"


def test_assets_that_are_not_visible_yet_are_waited_for(server: Scripted, ledger: Ledger, tracker: Tracker) -> None:
    sent(ledger, 1)
    server.tasks = [task(1, "success")]
    tracker.step(0.0)
    assert report(ledger).state is FileState.CONVERTING
    server.assets["source-1"] = {"meshes": [{"asset_id": "a", "name": "1"}]}
    tracker.step(2.0)
    assert report(ledger).state is FileState.DONE


@pytest.mark.parametrize(
    ("status", "more", "expected"),
    [
        ("error", {"message": "no faces"}, "conversion of 1.obj failed: no faces"),
        ("error", {"error": {"message": "no faces"}}, "conversion of 1.obj failed: no faces"),
        ("error", {}, "conversion of 1.obj failed: no reason was given (pipeline scene)"),
        ("rejected", {}, "the server rejected the upload, without a reason"),
    ],
)
def test_a_bad_end_is_a_failure_with_the_servers_words(
    server: Scripted, ledger: Ledger, tracker: Tracker, status: str, more: dict[str, Any], expected: str
) -> None:
    sent(ledger, 1)
    server.tasks = [task(1, status, "error", **more)]
    tracker.step(0.0)
    assert (report(ledger).state, report(ledger).error) == (FileState.FAILED, expected)


def test_a_task_that_the_server_does_not_know_is_waited_for_and_then_in_doubt(
    server: Scripted, ledger: Ledger, tracker: Tracker
) -> None:
    sent(ledger, 1)
    now = 0.0
    while now < 59.0:
        now += tracker.step(now)
        if now < 59.0:
            assert report(ledger).state is FileState.CONVERTING
    while report(ledger).state is FileState.CONVERTING:
        now += tracker.step(now)
        assert now < 200.0
    assert "no longer knows the upload task task-1" in (report(ledger).error or "")


def test_a_task_that_no_list_shows_is_asked_for_by_its_id(server: Scripted, ledger: Ledger, tracker: Tracker) -> None:
    sent(ledger, 1)
    server.tasks, server.listed = [task(1, "success")], False
    server.assets["source-1"] = {"meshes": [{"asset_id": "a", "name": "1"}]}
    tracker.step(0.0)
    assert report(ledger).state is FileState.DONE


def test_one_list_follows_many_and_what_is_done_is_passed_over(
    server: Scripted, ledger: Ledger, tracker: Tracker
) -> None:
    """A folder with a thousand old tasks, the oldest first, on a server that gives 30 a page."""
    server.most = 30
    for number in range(1000, 1010):
        sent(ledger, number)
    old = [task(number, "success") for number in range(1000)]
    server.tasks = old + [task(number, "converting", "converting") for number in range(1000, 1010)]
    now = tracker.step(0.0)
    first = len(server.requests)
    server.requests.clear()
    tracker.step(now)
    assert first > 30
    assert len(server.requests) == 1


@pytest.mark.parametrize(("lost", "pages"), [(1, 1), (4, 5)])
def test_a_task_that_is_missing_does_not_make_every_look_read_the_folders_whole_history(
    lost: int, pages: int, server: Scripted, ledger: Ledger, tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many old tasks, and one that is there beside those that the server has lost."""
    monkeypatch.setattr(watcher.track, "MOST_PAGES", 5)
    server.most = 10
    for number in range(2000, 2000 + lost):
        sent(ledger, number)
    sent(ledger, 3000)
    server.tasks = [task(number, "success") for number in range(200)] + [task(3000, "success")]
    server.assets["source-3000"] = {"meshes": [{"asset_id": "a", "name": "1"}]}
    for now in (0.0, 1.0, 2.0, 100.0):
        server.requests.clear()
        tracker.step(now)
        assert len(server.requests) <= pages + lost + 2, "the pages, each that was not on them, and what one made"
    assert report(ledger, 3000).state is FileState.DONE
    assert {report(ledger, number).state for number in range(2000, 2000 + lost)} == {FileState.WAITING}
    assert len(ledger.doubts.in_doubt()) == lost


def test_looks_become_rarer_while_nothing_moves_and_frequent_when_it_does(
    server: Scripted, ledger: Ledger, tracker: Tracker
) -> None:
    sent(ledger, 1)
    server.tasks = [task(1, "converting", "converting")]
    now, waits = 0.0, []
    for _ in range(14):
        waits.append(tracker.step(now))
        now += waits[-1]
    assert waits[0] == 0.5
    assert waits[1:] == sorted(waits[1:])
    assert waits[-1] == 30.0
    server.tasks[0]["progress"] = 75
    assert tracker.step(now) == 0.5


@pytest.mark.parametrize(
    ("said", "expected"), [(0, 0.0), (0.5, 0.5), (1, 1.0), (50, 0.5), (100, 1.0), (-3, 0.0), (None, 0.0)]
)
def test_progress_is_taken_as_a_share_or_as_per_cent(said: float | None, expected: float) -> None:
    assert fraction(said) == expected


def test_time_that_the_server_or_we_were_away_is_no_lack_of_progress(
    server: Scripted, ledger: Ledger, tracker: Tracker
) -> None:
    day = 86400.0
    sent(ledger, 1)
    server.tasks = [task(1, "converting", "converting")]
    tracker.step(0.0)
    server.away = True
    tracker.step(60.0)
    server.away = False
    tracker._gate.open()
    tracker.step(2 * day)
    assert report(ledger).state is FileState.CONVERTING, "it may have come to life a moment ago"
    steps(tracker, 2 * day, 2 * day + 599)
    assert report(ledger).state is FileState.CONVERTING
    tracker.step(2 * day + 700)
    assert report(ledger).state is FileState.FAILED


def test_time_in_which_the_machine_was_suspended_is_no_lack_of_progress(
    server: Scripted, ledger: Ledger, tracker: Tracker
) -> None:
    day = 86400.0
    for number in range(1, 4):
        sent(ledger, number)
    server.tasks = [task(1, "converting", "converting"), task(2, "success")]
    tracker.step(0.0)
    tracker.step(20.0)
    tracker.step(3 * day)
    assert {report(ledger, number).state for number in range(1, 4)} == {FileState.CONVERTING}
    steps(tracker, 3 * day, 3 * day + 599)
    assert report(ledger).state is FileState.CONVERTING
    assert report(ledger, 2).state is FileState.DONE, "without assets, after so long"
    assert "no longer knows the upload task task-3" in (report(ledger, 3).error or "")
    tracker.step(3 * day + 700)
    assert "gave no sign of progress for 24 h" in (report(ledger).error or "")


def test_another_status_is_a_sign_of_progress(server: Scripted, ledger: Ledger, tracker: Tracker) -> None:
    day = 86400.0
    sent(ledger, 1)
    server.tasks = [task(1, "waiting", "pending")]
    tracker.step(0.0)
    server.tasks = [task(1, "downloading", "pending")]
    tracker.step(day - 1)
    steps(tracker, 2 * day - 1000, 2 * day - 2)
    assert report(ledger).state is FileState.CONVERTING
    tracker.step(2 * day + 60)
    assert "24 h (the server calls it downloading)" in (report(ledger).error or "")


def test_a_list_of_assets_that_stays_empty_is_waited_for_from_the_success_on(
    server: Scripted, ledger: Ledger, tracker: Tracker
) -> None:
    sent(ledger, 1)
    server.tasks = [task(1, "success")]
    tracker.step(5000.0)
    assert report(ledger).state is FileState.CONVERTING
    tracker.step(5040.0)
    assert report(ledger).state is FileState.DONE
