"""Names in binary models of games and small modellers: fixed records at known places.

Sources: the headers of id Software's MD2 and MD3 and of MDC, M. Mead's MilkShape 3D, M. Sibly's Blitz3D format, and
files of Silo as its importers describe them.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from watcher.plan.text import decode

MOST_RECORDS = 10_000
"""Of each kind."""
_NAME = 64
"""Bytes of a name in the formats of id Software."""
_MOST_OF_MATERIAL = 64 * 1024
"""Bytes of a material of Silo."""


def read_md2(file: BinaryIO) -> Iterator[str]:
    """Quake 2: the skins."""
    header = file.read(68)
    if len(header) < 68 or not header.startswith(b"IDP2"):
        return
    count, at = struct.unpack_from("<i", header, 20)[0], struct.unpack_from("<i", header, 44)[0]
    yield from _names(file, at, count, _NAME, _NAME)


def read_md3(file: BinaryIO) -> Iterator[str]:
    """Quake 3 (MD3) and Return to Castle Wolfenstein (MDC): the shaders of each surface."""
    header = file.read(112)
    if len(header) < 112:
        return
    if header.startswith(b"IDP3"):
        count, at = struct.unpack_from("<i", header, 84)[0], struct.unpack_from("<i", header, 100)[0]
        places = (76, 92, 104)  # in a surface: number of shaders, where they are, where the next surface is
    elif header.startswith(b"IDPC"):
        count, at = struct.unpack_from("<i", header, 84)[0], struct.unpack_from("<i", header, 104)[0]
        places = (80, 96, 120)
    else:
        return
    for _ in range(min(count, MOST_RECORDS)):
        if at < 0:
            return
        file.seek(at)
        surface = file.read(124)
        if len(surface) < places[2] + 4:
            return
        shaders, begin, size = (struct.unpack_from("<i", surface, place)[0] for place in places)
        yield from _names(file, at + begin, min(shaders, 256), _NAME, _NAME + 4)
        if size <= 0:
            return
        at += size


def read_ms3d(file: BinaryIO) -> Iterator[str]:
    """MilkShape 3D: the texture and the alpha map of each material."""
    if not file.read(14).startswith(b"MS3D000000"):
        return
    for record in (15, 70):  # vertices, triangles
        file.seek(_u16(file) * record, 1)
    for _ in range(_u16(file)):
        file.seek(33, 1)
        file.seek(_u16(file) * 2 + 1, 1)
    for _ in range(_u16(file)):
        material = file.read(361)
        if len(material) < 361:
            return
        for at in (105, 233):
            yield _text(material[at : at + 128])


def read_b3d(file: BinaryIO) -> Iterator[str]:
    """Blitz3D: the textures."""
    header = file.read(12)
    if len(header) < 12 or not header.startswith(b"BB3D"):
        return
    for _ in range(MOST_RECORDS):
        chunk = file.read(8)
        if len(chunk) < 8:
            return
        size = int.from_bytes(chunk[4:], "little")
        if chunk.startswith(b"TEXS"):
            textures = file.read(min(size, MOST_RECORDS * 128))
            at = 0
            while (end := textures.find(b"\0", at)) >= 0:
                yield decode(textures[at:end])
                at = end + 1 + 28  # flags, blending, position, scale, rotation
        else:
            file.seek(size, 1)


def read_sib(file: BinaryIO) -> Iterator[str]:
    """Silo: the texture of each material, behind five numbers for colours and shine, and its name."""
    for _ in range(MOST_RECORDS):
        head = file.read(8)
        if len(head) < 8:
            return
        size = int.from_bytes(head[4:], "little")
        if head.startswith(b"MATR"):
            material = file.read(min(size, _MOST_OF_MATERIAL))
            file.seek(size - len(material), 1)
            at = 68
            name_size = int.from_bytes(material[at : at + 4], "little")
            at += 4 + name_size
            text = material[at + 4 : at + 4 + int.from_bytes(material[at : at + 4], "little")]
            yield text.decode("utf-16-le", "replace").partition("\0")[0]
        else:
            file.seek(size, 1)


def _names(file: BinaryIO, at: int, count: int, size: int, step: int) -> Iterator[str]:
    for number in range(min(count, MOST_RECORDS)):
        if at < 0:
            return
        file.seek(at + number * step)
        raw = file.read(size)
        if len(raw) < size:
            return
        yield _text(raw)


def _text(raw: bytes) -> str:
    return decode(raw.partition(b"\0")[0]).strip()


def _u16(file: BinaryIO) -> int:
    return int.from_bytes(file.read(2), "little")
