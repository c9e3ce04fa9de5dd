import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from watcher.emulator.conversions import TaskStatus, live_status
from watcher.emulator.convert import ConversionFailed, ConversionJob, ConversionResult, ConvertedAsset
from watcher.emulator.resources.upload_tasks import combined_status

WAITING, PENDING, CONVERTING, SUCCESS, ERROR = TaskStatus


class SlowConverter:
    """A converter that goes on only when the test lets it: for what real conversions do too fast to be seen."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun = threading.Event()
        self.closed = threading.Event()
        self.step: Callable[[float], None] = lambda progress: None

    def convert(self, job: ConversionJob, on_progress: Callable[[float], None]) -> ConversionResult:
        self.step = on_progress
        content = job.files[job.main_name].read_bytes()
        self.begun.set()
        while not self.go.wait(0.01):
            if self.closed.is_set():
                raise ConversionFailed("stopped")
        payload = job.out_dir / "payload"
        payload.write_bytes(b"payload of " + content)
        texture = ConvertedAsset("t", "texture", "skin", {"format": 0, "mips": []}, payload, None, [])
        material = ConvertedAsset("m", "material", "coat", {"dataJson": {"map": "asset:t"}}, None, None, ["t"])
        return ConversionResult([material, texture], "scene", "went well")

    def close(self) -> None:
        self.closed.set()


@pytest.fixture
def slow(monkeypatch) -> SlowConverter:
    converter = SlowConverter()
    monkeypatch.setattr("watcher.emulator.server.ConverterPool", lambda *_, **__: converter)
    return converter


def status(api, task_id: str) -> tuple[str, str, float]:
    task = api.get(f"/upload-tasks/{task_id}").json()
    return task["status"], task["conversion_tasks"][0]["status"], task["progress"]


def test_a_task_goes_through_the_statuses_of_the_contract(fresh, slow) -> None:
    api = fresh(workers=1)
    folder = api.folder()
    first, second = (api.send(folder, (f"{n}.obj", b"x")).json()["upload_task_id"] for n in "ab")
    assert slow.begun.wait(10)
    assert status(api, second) == ("waiting", "pending", 0)
    assert status(api, first) == ("pending", "pending", 0)
    slow.step(0.25)
    assert status(api, first) == ("converting", "converting", 0.25)
    assert api.get(f"/folders/{folder}/assets").headers["x-assets-count"] == '{"total": 0}'
    slow.go.set()
    assert api.finished(first)["progress"] == 1
    assert status(api, first) == ("success", "success", 1)
    assert api.finished(second)["status"] == "success"


def test_references_between_assets_become_their_ids(fresh, slow) -> None:
    api = fresh()
    slow.go.set()
    task = api.upload(api.folder(), ("a.obj", b"content"))["conversion_tasks"][0]
    assets = api.assets_of(task["source_file_id"])
    material, texture = assets["materials"][0]["asset_id"], assets["textures"][0]["asset_id"]
    assert material == task["asset_id"]
    description = api.get(f"/assets/materials/{material}/description").json()
    assert description == {"uuid": material, "name": "coat", "dataJson": {"map": texture}}
    assert api.get(f"/assets/textures/{texture}/payload").content == b"payload of content"
    log = api.get(f"/conversion_tasks/{task['conversion_task_id']}/metadata/log.txt")
    assert log.text == "went well"
    assert api.get(f"/conversion_tasks/{task['conversion_task_id']}/metadata/other").status_code == 404
    assert api.get("/conversion_tasks/unknown/metadata/log.txt").status_code == 404


def test_stopping_breaks_a_conversion_off_and_starting_takes_it_up_again(fresh, slow, tmp_path: Path) -> None:
    api = fresh(tmp_path)
    task_id = api.send(api.folder(), ("a.obj", b"x")).json()["upload_task_id"]
    assert slow.begun.wait(10)
    begin = time.monotonic()
    api.emulator.stop()
    assert time.monotonic() - begin < 15
    slow.closed.clear()
    slow.go.set()
    again = fresh(tmp_path)
    assert again.finished(task_id)["status"] == "success"


def test_an_end_that_comes_after_the_source_file_went_makes_no_assets(fresh, slow, on_disk) -> None:
    api = fresh()
    folder = api.folder()
    task_id = api.send(folder, ("a.obj", b"x")).json()["upload_task_id"]
    assert slow.begun.wait(10)
    file = api.get(f"/folders/{folder}/source-files").json()[0]["source_file_id"]
    assert api.request("DELETE", "/source-files", json={"source_file_ids": [file]}).status_code == 204
    slow.go.set()
    api.emulator.stop()  # waits for the converter's threads
    api = fresh()
    task = api.finished(task_id)["conversion_tasks"][0]
    assert (task["status"], task["source_file_name"]) == ("error", "a.obj")
    assert "deleted" in task["message"]
    assert api.get("/assets").headers["x-assets-count"] == '{"total": 0}'
    assert on_disk(api.emulator) == []


def test_deleting_a_waiting_source_file_ends_its_task(fresh, slow) -> None:
    api = fresh(workers=1)
    folder = api.folder()
    api.send(folder, ("first.obj", b"x"))
    assert slow.begun.wait(10)
    task_id = api.send(folder, ("second.obj", b"y")).json()["upload_task_id"]
    file = api.get(f"/folders/{folder}/source-files").json()[1]["source_file_id"]
    api.request("DELETE", "/source-files", json={"source_file_ids": [file]})
    assert status(api, task_id)[0] == "error"
    slow.go.set()
    assert "deleted" in api.finished(task_id)["conversion_tasks"][0]["message"]


def test_requests_are_served_while_conversions_end(fresh, slow) -> None:
    api = fresh(workers=2)
    folder = api.folder()
    slow.go.set()
    ids = [api.send(folder, (f"{n}.obj", str(n).encode())).json()["upload_task_id"] for n in range(60)]
    seen: dict[str, int] = {}
    order = ["waiting", "pending", "converting", "success"]
    while set(seen.values()) != {3} or len(seen) < 60:
        for task in api.get(f"/folders/{folder}/upload-tasks", params={"limit": 100}).json():
            place = order.index(task["status"])
            assert place >= seen.get(task["upload_task_id"], 0), "a status went backwards"
            seen[task["upload_task_id"]] = place
    assert list(seen) == ids


def test_a_file_that_cannot_be_converted_says_why(api, folder) -> None:
    task = api.upload(folder, ("broken.glb", b"no model"))
    conversion = task["conversion_tasks"][0]
    assert (task["status"], conversion["status"]) == ("error", "error")
    assert conversion["message"]
    asset = api.get(f"/assets/scenes/{conversion['asset_id']}/details")
    assert asset.status_code == 404
    assert api.assets_of(conversion["source_file_id"]) == {}


def test_a_format_without_a_converter_is_an_error_not_a_success(api, folder) -> None:
    for name in ("a.skp", "a.txt", "a"):
        task = api.upload(folder, (name, b"something"))
        assert task["status"] == "error"
        assert task["conversion_tasks"][0]["message"]


def test_a_fault_of_the_converter_itself_ends_the_task(fresh, slow, monkeypatch, caplog) -> None:
    def explode(*_: object) -> ConversionResult:
        raise ZeroDivisionError

    slow.convert = explode  # type: ignore[method-assign]
    api = fresh()
    task = api.upload(api.folder(), ("a.obj", b"x"))
    assert task["status"] == "error"
    assert "ZeroDivisionError" in caplog.text


def test_an_asset_type_that_nobody_knows_ends_the_task(fresh, slow) -> None:
    result = ConversionResult([ConvertedAsset("x", "dragon", "x", {}, None, None, [])], "scene", "")
    slow.convert = lambda *_: result  # type: ignore[method-assign]
    api = fresh()
    assert api.upload(api.folder(), ("a.obj", b"x"))["status"] == "error"


@pytest.mark.parametrize("trick", ["elsewhere", "link"])
def test_a_converter_does_not_choose_what_is_taken_from_the_disk(fresh, slow, tmp_path: Path, trick: str) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")

    def point_at_it(job: ConversionJob, on_progress: Callable[[float], None]) -> ConversionResult:
        payload = job.out_dir / ".." / ".." / ".." / "secret" if trick == "elsewhere" else job.out_dir / "link"
        if trick == "link":
            payload.symlink_to(secret)
        return ConversionResult([ConvertedAsset("x", "mesh", "x", {}, payload, None, [])], "scene", "")

    slow.convert = point_at_it  # type: ignore[method-assign]
    api = fresh()
    assert api.upload(api.folder(), ("a.obj", b"x"))["status"] == "error"
    assert secret.read_bytes() == b"secret"


def test_companions_come_under_their_relative_names(fresh, slow) -> None:
    jobs: list[ConversionJob] = []

    def look(job: ConversionJob, on_progress: Callable[[float], None]) -> ConversionResult:
        jobs.append(job)
        assert job.files["sub/a.mtl"].read_bytes() == b"material"
        raise ConversionFailed("seen", "log of the failure")

    slow.convert = look  # type: ignore[method-assign]
    api = fresh()
    task = api.upload(api.folder(), ("a.obj", b"model"), ("sub/a.mtl", b"material"), ("a.obj", b"other"))
    assert jobs[0].main_name == "a.obj"
    assert sorted(jobs[0].files) == ["a.obj", "sub/a.mtl"]
    conversion = task["conversion_tasks"][0]
    assert conversion["message"] == "seen"
    log = api.get(f"/conversion_tasks/{conversion['conversion_task_id']}/metadata/log.txt")
    assert log.text == "log of the failure"


def test_two_models_in_one_upload_are_two_conversions(api, folder, picture) -> None:
    task = api.upload(folder, ("a.png", picture()), ("b.png", b"broken"))
    assert [c["status"] for c in task["conversion_tasks"]] == ["success", "error"]
    assert task["status"] == "error"


@pytest.mark.parametrize(
    ("statuses", "combined"),
    [
        ([WAITING, WAITING], WAITING),
        ([WAITING, PENDING], PENDING),
        ([WAITING, SUCCESS], CONVERTING),
        ([CONVERTING, ERROR], CONVERTING),
        ([SUCCESS, SUCCESS], SUCCESS),
        ([SUCCESS, ERROR], ERROR),
        ([], SUCCESS),
    ],
)
def test_an_upload_task_stands_where_its_conversions_stand(statuses, combined) -> None:
    assert combined_status(statuses) == combined


def test_a_task_that_ends_between_two_looks_is_never_seen_as_waiting_again() -> None:
    running_before = {"task": 0.9}
    assert live_status(running_before, "task", "success") == (SUCCESS, 1.0)
    assert live_status(running_before, "task", "waiting") == (CONVERTING, 0.9)
    assert live_status({}, "task", "waiting") == (WAITING, 0.0)
