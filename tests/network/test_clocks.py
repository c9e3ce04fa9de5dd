"""The server's clock, or ours, is wrong: nothing is sent twice, and nothing but halves of ours is removed."""

import email.utils
import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from watcher import clock
from watcher.api import FilePart
from watcher.model import FileState

pytestmark = pytest.mark.usefixtures("soon_decided")
Picture = Callable[[int], bytes]
HOURS = 3 * 3600


def reset_after_the_body(exchange: Any) -> None:
    exchange.forward(exchange.head, exchange.read())
    exchange.resets()


def half_arrives(exchange: Any) -> None:
    """A body of one picture that lacks the end of it."""
    body = bytes(exchange.read())
    end = body.rindex(b"\r\n--")
    body = body[: end - 20] + body[end:]
    exchange.forward(re.sub(rb"(?i)(content-length: )\d+", b"\\g<1>%d" % len(body), exchange.head), body)
    exchange.resets()


def server_ahead(seconds: float, older: dict[str, float] | None = None) -> Callable[[Any], None]:
    """All that the server says is of a clock that is so far ahead of ours.

    Args:
        older: upload tasks that are shown to be older than they are, by so many seconds.
    """

    def later(moment: str, by: float) -> str:
        return (datetime.fromisoformat(moment) + timedelta(seconds=by)).isoformat()

    def spoil(exchange: Any) -> None:
        head, _, body = exchange.forward(exchange.head, exchange.read()).partition(b"\r\n\r\n")
        date = re.search(rb"(?i)date: ([^\r]+)", head)
        assert date is not None
        shown = email.utils.parsedate_to_datetime(date[1].decode()) + timedelta(seconds=seconds)
        head = head.replace(date[1], email.utils.format_datetime(shown, usegmt=True).encode())
        if "upload-tasks" in exchange.path:
            tasks = json.loads(body)
            for task in tasks if isinstance(tasks, list) else [tasks]:
                by = seconds - (older or {}).get(task["upload_task_id"], 0.0)
                task["uploaded_at"] = later(task["uploaded_at"], by)
            body = json.dumps(tasks).encode()
            head = re.sub(rb"(?i)(content-length: )\d+", b"\\g<1>%d" % len(body), head)
        exchange.client.sendall(head + b"\r\n\r\n" + body)

    return spoil


@pytest.mark.parametrize("ahead", [-HOURS, HOURS])
def test_what_arrived_is_found_whatever_the_servers_clock(
    station: Any, line: Any, picture: Picture, ahead: float
) -> None:
    line.spoil, line.once = server_ahead(ahead), [reset_after_the_body]
    station.drops("a.png", picture(1))
    station.scan()
    assert station.states() == {"a.png": FileState.DONE}
    assert (station.on_server(), line.uploads) == ({"a.png": 1}, 1)


@pytest.mark.parametrize("ahead", [-HOURS, HOURS])
def test_half_of_ours_is_removed_whatever_the_servers_clock(
    station: Any, line: Any, picture: Picture, ahead: float
) -> None:
    line.spoil, line.once = server_ahead(ahead), [half_arrives]
    station.drops("a.png", picture(1))
    station.scan()
    assert station.states() == {"a.png": FileState.DONE}
    assert (station.on_server(), line.uploads) == ({"a.png": 1}, 2)


def test_what_was_there_before_is_not_removed_by_a_server_whose_clock_is_ahead(
    station: Any, line: Any, picture: Picture
) -> None:
    """Somebody else's file is the beginning of ours."""
    station.drops("first.png", picture(0))
    station.scan()
    theirs = picture(1)[:-20]
    part = FilePart("a.png", len(theirs), lambda: [theirs])
    task = station.direct.folders.upload(station.folder_id(), [part]).upload_task_id
    line.spoil, line.once = server_ahead(HOURS, older={task: 60.0}), [reset_after_the_body]
    station.drops("a.png", picture(1))
    station.scan()
    assert station.states()["a.png"] is FileState.DONE
    assert station.on_server() == {"first.png": 1, "a.png": 2}


@pytest.mark.parametrize("fault", [reset_after_the_body, half_arrives])
@pytest.mark.parametrize("wrong", [-HOURS, HOURS])
def test_our_clock_was_wrong_when_an_upload_was_cut_off_and_is_set_meanwhile(
    station: Any,
    line: Any,
    picture: Picture,
    monkeypatch: pytest.MonkeyPatch,
    wrong: float,
    fault: Callable[[Any], None],
) -> None:
    def nobody_tells(exchange: Any) -> None:
        refused = "upload-tasks" in exchange.path
        exchange.answers("503 Later", b"{}") if refused else exchange.passes()

    line.spoil, line.once = nobody_tells, [fault]
    station.drops("a.png", picture(1))
    with monkeypatch.context() as patch:
        patch.setattr(clock, "_ORIGIN", clock._ORIGIN + wrong)
        with station.daemon(watch=True):
            station.until(lambda: line.uploads == 1 and station.states()["a.png"] is FileState.WAITING)
    line.spoil = None
    station.scan()
    assert station.states() == {"a.png": FileState.DONE}
    assert (station.on_server(), line.uploads) == ({"a.png": 1}, 2 if fault is half_arrives else 1)
