"""Uploads over a real socket: what the server gets, and what the caller learns when something goes wrong."""

import os
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from watcher.api import (
    ApiError,
    AssetApi,
    Cause,
    FilePart,
    Rejected,
    RetryPolicy,
    ServerFault,
    SizeMismatch,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
)

RawServer = Callable[[Callable[[socket.socket], None]], str]

ACCEPTED = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 23\r\n\r\n{"upload_task_id":"u1"}'
REFUSAL = b'{"errorCode":7,"message":"at most 1 MB"}'
MIB = 1 << 20


def zeros(size: int, name: str = "big.raw") -> FilePart:
    chunk = bytes(MIB // 2)
    return FilePart(name, size, lambda: (chunk for _ in range(size // len(chunk))))


def client(url: str, timeout: float = 5) -> AssetApi:
    # A policy that would repeat everything, to see that uploads are not.
    retry = RetryPolicy(retries=3, visibility_retries=3, sleep=lambda _: None)
    return AssetApi(url, api_key="s3cret-key", timeout=timeout, retry=retry)


def failure(url: str, *files: FilePart, timeout: float = 5) -> ApiError:
    with client(url, timeout) as api, pytest.raises(ApiError) as caught:
        api.folders.upload("f", files or [zeros(64 * MIB)])
    return caught.value


def test_the_receipt_of_an_upload_names_its_task(api: AssetApi, server: Any) -> None:
    server.says_body({"upload_task_id": "u1", "later": "field"})
    progress: list[tuple[int, int]] = []
    receipt = api.folders.upload(
        "f", [zeros(2 * MIB), FilePart("a.mtl", 3, lambda: [b"abc"])], on_progress=lambda *told: progress.append(told)
    )
    assert receipt.upload_task_id == "u1"
    (request,) = server.requests
    assert request.headers["content-length"] == str(len(request.body))
    assert "transfer-encoding" not in request.headers
    assert progress[-1] == (2 * MIB + 3, 2 * MIB + 3)
    assert len(progress) > 3


def test_the_name_of_the_field_is_a_setting(server: Any) -> None:
    server.says_body({"upload_task_id": "u1"})
    with AssetApi(server.url, api_key="k", file_field="files[]") as api:
        api.folders.upload("f", [FilePart("a.obj", 1, lambda: [b"x"])])
    assert b'name="files[]"; filename="a.obj"' in server.requests[0].body


def test_an_upload_of_nothing_is_a_mistake(api: AssetApi) -> None:
    with pytest.raises(ValueError, match="at least one file"):
        api.folders.upload("f", [])


@pytest.mark.parametrize("status", [403, 404, 429, 500, 503])
def test_an_upload_is_never_repeated(server: Any, status: int) -> None:
    server.says_body({"message": "no"}, status=status)
    error = failure(server.url, FilePart("a.obj", 1, lambda: [b"x"]))
    assert error.status == status
    assert error.body_sent
    assert len(server.requests) == 1


def test_memory_stays_flat_whatever_the_size(raw_server: RawServer, talk: Any) -> None:
    def accept(connection: socket.socket) -> None:
        while True:
            talk.read_all(connection)
            connection.sendall(ACCEPTED)

    with client(raw_server(accept), timeout=30) as api:
        api.folders.upload("f", [zeros(MIB)])
        tracemalloc.start()
        try:
            api.folders.upload("f", [zeros(256 * MIB)])
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 6 * MIB


# A server that answers before it has read the body


@pytest.mark.parametrize("by", ["length", "end of connection"])
def test_an_early_refusal_is_heard_though_the_connection_breaks(raw_server: RawServer, talk: Any, by: str) -> None:
    length = f"content-length: {len(REFUSAL)}\r\n" if by == "length" else ""
    answer = f"HTTP/1.1 413 Too Large\r\n{length}\r\n".encode() + REFUSAL

    def refuse(connection: socket.socket) -> None:
        talk.read_head(connection)
        connection.sendall(answer)

    error = failure(raw_server(refuse))
    assert isinstance(error, Rejected)
    assert error.status == 413
    assert error.message in ("at most 1 MB", "Request Entity Too Large")
    assert not error.body_sent


def test_an_early_401_is_an_unauthorized(raw_server: RawServer, talk: Any) -> None:
    def refuse(connection: socket.socket) -> None:
        talk.read_head(connection)
        connection.sendall(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)

    error = failure(raw_server(refuse))
    assert isinstance(error, Unauthorized)
    assert not error.body_sent


def test_a_success_before_the_body_was_read_is_not_believed(raw_server: RawServer, talk: Any) -> None:
    def accept(connection: socket.socket) -> None:
        talk.read_head(connection)
        connection.sendall(ACCEPTED)

    error = failure(raw_server(accept))
    assert isinstance(error, UnexpectedAnswer)
    assert not error.body_sent


# A connection that breaks: may the server have the upload?


def test_a_connection_that_breaks_in_the_middle_leaves_nothing_on_the_server(raw_server: RawServer, talk: Any) -> None:
    error = failure(raw_server(talk.read_head))
    assert isinstance(error, Unreachable)
    assert error.cause == Cause.CLOSED
    assert not error.body_sent


def test_a_connection_that_breaks_after_the_body_leaves_doubt(raw_server: RawServer, talk: Any) -> None:
    error = failure(raw_server(talk.read_all), zeros(MIB))
    assert isinstance(error, Unreachable)
    assert error.cause == Cause.CLOSED
    assert error.body_sent


def test_an_answer_that_breaks_off_leaves_doubt(raw_server: RawServer, talk: Any) -> None:
    def break_off(connection: socket.socket) -> None:
        talk.read_all(connection)
        connection.sendall(ACCEPTED[:-8])

    error = failure(raw_server(break_off), zeros(MIB))
    assert isinstance(error, Unreachable)
    assert error.body_sent


@pytest.mark.parametrize("body", [b'{"upload_task_id"', b"<html><title>Hello</title></html>", b"{}", b"", b"[1]"])
def test_a_receipt_that_names_no_task_leaves_doubt(server: Any, body: bytes) -> None:
    server.says_body(body)
    error = failure(server.url, zeros(MIB))
    assert isinstance(error, UnexpectedAnswer)
    assert error.status == 200
    assert error.body_sent


def test_a_server_that_never_answers_leaves_doubt(raw_server: RawServer, talk: Any) -> None:
    done = threading.Event()

    def wait(connection: socket.socket) -> None:
        talk.read_all(connection)
        done.wait(5)

    error = failure(raw_server(wait), zeros(MIB), timeout=0.3)
    done.set()
    assert isinstance(error, Unreachable)
    assert error.cause == Cause.TIMEOUT
    assert "did not answer within 0.3 s" in str(error)
    assert error.body_sent


def test_a_server_that_never_reads_has_nothing(raw_server: RawServer) -> None:
    done = threading.Event()

    def wait(_: socket.socket) -> None:
        done.wait(5)

    error = failure(raw_server(wait), timeout=0.3)
    done.set()
    assert isinstance(error, Unreachable)
    assert error.cause == Cause.TIMEOUT
    assert "took no data" in str(error)
    assert not error.body_sent


def test_a_server_that_is_not_there_has_nothing(raw_server: RawServer) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = failure(f"http://127.0.0.1:{unused.getsockname()[1]}", zeros(MIB))
    assert isinstance(error, Unreachable)
    assert error.cause == Cause.REFUSED
    assert not error.body_sent


# The source of the bytes fails


@pytest.mark.parametrize("fault", [OSError(5, "bad disk"), httpx.ReadError("another download"), KeyboardInterrupt()])
def test_what_the_source_raises_passes_through_and_the_body_never_ends(server: Any, fault: BaseException) -> None:
    def chunks() -> Iterator[bytes]:
        yield bytes(MIB)
        raise fault

    with client(server.url) as api, pytest.raises(type(fault)) as caught:
        api.folders.upload("f", [FilePart("a.bin", MIB, chunks)])
    assert caught.value is fault
    assert not any(request.body.endswith(b"--\r\n") for request in server.requests)


def test_what_the_progress_raises_ends_the_upload(server: Any) -> None:
    def stop(sent: int, total: int) -> None:
        raise InterruptedError("enough")

    with client(server.url) as api, pytest.raises(InterruptedError, match="enough"):
        api.folders.upload("f", [zeros(4 * MIB)], on_progress=stop)


def test_a_file_that_grew_or_shrank_is_no_fault_of_the_server(server: Any) -> None:
    with client(server.url) as api:
        for size in (2, 4):
            with pytest.raises(SizeMismatch):
                api.folders.upload("f", [FilePart("a.bin", size, lambda: [b"abc"])])
        server.says_body({"upload_task_id": "u1"})
        assert api.folders.upload("f", [FilePart("a.bin", 3, lambda: [b"abc"])]).upload_task_id == "u1"


def test_a_connection_is_used_again_after_an_upload(server: Any, api: AssetApi) -> None:
    server.says_body({"upload_task_id": "u1"})
    for _ in range(5):
        api.folders.upload("f", [zeros(MIB)])
    assert len(server.connections) == 1


def test_a_package_is_streamed_like_an_upload_and_sent_once(server: Any) -> None:
    content = os.urandom(3 * MIB)
    server.says_body({"message": "busy"}, status=503)
    with client(server.url) as api, pytest.raises(ServerFault) as caught:
        api.assets.import_package("f", FilePart("p.zip", len(content), lambda: [content]))
    assert caught.value.body_sent
    (request,) = server.requests
    assert request.body == content
    assert request.headers["content-type"] == "application/zip"
