"""The body of an upload, made while it is sent, in chunks that suit a socket.

Memory stays constant for any size. The length is known beforehand, so that a server can refuse before it reads.
"""

import secrets
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass

from watcher.api.address import scalar_text
from watcher.api.errors import SizeMismatch

SMALLEST = 256 * 1024
LARGEST = 512 * 1024
"""Bytes of a chunk, but for the last one. In this range loopback uploads were fastest, faster than curl's."""

Progress = Callable[[int, int], None]
"""Called with the bytes of content sent so far and those in total, before each chunk and at the end. What it raises
ends the upload."""

Chunk = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class FilePart:
    """One file of an upload.

    name: the file name the server is told; it may be relative (``textures/wood.png``).
    size: bytes.
    chunks: called once for each attempt; gives exactly ``size`` bytes, in chunks of any length.
    """

    name: str
    size: int
    chunks: Callable[[], Iterable[Chunk]]


def wire_name(name: str) -> str:
    """The file name that a server reads for a part of this name.

    The same, but for bytes that are not UTF-8 (surrogate escapes in ``name``): they become U+FFFD. Two such names can
    become one; the Asset API does not need names to be unique.
    """
    return scalar_text(name)


class UploadBody:
    """A body that can be gone through once; :func:`multipart` and :func:`single` make one.

    Iterating raises what a part's ``chunks`` raises, unchanged, and :class:`SizeMismatch`. The last chunk is held back
    until every part has ended well, so that no server can take a body that failed for complete.
    """

    def __init__(
        self, parts: Sequence[tuple[bytes, FilePart]], closing: bytes, content_type: str, on_progress: Progress | None
    ) -> None:
        """parts: each with the bytes that go before it."""
        self._parts = parts
        self._closing = closing
        self._on_progress = on_progress
        self._generator: Generator[bytes, None, None] | None = None
        self._reported = -1
        self.content_type = content_type
        self.content_length = sum(part.size for _, part in parts)
        """Bytes of the files."""
        self.length = self.content_length + sum(len(head) for head, _ in parts) + len(closing)
        """Bytes of the whole body."""
        self.complete = False
        """Whether everything has been handed out."""
        self.failure: BaseException | None = None
        """What a part, or ``on_progress``, raised."""

    def __iter__(self) -> Iterator[bytes]:
        if self._generator is not None:
            raise RuntimeError("an upload's body is sent once")
        self._generator = self._guarded()
        return self._generator

    def close(self) -> None:
        """Lets go of what the parts hold open, after a body that was not gone through to its end."""
        if self._generator is not None:
            self._generator.close()

    def _guarded(self) -> Generator[bytes, None, None]:
        try:
            yield from self._one_behind()
        except GeneratorExit:
            raise
        except BaseException as failure:
            self.failure = failure
            raise

    def _one_behind(self) -> Iterator[bytes]:
        """The chunks, each when it is known whether it is the last; tells the progress before it is handed out."""
        held: tuple[bytes, int] | None = None
        sent = 0
        for following in self._chunks():
            if held is not None:
                self._report(sent)
                yield held[0]
                sent = held[1]
            held = following
        self._report(sent)
        self.complete = True
        if held is not None:
            yield held[0]
            self._report(held[1])

    def _chunks(self) -> Iterator[tuple[bytes, int]]:
        """The pieces, joined and cut to chunks, each with the bytes of content up to its end."""
        held: list[bytes] = []
        size = sent = 0
        for piece, content in self._pieces():
            if not held and SMALLEST <= len(piece) <= LARGEST:
                sent += content
                yield bytes(piece), sent  # no copy when it is bytes already
                continue
            rest = memoryview(piece)
            while rest:
                # A copy: the caller may use its buffer again for the next chunk.
                held.append(bytes(rest[: LARGEST - size]))
                size += len(held[-1])
                rest = rest[len(held[-1]) :]
                if size >= SMALLEST:
                    yield b"".join(held), sent + (content and content - len(rest))
                    held, size = [], 0
            sent += content
        if held:
            yield b"".join(held), sent

    def _pieces(self) -> Iterator[tuple[Chunk, int]]:
        """What makes up the body, each piece with how many bytes of content it has: all or none."""
        for head, part in self._parts:
            yield head, 0
            given = 0
            for chunk in part.chunks():
                given += len(chunk)
                if given > part.size:
                    raise SizeMismatch(part.name, part.size, given)
                yield chunk, len(chunk)
            if given != part.size:
                raise SizeMismatch(part.name, part.size, given)
        yield self._closing, 0

    def _report(self, sent: int) -> None:
        if self._on_progress is not None and sent != self._reported:
            self._reported = sent
            self._on_progress(sent, self.content_length)


def multipart(files: Sequence[FilePart], field: str, on_progress: Progress | None = None) -> UploadBody:
    """These files as ``multipart/form-data``, all under one field name."""
    boundary = f"watcher-{secrets.token_hex(16)}"
    parts = [(_head(boundary, field, part.name, first=number == 0), part) for number, part in enumerate(files)]
    content_type = f"multipart/form-data; boundary={boundary}"
    return UploadBody(parts, f"\r\n--{boundary}--\r\n".encode(), content_type, on_progress)


def single(file: FilePart, content_type: str, on_progress: Progress | None = None) -> UploadBody:
    """This file, and nothing else, as the body."""
    return UploadBody([(b"", file)], b"", content_type, on_progress)


def _head(boundary: str, field: str, name: str, *, first: bool) -> bytes:
    return (
        ("" if first else "\r\n") + f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="{_quotable(field)}"; filename="{_quotable(name)}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()


def _quotable(name: str) -> str:
    """A name as it stands between quotes: quote, CR and LF are escaped, nothing else (WHATWG HTML)."""
    return scalar_text(name).replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
