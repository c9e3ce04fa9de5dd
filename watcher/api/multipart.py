"""The body of an upload: ``multipart/form-data``, made while it is sent, in chunks that suit a socket.

Memory stays constant for any size. The length is known beforehand, so that the server can refuse before it reads.
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
"""Called with the bytes of content sent so far and those in total, after each chunk. What it raises ends the upload."""


@dataclass(frozen=True, slots=True)
class FilePart:
    """One file of an upload.

    name: the file name the server is told; it may be relative (``textures/wood.png``).
    size: bytes.
    chunks: called once for each attempt; gives exactly ``size`` bytes, in chunks of any length.
    """

    name: str
    size: int
    chunks: Callable[[], Iterable[bytes | bytearray | memoryview]]


def wire_name(name: str) -> str:
    """The file name that a server reads for a part of this name.

    The same, but for bytes that are not UTF-8 (surrogate escapes in ``name``): they become U+FFFD. Two such names can
    become one; the Asset API does not need names to be unique.
    """
    return scalar_text(name)


class MultipartBody:
    """The body for these files, all under one field name; can be gone through once.

    Iterating raises what a part's ``chunks`` raises, unchanged, and :class:`SizeMismatch`; in both cases the closing
    boundary has not been given out, so that no server can take the body for complete.
    """

    def __init__(self, files: Sequence[FilePart], field: str, on_progress: Progress | None = None) -> None:
        self._files = files
        self._on_progress = on_progress
        self._boundary = f"watcher-{secrets.token_hex(16)}"
        self._heads = [self._head(part, field, first=number == 0) for number, part in enumerate(files)]
        self._closing = f"\r\n--{self._boundary}--\r\n".encode()
        self._generator: Generator[bytes, None, None] | None = None
        self.content_length = sum(part.size for part in files)
        """Bytes of the files."""
        self.length = self.content_length + sum(map(len, self._heads)) + len(self._closing)
        """Bytes of the whole body."""
        self.complete = False
        """Whether everything, closing boundary included, has been handed out."""
        self.failure: BaseException | None = None
        """What a part, or ``on_progress``, raised."""

    @property
    def content_type(self) -> str:
        return f"multipart/form-data; boundary={self._boundary}"

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
            yield from self._chunks()
        except GeneratorExit:
            raise
        except BaseException as failure:
            self.failure = failure
            raise

    def _chunks(self) -> Iterator[bytes]:
        """The pieces, joined and cut to chunks between SMALLEST and LARGEST."""
        held: list[bytes] = []
        size = sent = 0
        for piece, content in self._pieces():
            if not held and SMALLEST <= len(piece) <= LARGEST:
                yield bytes(piece)  # no copy when it is bytes already
                sent += content
                self._report(sent)
                continue
            rest = memoryview(piece)
            while rest:
                # A copy: the caller may use its buffer again for the next chunk.
                held.append(bytes(rest[: LARGEST - size]))
                size += len(held[-1])
                rest = rest[len(held[-1]) :]
                if size >= SMALLEST:
                    yield b"".join(held)
                    self._report(sent + content - min(content, len(rest)))
                    held, size = [], 0
            sent += content
        held.append(self._closing)
        self.complete = True
        yield b"".join(held)
        self._report(sent)

    def _pieces(self) -> Iterator[tuple[bytes | bytearray | memoryview, int]]:
        """Heads and contents in turn, each with how many bytes of content it has."""
        for part, head in zip(self._files, self._heads, strict=True):
            yield head, 0
            given = 0
            for chunk in part.chunks():
                given += len(chunk)
                if given > part.size:
                    raise SizeMismatch(part.name, part.size, given)
                yield chunk, len(chunk)
            if given != part.size:
                raise SizeMismatch(part.name, part.size, given)

    def _report(self, sent: int) -> None:
        if self._on_progress is not None:
            self._on_progress(sent, self.content_length)

    def _head(self, part: FilePart, field: str, *, first: bool) -> bytes:
        return (
            f"{'' if first else _NEWLINE}--{self._boundary}\r\n"
            f'Content-Disposition: form-data; name="{_quotable(field)}"; filename="{_quotable(part.name)}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()


_NEWLINE = "\r\n"


def _quotable(name: str) -> str:
    """A name as it stands between quotes: quote, CR and LF are escaped, nothing else (WHATWG HTML)."""
    return scalar_text(name).replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
