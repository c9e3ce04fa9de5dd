"""Names in LightWave objects (LWOB, LWO2, LWO3) and Modo scenes (LXOB): IFF files with the images as chunks.

Source: LightWave 3D SDK, "Object file format".
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from watcher.plan.text import decode

MOST_CHUNKS = 200_000
LONGEST_NAME = 4 * 1024
"""Bytes."""
DEEPEST = 16
"""Forms within forms."""

_CLIP_NAMES = {b"STIL", b"ANIM"}
"""In a clip: a still image; an animation."""
_SURFACE_NAMES = {b"TIMG", b"RIMG"}
"""In a surface of LWOB: a texture; a reflected image."""
_NO_IMAGE = "(none)"


def read_lwo(file: BinaryIO) -> Iterator[str]:
    """The images of the object."""
    header = file.read(12)
    if len(header) < 12 or not header.startswith(b"FORM"):
        return iter(())
    kind = header[8:]
    if kind not in (b"LWOB", b"LWLO", b"LWO2", b"LWO3", b"LXOB"):
        return iter(())
    return _Object(file, kind).names()


class _Object:
    """A walk over the chunks of an object."""

    def __init__(self, file: BinaryIO, kind: bytes) -> None:
        self._file = file
        self._kind = kind
        self._left = MOST_CHUNKS

    def names(self) -> Iterator[str]:
        """All names of images."""
        return (name for name in self._names() if name.lower() != _NO_IMAGE)

    def _names(self) -> Iterator[str]:
        end = self._file.seek(0, 2)
        for chunk, begin, size in self._chunks(12, end, 4):
            if chunk == b"CLIP":
                # Its number comes first.
                yield from self._in_clip(begin + 4, begin + size, 2)
            elif chunk == b"SURF" and self._kind in (b"LWOB", b"LWLO"):
                yield from self._in_surface(begin, begin + size)
            elif chunk == b"FORM" and self._bytes(begin, 4) == b"CLIP":  # LWO3
                yield from self._in_clip(begin + 8, begin + size, 4)
            elif chunk == b"ITEM" and self._kind == b"LXOB":
                yield from self._in_item(begin, begin + size)

    def _in_clip(self, at: int, end: int, width: int, depth: int = 0) -> Iterator[str]:
        for chunk, begin, size in self._chunks(at, end, width):
            if chunk in _CLIP_NAMES:
                yield self._name(begin, size)
            elif chunk == b"STCC":  # a still image that changes its colours, after two numbers
                yield self._name(begin + 4, size - 4)
            elif chunk == b"ISEQ":
                yield from self._sequence(begin, size)
            elif chunk == b"FORM" and width == 4 and depth < DEEPEST:
                yield from self._in_clip(begin + 4, begin + size, width, depth + 1)

    def _in_surface(self, at: int, end: int) -> Iterator[str]:
        own_name = self._bytes(at, min(end - at, LONGEST_NAME)).partition(b"\0")[0]
        for chunk, begin, size in self._chunks(at + _even(len(own_name) + 1), end, 2):
            if chunk in _SURFACE_NAMES:
                yield self._name(begin, size)

    def _in_item(self, at: int, end: int) -> Iterator[str]:
        """The `filename` of an item of a Modo scene: a channel with a text."""
        type_name = self._bytes(at, min(end - at, LONGEST_NAME)).partition(b"\0")[0]
        if type_name not in (b"videoStill", b"videoSequence"):
            return
        at += _even(len(type_name) + 1)
        item_name = self._bytes(at, min(end - at, LONGEST_NAME)).partition(b"\0")[0]
        at += _even(len(item_name) + 1) + 4
        for chunk, begin, size in self._chunks(at, end, 2):
            if chunk == b"CHNS":
                raw = self._bytes(begin, min(size, 2 * LONGEST_NAME))
                if raw.startswith(b"filename\0"):
                    yield decode(raw[_even(len(b"filename\0")) :].partition(b"\0")[0])

    def _sequence(self, at: int, size: int) -> Iterator[str]:
        """The images of a numbered sequence: prefix, number with so many digits, suffix."""
        raw = self._bytes(at, min(size, 2 * LONGEST_NAME))
        if len(raw) < 12:
            return
        digits, _, offset, _, first, last = struct.unpack_from(">BBhHhh", raw)
        prefix, _, rest = raw[10:].partition(b"\0")
        if len(prefix) % 2 == 0:
            rest = rest[1:]
        suffix = rest.partition(b"\0")[0]
        for number in range(first, min(last, first + 9_999) + 1):
            yield decode(prefix) + str(number + offset).zfill(min(digits, 9)) + decode(suffix)

    def _chunks(self, at: int, end: int, width: int) -> Iterator[tuple[bytes, int, int]]:
        """Name, place and size of the content of each chunk in that range; its size is written in `width` bytes."""
        while at + 4 + width <= end and self._left > 0:
            self._left -= 1
            header = self._bytes(at, 4 + width)
            if len(header) < 4 + width:
                return
            at += 4 + width
            size = min(int.from_bytes(header[4:], "big"), end - at)
            yield header[:4], at, size
            at += _even(size)

    def _name(self, at: int, size: int) -> str:
        return decode(self._bytes(at, max(0, min(size, LONGEST_NAME))).partition(b"\0")[0])

    def _bytes(self, at: int, size: int) -> bytes:
        self._file.seek(at)
        return self._file.read(size)


def _even(size: int) -> int:
    return size + size % 2
