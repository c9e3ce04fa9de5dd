"""Names in DirectX X files: the textures and effects of materials, in text, binary and MSZIP-compressed files.

Source: Microsoft, "X file format reference" (text and binary tokens); MSZIP as in [MS-MCI].
"""

import re
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO

from watcher.plan.text import BLOCK, blocks, decode, whole_lines

LONGEST_NAME = 4 * 1024
"""Bytes."""
LARGEST_INFLATED = 64 * 1024 * 1024
"""Bytes of a compressed file that are looked at, unpacked."""
MOST_TOKENS = 2_000_000
_WINDOW = 32 * 1024  # what one MSZIP block may refer to in the one before

_OPENED = rb"\s*+(?:[\w-]++\s*+)?\{\s*+(?:<[^>]{0,64}>\s*+)?"
_TEXTURE = re.compile(
    rb"(?<!\w)(?:(?:Texture|Normalmap)FileName|EffectInstance)" + _OPENED + rb'"([^"\r\n]*+)"'
    rb"|(?<!\w)EffectParamString" + _OPENED + rb'"[^"\r\n]*+"\s*+;\s*+'
    rb'"([^"\r\n]{1,1024}?\.(?:dds|tga|png|jpe?g|bmp|tiff?|hdr))"',
    re.IGNORECASE,
)
_BEGUN = re.compile(
    rb"(?<!\w)(?:(?:Texture|Normalmap)FileName|EffectInstance|EffectParamString)[^}]*+\Z", re.IGNORECASE
)
_TEXTURE_NAMES = (b"texturefilename", b"normalmapfilename")
_NAME, _STRING, _INTEGER, _GUID, _INTEGERS, _FLOATS = 1, 2, 3, 5, 6, 7


def read_x(file: BinaryIO) -> Iterator[str]:
    """The image of every material."""
    header = file.read(16)
    if not header.startswith(b"xof "):
        return iter(())
    source: BinaryIO = file
    kind, float_size = header[8:12], 8 if header[12:16] == b"0064" else 4
    if kind in (b"tzip", b"bzip"):
        source = BytesIO(b"".join(_inflated(file)))
    return _in_text(source) if kind in (b"txt ", b"tzip") else _in_tokens(source, float_size)


def _in_text(file: BinaryIO) -> Iterator[str]:
    rest = b""
    for block in whole_lines(blocks(file)):
        piece = rest + block
        for texture in _TEXTURE.finditer(piece):
            yield decode(texture[1] or texture[2] or b"").replace(
                "\\\\", "\\"
            )  # most programs escape backslashes, some do not
        begun = _BEGUN.search(piece, max(len(piece) - LONGEST_NAME, 0))
        rest = piece[begun.start() :] if begun else b""


def _in_tokens(file: BinaryIO, float_size: int) -> Iterator[str]:
    in_texture = False
    for _ in range(MOST_TOKENS):
        raw = file.read(2)
        if len(raw) < 2:
            return
        token = int.from_bytes(raw, "little")
        if token in (_NAME, _STRING):
            size = int.from_bytes(file.read(4), "little")
            text = file.read(size) if size <= LONGEST_NAME else b""
            if not text and size:
                return
            if token == _NAME:
                in_texture = text.lower() in _TEXTURE_NAMES
            elif in_texture:
                yield decode(text)
                in_texture = False
        elif token == _INTEGER:
            file.read(4)
        elif token == _GUID:
            file.read(16)
        elif token in (_INTEGERS, _FLOATS):
            count = int.from_bytes(file.read(4), "little")
            file.seek(count * (4 if token == _INTEGERS else float_size), 1)


def _inflated(file: BinaryIO) -> Iterator[bytes]:
    """The content of a compressed file, as far as it is sound."""
    file.read(4)  # its size unpacked
    window = b""
    left = LARGEST_INFLATED
    while left > 0 and len(header := file.read(6)) == 6 and header[4:] == b"CK":
        packed = file.read(int.from_bytes(header[2:4], "little") - 2)
        try:
            block = zlib.decompressobj(-15, window).decompress(packed, BLOCK)
        except zlib.error:
            return
        yield block
        left -= len(block)
        window = block[-_WINDOW:]
