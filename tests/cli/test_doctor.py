"""``doctor`` as a user runs it."""

import os
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from watcher.emulator import Emulator


@pytest.fixture
def configured(person: Any, emulator: Emulator) -> Any:
    person.env["WATCHER_API__API_KEY"] = emulator.api_key
    person.env["WATCHER_API__BASE_URL"] = emulator.base_url
    return person


def test_a_line_for_each_check_and_exit_0_when_all_is_well(configured: Any) -> None:
    outcome = configured.runs("doctor", "drop")
    assert outcome.code == 0
    assert outcome.err == ""
    lines = outcome.out.splitlines()
    assert len(lines) >= 11
    assert all(re.match(r"ok {7}\w", line) for line in lines), outcome.out
    assert not configured.state.exists()


def test_a_failure_is_exit_1_and_says_what_to_do(configured: Any) -> None:
    configured.env["WATCHER_API__API_KEY"] = "not-the-key"
    outcome = configured.runs("doctor", "drop")
    assert outcome.code == 1
    [line] = [line for line in outcome.out.splitlines() if not line.startswith("ok")]
    assert line.startswith("failure  credentials     the API key ([api] api_key) is refused: ")
    assert line.endswith(" -> put a valid one in its place")
    assert "not-the-key" not in outcome.out + outcome.err


def test_json_has_every_check_and_the_worst_result(configured: Any) -> None:
    good = configured.runs("doctor", "--json", "drop").json
    assert good["result"] == "ok"
    assert set(good["checks"][0]) == {"check", "result", "message", "advice"}
    assert {"configuration", "server", "credentials", "remote folder", "drop", "inotify", "state", "ledger"} <= {
        check["check"] for check in good["checks"]
    }
    bad = configured.runs("doctor", "--json", "nowhere=X")
    assert bad.code == 1
    assert bad.json["result"] == "failure"


def test_without_a_network_it_ends_soon(person: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    person.env |= {"WATCHER_API__API_KEY": "k", "WATCHER_API__BASE_URL": f"http://127.0.0.1:{port}/app/v1"}
    began = time.monotonic()
    outcome = person.runs("doctor", "drop")
    assert time.monotonic() - began < 18
    assert outcome.code == 1
    assert "cannot be reached" in outcome.out


def test_the_embedded_server_needs_no_configuration_and_is_left_as_it_is(person: Any) -> None:
    before = sorted(os.listdir(person.home))
    outcome = person.runs("doctor", "--emulator", "drop")
    assert outcome.code == 0, outcome.out
    assert "the embedded server starts and answers" in outcome.out
    assert sorted(os.listdir(person.home)) == before


def test_the_daemon_and_its_embedded_server_are_found(person: Any, daemon: Callable[..., object]) -> None:
    daemon("--emulator", "drop")
    outcome = person.runs("doctor", "--emulator", "drop")
    assert outcome.code == 0, outcome.out
    assert re.search(r"the embedded server runs, at http://127\.0\.0\.1:\d+/app/v1", outcome.out)
    assert re.search(r"daemon +it runs \(process \d+\)", outcome.out)


def test_mistakes_and_missing_packages_are_one_line(person: Any, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "starlette.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'starlette'\", name='starlette')"
    )
    person.env["PYTHONPATH"] = f"{blocked}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    for command in (["scan", "--emulator", "drop"], ["emulator"], ["run", "--emulator", "drop"]):
        outcome = person.runs(*command)
        assert outcome.code == 2
        assert outcome.err == (
            "error: the embedded server needs the package 'starlette', which is not installed: pip install"
            " '3dverse-watcher[emulator]', or '.[emulator]' in a checkout\n"
        )
    outcome = person.runs("doctor", "--emulator", "drop")
    assert outcome.code == 1
    assert "Traceback" not in outcome.err
    assert "pip install '3dverse-watcher[emulator]'" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--config", "none.toml", "scan"], "cannot be read: No such file or directory"),
        (["scan", "drop"], "error: no API key: set WATCHER_API__API_KEY"),
        (["emulator", "--host", "203.0.113.7"], "error: cannot listen on 203.0.113.7:0"),
        (["demo", "--folder", "file/below"], "Not a directory"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_2(person: Any, arguments: list[str], words: str) -> None:
    (person.home / "file").touch()
    outcome = person.runs(*arguments)
    assert outcome.code == 2
    assert words in outcome.err
    assert len(outcome.err.splitlines()) == 1
