"""Files that may not be read for a while: they fail with the reason, and come back by themselves."""

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from watcher import clock
from watcher.api import AssetApi
from watcher.config import Settings
from watcher.daemon import Daemon
from watcher.dry_run import plan_drops
from watcher.intake.rules import Rules
from watcher.intake.scan import Scanner
from watcher.ledger import FileReport, Ledger
from watcher.model import FileState
from watcher.server import Server
from watcher.state import LEDGER

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)
TRIANGLE = "mtllib {0}.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nusemtl paint\nf 1 2 3\n"


def scan(settings: Settings, api: AssetApi, until: Callable[..., None]) -> dict[str, FileReport]:
    """One pass to its end; what the ledger says then, by path relative to the drop."""
    with Daemon(settings, Server(api, "test"), threading.Event(), watch=False) as daemon:
        daemon.start()
        until(daemon.at_rest, 30, "rest")
        return {os.path.relpath(file.path, settings.drops[0].path): file for file in daemon.ledger.report.files()}


@pytest.mark.usefixtures("permissions")
@pytest.mark.parametrize("planned", [True, False])
def test_files_of_a_folder_that_was_closed_come_back_when_it_is_open_again(
    planned: bool, settings: Settings, api: AssetApi, drop_folder: Path, until: Callable[..., None]
) -> None:
    """A folder's permissions leave no trace on the files in it, nor on a model outside that names one of them."""
    job = drop_folder / "job"
    job.mkdir()
    (job / "a.png").write_bytes(PIXEL)
    (job / "m.obj").write_text(TRIANGLE.format("paint"))
    (job / "paint.mtl").write_text("newmtl paint\nKd 1 0 0\n")
    (job / "wood.png").write_bytes(PIXEL + b"wood")
    (drop_folder / "shine.png").write_bytes(PIXEL + b"shine")
    (drop_folder / "outside.mtl").write_text("newmtl paint\nmap_Kd job/wood.png\nmap_Ks shine.png\n")
    (drop_folder / "outside.obj").write_text(TRIANGLE.format("outside"))
    with Ledger(settings.state_dir / LEDGER) as ledger:
        plan_drops(settings.drops, ledger, as_found=False)
        if not planned:
            ledger._connection.rows("UPDATE files SET due_at = NULL, refs = NULL WHERE refers = 1")
    job.chmod(0)
    try:
        closed = scan(settings, api, until)
        mains = {"job/a.png", "job/m.obj", "outside.obj"}
        assert {name: closed[name].state for name in mains} == dict.fromkeys(mains, FileState.FAILED)
        assert all("cannot be read: Permission denied" in (closed[name].error or "") for name in mains)
        assert closed["shine.png"].mains, "it does not go by itself meanwhile"
        again = scan(settings, api, until)
        assert {name: again[name].updated_at for name in mains} == {name: closed[name].updated_at for name in mains}
    finally:
        job.chmod(0o755)
    opened = scan(settings, api, until)
    assert {file.state for file in opened.values()} == {FileState.DONE}
    assert opened["outside.obj"].missing == ()


@pytest.mark.usefixtures("permissions")
def test_what_a_model_names_does_not_go_alone_when_its_first_plan_meets_a_closed_folder(
    settings: Settings, api: AssetApi, drop_folder: Path, until: Callable[..., None]
) -> None:
    (drop_folder / "job").mkdir()
    (drop_folder / "job" / "wood.png").write_bytes(PIXEL)
    (drop_folder / "shine.png").write_bytes(PIXEL + b"shine")
    (drop_folder / "m.mtl").write_text("newmtl paint\nmap_Kd job/wood.png\nmap_Ks shine.png\n")
    (drop_folder / "m.obj").write_text(TRIANGLE.format("m"))
    (drop_folder / "job").chmod(0)
    try:
        closed = scan(settings, api, until)
        assert closed["m.obj"].state is FileState.FAILED
        assert closed["shine.png"].mains == (closed["m.obj"].path,)
    finally:
        (drop_folder / "job").chmod(0o755)
    opened = scan(settings, api, until)
    assert {opened["m.obj"].state, opened["shine.png"].state} == {FileState.DONE}
    assert opened["m.obj"].missing == ()


@pytest.mark.usefixtures("permissions")
def test_a_file_that_was_closed_comes_back_when_it_is_open_again(
    settings: Settings, api: AssetApi, drop_folder: Path, until: Callable[..., None]
) -> None:
    path = drop_folder / "a.png"
    path.write_bytes(PIXEL)
    path.chmod(0)
    closed = scan(settings, api, until)["a.png"]
    assert (closed.state, closed.error) == (FileState.FAILED, f"{path.resolve()} cannot be read: Permission denied")
    path.chmod(0o644)
    assert scan(settings, api, until)["a.png"].state is FileState.DONE


@pytest.mark.usefixtures("permissions")
def test_a_model_whose_closed_companion_went_away_goes_without_it(
    settings: Settings, api: AssetApi, drop_folder: Path, until: Callable[..., None]
) -> None:
    (drop_folder / "m.obj").write_text(TRIANGLE.format("paint"))
    (drop_folder / "paint.mtl").write_text("newmtl paint\nKd 1 0 0\n")
    (drop_folder / "paint.mtl").chmod(0)
    assert scan(settings, api, until)["m.obj"].state is FileState.FAILED
    (drop_folder / "paint.mtl").unlink()
    gone = scan(settings, api, until)["m.obj"]
    assert (gone.state, gone.missing) == (FileState.DONE, ("paint.mtl",))


def test_a_file_that_a_failing_disk_kept_back_comes_back_with_the_disk(
    settings: Settings, api: AssetApi, drop_folder: Path, until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = drop_folder / "a.png"
    path.write_bytes(PIXEL)
    upload = settings.upload.model_copy(update={"max_attempts": 2, "backoff_base": 0.05})
    settings = settings.model_copy(update={"upload": upload})
    real = os.open

    def fail(opened: Any, *arguments: Any, **more: Any) -> int:
        if opened == str(path.resolve()):
            raise OSError(errno.EIO, os.strerror(errno.EIO), opened)
        return real(opened, *arguments, **more)

    monkeypatch.setattr(os, "open", fail)
    for _ in range(2):
        kept = scan(settings, api, until)["a.png"]
        assert (kept.state, kept.error) == (
            FileState.FAILED,
            f"given up after 2 attempts: {path.resolve()} cannot be read: Input/output error",
        )
    monkeypatch.undo()
    assert scan(settings, api, until)["a.png"].state is FileState.DONE


@pytest.mark.parametrize("broken", ["crate.obj", "crate.mtl"])
def test_a_model_that_a_failing_disk_keeps_back_says_why_and_fails_in_the_end_until_the_disk_is_well(
    broken: str,
    settings: Settings,
    api: AssetApi,
    drop_folder: Path,
    until: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (drop_folder / "crate.obj").write_text(TRIANGLE.format("crate"))
    (drop_folder / "crate.mtl").write_text("newmtl paint\n")
    path, real = str(drop_folder.resolve() / broken), os.open

    def open_what_fails(opened: Any, *arguments: Any, **more: Any) -> int:
        # Opens well, is a regular file, and answers every read at its beginning with an input/output error.
        return real("/proc/self/mem" if opened == path else opened, *arguments, **more)

    monkeypatch.setattr(os, "open", open_what_fails)
    monkeypatch.setattr("watcher.planner.BUSY_SECONDS", 0.5)
    reason = f"{path} cannot be read: Input/output error"
    with Daemon(settings, Server(api, "test"), threading.Event(), watch=False) as daemon:
        daemon.start()
        waiting = [FileState.WAITING]
        until(lambda: [file.error for file in daemon.ledger.report.files(states=waiting)] == [reason], 30, "the reason")
        until(daemon.at_rest, 30, "the end")
    kept = scan(settings, api, until)["crate.obj"]
    assert (kept.state, kept.error) == (FileState.FAILED, reason)
    monkeypatch.undo()
    well = scan(settings, api, until)["crate.obj"]
    assert (well.state, well.error) == (FileState.DONE, None)


def broken_in_its_midst(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """From now on the file can be read at its beginning, and not at its end."""
    real = os.pread

    def pread(descriptor: int, length: int, offset: int) -> bytes:
        if offset > 0 and os.readlink(f"/proc/self/fd/{descriptor}") == str(path):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(descriptor, length, offset)

    monkeypatch.setattr(os, "pread", pread)


def test_a_companion_that_breaks_while_it_is_sent_is_the_one_that_is_named(
    settings: Settings, api: AssetApi, drop_folder: Path, until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    (drop_folder / "m.obj").write_text(TRIANGLE.format("m"))
    (drop_folder / "m.mtl").write_text("newmtl paint\n" + "# paint\n" * 200_000)
    upload = settings.upload.model_copy(update={"max_attempts": 1})
    settings = settings.model_copy(update={"upload": upload})
    broken = drop_folder.resolve() / "m.mtl"
    broken_in_its_midst(monkeypatch, broken)
    found = scan(settings, api, until)["m.obj"]
    assert found.state is FileState.FAILED
    assert f"{broken} cannot be read: Input/output error" in (found.error or "")
    monkeypatch.undo()
    assert scan(settings, api, until)["m.obj"].state is FileState.DONE


def test_a_file_that_breaks_in_its_midst_is_read_again_less_and_less_often(
    settings: Settings, drop_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real = str(drop_folder.resolve() / "a.obj"), os.open
    (drop_folder / "a.obj").write_text(TRIANGLE.format("a"))

    def open_what_fails(opened: Any, *arguments: Any, **more: Any) -> int:
        return real("/proc/self/mem" if opened == path else opened, *arguments, **more)

    monkeypatch.setattr("watcher.planner.BUSY_SECONDS", 0.1)
    with Ledger(settings.state_dir / LEDGER) as ledger:
        with monkeypatch.context() as broken:
            broken.setattr(os, "open", open_what_fails)
            plan_drops(settings.drops, ledger, as_found=True)
        assert [file.state for file in ledger.report.files()] == [FileState.FAILED]
        drop, now = settings.drops[0], clock.now()
        scanner = Scanner(drop, Rules(drop), ledger.intake)
        taken = []
        for minute in range(3 * 24 * 60):
            monkeypatch.setattr(clock, "now", lambda minute=minute: now + 60 * minute)
            taken += [minute for folder in scanner.walk() for _ in folder.new]
    assert taken == [0, 5, 15, 35, 75, 155, 315, 635, 1275, 2555, 3995]
