"""Files that may be compressed with gzip as a whole, read forwards in constant memory."""

import zlib
from typing import BinaryIO

LARGEST = 2 << 30
"""Bytes of a compressed file that are looked at, unpacked; some ten seconds of work."""
_PIECE = 64 * 1024


class Source:
    """A file that is read forwards."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        """So many bytes, less at the end."""
        return self._file.read(size)

    def skip(self, size: int) -> None:
        """Passes over so many bytes."""
        self._file.seek(min(size, 1 << 40), 1)  # past the end; farther is an error


class _Inflated(Source):
    """The content of a compressed file, as far as it is sound."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self._inflater = zlib.decompressobj(31)
        self._left = LARGEST

    def read(self, size: int) -> bytes:
        content = b""
        while len(content) < size and self._left > 0 and not self._inflater.eof:
            packed = self._inflater.unconsumed_tail or self._file.read(_PIECE)
            if not packed:
                break
            try:
                content += self._inflater.decompress(packed, size - len(content))
            except zlib.error:
                self._left = 0
        self._left -= len(content)
        return content

    def skip(self, size: int) -> None:
        while size > 0 and (skipped := len(self.read(min(size, 16 * _PIECE)))):
            size -= skipped


def inflated(file: BinaryIO) -> Source:
    """The file from its beginning, unpacked if it is compressed."""
    start = file.read(2)
    file.seek(0)
    return _Inflated(file) if start == b"\x1f\x8b" else Source(file)
