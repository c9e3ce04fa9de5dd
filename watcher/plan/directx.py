"""Names in DirectX X files: the textures and effects of materials, in text, binary and MSZIP-compressed files.

Source: Microsoft, "X file format reference" (text and binary tokens); MSZIP as in [MS-MCI].
"""

import re
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO

from watcher.plan.text import BLOCK, blocks, decode, tokens

LONGEST_NAME = 4 * 1024
"""Bytes."""
LARGEST_INFLATED = 64 * 1024 * 1024
"""Bytes of a compressed file that are looked at, unpacked."""
MOST_TOKENS = 2_000_000
_WINDOW = 32 * 1024  # what one MSZIP block may refer to in the one before

_COMMENT = rb"(?://|\#)[^\r\n]*+"
_BLANK = rb"(?:\s|" + _COMMENT + rb")*+"
_OPENED = _BLANK + rb"(?:[\w-]++" + _BLANK + rb")?\{" + _BLANK + rb"(?:<[^>]{0,64}>" + _BLANK + rb")?"
_TEXT = rb'"[^"\r\n]*+"'
_TOKEN = re.compile(
    # The first letter stands for itself: so it is looked for at the speed of the regular expression.
    rb'[/#"TtNnEe](?:'
    rb"(?:(?<=/)/|(?<=\#))[^\r\n]*+"
    rb'|(?<=")[^"\r\n]*+"'
    rb"|(?<!\w.)(?i:(?:(?<=t)exture|(?<=n)ormalmap)FileName|(?<=e)ffectInstance)"
    + _OPENED + rb"(?P<text>" + _TEXT + rb")"
    rb"|(?<!\w.)(?i:(?<=e)ffectParamString)"
    + _OPENED + _TEXT + _BLANK + rb";" + _BLANK + rb"(?P<value>" + _TEXT + rb"))"
)  # fmt: skip
_IMAGE = re.compile(r"\.(?:dds|tga|png|jpe?g|bmp|tiff?|hdr)$", re.IGNORECASE)
_NAMING = {b"texturefilename": 1, b"normalmapfilename": 1, b"effectinstance": 1, b"effectparamstring": 2}
"""Templates, and which of their texts is a name; that of the last only when it is called like an image."""
_NAME, _STRING, _INTEGER, _GUID, _INTEGERS, _FLOATS, _OPEN = 1, 2, 3, 5, 6, 7, 10


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
    for token in tokens(blocks(file), _TOKEN):
        # Most programs escape backslashes, some do not.
        text = decode(token["text"] or token["value"] or b"")[1:-1].replace("\\\\", "\\")
        if token["text"] or _IMAGE.search(text):
            yield from _images(text)


def _in_tokens(file: BinaryIO, float_size: int) -> Iterator[str]:
    names: list[bytes] = []
    """What stands before a bracket: the template, and perhaps what the object is called."""
    before = 0
    """Texts until the one that is a name."""
    is_file = False
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
                names = [*names[:1], text.lower()]
                continue
            before -= 1
            if before == 0 and (is_file or _IMAGE.search(decode(text))):
                yield from _images(decode(text))
        elif token == _OPEN:
            template = names[0] if names else b""
            before = _NAMING.get(template, 0)
            is_file = before == 1
        elif token == _INTEGER:
            file.read(4)
        elif token == _GUID:
            file.read(16)
        elif token in (_INTEGERS, _FLOATS):
            count = int.from_bytes(file.read(4), "little")
            file.seek(count * (4 if token == _INTEGERS else float_size), 1)
        names = []


def _images(text: str) -> Iterator[str]:
    """MikuMikuDance puts the image of what an object mirrors behind that of its surface."""
    yield from text.split("*")


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
