"""A real daemon whose disk is full, whose ledger is damaged, or to whom nobody listens."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from watcher.cli import cli
from watcher.emulator import Emulator
from watcher.ledger import Ledger, NoLedger
from watcher.state import LEDGER, owner

TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"


@pytest.fixture
def served(person: Any, emulator: Emulator) -> Any:
    """A person whose server is a process of its own."""
    person.env |= {"WATCHER_API__BASE_URL": emulator.base_url, "WATCHER_API__API_KEY": emulator.api_key}
    return person


def state_of(person: Any, name: str) -> str | None:
    """What the ledger says; not by the command, which takes its time to start."""
    try:
        with Ledger(person.state / LEDGER, read_only=True) as ledger:
            return next((str(file.state) for file in ledger.report.files() if file.path.endswith(f"/{name}")), None)
    except NoLedger:
        return None


def trouble_of(person: Any) -> str:
    process = owner(person.state)
    return (process.trouble if process is not None else None) or ""


def test_status_tells_of_a_full_disk_that_the_ledger_could_not_tell_of(
    small_disk: Any, served: Any, daemon: Callable[..., Any], until: Callable[..., None]
) -> None:
    process = daemon(f"drop=Full {os.getpid()}")
    (served.drop / "a.obj").write_text(TRIANGLE)
    until(lambda: state_of(served, "a.obj") == "done", 60, "the first")
    small_disk.fill()
    (served.drop / "b.obj").write_text(TRIANGLE + "f 3 2 1\n")
    until(lambda: "full" in trouble_of(served), 60, "the trouble")
    assert "full" in served.runs("status", "--json").json["daemon"]["trouble"]
    small_disk.empty()
    until(lambda: state_of(served, "b.obj") == "done", 60, "the second")
    until(lambda: not trouble_of(served), 30, "the end of the trouble")
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert "Traceback" not in served.logged()


def fill(pipe: int) -> None:
    os.set_blocking(pipe, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pipe, b"\n")
    os.set_blocking(pipe, True)


@pytest.mark.parametrize("sink", ["a pipe that nobody has open any more", "a pipe that nobody reads", "a full disk"])
def test_a_daemon_to_whom_nobody_listens_goes_on(
    sink: str, served: Any, until: Callable[..., None], tmp_path: Any
) -> None:
    if sink == "a full disk":
        stderr = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, stderr = os.pipe()
        if sink == "a pipe that nobody reads":
            fill(stderr)
        else:
            os.close(reader)
    command = [sys.executable, "-m", "watcher", "--log-level", "debug", "run", f"drop=Silent {tmp_path.name}"]
    process = subprocess.Popen(command, cwd=served.home, env=served.env, stderr=stderr, stdout=stderr)
    os.close(stderr)
    try:
        for number in range(3):
            (served.drop / f"{number}.obj").write_text(TRIANGLE * (number + 1))
            until(lambda name=f"{number}.obj": state_of(served, name) == "done", 60, "the upload")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    if sink == "a pipe that nobody reads":
        os.close(reader)


def test_a_state_directory_that_cannot_be_written_is_said_so_with_what_to_do(person: Any) -> None:
    (person.home / "file").touch()
    person.env["WATCHER_STATE_DIR"] = state = str(person.home / "file" / "state")
    for command in ("run", "scan"):
        answer = person.runs(command, "--emulator", "drop")
        assert answer.code == 2
        assert f"the state directory {state} cannot be written: Not a directory" in answer.err
        assert "state_dir" in answer.err


def test_a_state_directory_that_is_a_file_is_not_taken_for_an_empty_one(person: Any) -> None:
    person.env["WATCHER_STATE_DIR"] = str(person.home / "file")
    (person.home / "file").touch()
    asked, checked = person.runs("status"), person.runs("status", "--check")
    assert (asked.code, asked.out) == (2, "")
    assert f"{person.home}/file/ledger.db cannot be reached: Not a directory" in asked.err
    assert (checked.code, checked.out.startswith("CRITICAL: the ledger")) == (2, True)


def test_a_monitor_is_told_of_damage_in_the_midst_of_the_ledger(person: Any) -> None:
    person.state.mkdir()
    path = person.state / LEDGER
    with Ledger(path) as ledger:
        roots = ledger._connection.rows("SELECT rootpage FROM sqlite_master WHERE tbl_name = 'files' AND rootpage > 0")
    with path.open("r+b") as file:
        for root in roots:
            file.seek((root[0] - 1) * 4096)
            file.write(b"spoilt" * 20)
    told = CliRunner().invoke(cli, ["status", "--check"], standalone_mode=False, env=person.env)
    assert told.return_value == 2
    assert (
        "CRITICAL: the ledger cannot be used: database disk image is malformed; stop the daemon and let" in told.output
    )
