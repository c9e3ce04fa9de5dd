"""Commands with ``--emulator`` work on the embedded server's data, and never is there a second server on it."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from watcher.config import load_settings
from watcher.emulator import DataInUse, Emulator
from watcher.server import connect
from watcher.state import EMULATOR_DATA, StateInUse


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("WATCHER_STATE_DIR", str(tmp_path / "state"))
    return load_settings(None, emulator=True, folders_must_exist=False)


@pytest.fixture
def embedded(types, settings) -> Callable[..., list[list[str]]]:
    """Types commands with ``--emulator`` and gives the lines that they print, as cells."""

    def run(*words: str | Path) -> list[list[str]]:
        lines: list[list[str]] = types(*words, "--emulator").lines
        return lines

    return run


def test_an_emulator_tells_where_it_listens_until_it_stops(tmp_path):
    with Emulator(tmp_path) as first:
        with pytest.raises(DataInUse) as refused:
            Emulator(tmp_path).start()
        assert refused.value.base_url == first.base_url
    with Emulator(tmp_path, private=True):
        with pytest.raises(DataInUse) as refused:
            Emulator(tmp_path).start()
        assert refused.value.base_url is None


def test_the_address_of_a_server_that_was_killed_is_forgotten(tmp_path):
    (tmp_path / "lock").write_text("http://127.0.0.1:1/app/v1")
    with Emulator(tmp_path, private=True), pytest.raises(DataInUse) as refused:
        Emulator(tmp_path).start()
    assert refused.value.base_url is None


def test_in_passing_the_server_that_runs_is_used(settings):
    stop = threading.Event()
    with Emulator(settings.state_dir / EMULATOR_DATA) as running, connect(settings, stop, in_passing=True) as server:
        assert server.api.base_url == running.base_url
        server.api.folders.create("seen by both")
        with connect(settings, stop, in_passing=True) as other:
            assert [folder.name for folder in other.api.folders.iterate()] == ["seen by both"]


def test_a_daemon_does_not_share_a_server(settings):
    with Emulator(settings.state_dir / EMULATOR_DATA), pytest.raises(StateInUse, match="another process"):
        connect(settings, threading.Event()).__enter__()


def test_who_is_there_in_passing_is_waited_for(settings, monkeypatch):
    stop = threading.Event()
    passing = Emulator(settings.state_dir / EMULATOR_DATA, private=True)
    passing.start()
    ends = threading.Timer(0.3, passing.stop)
    ends.start()
    with connect(settings, stop) as server:
        assert server.api.folders.list() == []
    ends.join()
    monkeypatch.setattr("watcher.server.PASSING_SECONDS", 0.1)
    with Emulator(settings.state_dir / EMULATOR_DATA, private=True), pytest.raises(StateInUse):
        connect(settings, stop, in_passing=True).__enter__()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Starts a daemon on the embedded server."""
    processes: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        (tmp_path / "drop").mkdir()
        process = subprocess.Popen(
            [sys.executable, "-m", "watcher", "run", "--emulator", f"{tmp_path / 'drop'}=Dropped"],
            env={"WATCHER_STATE_DIR": str(tmp_path / "state"), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
            stderr=subprocess.DEVNULL,
        )
        processes.append(process)

    yield start
    for process in processes:
        process.terminate()
        process.wait(30)


def test_a_command_sees_what_a_running_daemon_does(running, embedded, types, tmp_path, until):
    running()
    (tmp_path / "drop" / "flat.off").write_text("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n")
    until(lambda: embedded("assets", "ls", "--type", "scene"), 60)
    assert [cells[1:] for cells in embedded("assets", "ls", "--type", "scene")] == [["scene", "flat"]]
    assert types("folders", "--emulator", "ls").lines[0][1] == "Dropped"


def test_a_newcomer_does_everything_once_and_leaves_nothing(embedded, settings, tmp_path, cube):
    """Create a tree, upload, list, rename, move, download, package, import elsewhere, delete all."""
    embedded("folders", "create", "Cars/Incoming", "-p")
    embedded("folders", "create", "Archive")
    assert len(embedded("sources", "upload", cube, "--to", "Cars/Incoming", "--wait")) == 4
    assert len(embedded("sources", "ls", "Cars/Incoming")) == 3
    embedded("assets", "rename", "scene:Cars/Incoming/cube", "box")
    embedded("folders", "rename", "Cars/Incoming", "New")
    embedded("folders", "mv", "Cars/New", "--to", "Archive")
    embedded("sources", "download", "Archive/New/cube.obj", "--to", tmp_path / "back.obj")
    assert (tmp_path / "back.obj").read_bytes() == cube.read_bytes()
    embedded("assets", "package", "Archive/New/box", "--to", tmp_path / "box.zip")
    embedded("folders", "rm", "Archive", "--recursive", "--yes")
    assert embedded("assets", "import", tmp_path / "box.zip", "--to", "Cars")[0][0].startswith("4 assets imported")
    assert embedded("assets", "show", "Cars/box")
    embedded("folders", "rm", "Cars", "--recursive", "--yes")
    assert embedded("folders", "ls") == embedded("assets", "ls") == embedded("sources", "ls") == []
    data = settings.state_dir / EMULATOR_DATA
    left = [path for folder in ("blobs", "incoming", "work") for path in (data / folder).rglob("*") if path.is_file()]
    assert (data / "emulator.db").exists()
    assert left == []
