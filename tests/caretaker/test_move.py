"""Renames and moves: nothing is uploaded again, and with ``on_move = "follow"`` the server follows."""

import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from watcher.api.folders import Folders
from watcher.api.source_files import SourceFiles
from watcher.caretaker import Caretaker
from watcher.ledger import IntakeLedger, Judgement, Ledger, OwedLedger, OwedWork, moves
from watcher.model import FileState
from watcher.state import LEDGER


@pytest.fixture
def uploads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of all files that were sent."""
    sent: list[str] = []
    upload = Folders.upload

    def count(self: Folders, folder_id: str, files: Any, **more: Any) -> Any:
        sent.extend(file.name for file in files)
        return upload(self, folder_id, files, **more)

    monkeypatch.setattr(Folders, "upload", count)
    return sent


@pytest.fixture(params=["one pass", "a running daemon"])
def after(request: pytest.FixtureRequest, yard: Any) -> Callable[[Callable[[], Any], str], None]:
    """Something happens to a file between two passes, or under the eyes of a daemon; then all comes to rest."""

    def happens(what: Callable[[], Any], gone: str) -> None:
        if request.param == "one pass":
            what()
            yard.scan()
            return
        with yard.daemon(watch=True) as daemon:
            yard.until(daemon.at_rest, 30, "rest")
            what()
            yard.until(lambda: yard.report(gone).state is FileState.GONE and daemon.at_rest(), 20, "rest")

    return happens


def mtl(yard: Any, triangle: Callable[..., str], folder: str = "") -> None:
    yard.write(f"{folder}car.obj", triangle("car"))
    yard.write(f"{folder}car.mtl", "newmtl paint\nKd 1 0 0\n")


@pytest.mark.parametrize("policy", ['on_delete = "delete"', 'on_delete = "delete"\nmirror = true'])
def test_a_renamed_or_moved_file_is_followed_and_nothing_is_uploaded(
    yard: Any, picture: Callable[[int], bytes], uploads: list[str], after: Any, policy: str
) -> None:
    yard.policy = policy
    yard.write("a/first.png", picture(1))
    yard.scan()
    before = yard.report("a/first.png")
    (yard.drop / "b").mkdir()
    after(lambda: (yard.drop / "a/first.png").rename(yard.drop / "b/second.png"), "a/first.png")
    moved = yard.report("b/second.png")
    assert (moved.state, moved.source_file_id, moved.assets) == (
        FileState.DONE,
        before.source_file_id,
        before.assets,
    )
    gone = yard.report("a/first.png")
    assert (gone.state, gone.moved_to) == (FileState.GONE, str(yard.drop / "b/second.png"))
    assert uploads == ["first.png"]
    (yard.drop / "b/second.png").touch()
    yard.scan()
    assert yard.report("b/second.png").state is FileState.DONE
    assert uploads == ["first.png"]
    yard.check()
    if "mirror" in policy:
        subfolders = yard.api.folders.subfolders(yard.folder().folder_id)
        assert [folder.name for folder in subfolders] == ["a"], "the server is left as it is"
    (yard.drop / "b/second.png").unlink()
    yard.scan()
    assert not yard.is_there(before.source_file_id)


def test_a_file_that_was_renamed_is_known_before_its_old_place_was_looked_at(
    yard: Any, picture: Callable[[int], bytes], uploads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The intake finds the new file long before it comes to where the old one was."""
    yard.policy = "mirror = true"
    path = yard.write("a/first.png", picture(1))
    yard.scan()
    vanished = IntakeLedger.vanished

    def late(self: IntakeLedger, *args: Any) -> None:
        if not threading.current_thread().name.startswith("intake"):
            vanished(self, *args)

    monkeypatch.setattr(IntakeLedger, "vanished", late)
    with yard.daemon(watch=True) as daemon:
        yard.until(daemon.at_rest, 30, "rest")
        (yard.drop / "b").mkdir()
        path.rename(yard.drop / "b/second.png")
        yard.until(lambda: yard.states().get("b/second.png") is FileState.DONE, 30, "the move")
    assert uploads == ["first.png"]


def test_a_copy_and_the_end_of_the_first_is_a_move_too(
    yard: Any, picture: Callable[[int], bytes], uploads: list[str]
) -> None:
    yard.policy = "mirror = true"
    path = yard.write("a/first.png", picture(1))
    yard.scan()
    (yard.drop / "b").mkdir()
    shutil.copy(path, yard.drop / "b/second.png")
    path.unlink()
    yard.scan()
    assert yard.report("b/second.png").state is FileState.DONE
    assert uploads == ["first.png"]


def test_a_content_that_went_away_long_ago_is_new_in_another_remote_folder(
    yard: Any, picture: Callable[[int], bytes], uploads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    yard.policy = "mirror = true"
    path = yard.write("a/first.png", picture(1))
    yard.scan()
    path.rename(yard.state / "trash")  # its inode stays in use
    yard.scan()
    monkeypatch.setattr(moves, "COPIED_SECONDS", -1e6)
    yard.write("b/second.png", picture(1))
    yard.scan()
    assert uploads == ["first.png", "second.png"]


def test_a_renamed_model_of_a_set_is_not_uploaded_again(
    yard: Any, triangle: Callable[..., str], uploads: list[str], after: Any
) -> None:
    yard.policy = 'on_delete = "delete"\non_change = "replace"'
    mtl(yard, triangle)
    yard.scan()
    sent = list(uploads)
    after(lambda: (yard.drop / "car.obj").rename(yard.drop / "auto.obj"), "car.obj")
    assert yard.report("auto.obj").state is FileState.DONE
    assert uploads == sent
    assert yard.names() == {"car.obj": 1, "car.mtl": 1}
    yard.check()


def test_a_folder_with_many_files_is_renamed_in_one_pass(
    yard: Any, picture: Callable[[int], bytes], uploads: list[str]
) -> None:
    yard.policy = 'mirror = true\non_delete = "delete"'
    for number in range(60):
        yard.write(f"old/{number}.png", picture(number))
    yard.scan()
    assert len(uploads) == 60
    (yard.drop / "old").rename(yard.drop / "new")
    began = time.monotonic()
    yard.scan()
    assert time.monotonic() - began < 15
    assert len(uploads) == 60
    assert {name for name, state in yard.states().items() if state is FileState.DONE} == {
        f"new/{number}.png" for number in range(60)
    }
    assert len(yard.sources("old")) == 60
    yard.check()


def test_the_remote_source_file_follows_a_rename(yard: Any, picture: Callable[[int], bytes], after: Any) -> None:
    yard.policy = 'on_move = "follow"'
    yard.write("first.png", picture(1))
    yard.scan()
    before = yard.report("first.png")
    after(lambda: (yard.drop / "first.png").rename(yard.drop / "second.png"), "first.png")
    assert yard.report("second.png").source_file_id == before.source_file_id
    assert yard.api.source_files.details(before.source_file_id).name == "second"
    yard.check()


def test_a_set_follows_its_model_into_another_remote_folder_with_its_assets(
    yard: Any, triangle: Callable[..., str], uploads: list[str], after: Any
) -> None:
    yard.policy = 'on_move = "follow"\nmirror = true'
    mtl(yard, triangle, "a/")
    yard.scan()
    before = yard.report("a/car.obj")
    sent = list(uploads)
    after(lambda: (yard.drop / "a").rename(yard.drop / "b"), "a/car.obj")
    moved = yard.report("b/car.obj")
    assert (moved.state, moved.source_file_id) == (FileState.DONE, before.source_file_id)
    assert moved.folder_id == yard.folder("b").folder_id
    assert uploads == sent
    assert yard.names("b") == {"car.obj": 1, "car.mtl": 1}
    assert yard.names("a") == {}
    assert set(yard.assets("b")) == {asset.asset_id for asset in before.assets}
    yard.check()
    shutil.copy(yard.drop / "b/car.obj", yard.drop / "b/same.obj")
    yard.scan()
    assert yard.report("b/same.obj").state is FileState.DONE  # a set of another name is another set
    assert yard.names("b") == {"car.obj": 1, "same.obj": 1, "car.mtl": 2}


def test_companions_that_are_equal_but_for_their_names_follow_their_own_models(
    yard: Any, triangle: Callable[..., str]
) -> None:
    yard.policy = 'on_move = "follow"\nmirror = true'
    for model in ("car", "bus"):
        yard.write(f"a/{model}.obj", triangle(model))
        yard.write(f"a/{model}.mtl", "")
    yard.scan()
    assert yard.names("a") == {"car.obj": 1, "car.mtl": 1, "bus.obj": 1, "bus.mtl": 1}
    (yard.drop / "b").mkdir()
    for name in ("car.obj", "car.mtl"):
        (yard.drop / "a" / name).rename(yard.drop / "b" / name)
    yard.scan()
    assert yard.names("a") == {"bus.obj": 1, "bus.mtl": 1}
    assert yard.names("b") == {"car.obj": 1, "car.mtl": 1}
    yard.check()


def test_a_file_moved_into_another_drop_follows_into_its_remote_folder(
    yard: Any, picture: Callable[[int], bytes], uploads: list[str], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    yard.policy = 'on_move = "follow"\non_delete = "delete"'
    yard.more_drops = (
        f'[[drops]]\npath = "{other}"\nfolder = "{yard.remote} 2"\nsettle_seconds = 0.1\non_move = "follow"\n'
    )
    yard.write("a.png", picture(1))
    yard.scan()
    before = yard.report("a.png")
    os.rename(yard.drop / "a.png", other / "a.png")
    yard.scan()
    assert yard.sources() == []
    assert yard.assets() == {}
    with Ledger(yard.state / LEDGER, read_only=True) as ledger:
        (moved,) = ledger.report.files([str(other / "a.png")])
    assert (moved.state, moved.source_file_id) == (FileState.DONE, before.source_file_id)
    assert uploads == ["a.png"]
    yard.check()


def test_a_file_moved_to_another_drop_and_back_is_uploaded_once(
    yard: Any, picture: Callable[[int], bytes], uploads: list[str], tmp_path: Path
) -> None:
    """When it comes back, its row here still names the upload that had gone to the other folder meanwhile."""
    other = tmp_path / "other"
    other.mkdir()
    yard.policy = 'on_move = "follow"\non_delete = "delete"'
    yard.more_drops = (
        f'[[drops]]\npath = "{other}"\nfolder = "{yard.remote} 2"\nsettle_seconds = 0.1\non_move = "follow"\n'
    )
    path = yard.write("a.png", picture(1))
    yard.scan()
    before = yard.report("a.png")
    os.rename(path, other / "a.png")
    yard.scan()
    assert yard.sources() == []
    os.rename(other / "a.png", path)
    yard.scan()
    back = yard.report("a.png")
    assert (back.state, back.source_file_id, back.folder_id) == (
        FileState.DONE,
        before.source_file_id,
        yard.folder().folder_id,
    )
    assert uploads == ["a.png"]
    yard.check()


def test_a_copy_in_the_new_place_of_a_file_that_is_on_its_way_there_is_a_duplicate(
    yard: Any, picture: Callable[[int], bytes], uploads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    yard.policy = 'on_move = "follow"\nmirror = true'
    yard.write("a/first.png", picture(1))
    yard.scan()
    (yard.drop / "a").rename(yard.drop / "b")
    with monkeypatch.context() as context:
        context.setattr(Caretaker, "step", lambda *_: 1.0)
        with yard.daemon():
            yard.until(lambda: "b/first.png" in yard.states(), 30, "the move")
            yard.until(lambda: yard.report("b/first.png").state is FileState.DONE, 30, "the move")
    yard.write("b/copy.png", picture(1))
    yard.scan()
    assert yard.report("b/copy.png").state is FileState.DUPLICATE
    assert uploads == ["first.png"]
    assert yard.names("b") == {"first.png": 1}
    yard.check()


@pytest.mark.parametrize("point", ["assets moved", "sources moved", "renamed"])
def test_a_kill_at_any_point_of_a_relocation_is_made_up_for(
    yard: Any, triangle: Callable[..., str], uploads: list[str], monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    kind, name = {
        "assets moved": (SourceFiles, "move"),
        "sources moved": (SourceFiles, "details"),
        "renamed": (OwedLedger, "relocated"),
    }[point]
    yard.policy = 'on_move = "follow"\nmirror = true'
    mtl(yard, triangle, "a/")
    yard.scan()
    before = yard.report("a/car.obj")
    sent = list(uploads)
    (yard.drop / "a").rename(yard.drop / "b")
    hit: list[bool] = []
    with monkeypatch.context() as context:
        step = Caretaker.step

        def dies(*_args: Any, **_more: Any) -> None:
            hit.append(True)
            raise RuntimeError("killed here")

        context.setattr(kind, name, dies)
        context.setattr(Caretaker, "step", lambda self, now: 1.0 if hit else step(self, now))
        with yard.daemon():
            yard.until(lambda: hit, 20, "the point")
    yard.scan()
    assert yard.names("b") == {"car.obj": 1, "car.mtl": 1}
    assert yard.names("a") == {}
    assert set(yard.assets("b")) == {asset.asset_id for asset in before.assets}
    assert uploads == sent
    yard.check()


def test_what_was_to_be_removed_is_not_when_its_file_was_moved_in_the_same_moment(
    yard: Any, picture: Callable[[int], bytes]
) -> None:
    """The caretaker has the deletion in its hands when the upload stage finds out that the file was renamed."""
    yard.policy = 'on_move = "follow"\non_delete = "delete"'
    path = yard.write("a.png", picture(1))
    yard.scan()
    drops = [str(yard.drop)]
    with Ledger(yard.state / LEDGER) as ledger:
        ledger.intake.vanished(drops[0], [str(path)], time.time())
        (deletion,) = ledger.owed.due(drops, time.time() + 60, 10, ledger.owed.held(drops))
        assert deletion.work is OwedWork.DELETED
        with sqlite3.connect(yard.state / LEDGER) as sql:
            sql.execute("UPDATE owed SET work = 'relocate'")
            sql.execute("UPDATE files SET state = 'done'")
        sql.close()
        assert ledger.owed.judge(deletion.upload_id, deletion.work, drops) is Judgement.LATER
        assert not ledger.owed.begin(deletion.upload_id, deletion.work, drops)


@pytest.mark.parametrize("assets", [True, False])
def test_what_somebody_removed_from_the_server_does_not_follow_and_status_says_so(
    yard: Any, picture: Callable[[int], bytes], uploads: list[str], assets: bool
) -> None:
    yard.policy = 'on_move = "follow"\nmirror = true'
    yard.write("a/first.png", picture(1))
    yard.scan()
    before = yard.report("a/first.png")
    yard.api.source_files.delete([before.source_file_id], delete_assets=assets)
    (yard.drop / "a").rename(yard.drop / "b")
    yard.scan()
    with Ledger(yard.state / LEDGER, read_only=True) as ledger:
        (owed,) = ledger.report.owed()
    assert (owed.path, owed.work) == (str(yard.drop / "b/first.png"), OwedWork.RELOCATE)
    assert before.source_file_id in (owed.error or "")
    assert uploads == ["first.png"]
