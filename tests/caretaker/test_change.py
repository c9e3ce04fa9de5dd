"""``on_change = "replace"``: the older version goes when the newer one is done, and never what others need."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from watcher.api import Cause, FilePart, Forbidden, Rejected, Unreachable
from watcher.api.models import AssetType
from watcher.api.models.requests import NewAsset
from watcher.api.source_files import SourceFiles
from watcher.caretaker import Caretaker
from watcher.daemon import Daemon
from watcher.ledger import Ledger, OwedLedger
from watcher.model import FileState
from watcher.removal import Removal
from watcher.state import LEDGER


def scene_with(yard: Any, mesh: str, name: str = "Garage") -> str:
    """A scene made by hand that needs a mesh."""
    api = yard.api
    scene: str = api.assets.create(yard.folder().folder_id, NewAsset(asset_type=AssetType.SCENE, name=name)).asset_id
    api.scenes.create_entity(scene, {"mesh_ref": {"value": mesh}})
    return scene


def test_the_older_version_stays_unless_the_policy_says_otherwise(yard: Any, picture: Callable[[int], bytes]) -> None:
    yard.write("a.png", picture(1))
    yard.scan()
    yard.write("a.png", picture(2))
    yard.scan()
    assert yard.contents() == [picture(1), picture(2)]


def test_an_older_version_goes_with_its_assets_once_the_new_one_is_done(
    replacing: Any, picture: Callable[[int], bytes]
) -> None:
    replacing.write("a.png", picture(1))
    replacing.scan()
    older = replacing.report("a.png")
    replacing.write("a.png", picture(2))
    replacing.scan()
    newer = replacing.report("a.png")
    assert not replacing.is_there(older.source_file_id)
    assert replacing.contents() == [picture(2)]
    assert set(replacing.assets()) == {asset.asset_id for asset in newer.assets}
    replacing.check()


def test_a_new_version_that_fails_leaves_the_older_one_and_what_then_succeeds_replaces_both(replacing: Any) -> None:
    good, broken, better = (
        "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n",
        "OFF\nno",
        "OFF\n3 1 0\n0 0 9\n1 0 0\n0 1 0\n3 0 1 2\n",
    )
    replacing.write("a.off", good)
    replacing.scan()
    replacing.write("a.off", broken)
    replacing.scan()
    assert replacing.report("a.off").state is FileState.FAILED
    assert replacing.contents() == sorted([good.encode(), broken.encode()])
    assert replacing.assets()
    replacing.write("a.off", better)
    replacing.scan()
    assert replacing.contents() == [better.encode()]
    replacing.check()


def test_a_content_that_failed_elsewhere_replaces_nothing(replacing: Any, picture: Callable[[int], bytes]) -> None:
    replacing.write("broken.off", "OFF\nno")
    replacing.write("a.off", "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n")
    replacing.scan()
    good = replacing.report("a.off").source_file_id
    replacing.write("a.off", "OFF\nno")
    replacing.scan()
    assert replacing.report("a.off").state is FileState.FAILED
    assert replacing.is_there(good)


def test_of_many_quick_changes_exactly_the_last_is_left(replacing: Any, picture: Callable[[int], bytes]) -> None:
    with replacing.daemon(watch=True) as daemon:
        for number in range(6):
            replacing.write("a.png", picture(number))
            time.sleep(0.15)
        replacing.until(lambda: replacing.report("a.png").state is FileState.DONE and daemon.at_rest(), 30, "rest")
        replacing.until(lambda: replacing.contents() == [picture(5)], 30, "one version")
    replacing.check()


def test_a_version_that_a_copy_still_has_stays(replacing: Any, picture: Callable[[int], bytes]) -> None:
    replacing.write("a.png", picture(1))
    replacing.scan()
    replacing.write("copy.png", picture(1))
    replacing.scan()
    replacing.write("a.png", picture(2))
    replacing.scan()
    assert replacing.contents() == [picture(1), picture(2)]
    assert replacing.states() == {"a.png": FileState.DONE, "copy.png": FileState.DONE}
    replacing.check()
    replacing.write("copy.png", picture(3))
    replacing.scan()
    assert replacing.contents() == [picture(2), picture(3)]


def test_a_version_equal_to_another_file_replaces_the_older_one(
    replacing: Any, picture: Callable[[int], bytes]
) -> None:
    replacing.write("a.png", picture(1))
    replacing.write("b.png", picture(2))
    replacing.scan()
    replacing.write("a.png", picture(2))
    replacing.scan()
    assert replacing.contents() == [picture(2)]
    assert replacing.states() == {"a.png": FileState.DUPLICATE, "b.png": FileState.DONE}
    replacing.check()


def test_assets_that_others_need_stay_with_what_they_need_and_status_says_which_and_why(
    replacing: Any, triangle: Callable[..., str]
) -> None:
    replacing.write("car.obj", triangle())
    replacing.scan()
    older = replacing.report("car.obj")
    mesh = next(asset.asset_id for asset in older.assets if asset.type == "mesh")
    scene_with(replacing, mesh)
    needs = {d.asset_id for d in replacing.api.assets.dependencies("meshes", mesh)}
    replacing.write("car.obj", triangle(shift=0.5))
    replacing.scan()
    assert not replacing.is_there(older.source_file_id)
    left = {asset.asset_id for asset in older.assets} & set(replacing.assets())
    assert left == {mesh} | (needs & {asset.asset_id for asset in older.assets})
    with Ledger(replacing.state / LEDGER, read_only=True) as ledger:
        kept = {asset.asset_id: asset.needed_by for _, asset in ledger.report.kept()}
    assert kept.keys() == left
    assert kept[mesh] == "scene Garage"


def test_a_changed_companion_makes_the_whole_older_set_go(replacing: Any, triangle: Callable[..., str]) -> None:
    replacing.write("car.obj", triangle("car"))
    replacing.write("car.mtl", "newmtl paint\nKd 1 0 0\n")
    replacing.write("other.obj", triangle("car", shift=0.3))
    replacing.scan()
    assert replacing.names() == {"car.obj": 1, "other.obj": 1, "car.mtl": 2}
    replacing.write("car.mtl", "newmtl paint\nKd 0 1 0\n")
    replacing.scan()
    assert replacing.names() == {"car.obj": 1, "other.obj": 1, "car.mtl": 2}
    assert Counter(replacing.contents())[b"newmtl paint\nKd 0 1 0\n"] == 2
    replacing.write("car.obj", triangle("car", shift=0.7))
    replacing.scan()
    assert replacing.names() == {"car.obj": 1, "other.obj": 1, "car.mtl": 2}
    replacing.check()


def test_what_a_file_sent_by_itself_before_it_became_a_companion_goes_when_it_changes(
    replacing: Any, triangle: Callable[..., str], picture: Callable[[int], bytes]
) -> None:
    replacing.write("wood.png", picture(1))
    replacing.scan()
    alone = replacing.report("wood.png").source_file_id
    replacing.write("car.obj", triangle("car"))
    replacing.write("car.mtl", "newmtl paint\nmap_Kd wood.png\n")
    replacing.scan()
    assert replacing.is_there(alone), "it has not changed"
    replacing.write("wood.png", picture(2))
    replacing.scan()
    assert not replacing.is_there(alone)
    assert replacing.names() == {"car.obj": 1, "car.mtl": 1, "wood.png": 1}
    assert picture(2) in replacing.contents()
    replacing.check()


def put(yard: Any, content: bytes) -> None:
    """Somebody else uploads a car.mtl into the remote folder."""
    part = FilePart("car.mtl", len(content), lambda: iter([content]))
    yard.api.folders.upload(yard.folder().folder_id, [part])


def test_a_file_of_the_same_name_and_size_that_somebody_else_put_there_stays(
    replacing: Any, triangle: Callable[..., str]
) -> None:
    replacing.write("car.obj", triangle("car"))
    replacing.write("car.mtl", "newmtl paint\nKd 1 0 0\n")
    replacing.scan()
    theirs = b"newmtl paint\nKd 0 0 1\n"
    put(replacing, theirs)
    replacing.write("car.mtl", "newmtl paint\nKd 0 1 0\n")
    replacing.scan()
    replacing.write("car.mtl", "newmtl paint\nKd 0 1 1\n")
    replacing.scan()
    assert sorted(c for c in replacing.contents() if c.startswith(b"newmtl")) == [theirs, b"newmtl paint\nKd 0 1 1\n"]


class Killed(Exception):
    """Nothing more is done: the program ended here."""


POINTS: dict[str, tuple[type, str, bool]] = {
    "before it is begun": (OwedLedger, "begin", False),
    "when it is begun": (Removal, "steps", False),
    "when the server did it": (OwedLedger, "removed", False),
    "when it is on record": (OwedLedger, "removed", True),
    "when the source files were found": (OwedLedger, "found", True),
}


@pytest.fixture(params=POINTS)
def killed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """A pass that ends at a point of a removal; nothing that comes after it reaches ledger or server."""
    kind, name, after = POINTS[request.param]

    def scan(yard: Any) -> None:
        hit: list[bool] = []
        with monkeypatch.context() as context:
            whole = getattr(kind, name)
            step = Caretaker.step

            def dies(self: Any, *args: Any, **more: Any) -> Any:
                result = whole(self, *args, **more) if after else None
                hit.append(True)
                raise Killed
                return result

            def dead(self: Caretaker, now: float) -> float:
                return 1.0 if hit else step(self, now)

            context.setattr(kind, name, dies)
            context.setattr(Caretaker, "step", dead)
            with yard.daemon() as daemon:
                yard.until(lambda: hit, 30, "the point")
                assert isinstance(daemon, Daemon)

    return scan


def test_a_kill_at_any_point_of_a_removal_leaves_exactly_the_new_version(
    replacing: Any, triangle: Callable[..., str], killed: Callable[[Any], None]
) -> None:
    replacing.write("car.obj", triangle("car"))
    replacing.write("car.mtl", "newmtl paint\nKd 1 0 0\n")
    replacing.scan()
    put(replacing, b"newmtl paint\nKd 1 0 0\n")
    replacing.write("car.obj", triangle("car", shift=0.5))
    killed(replacing)
    replacing.scan()
    assert replacing.names() == {"car.obj": 1, "car.mtl": 2}, "somebody else's copy is not taken for ours"
    assert set(replacing.assets()) == {asset.asset_id for asset in replacing.report("car.obj").assets}
    replacing.check()


def test_a_content_that_comes_back_while_its_removal_is_owed_is_never_lost(
    replacing: Any, picture: Callable[[int], bytes], killed: Callable[[Any], None]
) -> None:
    """A, B, A: whatever was done of A's removal, A is there in the end, and B is not."""
    replacing.write("a.png", picture(1))
    replacing.scan()
    replacing.write("a.png", picture(2))
    killed(replacing)
    replacing.write("a.png", picture(1))
    replacing.scan()
    assert replacing.contents() == [picture(1)]
    assert replacing.report("a.png").state is FileState.DONE
    replacing.check()


def test_a_content_whose_removal_is_under_way_waits_for_its_end_and_is_sent_again(
    replacing: Any, picture: Callable[[int], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    replacing.write("a.png", picture(1))
    replacing.scan()
    replacing.write("a.png", picture(2))
    with monkeypatch.context() as context:
        begun = threading.Event()

        def stuck(*_args: object) -> Any:
            begun.set()
            raise RuntimeError("nothing was heard from the server")

        context.setattr(Removal, "steps", stuck)
        with replacing.daemon(watch=True):
            replacing.until(begun.is_set, 20, "the removal")
            replacing.write("a.png", picture(1))
            replacing.until(lambda: replacing.report("a.png").state is FileState.WAITING, 20, "its wait")
            assert replacing.report("a.png").assets == ()
    replacing.scan()
    assert replacing.contents() == [picture(1)]
    replacing.check()


def test_a_removal_that_has_not_begun_is_called_off_when_its_content_comes_back(
    replacing: Any, picture: Callable[[int], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    replacing.write("a.png", picture(1))
    replacing.scan()
    first = replacing.report("a.png").source_file_id
    replacing.write("a.png", picture(2))
    with monkeypatch.context() as context:
        context.setattr(Caretaker, "step", lambda *_: 1.0)
        with replacing.daemon() as daemon:
            replacing.until(
                lambda: (
                    replacing.report("a.png").state is FileState.DONE
                    and replacing.report("a.png").source_file_id != first
                ),
                30,
                "the new version",
            )
            assert not daemon.at_rest(), "something is owed"
            replacing.write("a.png", picture(1))
    with monkeypatch.context() as context:
        context.setattr(Caretaker, "step", lambda *_: 1.0)
        with replacing.daemon():
            replacing.until(lambda: replacing.report("a.png").source_file_id == first, 30, "its return")
        with Ledger(replacing.state / LEDGER, read_only=True) as ledger:
            assert len(ledger.report.owed()) == 1, "what came between is owed now, and no more than that"
    replacing.scan()
    assert replacing.report("a.png").source_file_id == first
    assert replacing.contents() == [picture(1)]
    replacing.check()


def test_removals_wait_for_a_server_that_is_away_and_are_done_when_it_is_back(
    replacing: Any, picture: Callable[[int], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    replacing.write("a.png", picture(1))
    replacing.scan()
    replacing.write("a.png", picture(2))
    tried: list[float] = []
    delete = SourceFiles.delete

    def away(self: SourceFiles, *args: Any, **more: Any) -> None:
        tried.append(time.monotonic())
        if len(tried) < 3:
            raise Unreachable("deleteSourceFiles", "away", cause=Cause.REFUSED)
        delete(self, *args, **more)

    monkeypatch.setattr(SourceFiles, "delete", away)
    replacing.scan()
    assert len(tried) == 3
    assert tried[1] - tried[0] > 0.4, "it waits until the server is there again"
    assert replacing.contents() == [picture(2)]


def test_a_removal_that_is_refused_ends_the_pass_and_status_says_why(
    replacing: Any, picture: Callable[[int], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: Any, **_more: Any) -> None:
        raise Forbidden("deleteSourceFiles", "hands off", status=403)

    replacing.write("a.png", picture(1))
    replacing.scan()
    replacing.write("a.png", picture(2))
    with monkeypatch.context() as context:
        context.setattr(SourceFiles, "delete", refuse)
        replacing.scan()
    with Ledger(replacing.state / LEDGER, read_only=True) as ledger:
        (owed,) = ledger.report.owed()
    assert owed.path == str(replacing.drop / "a.png")
    assert owed.error is not None and "hands off" in owed.error
    assert replacing.contents() == [picture(1), picture(2)]
    replacing.until(lambda: time.time() > owed.due_at, 5, "the next try")
    replacing.scan()
    assert replacing.contents() == [picture(2)]


def test_a_removal_that_was_refused_is_called_off_when_its_content_comes_back(
    replacing: Any, picture: Callable[[int], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: Any, **_more: Any) -> None:
        raise Rejected("deleteSourceFiles", "something needs it", status=409)

    replacing.write("a.png", picture(1))
    replacing.scan()
    first = replacing.report("a.png").source_file_id
    replacing.write("a.png", picture(2))
    monkeypatch.setattr(SourceFiles, "delete", refuse)
    replacing.scan()
    replacing.write("a.png", picture(1))
    replacing.scan()
    assert replacing.report("a.png").source_file_id == first
    replacing.check()


def test_companions_of_a_conversion_that_failed_go_with_it_when_it_is_tried_again(
    yard: Any, triangle: Callable[..., str]
) -> None:
    """But not those of a model that fared well, be they equal."""
    yard.write("m.obj", "mtllib m.mtl\nusemtl paint\nf 1 2 3\n")
    yard.write("m.mtl", "newmtl paint\nKd 1 0 0\n")
    yard.write("other.obj", triangle("m"))
    yard.scan()
    assert (yard.report("m.obj").state, yard.report("other.obj").state) == (FileState.FAILED, FileState.DONE)
    once = {"m.obj": 1, "other.obj": 1, "m.mtl": 2}
    assert yard.names() == once
    sent = yard.report("m.obj").upload_task_id
    with Ledger(yard.state / LEDGER) as ledger:
        assert ledger.upkeep.retry([str(yard.drop / "m.obj")], 0.0) == 1
    yard.scan()
    assert yard.report("m.obj").upload_task_id != sent, "it was sent again"
    assert yard.names() == once
    yard.check()
