"""``on_delete = "delete"``: what a deleted file made goes too, when the deletion is certain."""

import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from watcher.caretaker import Caretaker
from watcher.dry_run import dry_run
from watcher.ledger import Ledger, OwedWork
from watcher.ledger import owed as owed_room
from watcher.model import FileState, Role
from watcher.state import LEDGER


def test_what_a_deleted_file_made_stays_unless_the_policy_says_otherwise(
    yard: Any, picture: Callable[[int], bytes]
) -> None:
    yard.write("a.png", picture(1))
    yard.scan()
    (yard.drop / "a.png").unlink()
    yard.scan()
    assert yard.contents() == [picture(1)]
    assert yard.assets()


def test_a_deleted_file_takes_its_source_file_and_its_assets_along(
    deleting: Any, picture: Callable[[int], bytes]
) -> None:
    deleting.write("a.png", picture(1))
    deleting.write("b.png", picture(2))
    deleting.scan()
    (deleting.drop / "a.png").unlink()
    deleting.scan()
    assert deleting.contents() == [picture(2)]
    assert set(deleting.assets()) == {asset.asset_id for asset in deleting.report("b.png").assets}
    assert deleting.report("a.png").state is FileState.GONE
    deleting.write("a.png", picture(1))
    deleting.scan()
    assert deleting.contents() == [picture(1), picture(2)], "it is sent again when it comes back"
    deleting.check()


@pytest.mark.parametrize("way", ["deleted and written anew", "replaced by a rename"])
def test_a_file_that_comes_back_within_the_wait_was_not_deleted(
    deleting: Any, picture: Callable[[int], bytes], way: str
) -> None:
    deleting.delete_wait = 10.0
    path = deleting.write("a.png", picture(1))
    deleting.scan()
    first = deleting.report("a.png").source_file_id
    with deleting.daemon(watch=True) as daemon:
        deleting.until(daemon.at_rest, 30, "rest")
        if way == "deleted and written anew":
            path.unlink()
        else:
            path.rename(path.with_suffix(".bak"))
        deleting.until(lambda: deleting.report("a.png").state is FileState.GONE, 30, "its absence")
        time.sleep(1.2)  # longer than the caretaker takes to look
        deleting.write("a.png", picture(1))
        deleting.until(lambda: deleting.report("a.png").state is FileState.DONE, 30, "its return")
        deleting.until(daemon.at_rest, 30, "rest")
    assert deleting.report("a.png").source_file_id == first
    assert deleting.contents() == [picture(1)]
    deleting.check()


def test_a_drop_that_is_not_there_deletes_nothing(deleting: Any, picture: Callable[[int], bytes]) -> None:
    for number in range(3):
        deleting.write(f"{number}.png", picture(number))
    deleting.scan()
    with deleting.daemon(watch=True) as daemon:
        deleting.until(daemon.at_rest, 30, "rest")
        away = deleting.drop.with_name("away")
        deleting.drop.rename(away)
        time.sleep(1.0)
        assert len(deleting.contents()) == 3
        away.rename(deleting.drop)
    deleting.scan()
    assert len(deleting.contents()) == 3
    deleting.check()


def test_what_a_link_took_the_place_of_stays(deleting: Any, picture: Callable[[int], bytes], tmp_path: Path) -> None:
    path = deleting.write("a.png", picture(1))
    deleting.scan()
    path.rename(tmp_path / "elsewhere.png")
    path.symlink_to(tmp_path / "elsewhere.png")
    deleting.scan()
    assert deleting.report("a.png").state is FileState.GONE
    assert deleting.contents() == [picture(1)]


def test_a_deleted_set_goes_whole_and_its_companions_stand_for_themselves(
    deleting: Any, triangle: Callable[..., str], picture: Callable[[int], bytes]
) -> None:
    deleting.write("car.obj", triangle("car"))
    deleting.write("car.mtl", "newmtl paint\nmap_Kd wood.png\n")
    deleting.write("wood.png", picture(1))
    deleting.scan()
    assert deleting.names() == {"car.obj": 1, "car.mtl": 1, "wood.png": 1}
    (deleting.drop / "car.obj").unlink()
    deleting.scan()
    texture = deleting.report("wood.png")
    assert (texture.state, texture.role) == (FileState.DONE, Role.MAIN)
    assert deleting.names() == {"wood.png": 1}
    assert set(deleting.assets()) == {asset.asset_id for asset in texture.assets}
    deleting.check()


def test_a_companion_of_which_others_were_removed_by_hand_is_left_to_the_set_that_needs_it(
    deleting: Any, triangle: Callable[..., str]
) -> None:
    deleting.write("car.obj", triangle("car"))
    deleting.write("other.obj", triangle("car", shift=0.3))
    deleting.write("car.mtl", "newmtl paint\nKd 1 0 0\n")
    deleting.scan()
    by_hand = next(s for s in deleting.sources() if s.source_file_original_name == "car.mtl")
    deleting.api.source_files.delete([by_hand.source_file_id])
    (deleting.drop / "car.obj").unlink()
    deleting.scan()
    assert deleting.names() == {"other.obj": 1, "car.mtl": 1}


def test_deleting_a_companion_deletes_nothing(
    deleting: Any, triangle: Callable[..., str], picture: Callable[[int], bytes]
) -> None:
    deleting.write("wood.png", picture(1))
    deleting.scan()
    alone = deleting.report("wood.png").source_file_id
    deleting.write("car.obj", triangle("car"))
    deleting.write("car.mtl", "newmtl paint\nmap_Kd wood.png\n")
    deleting.scan()
    before = deleting.names()
    (deleting.drop / "wood.png").unlink()
    deleting.scan()
    assert deleting.names() == before
    assert deleting.is_there(alone)
    assert deleting.report("car.obj").state is FileState.DONE
    (deleting.drop / "car.obj").unlink()
    (deleting.drop / "car.mtl").unlink()
    deleting.scan()
    assert not deleting.names(), "the last model that used it takes along what it sent by itself"
    assert not deleting.assets()
    deleting.check()


def test_the_last_copy_takes_the_content_along(deleting: Any, picture: Callable[[int], bytes]) -> None:
    deleting.write("a.png", picture(1))
    deleting.scan()
    deleting.write("copy.png", picture(1))
    deleting.scan()
    (deleting.drop / "a.png").unlink()
    deleting.scan()
    assert deleting.contents() == [picture(1)]
    assert deleting.report("copy.png").state is FileState.DONE
    deleting.check()
    (deleting.drop / "copy.png").unlink()
    deleting.scan()
    assert deleting.contents() == []
    assert deleting.assets() == {}


def test_a_deleted_file_that_failed_leaves_nothing(deleting: Any) -> None:
    deleting.write("a.off", "OFF\nno")
    deleting.scan()
    assert deleting.contents() == [b"OFF\nno"]
    (deleting.drop / "a.off").unlink()
    deleting.scan()
    assert deleting.contents() == []


def test_a_file_deleted_during_its_conversion_goes_when_that_ends(
    deleting: Any, picture: Callable[[int], bytes]
) -> None:
    path = deleting.write("a.png", picture(1))
    with deleting.daemon(watch=True) as daemon:
        deleting.until(lambda: deleting.states() and deleting.report("a.png").upload_task_id, 30, "the upload")
        path.unlink()
        deleting.until(lambda: deleting.report("a.png").state is FileState.GONE and daemon.at_rest(), 30, "rest")
    assert deleting.contents() == []
    assert deleting.assets() == {}


def test_older_versions_that_were_to_stay_outlive_the_file(deleting: Any, picture: Callable[[int], bytes]) -> None:
    deleting.write("a.png", picture(1))
    deleting.scan()
    deleting.write("a.png", picture(2))
    deleting.scan()
    (deleting.drop / "a.png").unlink()
    deleting.scan()
    assert deleting.contents() == [picture(1)]


def test_many_files_that_go_away_at_once_are_only_removed_when_a_person_says_so(
    deleting: Any, picture: Callable[[int], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owed_room, "MANY_FILES", 3)
    for number in range(6):
        deleting.write(f"sub/{number}.png", picture(number))
    deleting.write("other.png", picture(9))
    deleting.scan()
    shutil.rmtree(deleting.drop / "sub")
    deleting.scan()
    assert len(deleting.contents()) == 7
    with Ledger(deleting.state / LEDGER) as ledger:
        owed = ledger.report.owed()
        assert [each.work for each in owed] == [OwedWork.DELETED] * 6
        assert ledger.owed.held([str(deleting.drop)]) == {str(deleting.drop): 6}
        assert ledger.owed.confirm([each.path for each in owed], time.time()) == 6
    deleting.scan()
    assert deleting.contents() == [picture(9)]


def test_a_policy_that_was_taken_back_deletes_nothing(
    deleting: Any, picture: Callable[[int], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = deleting.write("a.png", picture(1))
    deleting.scan()
    path.unlink()
    with monkeypatch.context() as context:
        context.setattr(Caretaker, "step", lambda *_: 1.0)
        with deleting.daemon():
            deleting.until(lambda: deleting.report("a.png").state is FileState.GONE, 30, "its absence")
    deleting.policy = ""
    deleting.scan()
    assert deleting.contents() == [picture(1)]
    with Ledger(deleting.state / LEDGER, read_only=True) as ledger:
        assert ledger.report.owed() == []


def test_a_dry_run_owes_and_removes_nothing(deleting: Any, picture: Callable[[int], bytes]) -> None:
    path = deleting.write("a.png", picture(1))
    deleting.scan()
    path.unlink()
    with dry_run(deleting.settings().drops, deleting.state / LEDGER) as plan:
        assert plan.counts.states[FileState.GONE] == 1
    assert deleting.report("a.png").state is FileState.DONE
    with Ledger(deleting.state / LEDGER, read_only=True) as ledger:
        assert ledger.report.owed() == []
    assert deleting.contents() == [picture(1)]


def test_a_deleted_model_takes_its_companions_along_also_when_an_upload_that_did_not_arrive_had_the_same(
    deleting: Any, triangle: Callable[..., str]
) -> None:
    deleting.write("a.obj", triangle("paint"))
    deleting.write("paint.mtl", "newmtl paint\nKd 1 0 0\n")
    deleting.scan()
    assert len(deleting.contents()) == 2
    for name in ("a.obj", "paint.mtl"):
        (deleting.drop / name).unlink()
    with sqlite3.connect(deleting.state / LEDGER) as sql:
        sql.execute(
            "INSERT INTO uploads (id, main_id, folder_id, set_digest, size, state, started_at)"
            " SELECT 99, main_id, folder_id, 'another', size, 'unknown', started_at FROM uploads"
        )
        sql.execute(
            "INSERT INTO members SELECT 99, position, name, iif(position = 0, 'none', digest), size, NULL FROM members"
        )
    sql.close()
    deleting.scan()
    assert deleting.contents() == []
