"""An upload that is cut off anywhere is settled before it is repeated: what arrived is adopted, half of it removed."""

import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import watcher.arrival
import watcher.reconcile
from watcher import clock
from watcher.api import AssetApi, FilePart
from watcher.api.models import UploadTask
from watcher.arrival import Arrival
from watcher.belongings import Belongings
from watcher.daemon import Daemon
from watcher.evidence import is_newer
from watcher.gate import Gate
from watcher.ledger import Ledger
from watcher.ledger.conversions import ConversionLedger
from watcher.ledger.doubts import DoubtLedger
from watcher.ledger.uploads import UploadLedger
from watcher.model import FileState
from watcher.server import Server
from watcher.state import LEDGER
from watcher.upload import Backoff

pytestmark = pytest.mark.usefixtures("soon_decided")
Picture = Callable[[int], bytes]

OBJ = b"mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nusemtl red\nf 1 2 3\n"
MTL = b"newmtl red\nKd 1 0 0\n"


# A kill at every transition of the ledger


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


def reset_in_mid_body(exchange: Any) -> None:
    exchange.read(exchange.length // 2)
    exchange.resets()


def reset_after_the_body(exchange: Any) -> None:
    exchange.forward(exchange.head, exchange.read())
    exchange.resets()


def asks_for_time(exchange: Any) -> None:
    exchange.answers("408 Request Timeout", b"{}")


def refused(exchange: Any) -> None:
    exchange.answers("422 No", b'{"message": "no"}')


@pytest.mark.parametrize(
    ("room", "transition", "faults"),
    [
        (UploadLedger, "take", []),
        (UploadLedger, "hashed", []),
        (UploadLedger, "claim", []),
        (UploadLedger, "sent", []),
        (ConversionLedger, "succeeded", []),
        (UploadLedger, "void", [reset_in_mid_body]),
        (UploadLedger, "put_back", [asks_for_time]),
        (UploadLedger, "failed", [refused]),
        (DoubtLedger, "unknown", [reset_after_the_body]),
        (DoubtLedger, "decided", [reset_after_the_body]),
        (DoubtLedger, "adopted", [reset_after_the_body]),
    ],
)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_any_transition_the_file_is_on_the_server_once_in_the_end(
    station: Any,
    line: Any,
    picture: Picture,
    monkeypatch: pytest.MonkeyPatch,
    room: type,
    transition: str,
    faults: list[Callable[[Any], None]],
    moment: str,
) -> None:
    whole = getattr(room, transition)
    killed = []

    def kills(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not killed:
            killed.append(transition)
            if moment == "after":
                whole(self, *args, **kwargs)
            raise Killed
        return whole(self, *args, **kwargs)

    monkeypatch.setattr(room, transition, kills)
    line.once = list(faults)
    station.drops("a.png", picture(1))
    with (
        station.api() as api,
        Daemon(station.settings(), Server(api, "test"), threading.Event(), watch=False) as daemon,
        pytest.raises(Killed),
    ):
        step_by_step(daemon)
    station.scan()
    if faults == [refused] and moment == "after":
        assert station.states() == {"a.png": FileState.FAILED}
        station.retry()
        station.scan()
    assert station.states() == {"a.png": FileState.DONE}
    assert station.on_server() == {"a.png": 1}


def step_by_step(daemon: Daemon) -> None:
    """Runs all loops in this thread until all is at rest."""
    end = time.monotonic() + 20
    while not daemon.at_rest():
        assert time.monotonic() < end
        for thread in daemon._runner._threads:
            thread.loop.step(clock.now())
        time.sleep(0.01)


# What is half there


def rewritten(change: Callable[[bytes], bytes]) -> Callable[[Any], None]:
    """The server gets another body than was sent, and its answer is lost: what a server may make of a body cut off."""

    def spoil(exchange: Any) -> None:
        body = change(bytes(exchange.read()))
        head = re.sub(rb"(?i)content-length: \d+", b"content-length: %d" % len(body), exchange.head)
        exchange.forward(head, body)
        exchange.resets()

    return spoil


@pytest.mark.parametrize("kept", [1, len(OBJ) // 2, len(OBJ) - 1])
def test_what_is_left_of_a_main_file_is_removed_before_it_is_sent_again(station: Any, line: Any, kept: int) -> None:
    line.once = [rewritten(lambda body: body.replace(OBJ, OBJ[:kept], 1))]
    station.drops("a.obj", OBJ)
    station.drops("a.mtl", MTL)
    station.scan()
    assert station.states() == {"a.obj": FileState.DONE, "a.mtl": FileState.DONE}
    assert line.uploads == 2
    assert station.on_server()["a.obj"] == 1
    assert len(OBJ) in [source.size for source in sources(station)]


def test_a_set_that_lacks_a_companion_is_removed_before_it_is_sent_again(station: Any, line: Any) -> None:
    line.once = [rewritten(lambda body: body.replace(MTL, MTL[:-4], 1))]
    station.drops("a.obj", OBJ)
    station.drops("a.mtl", MTL)
    station.scan()
    assert station.states() == {"a.obj": FileState.DONE, "a.mtl": FileState.DONE}
    assert (station.on_server()["a.obj"], line.uploads) == (1, 2)
    report = station.reports()["a.obj"]
    here = {asset_id for _, asset_id, _ in station.direct.source_files.assets(report.source_file_id).refs()}
    in_folder = {entry.asset_id for entry in station.direct.folders.assets(station.folder_id())}
    assert in_folder == here == {asset.asset_id for asset in report.assets}, "no asset is left of what was half there"


@pytest.mark.parametrize(("when", "size"), [("before", None), ("meanwhile", None), ("before", 20), ("meanwhile", 20)])
def test_a_file_of_somebody_else_is_neither_adopted_nor_removed(
    station: Any, line: Any, picture: Picture, when: str, size: int | None
) -> None:
    """The same name, in the same folder; it was there before, or comes when our upload is cut off."""
    theirs = (b"theirs" + picture(1)[6:])[:size]

    def somebody_else(exchange: Any = None) -> None:
        part = FilePart("a.png", len(theirs), lambda: [theirs])
        station.direct.folders.upload(station.folder_id(), [part])
        if exchange is not None:
            exchange.read()
            exchange.resets()

    station.drops("first.png", picture(0))
    station.scan()
    if when == "before":
        somebody_else()
        line.once = [reset_in_mid_body]
    else:
        line.once = [somebody_else]
    station.drops("a.png", picture(1))
    station.scan()
    assert station.states()["a.png"] is FileState.DONE
    assert station.on_server() == {"first.png": 1, "a.png": 2}
    report = station.reports()["a.png"]
    contents = {source.source_file_id: content(station.direct, source.source_file_id) for source in sources(station)}
    assert contents[report.source_file_id] == picture(1)
    assert theirs in contents.values()


def test_an_upload_that_no_task_tells_of_any_more_is_found_by_its_bytes(
    station: Any, line: Any, picture: Picture
) -> None:
    def forgets(exchange: Any) -> None:
        if exchange.is_upload:
            reset_after_the_body(exchange)
        elif exchange.path.endswith("/upload-tasks") and exchange.method == "GET":
            exchange.answers("200 OK", b"[]")
        else:
            exchange.passes()

    line.spoil = forgets
    station.drops("a.png", picture(1))
    station.scan()
    report = station.reports()["a.png"]
    assert (report.state, report.error) == (FileState.DONE, None)
    assert report.assets
    assert (station.on_server(), line.uploads) == ({"a.png": 1}, 1)


def test_without_proof_nothing_is_downloaded_and_what_is_new_and_fits_is_taken(
    station: Any, line: Any, picture: Picture
) -> None:
    station.environ["WATCHER_UPLOAD__PROOF"] = "false"
    line.once = [reset_after_the_body]
    station.drops("a.png", picture(1))
    station.scan()
    assert station.states() == {"a.png": FileState.DONE}
    assert (station.on_server(), line.uploads) == ({"a.png": 1}, 1)
    assert not [path for method, path in line.requests if method == "GET" and re.search(r"/source-files/[^/]+$", path)]


def test_of_a_file_that_is_larger_than_the_bound_name_size_and_time_must_do(
    station: Any, line: Any, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher.arrival, "PROOF_BYTES", 10)
    line.once = [reset_after_the_body]
    station.drops("a.png", picture(1))
    station.scan()
    assert (station.states(), line.uploads) == ({"a.png": FileState.DONE}, 1)
    assert not [path for method, path in line.requests if method == "GET" and re.search(r"/source-files/[^/]+$", path)]


def test_a_server_that_fails_to_say_whether_one_file_arrived_holds_up_no_other_and_is_asked_on(
    station: Any, line: Any, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher.reconcile, "UNDECIDED_SECONDS", 1.0)
    fails = True

    def cannot_say(exchange: Any) -> None:
        if exchange.is_upload and exchange.read().find(b"doubtful") >= 0:
            reset_after_the_body(exchange)
        elif fails and re.search(r"/source-files/[^/]+$", exchange.path):
            exchange.answers("500 Oops", b"{}")
        else:
            exchange.passes()

    line.spoil = cannot_say
    station.drops("doubtful.png", picture(0) + b"doubtful")
    with station.daemon(watch=True):
        station.until(lambda: station.states().get("doubtful.png") is FileState.WAITING)
        station.drops("a.png", picture(1))
        station.until(lambda: station.states().get("a.png") is FileState.DONE)
        station.until(lambda: station.states()["doubtful.png"] is FileState.FAILED)
        assert "fails to say whether the upload arrived" in station.reports()["doubtful.png"].error
        fails = False
        station.until(lambda: station.states()["doubtful.png"] is FileState.DONE)
    assert station.on_server() == {"a.png": 1, "doubtful.png": 1}


def test_an_upload_that_comes_to_be_visible_late_is_waited_for(
    station: Any, line: Any, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server gets the whole body, is silent for longer than the timeout, and takes the upload after all."""
    monkeypatch.setattr("watcher.upload.LATE_SECONDS", 5.0)

    def takes_its_time(exchange: Any) -> None:
        body = bytes(exchange.read())

        def later() -> None:
            time.sleep(1.5)
            exchange.forward(exchange.head, body)

        threading.Thread(target=later).start()
        exchange.stays_silent()

    station.timeout = 0.3
    line.once = [takes_its_time]
    station.drops("a.png", picture(1))
    station.scan()
    assert station.states() == {"a.png": FileState.DONE}
    assert (station.on_server(), line.uploads) == ({"a.png": 1}, 1)


def test_a_receipt_that_could_not_be_recorded_is_not_forgotten(
    station: Any, line: Any, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, at the moment after the server's answer."""
    import sqlite3

    whole = UploadLedger.sent
    left = [1, 1]

    def full(self: Any, *args: Any, **kwargs: Any) -> None:
        if left:
            left.pop()
            raise sqlite3.OperationalError("database or disk is full")
        whole(self, *args, **kwargs)

    monkeypatch.setattr(UploadLedger, "sent", full)
    station.drops("a.png", picture(1))
    station.scan()
    assert (station.states(), station.on_server(), line.uploads) == ({"a.png": FileState.DONE}, {"a.png": 1}, 1)
    assert not [path for method, path in line.requests if method == "GET" and re.search(r"/source-files/[^/]+$", path)]


@pytest.mark.parametrize(
    ("uploaded_at", "since", "now", "newer"),
    [
        ("2026-01-01T00:00:10Z", 1767225600.0, 1767225700.0, True),
        ("2026-01-01T00:00:10.123+00:00", 1767225600.0, 1767225700.0, True),
        ("2026-01-01T00:00:10", 1767225600.0, 1767225700.0, True),
        ("2025-12-31T23:59:57Z", 1767225600.0, 1767225700.0, True),
        ("2025-12-31T23:59:50Z", 1767225600.0, 1767225700.0, False),
        (None, 1767225600.0, 1767225700.0, None),
        ("yesterday", 1767225600.0, 1767225700.0, None),
        ("2020-01-01T00:00:00Z", 1767225600.0, 1767225500.0, None),
    ],
)
def test_a_task_is_newer_by_the_servers_clock_when_that_can_be_told(
    uploaded_at: str | None, since: float, now: float, newer: bool | None
) -> None:
    task = UploadTask(upload_task_id="t", status="success", uploaded_at=uploaded_at)
    assert is_newer(task, since, now, 5.0) is newer


def sources(station: Any) -> Iterator[Any]:
    found: Iterator[Any] = station.direct.folders.source_files(station.folder_id())
    return found


def content(api: AssetApi, source_file_id: str) -> bytes:
    with api.source_files.download(source_file_id) as chunks:
        return chunks.read()


def reconciler_of(ledger: Ledger, api: AssetApi) -> watcher.reconcile.Reconciler:
    arrival = Arrival(api)
    belongings = Belongings(ledger, api, arrival)
    return watcher.reconcile.Reconciler(ledger, api, Gate(), arrival, belongings, backoff=Backoff())


def another_in_doubt(station: Any, picture: Picture, first_as: str) -> None:
    """A file whose upload (1) is set to ``first_as``, and another attempt (99) in doubt, with the same main file."""
    station.drops("a.png", picture(1))
    station.scan()
    with sqlite3.connect(station.state / LEDGER) as sql:
        sql.execute(f"UPDATE uploads SET {first_as}")
        sql.execute("DELETE FROM conversions")
        sql.execute(
            "INSERT INTO uploads (id, main_id, folder_id, set_digest, size, state, started_at)"
            " SELECT 99, main_id, folder_id, 'another', size, 'unknown', started_at FROM uploads"
        )
        sql.execute("INSERT INTO members SELECT 99, position, name, digest, size, NULL FROM members")
    sql.close()


def test_what_another_upload_brought_is_not_taken_while_nothing_but_its_task_is_on_record(
    station: Any, picture: Picture
) -> None:
    """Of a file's two versions in doubt, with one main file, the second had arrived and was adopted this moment."""
    another_in_doubt(station, picture, "state = 'sent', source_file_id = NULL")
    with station.api() as api, Ledger(station.state / LEDGER) as ledger:
        reconciler = reconciler_of(ledger, api)
        deadline = clock.now() + 20
        while ledger.doubts.in_doubt() and clock.now() < deadline:
            time.sleep(min(0.1, reconciler.step(clock.now())))
    with sqlite3.connect(station.state / LEDGER) as sql:
        assert sql.execute("SELECT state FROM uploads WHERE id = 99").fetchone() == ("void",)
    sql.close()


def test_nothing_is_decided_while_a_namesake_comes_into_doubt(
    station: Any, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The upload task that is listed may be that one's, which nobody has asked about yet."""
    another_in_doubt(station, picture, "state = 'sending', upload_task_id = NULL, source_file_id = NULL")
    with station.api() as api, Ledger(station.state / LEDGER) as ledger:
        reconciler = reconciler_of(ledger, api)
        listed = reconciler._tasks

        def cut_off_meanwhile(folder_id: str) -> list[UploadTask]:
            tasks = listed(folder_id)
            ledger.doubts.unknown(1, "cut off", clock.now())
            return tasks

        monkeypatch.setattr(reconciler, "_tasks", cut_off_meanwhile)
        reconciler.step(clock.now())
        assert {attempt.upload_id for attempt in ledger.doubts.in_doubt()} == {1, 99}
