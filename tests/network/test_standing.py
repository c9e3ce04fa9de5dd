"""What ``status`` says of uploads that are under way."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from watcher.cli.table import remark
from watcher.ledger import FileReport
from watcher.model import FileState, Sending
from watcher.state import StateLock, owner
from watcher.upload import Progress

MEGABYTE = 1_000_000


def test_an_upload_that_is_under_way_says_how_far_it_is(station: Any, until: Callable[..., None]) -> None:
    enough = threading.Event()

    def half(exchange: Any) -> None:
        exchange.read(exchange.length // 2)
        enough.wait(30)
        exchange.passes()

    station.line.once.append(half)
    station.drops("large.ply", b"ply\nformat ascii 1.0\ncomment " + os.urandom(8 * MEGABYTE) + b"\nend_header\n")
    station.settings()
    command = [sys.executable, "-m", "watcher", "--config", str(station.state.parent / "config.toml")]
    env = os.environ | {"WATCHER_API__BASE_URL": station.line.url, "WATCHER_API__API_KEY": station.key}
    scan = subprocess.Popen([*command, "scan"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: (process := owner(station.state)) is not None and process.sending, 30, "sending")
        status = subprocess.run([*command, "status", "--json"], env=env, capture_output=True, check=True)
        (file,) = json.loads(status.stdout)["files"]
        assert file["state"] == "uploading"
        assert 0 < file["sending"]["sent"] < file["sending"]["total"]
        assert file["sending"]["total"] == file["size"]
    finally:
        enough.set()
        scan.wait(60)
    assert owner(station.state) is None


@pytest.mark.parametrize(
    ("sending", "words"),
    [
        (Sending(MEGABYTE, 4 * MEGABYTE, 2.0, 0.1), "1.0 MB of 4.0 MB sent in 2 s, 500 kB/s"),
        (Sending(MEGABYTE, 4 * MEGABYTE, 0.5, 0.1), "1.0 MB of 4.0 MB sent in 0 s"),
        (Sending(MEGABYTE, 4 * MEGABYTE, 200.0, 100.0), "1.0 MB of 4.0 MB sent in 3 min; nothing for 100 s"),
        (
            Sending(4 * MEGABYTE, 4 * MEGABYTE, 9.0, 3.0),
            "all 4.0 MB sent; the server has not answered for 3 s",
        ),
    ],
)
def test_how_far_an_upload_is_reads_as_what_is_known(sending: Sending, words: str) -> None:
    assert remark(FileReport("/in/a.ply", "/in", FileState.UPLOADING, sending=sending)) == [(words, "dim")]


def test_the_process_at_work_tells_of_as_many_uploads_as_there_is_room_for(tmp_path: Path) -> None:
    progress = Progress()
    odd = os.fsdecode(b"/in/caf\xe9\n.obj")
    progress.update(odd, 1, 2)
    for number in range(100):
        progress.update(f"/in/{number}/" + "x" * 1000, 1, 2)
    with StateLock(tmp_path) as lock:
        lock.tell("the disk\nof " + odd + "!" * 9999, progress.snapshot())
        process = owner(tmp_path)
    assert process is not None and process.pid == os.getpid()
    assert process.trouble is not None and process.trouble.startswith(r"the disk\nof /in/caf\xe9\n.obj!")
    assert odd in process.sending and 5 < len(process.sending) < 100


def test_what_a_process_said_long_ago_is_not_taken_for_the_present(tmp_path: Path) -> None:
    with StateLock(tmp_path) as lock:
        lock.tell(None, {"/in/a.ply": Sending(1, 2, 3.0, 0.1)})
        assert owner(tmp_path).sending  # type: ignore[union-attr]
        os.utime(tmp_path / "daemon.lock", (1, 1))
        assert not owner(tmp_path).sending  # type: ignore[union-attr]
