"""What a content is known by: its BLAKE3 digest, written ``blake3:<64 hex digits>``."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Protocol

from blake3 import blake3

CHUNK = 1024 * 1024
"""Bytes hashed at once; between two chunks the work can be stopped."""
PREFIX = "blake3:"
MARK_BYTES = 8
"""Of the digest of a beginning: there is one for each beginning that is a quarter longer than the one before it."""


class HashingStopped(Exception):
    """The `stop` callback of :func:`hash_file` asked for an end."""


class HasDescriptor(Protocol):
    """An open file."""

    def fileno(self) -> int:
        """Its descriptor."""


class FileDigest:
    """The digest of a content that passes by in pieces."""

    def __init__(self, *, beginnings: bool = True) -> None:
        """beginnings: whether :attr:`beginnings` is wanted: for a small file they are most of the work."""
        self._hasher = blake3()
        self._length = 0
        self._next_mark = 1 if beginnings else sys.maxsize
        self._marks = bytearray()

    def update(self, chunk: bytes | bytearray | memoryview) -> None:
        """Takes the next piece."""
        rest = memoryview(chunk)
        while self._length + len(rest) >= self._next_mark:
            to_mark = self._next_mark - self._length
            self._hasher.update(rest[:to_mark])
            rest = rest[to_mark:]
            self._length = self._next_mark
            self._marks += self._hasher.digest(MARK_BYTES)
            self._next_mark += max(1, self._next_mark // 4)
        self._hasher.update(rest)
        self._length += len(rest)

    @property
    def text(self) -> str:
        """The digest of all pieces so far."""
        return PREFIX + self._hasher.hexdigest()

    @property
    def beginnings(self) -> bytes:
        """Digests of growing beginnings of it. A content is the beginning of another one when its own are the first of
        the other's: that shows four fifths of it at least, and all of what has less than nine bytes."""
        return bytes(self._marks)


def hash_file(file: int | HasDescriptor, *, stop: Callable[[], bool] | None = None) -> FileDigest:
    """The digest of the whole content of an open file (or descriptor), whose position stays where it is.

    Constant memory. `stop` is asked before each chunk. Raises HashingStopped, or OSError when reading fails.
    """
    descriptor = file if isinstance(file, int) else file.fileno()
    digest = FileDigest()
    buffer = bytearray(CHUNK)
    view = memoryview(buffer)
    offset = 0
    while True:
        if stop is not None and stop():
            raise HashingStopped
        count = _read_at(descriptor, buffer, offset)
        if count == 0:
            return digest
        digest.update(view[:count])
        offset += count


def _read_at(descriptor: int, buffer: bytearray, offset: int) -> int:
    if sys.platform != "win32":
        return os.preadv(descriptor, [buffer], offset)
    position = os.lseek(descriptor, 0, os.SEEK_CUR)
    os.lseek(descriptor, offset, os.SEEK_SET)
    chunk = os.read(descriptor, len(buffer))
    os.lseek(descriptor, position, os.SEEK_SET)
    buffer[: len(chunk)] = chunk
    return len(chunk)


def set_digest(members: Sequence[tuple[str, str]]) -> str:
    """The digest of an upload set from (name, digest) of all its members, in any order.

    One member: its content's digest, whatever its name. Several: two sets are equal when all names and contents are.
    Raises ValueError for an empty set.
    """
    if not members:
        raise ValueError("an upload set has at least one member")
    if len(members) == 1:
        return members[0][1]
    hasher = blake3()
    for name, digest in sorted(members):
        for part in (name, digest):
            raw = part.encode("utf-8", "surrogateescape")
            # The length in front keeps ("ab", "c") and ("a", "bc") apart.
            hasher.update(len(raw).to_bytes(8, "big"))
            hasher.update(raw)
    return PREFIX + hasher.hexdigest()
