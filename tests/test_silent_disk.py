"""Drops on a disk that hangs or dies, made of a real file system in user space beside a drop that is well."""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from watcher import logs
from watcher.api import AssetApi
from watcher.cli import local_files, main
from watcher.cli.places import resolve
from watcher.config import folders, load_settings
from watcher.config.arguments import read_arguments
from watcher.daemon import Daemon
from watcher.doctor import Result
from watcher.doctor.drops import check_drops, count_trees
from watcher.emulator import Emulator
from watcher.intake import drops, loop, silence
from watcher.ledger import Ledger
from watcher.model import Drop, FileState
from watcher.server import Server
from watcher.state import LEDGER, owner
from watcher.status import why_unknown

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)
_DETACH = 2


def picture(number: int) -> bytes:
    """A picture that can be converted, another one for each number."""
    return PIXEL + number.to_bytes(4, "big")


class Disk:
    """A mounted file system whose program can be stopped, killed and started again."""

    def __init__(self, folder: Path, point: Path, until: Callable[..., None]) -> None:
        self.folder = folder
        """What it shows; a file that is put here appears there without an event."""
        self.point = point
        self._until = until
        self.mount()

    def mount(self) -> None:
        program = Path(__file__).with_name("fuse_disk.py")
        self.process = subprocess.Popen([sys.executable, program, self.folder, self.point], stderr=subprocess.PIPE)
        self._until(lambda: os.path.ismount(self.point) or self.process.poll() is not None, 10, "mounting")
        if self.process.poll() is not None:
            assert self.process.stderr is not None
            pytest.skip(f"no file system in user space can be mounted here: {self.process.stderr.read().decode()}")

    def hang(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def answer(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    @property
    def hangs(self) -> bool:
        stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    def die(self) -> None:
        self.process.kill()
        self.process.wait()

    def unmount(self) -> None:
        ctypes.CDLL(None).umount2(os.fsencode(self.point), _DETACH)


@pytest.fixture
def disk(tmp_path: Path, until: Callable[..., None]) -> Iterator[Disk]:
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        pytest.skip("mounting a file system in user space needs root and /dev/fuse")
    folder, point = tmp_path / "far", tmp_path / "away"
    folder.mkdir()
    point.mkdir()
    disk = Disk(folder, point, until)
    yield disk
    disk.die()
    disk.unmount()


class Yard:
    """A daemon's drops: one on the disk, one that is well."""

    def __init__(self, disk: Disk, tmp_path: Path, api: AssetApi, until: Callable[..., None]) -> None:
        self.disk, self.near, self.state, self.api, self.until = disk, tmp_path / "near", tmp_path / "state", api, until
        self.near.mkdir()
        self.remote = f"Test {uuid.uuid4()}"
        self.config = tmp_path / "config.toml"
        self.config.write_text(
            f'state_dir = "{self.state}"\n[upload]\nworkers = 1\n[track]\ninterval_min = 0.05\n'
            + "".join(
                f'[[drops]]\npath = "{path}"\nfolder = "{self.remote}"\nsettle_seconds = 0.1\npoll_interval = 1\n'
                "companion_wait_seconds = 0.1\n"
                for path in (disk.point, self.near)
            )
        )

    @contextlib.contextmanager
    def daemon(self) -> Iterator[Daemon]:
        settings = load_settings(self.config, environ={})
        with Daemon(settings, Server(self.api, self.api.base_url), threading.Event(), watch=True) as daemon:
            daemon.start()
            yield daemon

    def states(self) -> dict[str, FileState]:
        with Ledger(self.state / LEDGER, read_only=True) as ledger:
            return {os.path.basename(file.path): file.state for file in ledger.report.files()}

    def until_done(self, *names: str) -> None:
        self.until(lambda: all(self.states().get(name) is FileState.DONE for name in names), 60, f"{names} done")

    def on_server(self) -> Counter[str]:
        folder = next(f.folder_id for f in self.api.folders.iterate() if f.name == self.remote)
        return Counter(source.source_file_original_name for source in self.api.folders.source_files(folder))


@pytest.fixture
def yard(
    disk: Disk, tmp_path: Path, api: AssetApi, until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Yard:
    for module in (drops, loop):
        monkeypatch.setattr(module, "SILENT_AFTER", 1.0)
    return Yard(disk, tmp_path, api, until)


def test_a_disk_that_does_not_answer_holds_up_no_other_drop(yard: Yard, until: Callable[..., None]) -> None:
    (yard.disk.folder / "far.png").write_bytes(picture(1))
    with yard.daemon() as daemon:
        yard.until_done("far.png")
        assert daemon.trouble() is None
        yard.disk.hang()
        until(lambda: "has not answered for" in (daemon.trouble() or ""), 10, "saying so")
        (yard.near / "near.png").write_bytes(picture(2))
        (yard.disk.folder / "later.png").write_bytes(picture(3))
        yard.until_done("near.png")
        assert "later.png" not in yard.states()
        assert daemon.stalled() == []
        yard.disk.answer()
        yard.until_done("later.png")
        assert daemon.trouble() is None


def test_what_does_not_come_back_though_the_disk_answers_is_not_taken_for_the_disks_fault(
    yard: Yard, until: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(silence, "PATIENCE", 0.2)
    monkeypatch.setattr(silence, "INTERVAL", 0.05)
    done = threading.Event()
    monkeypatch.setattr(loop.DropIntake, "_settle", lambda _self, _now: done.wait(30) is None)
    with yard.daemon() as daemon:
        try:
            until(lambda: "although the folder itself answers" in (daemon.trouble() or ""), 10, "saying so")
            until(lambda: "although the folder itself answers" in capfd.readouterr().out, 10, "logging it")
            yard.disk.hang()
            until(lambda: f"{yard.disk.point}: its disk has" in (daemon.trouble() or ""), 10, "telling the two apart")
            assert f"{yard.near}: a look at it has not come back" in (daemon.trouble() or "")
        finally:
            yard.disk.answer()
            done.set()
        until(lambda: daemon.trouble() is None, 10, "all well")


def test_workers_that_a_disk_holds_are_stood_in_for(yard: Yard) -> None:
    (yard.disk.folder / "stop-here.png").write_bytes(picture(1))
    with yard.daemon() as daemon:
        yard.until(lambda: yard.disk.hangs, 10, "the only worker reading")
        yard.until(daemon.intake.silent, 10, "noticing")
        (yard.near / "near.png").write_bytes(picture(2))
        yard.until_done("near.png")
        yard.until(lambda: yard.disk.answer() or yard.states()["stop-here.png"] is FileState.DONE, 20, "going on")
    assert yard.on_server() == {"near.png": 1, "stop-here.png": 1}


def test_a_stop_does_not_wait_for_a_disk_that_does_not_answer(yard: Yard, capfd: pytest.CaptureFixture[str]) -> None:
    (yard.disk.folder / "stop-here.png").write_bytes(picture(1))
    with yard.daemon() as daemon:
        yard.until(daemon.intake.silent, 20, "the disk hanging")
        began = os.times().elapsed
        daemon.stop()
        assert os.times().elapsed - began < 2
    assert os.times().elapsed - began < 4
    yard.disk.die()  # or the threads that it holds would outlive the test


def test_a_disk_that_dies_is_waited_for_and_taken_up_again_when_it_is_mounted_anew(
    yard: Yard, until: Callable[..., None]
) -> None:
    (yard.disk.folder / "first.png").write_bytes(picture(1))
    with yard.daemon() as daemon:
        yard.until_done("first.png")
        yard.disk.die()
        until(lambda: "not connected" in (daemon.trouble() or ""), 10, "saying so")
        yard.disk.unmount()
        until(lambda: "not connected" not in (daemon.trouble() or ""), 10, "seeing the empty folder")
        assert yard.states() == {"first.png": FileState.DONE}  # not deleted
        (yard.disk.folder / "second.png").write_bytes(picture(2))
        yard.disk.mount()
        yard.until_done("second.png")
        until(lambda: daemon.trouble() is None, 10, "all well")
    assert yard.on_server() == {"first.png": 1, "second.png": 1}


def test_the_program_starts_tells_and_stops_beside_a_disk_that_does_not_answer(
    yard: Yard, emulator: Emulator, tmp_path: Path
) -> None:
    (yard.disk.folder / "far.png").write_bytes(picture(1))
    with yard.daemon():
        yard.until_done("far.png")
    yard.disk.hang()
    (yard.near / "near.png").write_bytes(picture(2))
    server = {"WATCHER_API__BASE_URL": emulator.base_url, "WATCHER_API__API_KEY": emulator.api_key}
    program = [sys.executable, "-m", "watcher", "--config", yard.config]
    options: dict[str, Any] = {"cwd": tmp_path, "env": os.environ | server, "text": True}
    with subprocess.Popen([*program, "run"], stderr=subprocess.PIPE, **options) as process:
        try:
            yard.until(lambda: "has not answered" in told_by(yard.state), 40, "saying so")
            yard.until_done("near.png")
            status = subprocess.run([*program, "status"], stdout=subprocess.PIPE, check=False, **options)
            assert "has not answered for" in status.stdout
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=20)
            assert process.returncode == 0
        finally:
            process.kill()
    assert json.loads(log.splitlines()[-1])["event"] == "stopped"
    assert f"intake {yard.disk.point}" in log


def test_whoever_asks_about_a_disk_that_does_not_answer_is_told_so(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (disk.folder / "below").mkdir()
    point, near = disk.point, tmp_path / "near"
    near.mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    monkeypatch.setattr(folders, "ANSWER_SECONDS", 0.2)
    disk.hang()
    try:
        assert resolve([str(link / "away" / "below" / "a.obj")]) == [str(point / "below" / "a.obj")]
        assert read_arguments([f"{link}/away/below=Far"], None) == [{"path": link / "away/below", "folder": "Far"}]
        assert why_unknown([str(point)], None, str(point / "a.obj")) == "not seen so far, and its disk does not answer"
        drops = [Drop(str(point), "Far"), Drop(str(near), "Near")]
        found = list(check_drops(drops, count_trees(drops, seconds=0.2), [], 300.0))
        assert [finding.result for finding in found] == [Result.FAILURE, Result.OK]
        assert f"the disk of {point}, or one below it, does not answer" in found[0].message
    finally:
        disk.answer()


@pytest.mark.parametrize(("name", "hangs"), [("a.obj", True), ("stop-here.obj", False), ("stop-here.png", False)])
def test_a_command_says_that_its_file_does_not_come_and_ctrl_c_ends_it(
    disk: Disk,
    name: str,
    hangs: bool,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Before it is looked at, while what it names is read, and while it is sent."""
    (disk.folder / name).write_text("v 0 0 0")
    monkeypatch.setenv("WATCHER_API__BASE_URL", emulator.base_url)
    monkeypatch.setenv("WATCHER_API__API_KEY", emulator.api_key)
    monkeypatch.setattr(folders, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(logs, "configure", lambda *_: None)  # the log is the test process's own
    monkeypatch.setattr(
        sys, "argv", ["3dverse-watcher", "sources", "upload", str(disk.point / name), "--to", "X", "-p"]
    )
    terminate = signal.getsignal(signal.SIGTERM)
    if hangs:
        disk.hang()
    ctrl_c = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    ctrl_c.start()
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        ctrl_c.cancel()
        disk.answer()
        signal.signal(signal.SIGTERM, terminate)
    assert ended.value.code == 130
    assert f"reading {disk.point / name} takes long: is its disk there?" in capsys.readouterr().err.replace("\n", " ")


def test_a_command_gives_up_sending_a_file_that_does_not_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = os.open(tmp_path / "pipe", os.O_RDWR)  # there is one, and it writes nothing
    monkeypatch.setattr(folders, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(local_files, "GIVE_UP_SECONDS", 0.05)
    with pytest.raises(TimeoutError, match=r"its disk does not answer: '.*/pipe'"):
        next(local_files.chunks(tmp_path / "pipe"))
    assert "takes long" in capsys.readouterr().err
    os.close(writer)


def told_by(state: Path) -> str:
    process = owner(state)
    return (process.trouble if process is not None else None) or ""
