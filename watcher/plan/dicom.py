"""The series that a DICOM file belongs to: the slices of one volume are files of their own and travel together.

Source: DICOM PS3.5 (explicit and implicit encoding of data elements), PS3.10 (file format).
"""

import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO

SERIES = (0x0020, 0x000E)
MOST_ELEMENTS = 20_000
LARGEST_HEADER = 16 * 1024 * 1024
"""Bytes before the series that are looked at, unpacked."""
DEEPEST = 16
"""Sequences within sequences."""

_TRANSFER_SYNTAX = (0x0002, 0x0010)
_IMPLICIT, _BIG, _DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
"""Kinds of values whose length has four bytes, after two that mean nothing."""
_UNDEFINED = 0xFFFFFFFF


def read_dcm(file: BinaryIO) -> Iterator[str]:
    """The SeriesInstanceUID; nothing when the file has none, and so is a volume or an image by itself."""
    head = file.read(132)
    is_implicit = is_big = False
    if head[128:] == b"DICM":
        header = _Elements(file, is_implicit=False, is_big=False)
        syntax = header.find(_TRANSFER_SYNTAX, below_group=3) or ""
        is_implicit, is_big = syntax == _IMPLICIT, syntax == _BIG
        if syntax == _DEFLATED:
            file = _inflated(file)
    else:  # of old: the data set alone
        is_big = head[:2] == b"\0\x08"
        file.seek(0)
    start = file.tell()
    is_implicit = is_implicit or not file.read(6)[4:].isalpha()  # whatever was said before
    file.seek(start)
    if series := _Elements(file, is_implicit=is_implicit, is_big=is_big).find(SERIES):
        yield series


class _Elements:
    """A walk over the data elements of a set, in the order of their tags."""

    def __init__(self, file: BinaryIO, *, is_implicit: bool, is_big: bool) -> None:
        self._file = file
        self._is_implicit = is_implicit
        self._is_big = is_big
        self._left = MOST_ELEMENTS

    def find(self, wanted: tuple[int, int], below_group: int = 0xFFFF) -> str | None:
        """The text of an element, and the file stands behind it. With None it stands where the walk ended: at the
        first element of a higher group, or anywhere."""
        found = None
        while self._left > 0:
            start = self._file.tell()
            tag, length = self._head()
            if tag is None or tag[0] >= below_group:
                self._file.seek(start)
                return found
            if tag == wanted:
                found = self._file.read(min(length, 64)).rstrip(b"\0 ").decode("ascii", "replace")
                if below_group == 0xFFFF:
                    return found
            elif tag > wanted and below_group == 0xFFFF:
                return None
            elif length == _UNDEFINED:
                self._skip_sequence(0)
            else:
                self._file.seek(length, 1)
        return found

    def _head(self) -> tuple[tuple[int, int] | None, int]:
        """Tag and length of the next element; no tag at the end of the file."""
        self._left -= 1
        raw = self._file.read(8)
        if len(raw) < 8 or self._file.tell() > LARGEST_HEADER:
            return None, 0
        tag = self._number(raw[:2]), self._number(raw[2:4])
        # The marks of items and of their ends never have a kind.
        if self._is_implicit or tag[0] == 0xFFFE:
            return tag, self._number(raw[4:])
        if raw[4:6] in _LONG:
            return tag, self._number(self._file.read(4))
        return tag, self._number(raw[6:])

    def _skip_sequence(self, depth: int) -> None:
        """Past a sequence, or an item of one, whose end is marked."""
        while self._left > 0 and depth < DEEPEST:
            tag, length = self._head()
            if tag is None or tag in ((0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)):
                return
            if length == _UNDEFINED:
                self._skip_sequence(depth + 1)
            else:
                self._file.seek(length, 1)

    def _number(self, raw: bytes) -> int:
        return int.from_bytes(raw, "big" if self._is_big else "little")


def _inflated(file: BinaryIO) -> BinaryIO:
    try:
        return BytesIO(zlib.decompressobj(-15).decompress(file.read(LARGEST_HEADER), LARGEST_HEADER))
    except zlib.error:
        return BytesIO()
