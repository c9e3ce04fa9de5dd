"""Names in DXF drawings, text and binary: drawings that are inserted from files of their own, images, underlays and
the maps of materials.

Source: Autodesk, "DXF reference" (pairs of a group code and a value; BLOCK, IMAGEDEF, MATERIAL and the underlay
definitions; "Binary DXF files").
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import BinaryIO

from watcher.plan.text import BLOCK, blocks, decode, whole_lines

LONGEST_NAME = 4 * 1024
"""Bytes."""
MOST_NAMES = 100_000
MOST_PAIRS = 20_000_000

_BINARY = b"AutoCAD Binary DXF\r\n\x1a\0"
_NAMING = {
    **dict.fromkeys((b"BLOCK", b"IMAGEDEF", b"PDFDEFINITION", b"DWFDEFINITION", b"DGNDEFINITION"), (1,)),
    b"MATERIAL": (3, 4, 6, 7, 8, 9),
}
"""Objects with the groups that are names of files: of a material, its maps."""
_EXTERNAL = 4 | 8
"""Of the flags of a block: its content is in the file that group 1 names, to stay there or to be laid over."""
_ESCAPE = re.compile(r"\\(?:U\+|M\+([1-5]))([0-9A-F]{4})", re.IGNORECASE)
_CODE_PAGES = {"1": "cp932", "2": "big5", "3": "cp949", "4": "johab", "5": "gbk"}

_Pair = tuple[int, bytes]


def read_dxf(file: BinaryIO) -> Iterator[str]:
    """The files that a drawing names."""
    is_binary = file.read(len(_BINARY)) == _BINARY
    if not is_binary:
        file.seek(0)
    pairs = _binary_pairs(file) if is_binary else _text_pairs(file)
    yield from (_ESCAPE.sub(_escaped, decode(path)) for path in islice(_paths(pairs), MOST_NAMES))


def _paths(pairs: Iterable[_Pair]) -> Iterator[bytes]:
    kind = of_block = b""
    is_external = False
    for code, value in _ended(pairs):
        if code == 0:
            if is_external and of_block:
                yield of_block
            kind, of_block, is_external = value, b"", False
        elif kind == b"BLOCK" and code == 70:
            is_external = _is_external(value)
        elif code in _NAMING.get(kind, ()) and 0 < len(value) <= LONGEST_NAME:
            if kind == b"BLOCK":
                of_block = value
            else:
                yield value


def _escaped(escape: re.Match[str]) -> str:
    """A letter that is written as its number in Unicode or (until release 14) in a code page of East Asia."""
    page, number = escape.groups()
    return bytes.fromhex(number).decode(_CODE_PAGES[page], "replace") if page else chr(int(number, 16))


def _ended(pairs: Iterable[_Pair]) -> Iterator[_Pair]:
    """The pairs, and behind them the beginning of something more, as if nothing had been cut off."""
    yield from pairs
    yield 0, b""


def _text_pairs(file: BinaryIO) -> Iterator[_Pair]:
    """The pairs of which something is to be known: a code on a line, its value on the next."""
    code: bytes | None = None
    for piece in whole_lines(blocks(file)):
        for line in piece.splitlines():
            if code is None:
                code = line.strip()
                continue
            if code in _WANTED:
                yield int(code), line.strip()
            code = None


_WANTED = {b"0", b"70", *(b"%d" % code for codes in _NAMING.values() for code in codes)}


def _is_external(flags: bytes) -> bool:
    try:
        return bool(int(flags[:16]) & _EXTERNAL)
    except ValueError:
        return False


# The widths of numbers, by the first and the last of the codes that have them; all other values are texts.
_WIDTHS = (
    *((first, last, 8) for first, last in ((10, 59), (110, 169), (210, 239), (460, 469), (1010, 1059))),
    *((first, last, 4) for first, last in ((90, 99), (420, 429), (440, 459), (1071, 1071))),
    *((first, last, 2) for first, last in ((60, 79), (170, 179), (270, 289), (370, 389), (400, 409), (1060, 1070))),
    (290, 299, 1),
)
_CHUNKS = {*range(310, 320), 1004}
"""Codes of bytes whose number stands before them."""


def _width(code: int) -> int | None:
    return next((width for first, last, width in _WIDTHS if first <= code <= last), None)


def _binary_pairs(file: BinaryIO) -> Iterator[_Pair]:
    """All pairs of a binary drawing; the numbers of flags as text."""
    data = _Buffered(file)
    is_old = data.peek(2)[1:] != b"\0"  # until release 12 a code has one byte
    for _ in range(MOST_PAIRS):
        raw = data.take(1 if is_old else 2)
        if raw == b"\xff" and is_old:
            raw = data.take(2)
        if not raw:
            return
        code = int.from_bytes(raw, "little")
        if code in _CHUNKS:
            data.take(int.from_bytes(data.take(1), "little"))
        elif (width := _width(code)) is not None:
            value = data.take(width)
            if code == 70:
                yield code, b"%d" % int.from_bytes(value, "little")
        else:
            yield code, data.text()


class _Buffered:
    """A file that is read forwards in small pieces."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._rest = b""
        self._at = 0

    def peek(self, size: int) -> bytes:
        while len(self._rest) - self._at < size and (block := self._file.read(BLOCK)):
            self._rest = self._rest[self._at :] + block
            self._at = 0
        return self._rest[self._at : self._at + size]

    def take(self, size: int) -> bytes:
        piece = self.peek(size)
        self._at += len(piece)
        return piece

    def text(self) -> bytes:
        """Up to the next zero byte; what is too long for a name is passed over and comes as nothing."""
        is_long = False
        while (end := self._rest.find(0, self._at)) < 0:
            is_long |= len(self._rest) - self._at > BLOCK
            if is_long:
                self._at = len(self._rest)
            known = len(self._rest) - self._at
            if len(self.peek(known + 1)) <= known:
                self._at = len(self._rest)
                return b""
        text = b"" if is_long else self._rest[self._at : end]
        self._at = end + 1
        return text
