"""A lost ledger is rebuilt from what the server holds: real files, a real emulator, real HTTP."""

import threading
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from watcher.adopt import Adopted, Adoption
from watcher.api import AssetApi, FilePart
from watcher.config import load_settings
from watcher.daemon import Daemon
from watcher.emulator import Emulator
from watcher.ledger import FileReport, Ledger, UploadLedger
from watcher.model import Drop, FileState
from watcher.server import Server
from watcher.state import LEDGER

PIXEL = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00\x90wS\xde"
    b"\x00\x00\x00\x0cIDATx\x9cc\xf8\xcf\xc0\x00\x00\x03\x01\x01\x00\xc9\xfe\x92\xef\x00\x00\x00\x00IEND\xaeB`\x82"
)
CUBE = "mtllib cube.mtl\nusemtl paint\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"
PAINT = "newmtl paint\nKd 1 0 0\nmap_Kd paint.png\n"


class Home:
    """A drop, its state directory and its remote folder; and how often something was uploaded into that."""

    def __init__(self, drop: Path, state: Path, api: AssetApi, until: Callable[..., None]) -> None:
        self.path = drop
        self.state = state
        self.api = api
        self.until = until
        self.drop = Drop(str(drop), f"Adopt {uuid.uuid4()}", settle_seconds=0.05, companion_wait_seconds=0.2)

    @property
    def ledger(self) -> Path:
        return self.state / LEDGER

    def lose_ledger(self) -> None:
        for path in self.state.glob(f"{LEDGER}*"):
            path.unlink()

    def scan(self, *, proof: bool = True) -> None:
        environ = {
            "WATCHER_UPLOAD__PROOF": str(proof),
            "WATCHER_STATE_DIR": str(self.state),
            "WATCHER_UPLOAD__BACKOFF_BASE": "0.05",
            "WATCHER_TRACK__INTERVAL_MIN": "0.05",
        }
        settings = load_settings(None, environ=environ).model_copy(update={"drops": (self.drop,)})
        with Daemon(settings, Server(self.api, "test"), threading.Event(), watch=False) as daemon:
            daemon.start()
            self.until(daemon.at_rest, 60, "rest")

    def adopt(self, *, proof: bool = True) -> Adopted:
        with Ledger(self.ledger) as ledger:
            return Adoption([self.drop], ledger, self.api, threading.Event(), proof=proof).run()

    def reports(self) -> dict[str, FileReport]:
        with Ledger(self.ledger, read_only=True) as ledger:
            return {str(Path(file.path).relative_to(self.path)): file for file in ledger.report.files()}

    def folders(self) -> list[str]:
        """The ids of the mapped folder and of those below it."""
        folders = list(self.api.folders.iterate())
        found = [folder.folder_id for folder in folders if folder.name == self.drop.folder]
        for folder_id in found:
            found += [folder.folder_id for folder in folders if folder.parent_folder_id == folder_id]
        return found

    def uploads(self) -> int:
        """How many upload tasks the remote folder has."""
        return sum(len(list(self.api.folders.upload_tasks(folder_id))) for folder_id in self.folders())

    def facts(self) -> dict[str, object]:
        """What the ledger says of each file, but for times and tries."""
        return {name: replace(file, updated_at=0.0, attempts=0) for name, file in self.reports().items()}


@pytest.fixture
def home(drop_folder: Path, tmp_path: Path, api: AssetApi, until: Callable[..., None]) -> Home:
    return Home(drop_folder.resolve(), tmp_path / "state", api, until)


@pytest.fixture
def model(home: Home) -> Path:
    (home.path / "cube.obj").write_text(CUBE)
    (home.path / "cube.mtl").write_text(PAINT)
    (home.path / "paint.png").write_bytes(PIXEL)
    return home.path / "cube.obj"


def test_after_a_lost_ledger_everything_stands_as_before_and_nothing_is_sent(home: Home, model: Path) -> None:
    (home.path / "alone.png").write_bytes(PIXEL + b"\0")
    (home.path / "broken.off").write_text("OFF\nnothing\n")
    home.scan()
    before, uploads = home.facts(), home.uploads()
    assert {file.state for file in home.reports().values()} == {FileState.DONE, FileState.FAILED}
    home.lose_ledger()
    outcome = home.adopt()
    assert home.facts() == before
    assert (outcome.found, outcome.absent, outcome.spare) == (3, [], {})
    home.scan()
    assert (home.facts(), home.uploads()) == (before, uploads)


def test_duplicates_are_duplicates_again_of_the_file_that_was_sent(home: Home) -> None:
    (home.path / "m.png").write_bytes(PIXEL)
    home.scan()
    for name in ("a.png", "z.png"):
        (home.path / name).write_bytes(PIXEL)
    home.scan()
    before = home.facts()
    home.lose_ledger()
    assert home.adopt().found == 3
    assert home.facts() == before
    home.scan()
    assert home.uploads() == 1


def test_only_the_changed_file_is_sent(home: Home, model: Path) -> None:
    (home.path / "a.png").write_bytes(PIXEL + b"1")
    (home.path / "b.png").write_bytes(PIXEL + b"2")
    home.scan()
    uploads = home.uploads()
    home.lose_ledger()
    (home.path / "b.png").write_bytes(PIXEL + b"3")
    outcome = home.adopt()
    assert outcome.absent == [str(home.path / "b.png")]
    assert home.reports()["b.png"].state is FileState.PENDING
    home.scan()
    assert home.uploads() == uploads + 1
    assert {file.state for file in home.reports().values()} == {FileState.DONE}


def test_a_model_whose_texture_changed_is_sent_as_a_whole(home: Home, model: Path) -> None:
    home.scan()
    home.lose_ledger()
    (home.path / "paint.png").write_bytes(PIXEL + b"3")
    assert home.adopt().absent == [str(model)]
    home.scan()
    assert home.uploads() == 2


def test_a_model_that_gained_a_companion_is_sent_as_a_whole(home: Home, model: Path) -> None:
    (home.path / "paint.png").rename(home.path.parent / "paint.png")
    home.scan()
    home.lose_ledger()
    (home.path.parent / "paint.png").rename(home.path / "paint.png")
    assert home.adopt().absent == [str(model)]


def test_a_renamed_file_and_a_renamed_model_are_found_by_their_content(home: Home, model: Path) -> None:
    (home.path / "old.png").write_bytes(PIXEL + b"1")
    home.scan()
    tasks = {name: file.upload_task_id for name, file in home.reports().items()}
    home.lose_ledger()
    (home.path / "old.png").rename(home.path / "new.png")
    model.rename(home.path / "dice.obj")
    assert home.adopt().absent == []
    after = home.reports()
    assert {after[name].state for name in ("new.png", "dice.obj", "paint.png")} == {FileState.DONE}
    assert after["new.png"].upload_task_id == tasks["old.png"]
    assert after["dice.obj"].upload_task_id == tasks["cube.obj"]
    assert after["dice.obj"].source_file_id is not None
    home.scan()
    assert home.uploads() == 2


def test_of_several_versions_of_a_texture_the_model_gets_the_assets_of_its_own(home: Home, model: Path) -> None:
    versions = {}
    for version in (b"1", b"2", b"3"):
        (home.path / "paint.png").write_bytes(PIXEL + version)
        home.scan()
        versions[version] = home.reports()["cube.obj"].upload_task_id
    assert home.uploads() == 3
    for version, task in versions.items():
        home.lose_ledger()
        (home.path / "paint.png").write_bytes(PIXEL + version)
        outcome = home.adopt()
        assert (outcome.absent, outcome.spare) == ([], {})
        assert home.reports()["cube.obj"].upload_task_id == task


def test_a_model_that_went_without_its_texture_and_one_that_went_with_it_are_kept_apart(home: Home) -> None:
    for name in ("full", "bare"):
        (home.path / name).mkdir()
        (home.path / name / "cube.obj").write_text(CUBE)
    (home.path / "full" / "cube.mtl").write_text(PAINT)
    (home.path / "full" / "paint.png").write_bytes(PIXEL)
    home.scan()
    before = home.facts()
    home.lose_ledger()
    outcome = home.adopt()
    assert (outcome.absent, outcome.spare) == ([], {})
    assert home.facts() == before


def test_of_equal_ones_the_oldest_is_taken_and_the_others_are_named(home: Home) -> None:
    (home.path / "a.png").write_bytes(PIXEL)
    home.scan()
    first = home.reports()["a.png"].source_file_id
    (folder_id,) = home.folders()
    for _ in range(2):
        home.api.folders.upload(folder_id, [FilePart("a.png", len(PIXEL), lambda: [PIXEL])])
    home.lose_ledger()
    outcome = home.adopt()
    assert home.reports()["a.png"].source_file_id == first
    others = {file.source_file_id for file in home.api.folders.source_files(folder_id)} - {first}
    assert {path: set(ids) for path, ids in outcome.spare.items()} == {str(home.path / "a.png"): others}


def test_equal_content_in_two_mirrored_folders_is_linked_to_the_one_that_each_goes_to(home: Home) -> None:
    home.drop = replace(home.drop, mirror=True)
    for name in ("red", "blue"):
        (home.path / name).mkdir()
        (home.path / name / "a.png").write_bytes(PIXEL)
    home.scan()
    before = home.facts()
    assert len({file.folder_id for file in home.reports().values()}) == 2
    home.lose_ledger()
    home.adopt()
    assert home.facts() == before
    assert home.uploads() == 2


def test_without_a_remote_folder_nothing_is_found_and_none_is_made(home: Home, model: Path) -> None:
    assert home.adopt().absent == [str(model)]
    assert home.folders() == []
    assert home.reports()["cube.obj"].state is FileState.PENDING


def test_without_proof_name_and_size_must_do(home: Home) -> None:
    (home.path / "a.png").write_bytes(PIXEL + b"1")
    (home.path / "b.png").write_bytes(PIXEL + b"2")
    home.scan()
    home.lose_ledger()
    (home.path / "a.png").write_bytes(PIXEL + b"3")
    (home.path / "b.png").rename(home.path / "c.png")
    assert home.adopt(proof=False).absent == [str(home.path / "c.png")]
    assert home.reports()["a.png"].state is FileState.DONE


class Killed(BaseException):
    """The program ends here."""


def test_a_kill_while_what_no_task_tells_of_is_linked_sends_nothing_twice(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without proof the next run could not find it again."""
    (home.path / "a.png").write_bytes(PIXEL)
    home.scan()
    source_file_id = home.reports()["a.png"].source_file_id
    home.drop = replace(home.drop, folder=f"Moved {uuid.uuid4()}")
    other = home.api.folders.create(home.drop.folder).folder_id
    home.api.source_files.move([source_file_id or ""], to=other)
    home.lose_ledger()
    claim = UploadLedger.claim

    def claim_and_die(*arguments: Any, **more: Any) -> Any:
        claim(*arguments, **more)
        raise Killed

    monkeypatch.setattr(UploadLedger, "claim", claim_and_die)
    with pytest.raises(Killed):
        home.adopt(proof=False)
    monkeypatch.undo()
    home.scan(proof=False)
    assert (home.reports()["a.png"].state, home.reports()["a.png"].source_file_id) == (FileState.DONE, source_file_id)
    assert [source.source_file_id for source in home.api.folders.source_files(other)] == [source_file_id]


def test_a_source_file_that_was_moved_here_is_linked_with_its_assets(home: Home) -> None:
    """Its upload task stays with the folder that it was uploaded to."""
    (home.path / "a.png").write_bytes(PIXEL)
    home.scan()
    before = home.reports()["a.png"]
    home.drop = replace(home.drop, folder=f"Moved {uuid.uuid4()}")
    other = home.api.folders.create(home.drop.folder).folder_id
    assert before.source_file_id is not None
    home.api.source_files.move([before.source_file_id], to=other)
    home.lose_ledger()
    assert home.adopt().absent == []
    after = home.reports()["a.png"]
    assert (after.state, after.assets, after.folder_id) == (FileState.DONE, before.assets, other)
    home.scan()
    assert home.uploads() == 0


def test_a_texture_that_came_with_a_model_is_not_taken_for_one_that_came_by_itself(home: Home, model: Path) -> None:
    home.scan()
    home.lose_ledger()
    model.unlink()
    (home.path / "cube.mtl").unlink()
    assert home.adopt().absent == [str(home.path / "paint.png")]


def test_an_adoption_that_broke_off_goes_on_where_it_was(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(12):
        (home.path / f"{number}.png").write_bytes(PIXEL + bytes([number]))
    home.scan()
    before = home.facts()
    home.lose_ledger()
    adopt, calls = Adoption._adopt, []

    def give_up(self: Adoption, *args: object) -> bool:
        calls.append(1)
        if len(calls) > 5:
            raise RuntimeError("killed")
        return adopt(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Adoption, "_adopt", give_up)
    with pytest.raises(RuntimeError):
        home.adopt()
    monkeypatch.undo()
    states = Counter(file.state for file in home.reports().values())
    assert states[FileState.UPLOADING] == 0, "what was not reached is back in the queue"
    assert states[FileState.CONVERTING] >= 1
    home.adopt()
    assert home.facts() == before


def test_retry_and_forget_work_on_adopted_files(home: Home) -> None:
    (home.path / "broken.off").write_text("OFF\nnothing\n")
    (home.path / "a.png").write_bytes(PIXEL)
    home.scan()
    home.lose_ledger()
    home.adopt()
    with Ledger(home.ledger) as ledger:
        assert ledger.upkeep.retry([str(home.path / "broken.off")], 0.0) == 1
        assert ledger.upkeep.forget([str(home.path / "a.png")]) == 1
    home.scan()
    (folder_id,) = home.folders()
    names = Counter(file.source_file_original_name for file in home.api.folders.source_files(folder_id))
    assert names == {"broken.off": 1, "a.png": 2}, "the failed one was removed first, the forgotten one stays"


def test_many_files_cost_one_listing_and_two_requests_each(
    home: Home, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home.path / "seed.png").write_bytes(PIXEL)
    home.scan()
    (folder_id,) = home.folders()
    for number in range(150):
        content = PIXEL + number.to_bytes(2, "big")
        (home.path / f"{number}.png").write_bytes(content)
        home.api.folders.upload(folder_id, [FilePart(f"{number}.png", len(content), lambda c=content: [c])])
    home.until(lambda: all(t.ended for t in home.api.folders.upload_tasks(folder_id)), 60, "the conversions")
    home.lose_ledger()
    asked: Counter[str] = Counter()
    from watcher.api.wire import Wire

    for name in ("ask", "download"):
        method = getattr(Wire, name)

        def count(self: Wire, request: object, *args: object, method: Callable[..., object] = method) -> object:
            asked[request.operation.id] += 1  # type: ignore[attr-defined]
            return method(self, request, *args)

        monkeypatch.setattr(Wire, name, count)
    assert home.adopt().found == 151
    assert asked["downloadSourceFile"] == 151
    assert asked["getSourceFileAssets"] == 151
    assert sum(asked.values()) - 302 < 15, asked


def test_a_scan_with_a_new_ledger_says_that_the_folder_holds_files_already(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    (home.path / "a.png").write_bytes(PIXEL)
    home.scan()
    assert "adopt" not in capsys.readouterr().out
    home.lose_ledger()
    home.scan()
    assert capsys.readouterr().out.count("3dverse-watcher adopt") == 1
