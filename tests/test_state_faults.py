"""Faults of the state directory while the daemon is at work."""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from watcher.api import AssetApi
from watcher.config import Settings
from watcher.daemon import Daemon
from watcher.ledger import DamagedLedger, IntakeLedger
from watcher.ledger.conversions import ConversionLedger
from watcher.ledger.damage import were_set_aside
from watcher.ledger.plan import PlanLedger
from watcher.ledger.uploads import UploadLedger
from watcher.model import FileState
from watcher.server import Server
from watcher.state import LEDGER


def test_a_ledger_that_is_damaged_while_it_is_at_work_ends_the_daemon_and_is_set_aside(
    settings: Settings, api: AssetApi, drop_folder: Path
) -> None:
    path = settings.state_dir / LEDGER
    for number in range(500):
        (drop_folder / f"{number}.obj").write_bytes(b"")
    with (
        pytest.raises(DamagedLedger, match="adopt"),
        Daemon(settings, Server(api, "test"), threading.Event(), watch=True) as daemon,
    ):

        def spoil(daemon: Daemon) -> bool:
            if daemon.at_rest():
                sql = daemon.ledger._connection._sqlite
                sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                with path.open("r+b") as file:
                    file.seek(8192)
                    file.write(os.urandom(path.stat().st_size - 8192))
                sql.execute("PRAGMA shrink_memory")
            assert time.monotonic() < end, "the daemon goes on with a damaged ledger"
            return True

        end = time.monotonic() + 60
        daemon.run(spoil, 0.05)
    assert not path.exists()
    assert len(were_set_aside(path)) == 1


PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


STEPS = {
    "the intake records it": (IntakeLedger, "observed"),
    "it is planned": (PlanLedger, "ready"),
    "it is hashed": (UploadLedger, "hashed"),
    "it is claimed": (UploadLedger, "claim"),
    "the server has answered": (UploadLedger, "sent"),
    "its conversion has ended": (ConversionLedger, "succeeded"),
}
"""What the ledger is told on the way of a file; as the disk fills up just before."""


def uploads(api: AssetApi, settings: Settings) -> int:
    folder = next((f for f in api.folders.iterate() if f.name == settings.drops[0].folder), None)
    return 0 if folder is None else len(list(api.folders.upload_tasks(folder.folder_id)))


def states(daemon: Daemon) -> set[FileState]:
    return {file.state for file in daemon.ledger.report.files()}


@pytest.mark.parametrize("step", STEPS)
def test_with_a_full_disk_the_daemon_waits_says_so_and_goes_on_when_there_is_room(
    step: str,
    small_disk: Any,
    settings: Settings,
    api: AssetApi,
    drop_folder: Path,
    until: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("watcher.runner.FIRST_PAUSE", 0.05)
    monkeypatch.setattr("watcher.runner.LONGEST_PAUSE", 0.2)
    room, method = STEPS[step]
    write, filled = getattr(room, method), threading.Event()

    def fill_first(self: object, *args: object, **options: object) -> object:
        if not filled.is_set():
            small_disk.fill()
            filled.set()
        return write(self, *args, **options)

    monkeypatch.setattr(room, method, fill_first)
    with Daemon(settings, Server(api, "test"), threading.Event(), watch=True) as daemon:
        daemon.start()
        for number in range(3):
            (drop_folder / f"{number}.png").write_bytes(PIXEL + bytes([number]))
        until(lambda: daemon.trouble() is not None, 30, "the trouble")
        assert filled.is_set()
        time.sleep(0.5)
        trouble = daemon.trouble()
        assert trouble is not None
        assert "full" in trouble or "No space" in trouble
        assert f"bytes free in {settings.state_dir})" in trouble
        assert states(daemon) != {FileState.DONE}, "the ledger can be read meanwhile"
        small_disk.empty()
        until(lambda: states(daemon) == {FileState.DONE} and daemon.at_rest(), 60, "the end")
        until(lambda: daemon.trouble() is None, 30, "the end of the trouble")
        assert [file.attempts for file in daemon.ledger.report.files()] == [1, 1, 1]
        assert daemon.ledger.check() is None
    assert uploads(api, settings) == 3
    log = capsys.readouterr().out
    assert log.count("the ledger cannot be used") == log.count("the ledger can be used again")
    assert log.count("the ledger cannot be used") <= 3, "once, not for each loop and each try"
    assert f"bytes free in {settings.state_dir}" in log
    assert "Traceback" not in log


@pytest.mark.parametrize("how", ["BEGIN EXCLUSIVE", "BEGIN"])
def test_a_ledger_that_a_backup_tool_holds_costs_nothing_but_time(
    how: str,
    settings: Settings,
    api: AssetApi,
    drop_folder: Path,
    until: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("watcher.runner.LONGEST_PAUSE", 0.5)
    monkeypatch.setattr("watcher.ledger.connection.BUSY_AT_WORK", 0.05)
    with Daemon(settings, Server(api, "test"), threading.Event(), watch=True) as daemon:
        daemon.start()
        (drop_folder / "before.png").write_bytes(PIXEL)
        until(lambda: states(daemon) == {FileState.DONE}, 30, "the first")
        with contextlib.closing(sqlite3.connect(settings.state_dir / LEDGER, isolation_level=None)) as tool:
            tool.execute(how)
            tool.execute("SELECT count(*) FROM files").fetchall()
            for number in range(20):
                (drop_folder / f"{number}.png").write_bytes(PIXEL + bytes([number]))
            if how == "BEGIN":  # who only reads is in nobody's way
                until(lambda: states(daemon) == {FileState.DONE} and len(uploaded(daemon)) == 21, 30, "the others")
            else:
                until(lambda: daemon.trouble() is not None, 30, "the trouble")
                assert "locked" in (daemon.trouble() or "")
                time.sleep(1.0)
                assert len(uploaded(daemon)) == 1
            tool.execute("ROLLBACK")
        until(lambda: states(daemon) == {FileState.DONE} and len(uploaded(daemon)) == 21, 60, "the end")
        until(lambda: daemon.trouble() is None, 30, "the end of the trouble")
        assert {file.attempts for file in daemon.ledger.report.files()} == {1}
    assert uploads(api, settings) == 21


def uploaded(daemon: Daemon) -> set[str]:
    return {file.path for file in daemon.ledger.report.files() if file.upload_task_id is not None}
