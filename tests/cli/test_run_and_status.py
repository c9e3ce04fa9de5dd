"""The daemon as a process, and the questions that are asked while it works."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TRIANGLE = "v 0 0 {}\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"
Until = Callable[..., None]


def drop_triangles(folder: Path, count: int, start: int = 0) -> None:
    for number in range(start, start + count):
        (folder / f"{number}.obj").write_text(TRIANGLE.format(number))


def test_a_file_dropped_on_the_daemon_is_in(person: Any, daemon: Any, until: Until) -> None:
    process = daemon("--emulator", "drop=Cars")
    drop_triangles(person.drop, 1)
    until(lambda: person.counts()["done"] == 1, 30)
    (file,) = person.runs("status", "drop", "--json").json["files"]
    assert file["state"] == "done"
    assert {asset["type"] for asset in file["assets"]} >= {"scene", "mesh"}
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert out == ""
    assert json.loads(person.logged().splitlines()[-1])["event"] == "stopped"


def test_what_came_while_the_daemon_was_down_is_caught_up_with(person: Any, daemon: Any, until: Until) -> None:
    first = daemon("--emulator", "drop")
    drop_triangles(person.drop, 1)
    until(lambda: person.counts()["done"] == 1, 30)
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=30)
    drop_triangles(person.drop, 2, start=1)
    (person.drop / "0.obj").unlink()
    daemon("--emulator", "drop")
    until(lambda: (person.counts()["done"], person.counts()["gone"]) == (2, 1), 30)


def test_killed_in_the_middle_of_its_uploads_it_sends_nothing_twice(person: Any, daemon: Any, until: Until) -> None:
    """The emulator is a process of its own, so that it outlives the daemon."""
    from watcher.api import AssetApi

    server = subprocess.Popen(
        [sys.executable, "-m", "watcher", "emulator", "--data", str(person.home / "server"), "--api-key", "key"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        url = server.stdout.readline().split()[-1]
        person.env |= {"WATCHER_API__BASE_URL": url, "WATCHER_API__API_KEY": "key", "WATCHER_UPLOAD__WORKERS": "8"}
        drop_triangles(person.drop, 200)
        for sent in (20, 60, 100):
            process = daemon("drop=Kill")
            until(lambda n=sent: person.counts()["done"] + person.counts()["converting"] >= n, 60, f"{sent} uploads")
            process.kill()
            process.communicate()
        daemon("drop=Kill")
        until(lambda: person.counts()["done"] == 200, 120, "all uploads")
        with AssetApi(url, api_key="key") as api:
            names = [source.source_file_original_name for source in api.source_files.iterate()]
        assert len(names) == len(set(names)) == 200
    finally:
        server.terminate()
        server.communicate()


def test_status_answers_at_every_moment_while_the_daemon_writes(person: Any, daemon: Any, until: Until) -> None:
    daemon("--emulator", "drop")
    drop_triangles(person.drop, 150)
    answers: list[Any] = []

    def ask() -> None:
        while person.counts()["done"] < 150:
            answers.append(person.runs("status", "--all", "--json"))

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(120)
    assert len(answers) >= 2
    assert {answer.code for answer in answers} == {0}
    assert not any("locked" in answer.err for answer in answers)


def test_two_daemons_on_one_state_directory_are_refused(person: Any, daemon: Any) -> None:
    daemon("--emulator", "drop")
    second = person.runs("run", "--emulator", "drop")
    assert second.code == 2
    assert "is at work" in second.err


def test_check_tells_monitors_how_things_are(person: Any, daemon: Any, until: Until) -> None:
    assert person.runs("status", "--check").code == 2
    daemon("--emulator", "drop")
    assert person.runs("status", "--check").code == 0
    (person.drop / "broken.off").write_text("OFF\nnothing\n")
    until(lambda: person.counts()["failed"] == 1, 30)
    failed = person.runs("status", "--check")
    assert failed.code == 1
    assert "1 file failed" in failed.out


def test_status_before_anything_is_a_friendly_nothing(person: Any) -> None:
    done = person.runs("status")
    assert (done.code, "nothing was dropped yet" in done.out) == (0, True)
    document = person.runs("status", "--json").json
    assert document["daemon"]["running"] is False
    assert set(document["counts"].values()) == {0}
    assert not person.state.exists()


def test_sighup_reads_the_configuration_anew(person: Any, daemon: Any, until: Until) -> None:
    (person.home / "more").mkdir()
    person.configures('[api]\nemulator = true\n[[drops]]\npath = "drop"\n')
    process = daemon()
    person.configures('[api]\nemulator = true\n[[drops]]\npath = "drop"\n[[drops]]\npath = "more"\n')
    process.send_signal(signal.SIGHUP)
    (person.home / "more" / "a.obj").write_text(TRIANGLE.format(1))
    until(lambda: person.counts()["done"] == 1, 30)
    person.configures("nonsense = 1\n")
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    (person.home / "more" / "b.obj").write_text(TRIANGLE.format(2))
    until(lambda: process.poll() is not None or "nonsense" in person.logged(), 20)
    assert process.poll() is None, "a wrong configuration does not end the daemon"
    person.configures('[api]\nemulator = true\n[[drops]]\npath = "more"\n')
    until(lambda: person.counts()["done"] == 2, 30)


def test_systemd_is_told_of_readiness_status_life_and_the_end(person: Any, until: Until, tmp_path: Path) -> None:
    import socket

    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(path)
        notify.settimeout(30)
        person.env |= {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "600000"}
        process = person.starts("run", "--emulator", "drop")
        try:
            heard: list[str] = []

            def hears(*wanted: str) -> None:
                while not all(any(word in message for message in heard) for word in wanted):
                    heard.append(notify.recv(4096).decode())

            hears("READY=1", "STATUS=", "WATCHDOG=1")
            begun = time.monotonic()
            before = sum("WATCHDOG=1" in message for message in heard)
            while time.monotonic() - begun < 1.5:
                heard.append(notify.recv(4096).decode())
            assert sum("WATCHDOG=1" in message for message in heard) - before >= 3
            process.send_signal(signal.SIGTERM)
            hears("STOPPING=1")
            process.communicate(timeout=30)
            assert process.returncode == 0
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()


def test_the_key_is_in_nothing_that_is_written_or_printed(
    person: Any, daemon: Any, emulator: Any, until: Until
) -> None:
    key = emulator.api_key
    person.env |= {
        "WATCHER_API__BASE_URL": emulator.base_url,
        "WATCHER_API__API_KEY": key,
        "WATCHER_LOG__LEVEL": "debug",
    }
    process = daemon("drop=Secrets")
    drop_triangles(person.drop, 2)
    until(lambda: person.counts()["done"] == 2, 30)
    with open(f"/proc/{process.pid}/cmdline") as cmdline:
        assert key not in cmdline.read()
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert person.logged().count("\n") > 5
    assert key not in out + person.logged()
    assert key not in person.runs("config").out
    for path in person.state.rglob("*"):
        if path.is_file():
            assert key.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["scan", "--help"], ["status", "--help"], ["run", "-h"]]
)
def test_help_and_version_are_everywhere(person: Any, arguments: list[str]) -> None:
    done = person.runs(*arguments)
    assert done.code == 0
    assert len(done.out) > 10


def test_a_folder_that_was_watched_before_may_be_away_and_one_that_never_was_is_a_mistake(
    person: Any, daemon: Any, until: Until
) -> None:
    first = daemon("--emulator", "drop")
    drop_triangles(person.drop, 1)
    until(lambda: person.counts()["done"] == 1, 30)
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=30)

    away = person.drop.rename(person.home / "away")
    assert person.runs("run", "--emulator", "dorp").code == 2
    second = daemon("--emulator", "drop")

    def trouble() -> str:
        return str(person.runs("status", "--json").json["daemon"]["trouble"])

    until(lambda: "the drop folder is not there" in trouble(), 30)
    assert person.counts()["gone"] == 0
    assert person.runs("status").out.count("the drop folder is not there") == 1
    away.rename(person.drop)
    drop_triangles(person.drop, 1, start=1)
    until(lambda: person.counts()["done"] == 2, 30)
    until(lambda: trouble() == "None", 30)
    assert second.poll() is None


def test_a_terminal_that_knows_few_letters_is_no_failure(person: Any) -> None:
    person.env |= {"PYTHONIOENCODING": "ascii"}
    asked = person.runs("status", "drop/模型.obj")
    assert (asked.code, asked.err) == (0, "")
    assert r"drop/\u6a21\u578b.obj: in none of the drop folders" in asked.out


@pytest.mark.parametrize("arguments", [["config"], ["status", "--json", "--watch"]])
def test_a_reader_that_has_had_enough_is_no_failure(person: Any, arguments: list[str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "watcher", *arguments],
        cwd=person.home,
        env=person.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(30) == 0
