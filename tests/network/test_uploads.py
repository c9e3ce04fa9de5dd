"""One upload meets one fault: it ends as it should, and what it sent is on the server once."""

import os
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest

from watcher.model import FileState

pytestmark = pytest.mark.usefixtures("soon_decided")
Picture = Callable[[int], bytes]


def nobody_there(exchange: Any) -> None:
    exchange.client.close()


def reset_in_mid_body(exchange: Any) -> None:
    exchange.read(exchange.length // 2)
    exchange.resets()


def reset_after_the_body(exchange: Any) -> None:
    exchange.forward(exchange.head, exchange.read())
    exchange.resets()


def silence_in_mid_body(exchange: Any) -> None:
    exchange.read(exchange.length // 2)
    exchange.stays_silent()


def silence_after_the_body(exchange: Any) -> None:
    exchange.forward(exchange.head, exchange.read())
    exchange.stays_silent()


def answer_cut_off(exchange: Any) -> None:
    answer = exchange.forward(exchange.head, exchange.read())
    exchange.client.sendall(answer[:-10])
    exchange.client.close()


def page(exchange: Any) -> None:
    exchange.forward(exchange.head, exchange.read())
    exchange.answers("200 OK", b"<html><title>Sign in</title>", "Content-Type: text/html")


def half_of_the_json(exchange: Any) -> None:
    exchange.forward(exchange.head, exchange.read())
    exchange.answers("200 OK", b'{"upload_task_id": "0', "Content-Type: application/json")


def login_page(exchange: Any) -> None:
    exchange.answers("302 Found", b"", "Location: http://login.invalid/")


def status(code: int, *headers: str) -> Callable[[Any], None]:
    def answers(exchange: Any) -> None:
        exchange.answers(f"{code} No", b'{"errorCode": 1, "message": "not now"}', *headers)

    answers.__name__ = f"{code}"
    return answers


def busy_until(seconds: float) -> Callable[[Any], None]:
    def answers(exchange: Any) -> None:
        exchange.answers("429 Slow Down", b"", f"Retry-After: {formatdate(time.time() + seconds, usegmt=True)}")

    return answers


@pytest.mark.parametrize(
    ("fault", "uploads"),
    [
        (nobody_there, 2),
        (reset_in_mid_body, 2),
        (reset_after_the_body, 1),
        (silence_in_mid_body, 2),
        (silence_after_the_body, 1),
        (answer_cut_off, 1),
        (page, 1),
        (half_of_the_json, 1),
        (login_page, 2),
        (status(408), 2),
        (status(425), 2),
        (status(429, "Retry-After: 1"), 2),
        (busy_until(1.5), 2),
        (status(500), 2),
        (status(502), 2),
        (status(503, "Retry-After: 1"), 2),
        (status(504), 2),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_fault_that_passes_is_outlived_and_nothing_is_sent_twice(
    station: Any, line: Any, picture: Picture, fault: Callable[[Any], None], uploads: int
) -> None:
    station.timeout = 0.4
    line.once = [fault]
    station.drops("a.png", picture(1))
    station.scan()
    report = station.reports()["a.png"]
    assert (report.state, report.error) == (FileState.DONE, None)
    assert report.assets
    assert station.on_server() == {"a.png": 1}
    assert line.uploads == uploads


NAMES = [
    *(
        b"caf\xe9 \xff.png",
        "e\u0301.png".encode(),
        "\u00e9.png".encode(),
        b"x" * 251 + b".png",
        "\u6f22".encode() * 83 + b".png",
    ),
    *(
        b"two\nlines\r.png",
        b'"quoted".png',
        b"back\\slash.png",
        b"a;b=c, d.png",
        b"%22%0A%41.png",
        b" .png",
        b"'&?#.PNG",
    ),
    *(b"\xe2\x80\xaegnp.png", b"con.png", b"-rf.png", "\U0001f600.png".encode(), b"\x01\x7f.png", b"~.png"),
]


def test_whatever_a_file_is_called_it_is_found_when_the_answer_to_its_upload_was_lost(
    station: Any, line: Any, picture: Picture
) -> None:
    for number, name in enumerate(NAMES):
        with open(os.path.join(os.fsencode(station.drop), name), "wb") as file:
            file.write(picture(number))
    line.once = [reset_after_the_body] * len(NAMES)
    station.scan()
    assert {os.fsencode(name): state for name, state in station.states().items()} == dict.fromkeys(
        NAMES, FileState.DONE
    )
    assert line.uploads == station.on_server().total() == len(NAMES)


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_server_that_asks_for_time_gets_it(station: Any, line: Any, picture: Picture, code: int) -> None:
    sent: list[float] = []

    def busy(exchange: Any) -> None:
        if exchange.is_upload:
            sent.append(time.monotonic())
        exchange.passes() if len(sent) > 1 or not exchange.is_upload else status(code, "Retry-After: 2")(exchange)

    line.spoil = busy
    station.drops("a.png", picture(1))
    station.scan()
    assert station.states() == {"a.png": FileState.DONE}
    assert sent[1] - sent[0] >= 2.0


@pytest.mark.parametrize("code", [400, 409, 413, 415, 422])
def test_what_a_retry_cannot_cure_fails_at_once_with_the_servers_words_and_comes_back_with_retry(
    station: Any, line: Any, picture: Picture, code: int
) -> None:
    line.once = [status(code)]
    station.drops("a.png", picture(1))
    station.scan()
    report = station.reports()["a.png"]
    assert (report.state, line.uploads) == (FileState.FAILED, 1)
    assert f"HTTP {code}" in report.error
    assert report.error.endswith("not now")
    station.retry()
    station.scan()
    assert station.states() == {"a.png": FileState.DONE}
    assert station.on_server() == {"a.png": 1}


def test_what_fails_again_and_again_comes_back_when_the_file_changes(station: Any, line: Any, picture: Picture) -> None:
    station.environ["WATCHER_UPLOAD__MAX_ATTEMPTS"] = "3"
    line.once = [status(500)] * 3
    path = station.drops("a.png", picture(1))
    station.scan()
    report = station.reports()["a.png"]
    assert report.error.startswith("given up after 3 attempts: cannot upload source files: the server failed (HTTP 500")
    assert line.uploads == 3
    path.write_bytes(picture(2))
    station.scan()
    assert station.states() == {"a.png": FileState.DONE}


def test_an_answer_before_the_body_is_through_is_heard(station: Any, line: Any) -> None:
    """A server that finds a file too large says so at once, and reads no more."""

    def too_large(exchange: Any) -> None:
        exchange.read(1 << 16)
        exchange.length = len(exchange.body)
        exchange.answers("413 Too Large", b'{"message": "at most 1 MiB"}')
        exchange.resets()

    line.once = [too_large]
    station.drops("a.png", bytes(40 << 20))
    station.scan()
    report = station.reports()["a.png"]
    assert report.state is FileState.FAILED
    assert "at most 1 MiB" in report.error


def test_who_is_slow_and_alive_is_not_given_up(station: Any, line: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The body takes four times as long as the timeout, and so does the answer."""

    def slowly(exchange: Any) -> None:
        for part in range(1, 11):
            exchange.read(exchange.length * part // 10)
            time.sleep(0.35)
        answer = exchange.forward(exchange.head, exchange.body)
        for start in range(0, len(answer), len(answer) // 6):
            exchange.client.sendall(answer[start : start + len(answer) // 6])
            time.sleep(0.3)

    station.timeout = 0.8
    line.once = [slowly]
    # Were it all handed to the kernel at once, the waiting for the answer would begin long before the last byte left.
    station.drops("a.off", b"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n" + b"#" * (5 << 20))
    station.scan()
    assert "an upload did not succeed" not in capsys.readouterr().out
    assert (station.reports()["a.off"].attempts, line.uploads) == (1, 1)
    assert station.on_server() == {"a.off": 1}


def test_a_file_that_the_server_chokes_on_holds_up_no_other(station: Any, line: Any, picture: Picture) -> None:
    def chokes(exchange: Any) -> None:
        if exchange.is_upload and b"poison" in exchange.read():
            exchange.resets() if line.uploads % 2 else exchange.answers("500 Oops", b"{}")
        else:
            exchange.passes()

    line.spoil = chokes
    station.environ |= {"WATCHER_UPLOAD__WORKERS": "1", "WATCHER_UPLOAD__MAX_ATTEMPTS": "4"}
    station.drops("0.png", picture(0) + b"poison")
    for number in range(1, 6):
        station.drops(f"{number}.png", picture(number))
    with station.daemon() as daemon:

        def at_rest() -> bool:
            assert daemon.gate.reason is None, "the server is not away"
            return daemon.at_rest()

        station.until(at_rest)
    states = station.states()
    assert states.pop("0.png") is FileState.FAILED
    assert set(states.values()) == {FileState.DONE}
    assert "given up after 4 attempts" in station.reports()["0.png"].error


def test_a_rejected_upload_fails_with_the_servers_words_and_is_removed_when_it_is_tried_again(
    station: Any, line: Any, picture: Picture
) -> None:
    rejects = True

    def rejected(exchange: Any) -> None:
        exchange.read()
        answer = exchange.forward(exchange.head, exchange.body)
        if rejects and "upload-tasks" in exchange.path:
            answer = answer.replace(b'"status":"success","conv', b'"status":"rejected","message":"no room","conv')
            body = answer.partition(b"\r\n\r\n")[2]
            exchange.client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        else:
            exchange.client.sendall(answer)

    line.spoil = rejected
    station.drops("a.png", picture(1))
    station.scan()
    assert station.states() == {"a.png": FileState.FAILED}
    assert station.reports()["a.png"].error == "the server rejected the upload: no room"
    station.retry()
    station.scan()
    assert station.states() == {"a.png": FileState.FAILED}
    assert station.on_server() == {"a.png": 1}, "what was rejected was removed before it was sent again"
    rejects = False
    station.retry()
    station.scan()
    assert station.states() == {"a.png": FileState.DONE}
    assert (station.on_server(), line.uploads) == ({"a.png": 1}, 2), "the server had come to think better of it"
