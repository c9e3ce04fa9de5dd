"""Logging: one renderer for all, no secrets, nothing that stops the process."""

import io
import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from watcher import logs

ROOT = Path(__file__).parents[1]
SECRET = "sesame-open/42"


@pytest.fixture(autouse=True)
def _quiet_afterwards(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(logs, "_secrets", set())
    monkeypatch.setattr(logs, "_secret_pattern", None)
    root, level = logging.getLogger(), logging.getLogger().level
    yield
    for handler in [handler for handler in root.handlers if isinstance(handler, logs._Sink)]:
        root.removeHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def stream_of(level: str = "info", format: str = "json", stream: io.StringIO | None = None) -> io.StringIO:
    stream = stream or io.StringIO()
    logs.configure(level, format, stream)
    return stream


def parsed(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


LOG = structlog.get_logger("watcher.test")
BOTH = pytest.mark.parametrize("format", ["json", "console"])


def test_a_json_line_says_when_where_and_what() -> None:
    stream = stream_of()
    LOG.info("uploaded", path="/in/a.obj", size=3)
    (line,) = parsed(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "uploaded",
        "level": "info",
        "logger": "watcher.test",
        "path": "/in/a.obj",
        "size": 3,
    }


def test_auto_is_console_on_a_terminal_and_json_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    plain, terminal = stream_of(format="auto"), Terminal()
    LOG.info("one")
    assert parsed(plain)[0]["event"] == "one"
    stream_of(format="auto", stream=terminal)
    LOG.info("two")
    assert "two" in terminal.getvalue() and "\x1b[" in terminal.getvalue() and "{" not in terminal.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    stream_of(format="auto", stream=(terminal := Terminal()))
    LOG.info("three")
    assert "three" in terminal.getvalue() and "\x1b" not in terminal.getvalue()


def test_lines_below_the_level_are_not_shown_and_the_level_can_change() -> None:
    first = stream_of("warning")
    LOG.info("hidden")
    LOG.warning("shown")
    second = stream_of("debug")
    LOG.debug("shown now")
    assert [line["event"] for line in parsed(first)] == ["shown"]
    assert [line["event"] for line in parsed(second)] == ["shown now"]


@pytest.mark.parametrize(("level", "format"), [("loud", "json"), ("info", "xml")])
def test_an_unknown_level_or_format_is_an_error(level: str, format: str) -> None:
    with pytest.raises(ValueError, match=level if level == "loud" else format):
        logs.configure(level, format, io.StringIO())


def test_other_libraries_take_the_same_way_and_chatter_is_left_out() -> None:
    stream = stream_of("debug")
    for name in ("some.library", "watchdog.observers.inotify_c", "httpx", "httpcore.connection"):
        logging.getLogger(name).info("%s says %d", name, 1)
    logging.getLogger("watchdog.observers.inotify_c").warning("overflow")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    lines = [(line["logger"], line["level"], line["event"]) for line in parsed(stream)]
    assert lines[:2] == [
        ("some.library", "info", "some.library says 1"),
        ("watchdog.observers.inotify_c", "warning", "overflow"),
    ]
    assert [line[:2] for line in lines[2:]] == [("py.warnings", "warning")]


@BOTH
def test_a_traceback_is_shown_without_local_variables(format: str) -> None:
    stream = stream_of(format=format)
    try:
        hidden = "a local value"
        raise ValueError(len(hidden))
    except ValueError:
        LOG.exception("failed")
        logging.getLogger("other").exception("failed too")
    assert stream.getvalue().count("ValueError: 13") == 2
    assert "a local value" not in stream.getvalue().replace('hidden = "a local value"', "")


# Secrets --------------------------------------------------------------------------------------------------------------


@BOTH
def test_a_known_secret_appears_nowhere(format: str) -> None:
    stream = stream_of(format=format)
    logs.add_secret(SECRET)
    nested = {"a": [("b", {SECRET}), f"x{SECRET}y"], SECRET: Path("/in") / SECRET}
    try:
        raise RuntimeError(f"refused {SECRET}")
    except RuntimeError as error:
        LOG.exception(f"event {SECRET}", value=SECRET, nested=nested, error=error, raw=SECRET.encode())
        logging.getLogger("httpx").warning("GET %s?key=%s", "/x", "sesame-open%2F42", exc_info=error)
    assert "sesame" not in stream.getvalue()
    assert stream.getvalue().count(logs.MASK) >= 9


@BOTH
def test_a_secret_with_characters_that_renderers_escape_is_masked(format: str) -> None:
    stream = stream_of(format=format)
    for secret in ('quo"te\\d', "apo'stro\"phe"):
        logs.add_secret(secret)
        LOG.info(f"event {secret}", value=[secret], text=repr(secret), as_json=json.dumps({"a": secret}))
    assert "quo" not in stream.getvalue()
    assert "stro" not in stream.getvalue()


@pytest.mark.parametrize(
    "values",
    [
        {"api_key": "hidden"},
        {"headers": {"API_KEY": "hidden", "x-api-key": "hidden", "Authorization": "Bearer hidden"}},
        {"headers": [("user_token", "hidden"), (b"api_key", b"hidden")]},
        {"request": {"form": {"password": "hidden", "client_secret": ["hidden"]}}},
        {"text": "{'api_key': 'hidden', 'a': 1}"},
        {"text": '{"user_token": "hidden"}'},
        {"text": "GET /x?api_key=hidden&limit=1"},
        {"text": "authorization: Bearer hidden"},
        {"object": type("Client", (), {"__repr__": lambda self: "Client(api_key='hidden')"})()},
    ],
)
def test_a_value_whose_name_gives_it_away_is_masked(values: dict[str, object]) -> None:
    stream = stream_of()
    LOG.info("event", **values)
    assert "hidden" not in stream.getvalue()
    assert logs.MASK in stream.getvalue()


def test_what_only_looks_alike_is_left_alone() -> None:
    stream = stream_of()
    logs.add_secret("abc")  # too short: masking it would tear holes into everything
    values = {"key": "a", "tokens": 3, "keyboard": "b", "upload_task_id": "abc", "text": "[api] api_key: is empty"}
    LOG.info("no API key: set WATCHER_API__API_KEY (or [api] api_key_file)", **values)
    (line,) = parsed(stream)
    assert {key: line[key] for key in values} == values
    assert line["event"] == "no API key: set WATCHER_API__API_KEY (or [api] api_key_file)"
    LOG.info("none yet", api_key=None)
    assert parsed(stream)[1]["api_key"] is None


# Hostile values -------------------------------------------------------------------------------------------------------


@BOTH
def test_a_name_of_any_bytes_can_be_logged(format: str) -> None:
    stream = io.TextIOWrapper(buffer := io.BytesIO(), encoding="ascii")
    logs.configure("info", format, stream)
    name = os.fsdecode(b"/in/caf\xe9 \xc3\xa9\x1b[31m\x07")
    LOG.info(f"found {name}", path=name, paths=[name], other=Path(name))
    logging.getLogger("other").warning("found %s", name)
    text = buffer.getvalue().decode("ascii")
    assert "caf\\" in text
    assert "xe9" in text and "udce9" not in text
    assert "\x1b[31m" not in text and "\x07" not in text
    assert text.count("\n") == 2


def test_a_json_line_is_valid_unicode() -> None:
    stream = stream_of()
    LOG.info("found", path=os.fsdecode(b"caf\xe9"))
    assert parsed(stream)[0]["path"].encode() == rb"caf\xe9"


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@BOTH
def test_a_value_that_cannot_be_shown_costs_one_line_only(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own handlers stumble over it
    stream = stream_of(format=format)
    LOG.info("bad", value=Unprintable())
    logging.getLogger("other").info("%d", "no number")
    endless: list[object] = []
    endless.append(endless)
    LOG.info("endless", value=endless)
    LOG.info("good")
    text = stream.getvalue()
    assert [text.count(part) for part in ("unprintable log line", "endless", "good")] == [2, 1, 1]


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_sink_that_breaks_or_closes_does_not_stop_the_process() -> None:
    stream = stream_of(stream=Broken())
    LOG.error("lost")
    closed = stream_of()
    closed.close()
    LOG.error("lost")
    assert not stream.getvalue()


PROGRAM = """
import os, sys
sys.path.insert(0, {root!r})
import structlog
from watcher import logs
logs.configure("info", {format!r})
log = structlog.get_logger("watcher.test")
for number in range(3):
    log.warning(f"line {{number}}", path="/in", text="two\\nlines")
print("alive")
"""


def run(stderr: Any, format: str = "auto", **environ: str) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(root=str(ROOT), format=format)
    environ = {**os.environ, "PYTHONUNBUFFERED": "", **environ}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, text=True, check=False, env=environ)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_does_not_stop_the_process_nor_spoil_its_exit_code() -> None:
    with open("/dev/full", "w") as full:
        done = run(full)
    assert (done.stdout, done.returncode) == ("alive\n", 0)


def test_a_reader_that_has_gone_does_not_stop_the_process_nor_spoil_its_exit_code() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = run(writer)
    os.close(writer)
    assert (done.stdout, done.returncode) == ("alive\n", 0)


@pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux")
def test_in_the_journal_lines_are_plain_and_carry_their_priority() -> None:
    reader, writer = os.pipe()
    status = os.fstat(writer)
    stream = f"{status.st_dev}:{status.st_ino}"
    run(writer, JOURNAL_STREAM=stream)
    run(writer, "console", JOURNAL_STREAM=stream)
    os.close(writer)
    with open(reader) as lines:
        text = lines.read().splitlines()
    assert text[0].startswith("<4>{")
    assert json.loads(text[0].removeprefix("<4>"))["event"] == "line 0"
    assert text[3] == "<4>[warning  ] line 0 [watcher.test] path=/in text='two\\nlines'"
    assert len(text) == 6


def test_somebody_elses_journal_is_not_ours() -> None:
    done = run(subprocess.PIPE, JOURNAL_STREAM="1:1")
    assert json.loads(done.stderr.splitlines()[0])["event"] == "line 0"


@pytest.mark.skipif(sys.platform != "linux", reason="pipes of a size")
def test_lines_that_nobody_reads_are_lost_and_counted_and_no_line_is_torn(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    with open(writer, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setattr(sys, "__stderr__", stream)
        monkeypatch.setattr(logs, "ROOM_SECONDS", 0.1)
        logs.configure("info", "json")
        for _ in range(30):
            LOG.info("long", text="x" * 7000)
        os.read(reader, 1024 * 1024)
        LOG.info("short")
        *_, loss, last = os.read(reader, 1024 * 1024).decode().splitlines()
    os.close(reader)
    assert json.loads(loss)["event"] == "22 log lines were lost: nobody read them"
    assert json.loads(last)["event"] == "short"
