"""Where does it stand, asked by somebody who only dropped a file: every answer says what is going on."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from typing import Any

TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"


def test_of_a_path_that_is_not_known_it_says_why(person: Any) -> None:
    (person.drop / "car.obj").write_text("mtllib paint.mtl\n" + TRIANGLE)
    (person.drop / "inner").mkdir()
    assert person.runs("scan", "--emulator", "drop").code == 0
    (person.drop / "new.obj").write_text(TRIANGLE)
    drop = person.drop.resolve()
    expected = {
        drop / "paint.mtl": "missing from car.obj",
        drop / "Paint.mtl": "there is no such file",
        drop / "nothing.obj": "there is no such file",
        drop / "new.obj": "not seen so far",
        drop / "inner": "no file in this folder",
        person.home.resolve() / "dropped.obj": f"in none of the drop folders ({drop})",
    }
    for path, reason in expected.items():
        answer = person.runs("status", path)
        assert f"{path}: " in answer.out
        assert reason in answer.out
        assert "all files: 1 done" in answer.out
    document = person.runs("status", "--json", *expected, drop / "car.obj").json
    assert [file["path"] for file in document["files"]] == [str(drop / "car.obj")]
    assert [unknown["path"] for unknown in document["unknown"]] == list(map(str, expected))


def test_of_what_is_no_file_of_its_own_it_says_that_it_is_passed_over(person: Any) -> None:
    (person.drop / "link.obj").symlink_to(person.home / "elsewhere.obj")
    os.mkfifo(person.drop / "pipe.obj")
    assert person.runs("scan", "--emulator", "drop").code == 0
    for name, reason in {"link.obj": "links are not followed", "pipe.obj": "not a regular file"}.items():
        answer = person.runs("status", person.drop / name).out
        assert "skipped" in answer
        assert reason in answer


def test_a_companion_that_went_away_says_who_misses_it(person: Any) -> None:
    (person.drop / "car.obj").write_text("mtllib car.mtl\n" + TRIANGLE)
    (person.drop / "car.mtl").write_text("newmtl car\n")
    assert person.runs("scan", "--emulator", "drop").code == 0
    (person.drop / "car.mtl").unlink()
    assert person.runs("scan", "--emulator", "drop").code == 0
    assert "missing from car.obj" in person.runs("status", "drop/car.mtl").out


def test_a_copy_says_of_which_file(person: Any) -> None:
    for name in ("first.obj", "second.obj"):
        (person.drop / name).write_text(TRIANGLE)
        assert person.runs("scan", "--emulator", "drop").code == 0
    assert "same content as drop/first.obj" in person.runs("status", "drop/second.obj").out
    files = person.runs("status", "--all", "--json").by_name()
    assert files["second.obj"]["same_as"] == files["first.obj"]["path"]
    assert files["first.obj"]["same_as"] is None


def test_what_waits_says_for_what(person: Any, daemon: Callable[..., Any], until: Callable[..., None]) -> None:
    (person.home / "slow").mkdir()
    person.configures(
        '[api]\nemulator = true\n[[drops]]\npath = "drop"\nsettle_seconds = 0.1\ncompanion_wait_seconds = 600\n'
        '[[drops]]\npath = "slow"\nsettle_seconds = 600\n'
    )
    daemon()
    (person.home / "slow" / "fresh.obj").write_text(TRIANGLE)
    (person.drop / "car.obj").write_text("mtllib car.mtl\n" + TRIANGLE)
    (person.drop / "loose.png").write_bytes(b"no picture")
    shown = ""

    def all_seen() -> bool:
        nonlocal shown
        shown = person.runs("status").out
        return shown.count("waiting\t") == 2 and shown.count("pending\t") == 1

    until(all_seen, 60)
    assert "waits for what is missing, and goes without it in the end; looked at again in " in shown
    assert "waits for a model that may name it; looked at again in " in shown
    assert "settling: it may not be complete yet" in shown


def test_a_server_that_does_not_answer_is_a_warning_to_monitors(
    person: Any, daemon: Callable[..., Any], until: Callable[..., None]
) -> None:
    person.env |= {"WATCHER_API__BASE_URL": "http://127.0.0.1:1/app/v1", "WATCHER_API__API_KEY": "any"}
    daemon("drop=Away")
    (person.drop / "a.obj").write_text(TRIANGLE)
    until(lambda: person.runs("status", "--json").json["daemon"]["trouble"], 30)
    checked = person.runs("status", "--check")
    assert (checked.code, checked.out.startswith("WARNING: the server does not answer")) == (1, True)
    (person.drop / "empty.obj").touch()
    until(lambda: person.runs("status", "--json").json["counts"]["failed"], 30)
    checked = person.runs("status", "--check").out
    assert "1 file failed" in checked
    assert "the server does not answer" in checked


def test_a_small_screen_shows_the_totals_and_what_is_urgent_first(person: Any) -> None:
    for number in range(20):
        (person.drop / f"broken{number}.off").write_text(f"OFF\n{number}\n")
    person.runs("scan", "--emulator", "drop")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 60, 0, 0))
    command = [sys.executable, "-m", "watcher", "status", "--watch"]
    env = {name: value for name, value in person.env.items() if name != "COLUMNS"} | {"TERM": "xterm"}
    watch = subprocess.Popen(command, cwd=person.home, env=env, stdout=theirs, stderr=theirs)
    try:
        seen = ""
        while seen.count("more than fits here") < 3:
            seen += os.read(ours, 65536).decode(errors="replace")
    finally:
        watch.kill()
        watch.wait()
        os.close(ours)
        os.close(theirs)
    assert 0 < seen.index("20 failed") < seen.index("broken0.off")
    assert seen.count("20 failed") == 3, "once on each page"
