"""A clock that is set, and a machine that is suspended: no work waits for that, and nothing is sent twice."""

import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

import watcher.reconcile
from watcher import clock
from watcher.api import AssetApi
from watcher.api.folders import Folders
from watcher.config import Settings, load_settings
from watcher.daemon import Daemon
from watcher.model import Drop, FileState
from watcher.reconcile import Reconciler
from watcher.server import Server

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)
YEAR = 365 * 86_400.0


class Workplace:
    """A drop folder with its daemon, on a machine whose clocks can be moved."""

    def __init__(self, drop: Path, state: Path, api: AssetApi, until: Callable[..., None]) -> None:
        environ = {"WATCHER_STATE_DIR": str(state), "WATCHER_TRACK__INTERVAL_MIN": "0.05"}
        made = Drop(str(drop.resolve()), f"Clock {uuid.uuid4()}", settle_seconds=0.1, companion_wait_seconds=0.5)
        self.settings: Settings = load_settings(None, environ=environ).model_copy(update={"drops": (made,)})
        self.drop = drop
        self.api = api
        self.dropped = 0
        self.until = until

    def daemon(self) -> Daemon:
        return Daemon(self.settings, Server(self.api, "test"), threading.Event(), watch=True)

    def drops(self, files: int = 3) -> None:
        for _ in range(files):
            self.dropped += 1
            (self.drop / f"{self.dropped}.png").write_bytes(PIXEL + self.dropped.to_bytes(4, "big"))

    def all_is_done(self, daemon: Daemon) -> None:
        def done() -> bool:
            return daemon.at_rest() and daemon.ledger.report.counts().states[FileState.DONE] == self.dropped

        self.until(done, 15, "the end of all work")
        folder = next(f.folder_id for f in self.api.folders.iterate() if f.name == self.settings.drops[0].folder)
        assert len(list(self.api.folders.source_files(folder))) == self.dropped, "each is there once"


@pytest.fixture
def workplace(drop_folder: Path, tmp_path: Path, api: AssetApi, until: Callable[..., None]) -> Workplace:
    return Workplace(drop_folder, tmp_path / "state", api, until)


def test_clocks_may_jump_while_the_daemon_is_at_work(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    wall, elapsed = time.time, clock._elapsed
    jumps = {"set": 0.0, "suspended": 0.0}
    monkeypatch.setattr(time, "time", lambda: wall() + jumps["set"] + jumps["suspended"])
    monkeypatch.setattr(clock, "_elapsed", lambda: elapsed() + jumps["suspended"])
    with workplace.daemon() as daemon:
        daemon.start()
        for which, by in (("set", -YEAR), ("suspended", YEAR)):
            workplace.drops()
            workplace.until(lambda: len(list(daemon.ledger.report.files())) == workplace.dropped, 5, "sight")
            jumps[which] = by  # with some files that settle, and some that are on their way
            workplace.drops()
            workplace.all_is_done(daemon)
        assert daemon.trouble() is None


@pytest.mark.parametrize(("before", "after"), [(5 * YEAR, 0.0), (-2 * YEAR, 0.0)], ids=["set back", "set forward"])
def test_a_clock_may_be_set_between_two_runs(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, before: float, after: float
) -> None:
    """The first run ends with files that are held back, and in doubt."""
    monkeypatch.setattr(watcher.reconcile, "ARRIVAL_SECONDS", 0.3)
    origin, upload, sent = clock._ORIGIN, Folders.upload, iter([True])

    def breaks_off(self: Folders, *args: object, **more: object) -> object:
        if next(sent, False):
            upload(self, *args, **more)  # type: ignore[arg-type]
        raise RuntimeError("its answer is lost")

    monkeypatch.setattr(clock, "_ORIGIN", origin + before)
    with monkeypatch.context() as first, workplace.daemon() as daemon:
        first.setattr(Folders, "upload", breaks_off)
        first.setattr(Reconciler, "step", lambda *_: 1.0)
        daemon.start()
        workplace.drops()
        workplace.until(daemon.ledger.doubts.in_doubt, 10, "doubt")
        workplace.drops(1)
        held = str(workplace.drop.resolve() / "4.png")
        workplace.until(
            lambda: [file.state for file in daemon.ledger.report.files([held])] == [FileState.WAITING], 10, "its model"
        )
    monkeypatch.setattr(clock, "_ORIGIN", origin + after)
    with workplace.daemon() as daemon:
        daemon.start()
        workplace.all_is_done(daemon)
