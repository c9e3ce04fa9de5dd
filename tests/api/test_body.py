"""The body of an upload: what a server reads from it, how it is cut, and that a failed one never ends."""

import email
from collections.abc import Iterator
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_multipart import FormParser

from watcher.api import FilePart, SizeMismatch, wire_name
from watcher.api.body import LARGEST, SMALLEST, UploadBody, multipart, single


def part(name: str, *chunks: bytes) -> FilePart:
    return FilePart(name, sum(map(len, chunks)), lambda: chunks)


def read_back(body: UploadBody) -> list[tuple[str, str, bytes]]:
    """The parts as Python's own email package reads them: field, raw file name, content."""
    raw = b"".join(body)
    assert len(raw) == body.length
    message = email.message_from_bytes(b"Content-Type: " + body.content_type.encode() + b"\r\n\r\n" + raw)
    parts = message.get_payload()
    assert isinstance(parts, list)
    return [read_part(one) for one in parts if isinstance(one, Message)]


def read_part(one: Message) -> tuple[str, str, bytes]:
    assert one.get_content_type() == "application/octet-stream"
    payload = one.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return str(one.get_param("name", header="content-disposition")), str(one.get_filename()), payload


def test_several_files_arrive_as_they_are() -> None:
    files = [part("a.obj", b"v 0 0 0\n", b"v 1 0 0\n"), part("tex/wood.png", b"\x89PNG\r\n--x\r\n"), part("empty.mtl")]
    assert read_back(multipart(files, "file")) == [
        ("file", "a.obj", b"v 0 0 0\nv 1 0 0\n"),
        ("file", "tex/wood.png", b"\x89PNG\r\n--x\r\n"),
        ("file", "empty.mtl", b""),
    ]


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("plain.obj", "plain.obj"),
        ("Räder & Achsen (1).obj", "Räder & Achsen (1).obj"),
        ('5" wheel.obj', "5%22 wheel.obj"),
        ("two\r\nlines.obj", "two%0D%0Alines.obj"),
        ("車.obj", "車.obj"),
        ("caf\udce9.obj", "caf\ufffd.obj"),
        ("lone\ud800.obj", "lone\ufffd.obj"),
        ("semi;colon=a.obj", "semi;colon=a.obj"),
        ("100%22.obj", "100%22.obj"),
    ],
)
def test_a_file_name_is_written_as_browsers_write_it(name: str, read: str) -> None:
    body = multipart([part(name, b"x")], "file")
    parsed: list[str] = []
    parser = FormParser(
        "multipart/form-data",
        on_field=None,
        on_file=lambda file: parsed.append((file.file_name or b"").decode()),
        boundary=body.content_type.partition("boundary=")[2],
    )
    parser.write(b"".join(body))
    parser.finalize()
    assert parsed == [read]
    assert wire_name(name) == read.replace("%22 ", '" ').replace("%0D%0A", "\r\n")


def test_the_content_of_a_part_cannot_end_it() -> None:
    """Each body has a boundary of its own that nobody can know beforehand."""
    first, second = (multipart([part("a", b"x")], "file") for _ in range(2))
    assert first.content_type != second.content_type


@given(
    st.lists(st.lists(st.integers(0, 3 * LARGEST // 2).map(bytes), max_size=4), min_size=1, max_size=4),
)
def test_however_the_content_comes_it_leaves_in_chunks_that_suit_a_socket(contents: list[list[bytes]]) -> None:
    told: list[tuple[int, int]] = []
    files = [part(f"{number}.bin", *chunks) for number, chunks in enumerate(contents)]
    total = sum(file.size for file in files)
    body = multipart(files, "file", lambda *progress: told.append(progress))
    sent = list(body)
    assert all(SMALLEST <= len(chunk) <= LARGEST for chunk in sent[:-1])
    assert 0 < len(sent[-1]) <= LARGEST
    assert sum(map(len, sent)) == body.length
    assert told == sorted(told)
    assert told[-1] == (total, total)
    assert all(of == total for _, of in told)


def test_a_small_upload_is_one_chunk() -> None:
    body = multipart([part("a.obj", b"x" * 10_000), part("a.mtl", b"y" * 500)], "file")
    assert len(list(body)) == 1


def test_content_is_not_copied_when_it_comes_in_fitting_chunks() -> None:
    chunk = bytes(SMALLEST)
    body = multipart([FilePart("big.bin", 4 * SMALLEST, lambda: [chunk] * 4)], "file")
    assert sum(one is chunk for one in body) >= 2


def test_a_buffer_may_be_used_again_for_the_next_chunk() -> None:
    def chunks() -> Iterator[bytearray]:
        buffer = bytearray(1000)
        for letter in b"abc":
            buffer[:] = bytes([letter]) * 1000
            yield buffer

    body = multipart([FilePart("a.bin", 3000, chunks)], "file")
    assert b"a" * 1000 + b"b" * 1000 + b"c" * 1000 in b"".join(body)


def drain(body: UploadBody) -> bytes:
    """What a body gives before it fails."""
    given_out = b""
    try:
        for chunk in body:
            given_out += chunk
    except (SizeMismatch, LookupError):
        return given_out
    raise AssertionError("the body did not fail")


@pytest.mark.parametrize("said", [SMALLEST * 3, SMALLEST * 5], ids=["more than it said", "fewer than it said"])
@pytest.mark.parametrize("kind", ["multipart", "single"])
def test_a_part_that_is_not_as_long_as_it_said_never_makes_a_whole_body(said: int, kind: str) -> None:
    file = FilePart("a.bin", said, lambda: [bytes(SMALLEST)] * 4)
    body = multipart([file], "file") if kind == "multipart" else single(file, "application/zip")
    given_out = drain(body)
    assert isinstance(body.failure, SizeMismatch)
    assert body.failure.name == "a.bin"
    assert body.failure.expected == said
    assert len(given_out) < body.length
    assert b"--\r\n" not in given_out
    assert not body.complete


@pytest.mark.parametrize("kind", ["multipart", "single"])
def test_a_part_that_fails_after_its_last_byte_never_makes_a_whole_body(kind: str) -> None:
    """A caller that hashes what it sends finds out at the very end that the file has changed."""

    def chunks() -> Iterator[bytes]:
        yield b"all of it"
        raise LookupError("the hash differs")

    file = FilePart("a.bin", 9, chunks)
    body = multipart([file], "file") if kind == "multipart" else single(file, "application/zip")
    assert len(drain(body)) < body.length
    assert isinstance(body.failure, LookupError)
    assert not body.complete


def test_a_body_that_is_given_up_lets_go_of_its_parts() -> None:
    closed = []

    def chunks() -> Iterator[bytes]:
        try:
            while True:
                yield bytes(SMALLEST)
        finally:
            closed.append(True)

    body = multipart([FilePart("a.bin", 100 * SMALLEST, chunks)], "file")
    next(iter(body))
    body.close()
    assert closed == [True]
    assert body.failure is None


def test_a_body_is_sent_once() -> None:
    body = multipart([part("a", b"x")], "file")
    list(body)
    with pytest.raises(RuntimeError):
        iter(body)


def test_one_file_can_be_the_whole_body() -> None:
    assert b"".join(single(part("p.zip", b"PK", b".."), "application/zip")) == b"PK.."
    assert b"".join(single(part("p.zip"), "application/zip")) == b""
