"""Downloads: streamed, whole or not at all, and never outside the folder they were meant for."""

import gzip
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from watcher.api import AssetApi, Cause, Download, NotFound, UnexpectedAnswer, Unreachable, safe_file_name

RawServer = Callable[[Callable[[socket.socket], None]], str]

CONTENT = os.urandom(300_000)


def part_files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.startswith(".")]


def test_content_comes_in_chunks_with_its_size_and_type(api: AssetApi, server: Any) -> None:
    server.says_body(CONTENT, {"content-type": "model/obj"})
    with api.source_files.download("s") as download:
        assert isinstance(download, Download)
        assert (download.size, download.content_type) == (len(CONTENT), "model/obj")
        chunks = list(download)
    assert b"".join(chunks) == CONTENT
    assert len(chunks) > 1
    assert server.requests[0].headers["accept-encoding"] == "identity"


def test_a_download_that_is_given_up_does_not_block_the_client(server: Any) -> None:
    server.says_body(CONTENT)
    with AssetApi(server.url, api_key="k", pool_size=1, timeout=2) as api:
        for _ in range(3):
            with api.source_files.download("s") as download:
                next(iter(download))
        with api.source_files.download("s") as download:
            assert download.read() == CONTENT


def test_a_file_appears_when_it_is_whole(api: AssetApi, server: Any, tmp_path: Path) -> None:
    server.says_body(CONTENT)
    target = tmp_path / "spider.obj"
    target.write_text("an older one")
    seen: list[tuple[int, int | None, str]] = []

    def watch(received: int, total: int | None) -> None:
        seen.append((received, total, target.read_bytes()[:12].decode(errors="replace")))

    with target.open() as reader:
        assert api.source_files.download_to("s", target, watch) == target
        assert reader.read() == "an older one", "who reads the older file goes on reading it"
    assert target.read_bytes() == CONTENT
    assert seen[-1][:2] == (len(CONTENT), len(CONTENT))
    assert {old for _, _, old in seen} == {"an older one"}
    assert part_files(tmp_path) == []


def test_a_file_gets_the_rights_that_new_files_get(api: AssetApi, server: Any, tmp_path: Path) -> None:
    server.says_body(b"x")
    (tmp_path / "mine").write_bytes(b"")
    target = api.source_files.download_to("s", tmp_path / "a.obj")
    assert target.stat().st_mode == (tmp_path / "mine").stat().st_mode


@pytest.mark.parametrize(
    ("original", "name"),
    [
        ("spider.obj", "spider.obj"),
        ("../../etc/passwd", "passwd"),
        ("/etc/cron.d/job", "job"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("textures/wood.png", "wood.png"),
        ("line\nbreak\x00.obj", "line_break_.obj"),
        ("車" * 200 + ".obj", "車" * 83 + ".obj"),
    ],
)
def test_a_name_from_the_server_stays_in_the_folder(server: Any, tmp_path: Path, original: str, name: str) -> None:
    answer = type(answer_of(server))
    details = {"source_file_id": "s", "name": "other", "source_file_original_name": original}
    server.answer = lambda request: answer(body=details if request.path.endswith("/details") else b"content")
    with AssetApi(server.url, api_key="k") as api:
        assert api.source_files.download_to("s", tmp_path) == tmp_path / name
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert safe_file_name(original) == name


def answer_of(server: Any) -> Any:
    """An answer, to make others of its kind."""
    keep = server.answer
    server.says_body(b"")
    made = server.answer(None)
    server.answer = keep
    return made


@pytest.mark.parametrize("name", ["", ".", "..", "a/..", "a/", "\\"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no file name"):
        safe_file_name(name)


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_transfer_that_breaks_off_leaves_no_file(raw_server: RawServer, tmp_path: Path, framing: str) -> None:
    head = {"length": b"content-length: 100000", "chunks": b"transfer-encoding: chunked"}[framing]

    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        body = CONTENT[:5000] if framing == "length" else b"1388\r\n" + CONTENT[:5000] + b"\r\n"
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + body)

    target = tmp_path / "a.obj"
    target.write_text("an older one")
    with AssetApi(raw_server(talk), api_key="k", timeout=5) as api, pytest.raises(Unreachable) as caught:
        api.source_files.download_to("s", target)
    assert caught.value.cause == Cause.CLOSED
    assert "closed the connection in the middle of its answer" in str(caught.value)
    assert target.read_text() == "an older one"
    assert part_files(tmp_path) == []


def test_what_the_progress_raises_leaves_no_file(api: AssetApi, server: Any, tmp_path: Path) -> None:
    def stop(received: int, total: int | None) -> None:
        raise InterruptedError("enough")

    server.says_body(CONTENT)
    with pytest.raises(InterruptedError):
        api.source_files.download_to("s", tmp_path / "a.obj", stop)
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_cannot_be_written_is_the_callers_to_hear(api: AssetApi, server: Any, tmp_path: Path) -> None:
    server.says_body(CONTENT)
    with pytest.raises(FileNotFoundError):
        api.source_files.download_to("s", tmp_path / "missing" / "a.obj")


def test_a_failure_is_an_error_and_no_file(api: AssetApi, server: Any, tmp_path: Path) -> None:
    server.says_body({"message": "gone"}, status=404)
    with pytest.raises(NotFound, match="cannot download source file: not found"):
        api.source_files.download_to("s", tmp_path / "a.obj")
    assert list(tmp_path.iterdir()) == []


def test_a_compressed_transfer_is_unpacked(api: AssetApi, server: Any) -> None:
    server.says_body(gzip.compress(CONTENT), {"content-encoding": "gzip"})
    with api.assets.payload("meshes", "a") as download:
        assert download.size is None
        assert download.read() == CONTENT


def test_content_that_lies_elsewhere_is_fetched_without_the_key(server: Any) -> None:
    elsewhere = f"http://localhost:{server.port}/bucket/object?signature=1"
    answer = type(answer_of(server))

    def talk(request: Any) -> Any:
        if request.path == "/bucket/object":
            return answer(200, CONTENT)
        if request.path.endswith("/moved"):
            return answer(307, b"", {"location": elsewhere})
        return answer(302, b"", {"location": "/app/v1/source-files/moved"})

    server.answer = talk
    with AssetApi(server.url, api_key="s3cret") as api, api.source_files.download("s") as download:
        assert download.read() == CONTENT
    first, second, third = server.requests
    assert first.headers["api_key"] == second.headers["api_key"] == "s3cret"
    assert "api_key" not in third.headers
    assert third.query == "signature=1"


def test_redirects_in_a_circle_come_to_an_end(api: AssetApi, server: Any) -> None:
    server.says_body(b"", {"location": "/app/v1/source-files/s"}, status=302)
    with pytest.raises(UnexpectedAnswer, match="redirects again and again"), api.source_files.download("s"):
        pass
    assert len(server.requests) == 6
