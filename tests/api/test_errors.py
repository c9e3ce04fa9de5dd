"""Every failure becomes one error of a small tree, and its text is a sentence without secrets."""

import json
import socket
import ssl
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from watcher.api import (
    ApiError,
    AssetApi,
    Cause,
    Forbidden,
    NotFound,
    RateLimited,
    Rejected,
    RetryPolicy,
    ServerFault,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
)

RawServer = Callable[[Callable[[socket.socket], None]], str]

# Self-signed for 127.0.0.1, good for a hundred years, trusted by nobody.
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBkDCCATagAwIBAgIUbCD21GktVbOuCMtAed62uqkzDV0wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJMTI3LjAuMC4xMCAXDTI2MTEyNDIzNDkyMVoYDzIxMjYxMDMx
MjM0OTIxWjAUMRIwEAYDVQQDDAkxMjcuMC4wLjEwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASC9DrxByjT8o5kUooLKhN1aD4cxWKL6lVkVngV+1YGP5YfhmhdPMNE
G2NPko2xBSG4Ox0Q/B09WGM6gBtWCzBSo2QwYjAdBgNVHQ4EFgQUq2GWsrDMbQJW
RG+K5jMaw30AcukwHwYDVR0jBBgwFoAUq2GWsrDMbQJWRG+K5jMaw30AcukwDwYD
VR0TAQH/BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMCA0gAMEUC
IHTvCufUDwky4u3xcu4paAYbKe2+klL2XyTfDg7ig6P6AiEApCT4mBh7TMbPg9Jb
IOwh81NDxuPrBxGMXCAh7abwje0=
-----END CERTIFICATE-----
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQguT0YK4uOInMVC/dN
+sTnLGZthI4VuAQx18XucSpZ30KhRANCAASC9DrxByjT8o5kUooLKhN1aD4cxWKL
6lVkVngV+1YGP5YfhmhdPMNEG2NPko2xBSG4Ox0Q/B09WGM6gBtWCzBS
-----END PRIVATE KEY-----
"""


def failure(api: AssetApi) -> ApiError:
    with pytest.raises(ApiError) as caught:
        api.folders.get("f")
    return caught.value


def failure_at(url: str, timeout: float = 5) -> ApiError:
    with AssetApi(url, api_key="s3cret-key", retry=RetryPolicy.none(), timeout=timeout) as api:
        return failure(api)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Rejected),
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (408, RateLimited),
        (409, Rejected),
        (413, Rejected),
        (422, Rejected),
        (425, RateLimited),
        (429, RateLimited),
        (499, Rejected),
        (500, ServerFault),
        (501, ServerFault),
        (503, ServerFault),
        (599, ServerFault),
    ],
)
def test_a_status_decides_the_kind_of_error(api: AssetApi, server: Any, status: int, kind: type[ApiError]) -> None:
    server.says_body({"errorCode": 1204, "message": "as you like it"}, status=status)
    error = failure(api)
    assert type(error) is kind
    assert error.operation == "getFolderInfo"
    assert (error.status, error.error_code, error.message) == (status, 1204, "as you like it")
    text = str(error)
    assert text.startswith("cannot get folder info: ")
    assert text.endswith(f"(HTTP {status}, error 1204): as you like it")


@pytest.mark.parametrize("status", [401, 403, 413, 429, 502])
def test_a_page_of_something_in_front_of_the_server_keeps_its_status(api: AssetApi, server: Any, status: int) -> None:
    page = b"<!DOCTYPE html><html><head><title>Bad\n Gateway</title></head><body>" + b"x" * 100_000
    server.says_body(page, status=status)
    error = failure(api)
    assert not isinstance(error, UnexpectedAnswer)
    assert error.status == status
    assert "the page 'Bad Gateway'" in str(error)
    assert len(str(error)) < 200


@pytest.mark.parametrize("body", [b"<html><body>nothing here</body></html>", b"404 page not found", b"Not Found"])
def test_a_404_that_is_not_of_the_api_points_at_the_address(api: AssetApi, server: Any, body: bytes) -> None:
    server.says_body(body, status=404)
    error = failure(api)
    assert isinstance(error, UnexpectedAnswer)
    assert "is base_url right?" in str(error)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"errorCode":"x"}', b'{"error":"gone"}'])
def test_an_error_may_come_without_words_or_code(api: AssetApi, server: Any, body: bytes) -> None:
    server.says_body(body, status=404)
    error = failure(api)
    assert isinstance(error, NotFound)
    assert error.error_code is None
    assert error.message in ("Not Found", "gone")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html><head><title>Welcome</title></head></html>", "the page 'Welcome' came"),
        (b"  <p>hello", "a page came"),
        (b"hello there", "'hello there' came"),
        (b'{"folder_id": "f", "na', "broken JSON (22 bytes) came"),
        (b"", "nothing came"),
        (b"\xff\xfe\x00", "came"),
        (b"[" * 100_000, "broken JSON (100000 bytes) came"),
        (b"[]", "Folder does not fit"),
        (b"null", "Folder does not fit"),
        (b'{"folder_id": "f"}', "name: Field required"),
        (b'{"folder_id": 7, "name": "n"}', "folder_id: Input should be a valid string"),
    ],
)
def test_a_success_that_is_not_the_contracts_is_unexpected(api: AssetApi, server: Any, body: bytes, words: str) -> None:
    server.says_body(body)
    error = failure(api)
    assert isinstance(error, UnexpectedAnswer)
    assert error.status == 200
    assert words in str(error)
    assert len(str(error)) < 300


def test_a_page_is_no_success_also_where_no_answer_is_read(api: AssetApi, server: Any) -> None:
    """A captive portal answers everything with 200: nothing was deleted, and no file was downloaded."""
    page = b"<html><title>Log in</title></html>"
    server.says_body(page, {"content-type": "text/html; charset=utf-8"})
    with pytest.raises(UnexpectedAnswer, match="the page 'Log in' came"):
        api.source_files.delete(["s"])
    with pytest.raises(UnexpectedAnswer, match="the page 'Log in' came"), api.source_files.download("s"):
        pass


def test_a_list_that_is_none_is_unexpected(api: AssetApi, server: Any) -> None:
    server.says_body({"folders": []})
    with pytest.raises(UnexpectedAnswer, match="a list was expected, an object came"):
        api.folders.list()


def test_a_redirect_is_not_followed_and_the_key_does_not_go_elsewhere(api: AssetApi, server: Any) -> None:
    elsewhere = f"http://localhost:{server.port}/app/v1/folders/f"
    server.says_body(b"", {"location": elsewhere}, status=302)
    error = failure(api)
    assert isinstance(error, UnexpectedAnswer)
    assert elsewhere in str(error)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [300, 304])
def test_a_status_that_is_neither_success_nor_error_is_unexpected(api: AssetApi, server: Any, status: int) -> None:
    server.says_body(b"", status=status)
    assert isinstance(failure(api), UnexpectedAnswer)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206])
def test_any_status_of_success_will_do(api: AssetApi, server: Any, status: int) -> None:
    server.says_body(b"" if status == 204 else b"whatever", status=status)
    api.folders.delete("f")
    assert server.requests[0].method == "DELETE"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": formatdate(1_800_000_030, usegmt=True), "date": formatdate(1_800_000_000, usegmt=True)}, 30),
        ({"retry-after": formatdate(1_800_000_000, usegmt=True), "date": formatdate(1_800_000_030, usegmt=True)}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({}, None),
    ],
)
def test_both_forms_of_retry_after_are_seconds(headers: dict[str, str], seconds: float | None, raw_server: Any) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())

    def refuse(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(f"HTTP/1.1 503 Busy\r\ncontent-length: 2\r\n{lines}\r\n{{}}".encode())

    error = failure_at(raw_server(refuse))
    assert error.status == 503
    assert error.retry_after == seconds


@pytest.mark.parametrize("date", ["yesterday", "", "25 Nov " + "9" * 30 + " 10:00:00 GMT", "Thu, 01 Jan 0001 00:00:00"])
def test_a_server_that_does_not_know_what_a_date_is_can_say_how_long_to_wait(date: str, raw_server: Any) -> None:
    asked = iter(["7", date])

    def refuse(connection: socket.socket) -> None:
        connection.recv(65536)
        head = f"date: {date}\r\nretry-after: {next(asked)}\r\ncontent-length: 2"
        connection.sendall(f"HTTP/1.1 503 Busy\r\n{head}\r\n\r\n{{}}".encode())

    url = raw_server(refuse)
    assert failure_at(url).retry_after == 7
    assert failure_at(url).retry_after in (None, 0.0)


def test_a_date_without_the_servers_clock_counts_from_ours(api: AssetApi, server: Any) -> None:
    server.says_body({}, {"retry-after": formatdate(time.time() + 100, usegmt=True)}, status=429)
    error = failure(api)
    assert error.retry_after == pytest.approx(100, abs=5)
    assert "try again in" in str(error)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("31536000", "(it asks to wait even 3.15e+07 s)"),
        ("9" * 400, "(it asks to wait even inf s)"),
        ("a date in ten years", "(it asks to wait even 3.15e+08 s)"),
    ],
)
def test_nobody_can_make_us_wait_for_longer_than_a_day(api: AssetApi, server: Any, asked: str, said: str) -> None:
    if asked.startswith("a date"):
        asked = formatdate(time.time() + 10 * 365 * 86_400, usegmt=True)
    server.says_body({"message": "later"}, {"retry-after": asked}, status=503)
    error = failure(api)
    assert error.retry_after == 86_400
    assert str(error).endswith(f"(HTTP 503, try again in 86400 s): later {said}")


# What is said when nobody answers


def test_a_refused_connection_is_said_so() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{unused.getsockname()[1]}"
        error = failure_at(f"http://{host}/app/v1")
    assert isinstance(error, Unreachable)
    assert error.cause == Cause.REFUSED
    assert error.status is None
    sentence = f"cannot get folder info: the server cannot be reached: {host} refused the connection; is it running?"
    assert str(error) == sentence


def test_an_unknown_name_is_said_so() -> None:
    error = failure_at("http://no-such-host.invalid/app/v1")
    assert isinstance(error, Unreachable)
    assert error.cause == Cause.NAME
    assert "the name no-such-host.invalid has no address" in str(error)


def test_https_to_a_server_without_it_is_said_so(server: Any) -> None:
    error = failure_at(server.url.replace("http:", "https:"))
    assert isinstance(error, Unreachable)
    assert error.cause == Cause.TLS
    assert "is it https at all?" in str(error)


def test_a_certificate_that_nobody_vouches_for_is_said_so(raw_server: RawServer, tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text(CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem")
    tried: list[object] = []

    def talk(connection: socket.socket) -> None:
        tried.append(connection)
        context.wrap_socket(connection, server_side=True).recv(1)

    with AssetApi(
        raw_server(talk).replace("http:", "https:"), api_key="k", retry=RetryPolicy(sleep=tried.append)
    ) as api:
        error = failure(api)
    assert isinstance(error, Unreachable)
    assert error.cause == Cause.CERTIFICATE
    assert "is not trusted (self-signed certificate)" in str(error)
    assert len(tried) == 1, "asking again does not make it trusted"


def wait_in_silence(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def test_silence_is_said_so(raw_server: RawServer) -> None:
    error = failure_at(raw_server(wait_in_silence), 0.2)
    assert isinstance(error, Unreachable)
    assert error.cause == Cause.TIMEOUT
    assert "did not answer within 0.2 s" in str(error)


@pytest.mark.parametrize(
    ("answer", "cause", "words"),
    [
        (b"", Cause.CLOSED, "closed the connection without an answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}", Cause.CLOSED, "in the middle of its answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", Cause.OTHER, "does not speak HTTP"),
    ],
)
def test_a_broken_answer_is_said_so(raw_server: RawServer, answer: bytes, cause: Cause, words: str) -> None:
    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(answer)

    error = failure_at(raw_server(talk))
    assert isinstance(error, Unreachable)
    assert error.cause == cause
    assert words in str(error)


def test_content_that_is_not_encoded_as_it_says_is_unexpected(api: AssetApi, server: Any) -> None:
    server.says_body(b"no gzip", {"content-encoding": "gzip"})
    assert isinstance(failure(api), UnexpectedAnswer)


# No secret, no flood


@pytest.mark.parametrize("status", [200, 302, 401, 404, 500])
def test_a_server_that_repeats_the_key_does_not_make_us_repeat_it(api: AssetApi, server: Any, status: int) -> None:
    texts = [
        json.dumps({"message": "the key s3cret-key is bad " + "x" * 270 + "s3cret-key"}).encode(),
        b"<title>s3cret-key</title>",
        b"your key: s3cret-key",
    ]
    for text in texts:
        server.says_body(text, {"location": "https://example.org/?key=s3cret-key"}, status=status)
        error = failure(api)
        for said in (str(error), repr(error), error.message):
            assert "s3cret" not in said
            assert len(said) < 450


def test_a_token_in_a_broken_answer_is_not_shown(api: AssetApi, server: Any) -> None:
    for body in (b'{"user_token":"t0ken-value","expires_in":', {"user_token": ["t0ken-value"]}):
        server.says_body(body)
        with pytest.raises(UnexpectedAnswer) as caught:
            api.users.generate_token("u", "read")
        assert "t0ken" not in f"{caught.value} {caught.value!r}"


def test_words_of_the_server_stay_on_one_line(api: AssetApi, server: Any) -> None:
    server.says_body({"message": "one\r\n2026-01-01 [error] forged\x1b[31m\u2028line"}, status=400)
    assert failure(api).message == "one 2026-01-01 [error] forged [31m line"
