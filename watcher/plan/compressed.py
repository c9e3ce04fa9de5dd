"""Files that may be compressed as a whole (gzip, zlib, Zstandard), read forwards in constant memory."""

import sys
import zlib
from typing import BinaryIO

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LARGEST = 2 << 30
"""Bytes of a compressed file that are looked at, unpacked; some ten seconds of work."""
LARGEST_WINDOW = 23
"""Of Zstandard, the logarithm of the bytes that it looks back: what needs more memory is not read."""
GZIP, ZLIB = 31, 15
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


class _Unpacked(Source):
    """The content of a compressed file, as far as it is sound."""

    _left = LARGEST

    def read(self, size: int) -> bytes:
        content = b""
        while len(content) < size and self._left > 0:
            piece = self._unpack(size - len(content))
            if not piece:
                self._left = 0
            content += piece
        self._left -= len(content)
        return content

    def skip(self, size: int) -> None:
        while size > 0 and (skipped := len(self.read(min(size, 16 * _PIECE)))):
            size -= skipped

    def _unpack(self, most: int) -> bytes:
        """At least a byte, unless it is the end."""
        raise NotImplementedError


class Inflated(_Unpacked):
    """The content of a file (or of the rest of one) that gzip or zlib compressed."""

    def __init__(self, file: BinaryIO, container: int = GZIP) -> None:
        super().__init__(file)
        self._inflater = zlib.decompressobj(container)

    def _unpack(self, most: int) -> bytes:
        piece = b""
        while not piece and not self._inflater.eof:
            packed = self._inflater.unconsumed_tail or self._file.read(_PIECE)
            if not packed:
                break
            try:
                piece = self._inflater.decompress(packed, most)
            except zlib.error:
                break
        return piece


class _Zstandard(_Unpacked):
    """The content of a file that Zstandard compressed, in one frame or many."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: LARGEST_WINDOW}
        self._content = zstd.ZstdFile(file, options=options)

    def _unpack(self, most: int) -> bytes:
        try:
            return self._content.read(most)
        except (zstd.ZstdError, EOFError):
            return b""


def unpacked(file: BinaryIO) -> Source:
    """The file from its beginning, unpacked if it is compressed with gzip or Zstandard."""
    start = file.read(4)
    file.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return Inflated(file)
    # A file may begin with a frame that is to be skipped.
    if start == b"\x28\xb5\x2f\xfd" or (start[1:] == b"\x2a\x4d\x18" and start[0] & 0xF0 == 0x50):
        return _Zstandard(file)
    return Source(file)
