"""Stopping, as a process: what is being sent may end, nothing new begins, what is cut off is sent once in the end."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import watcher.daemon
from watcher.model import FileState

Picture = Callable[[int], bytes]

TRIANGLE = b"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"


class Program:
    """``3dverse-watcher`` at work on a station, in processes one after the other."""

    def __init__(self, station: Any) -> None:
        self.station = station
        self._log = station.state.parent / "log"
        self.process: subprocess.Popen[bytes] | None = None
        self.configures()

    def configures(self, extra: str = "") -> None:
        (self.station.state.parent / "config.toml").write_text(
            f'state_dir = "{self.station.state}"\n{extra}\n[api]\nbase_url = "{self.station.line.url}"\n'
            f'api_key = "{self.station.key}"\n[upload]\nworkers = 1\n[log]\nformat = "json"\nlevel = "info"\n'
            f'[[drops]]\npath = "{self.station.drop}"\nfolder = "{self.station.remote}"\nsettle_seconds = 0.05\n'
            "companion_wait_seconds = 0.1\n"
        )

    def starts(self, *arguments: str) -> None:
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "watcher", *(arguments or ("run",))],
                cwd=self.station.state.parent,
                stderr=log,
                stdout=subprocess.DEVNULL,
            )

    def signals(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def ends(self, seconds: float = 30.0) -> int:
        """Waits for its end; the exit code."""
        assert self.process is not None
        return self.process.wait(seconds)

    def logged(self) -> list[dict[str, Any]]:
        lines = self._log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def says(self, event: str) -> bool:
        return any(line["event"] == event for line in self.logged())


@pytest.fixture
def program(station: Any) -> Iterator[Program]:
    program = Program(station)
    yield program
    if program.process is not None and program.process.poll() is None:
        program.process.kill()
        program.process.wait()


class Slow:
    """Takes the whole body of an upload, or only as much as it is told to, and goes on when it is let."""

    def __init__(self, share: float = 1.0) -> None:
        self.share = share
        self.at_work = threading.Event()
        self.go_on = threading.Event()
        self.through = threading.Event()

    def __call__(self, exchange: Any) -> None:
        if not exchange.is_upload or self.go_on.is_set():
            exchange.passes()
            return
        exchange.read(int(exchange.length * self.share))
        self.at_work.set()
        self.go_on.wait(30)
        if self.share < 1.0:
            exchange.read()
        answer = exchange.forward(exchange.head, exchange.body)
        self.through.set()
        exchange.client.sendall(answer)


def the_rest(program: Program, uploads: int, files: dict[str, int]) -> None:
    """Another start ends all work: so many uploads there were in all, and so often each file is on the server."""
    station = program.station
    program.starts()
    station.until(lambda: set(station.states().values()) == {FileState.DONE}, 30, "the end of all work")
    program.signals(signal.SIGTERM)
    assert program.ends() == 0
    assert station.on_server() == files
    assert station.line.uploads == uploads


def test_a_running_upload_ends_and_no_other_begins(program: Program, picture: Picture) -> None:
    station = program.station
    station.line.spoil = slow = Slow()
    for number in range(3):
        station.drops(f"{number}.png", picture(number))
    program.starts()
    assert slow.at_work.wait(20)
    station.until(lambda: len(station.states()) == 3)
    program.signals(signal.SIGTERM)
    time.sleep(0.7)
    assert program.process is not None
    assert program.process.poll() is None, "it waits for the upload"
    slow.go_on.set()
    assert program.ends(5) == 0
    last = program.logged()[-1]
    assert last["event"] == "stopped"
    assert (last["converting"], last["pending"], last["left_at_work"], last["uploads_cut_off"]) == (1, 2, 3, 0)
    assert station.line.uploads == 1
    the_rest(program, 3, {"0.png": 1, "1.png": 1, "2.png": 1})


@pytest.mark.parametrize("share", [0.1, 1.0])
def test_the_grace_of_an_upload_is_longer_than_that_of_other_work(
    station: Any, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    """It is being sent, or waits for its answer, for much longer than a step may take to end."""
    monkeypatch.setattr(watcher.daemon, "STEP_GRACE", 0.1)
    station.line.spoil = slow = Slow(share)
    station.drops("a.off", TRIANGLE + b"#" * (8 << 20))
    with station.daemon(watch=True) as daemon:
        assert slow.at_work.wait(20)
        threading.Timer(1.0, slow.go_on.set).start()
        daemon.stop()
        assert slow.through.is_set()
    assert station.states() == {"a.off": FileState.CONVERTING}
    assert station.line.uploads == 1


def test_an_upload_that_takes_longer_than_the_grace_is_cut_off_and_sent_again_once(program: Program) -> None:
    station = program.station
    program.configures("shutdown_grace = 0.5")
    station.line.spoil = slow = Slow(0.1)
    station.drops("a.off", TRIANGLE + b"#" * (12 << 20))
    program.starts()
    assert slow.at_work.wait(20)
    begun = time.monotonic()
    program.signals(signal.SIGTERM)
    assert program.ends() == 0
    assert 0.5 <= time.monotonic() - begun < 15
    assert program.logged()[-1]["uploads_cut_off"] == 1
    slow.go_on.set()
    the_rest(program, 2, {"a.off": 1})


def test_an_upload_whose_answer_is_not_waited_for_is_found_and_not_sent_again(
    program: Program, picture: Picture
) -> None:
    station = program.station
    program.configures("shutdown_grace = 0.2")
    station.line.spoil = slow = Slow()
    station.drops("a.png", picture(1))
    program.starts()
    assert slow.at_work.wait(20)
    program.signals(signal.SIGTERM)
    assert program.ends() == 0
    last = program.logged()[-1]
    assert (last["event"], last["uploads_cut_off"], last["waiting"]) == ("stopped", 1, 1)
    slow.go_on.set()
    assert slow.through.wait(10)
    the_rest(program, 1, {"a.png": 1})


@pytest.mark.parametrize(("command", "number"), [("run", signal.SIGTERM), ("scan", signal.SIGINT)])
def test_a_second_signal_stops_at_once(
    program: Program, picture: Picture, command: str, number: signal.Signals
) -> None:
    station = program.station
    station.line.spoil = slow = Slow()
    station.drops("a.png", picture(1))
    program.starts(command)
    assert slow.at_work.wait(20)
    program.signals(number)
    time.sleep(1.0)
    begun = time.monotonic()
    program.signals(number)
    assert program.ends() == 128 + number
    assert time.monotonic() - begun < 10
    assert program.logged()[-1]["event"].startswith("stopped at once; what becomes of uploads under way")
    slow.go_on.set()
    assert slow.through.wait(10)
    the_rest(program, 1, {"a.png": 1})


def test_workers_that_have_no_upload_in_hand_are_none_that_were_cut_off(program: Program) -> None:
    program.configures("shutdown_grace = 0")
    program.starts()
    program.station.until(lambda: program.says("watching"), 20)
    program.signals(signal.SIGTERM)
    assert program.ends() == 0
    last = program.logged()[-1]
    assert (last["event"], last["uploads_cut_off"]) == ("stopped", 0)


def test_an_interrupted_scan_lets_its_upload_end(program: Program, picture: Picture) -> None:
    station = program.station
    station.line.spoil = slow = Slow()
    for number in range(2):
        station.drops(f"{number}.png", picture(number))
    program.starts("scan")
    assert slow.at_work.wait(20)
    program.signals(signal.SIGINT)
    time.sleep(1.0)
    slow.go_on.set()
    assert program.ends(10) == 130
    assert station.line.uploads == 1
    assert sorted(station.states().values()) == [FileState.CONVERTING, FileState.PENDING]
    the_rest(program, 2, {"0.png": 1, "1.png": 1})


def test_hashing_is_cut_off_at_once(program: Program) -> None:
    station = program.station
    with (station.drop / "huge.las").open("wb") as file:
        file.truncate(64 << 30)
    program.starts()
    station.until(lambda: FileState.UPLOADING in station.states().values() if _has_ledger(station) else False, 20)
    begun = time.monotonic()
    program.signals(signal.SIGTERM)
    assert program.ends() == 0
    assert time.monotonic() - begun < 15
    assert program.logged()[-1]["uploads_cut_off"] == 0
    assert station.line.uploads == 0


def _has_ledger(station: Any) -> bool:
    return Path(station.state, "ledger.db").exists() and os.path.getsize(station.state / "ledger.db") > 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("", "the configuration was read anew"),
        ("nonsense = 1", "the configuration is wrong, the one before stays in force"),
        ("rescan_interval = 77.0", "the configuration was read anew"),
    ],
    ids=["none", "wrong", "good"],
)
def test_a_reload_cuts_no_upload_off(program: Program, picture: Picture, change: str, said: str) -> None:
    station = program.station
    station.line.spoil = slow = Slow()
    station.drops("a.png", picture(1))
    program.starts()
    assert slow.at_work.wait(20)
    program.configures(change)
    program.signals(signal.SIGHUP)
    station.until(lambda: program.says(said))
    time.sleep(0.3)
    slow.go_on.set()
    station.until(lambda: station.states() == {"a.png": FileState.DONE}, 20, "the upload")
    watching = [line for line in program.logged() if line["event"] == "watching"]
    assert len(watching) == (2 if change.startswith("rescan") else 1)
    program.signals(signal.SIGTERM)
    assert program.ends() == 0
    assert (station.on_server(), station.line.uploads) == ({"a.png": 1}, 1)
