"""Names in Model 3D files (M3D), binary and text: the textures of materials that are not packed in the file.

Source: "Model 3D file format" (bzt), the chunks HEAD, ASET and MTRL.
"""

from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO

from watcher.plan.compressed import ZLIB, Inflated, Source
from watcher.plan.statements import statements
from watcher.plan.text import decode

MOST_CHUNKS = 100_000
LARGEST_CHUNK = 1024 * 1024
"""Bytes of a header or a material that are looked at."""

_COLOUR, _BYTE, _FLOAT = "colour", "byte", "float"
_PROPERTIES = {
    **dict.fromkeys((0, 1, 2, 4, 5), _COLOUR),
    **dict.fromkeys((3, 6, 7, 64, 65, 66, 67, 68), _FLOAT),
    8: _BYTE,
}
"""What stands behind the number of a property; from 128 on, the name of a texture."""

_in_text = statements(rb"(?:map_\w++|bump|refl)[ \t]++([^\r\n]++)")


def read_m3d(file: BinaryIO) -> Iterator[str]:
    """The textures of all materials."""
    start = file.read(8)
    if start.startswith(b"3dmo"):
        file.seek(0)
        return _in_text(file)
    if not start.startswith(b"3DMO"):
        return iter(())
    is_plain = file.read(4) == b"HEAD"
    file.seek(8)
    return _in_chunks(Source(file) if is_plain else Inflated(file, ZLIB))


def m3d_readings(text: str) -> tuple[tuple[str, ...], ...]:
    """A name without an extension is that of a PNG."""
    return ((text,),) if "." in text[-5:] else ((f"{text}.png",), (text,))


def _in_chunks(source: Source) -> Iterator[str]:
    texts, types = b"", 0
    named: dict[str, None] = {}
    packed: set[str] = set()
    for _ in range(MOST_CHUNKS):
        head = source.read(8)
        size = int.from_bytes(head[4:], "little") - 8
        if len(head) < 8 or size < 0:
            break
        kind = head[:4]
        wanted = min(size, LARGEST_CHUNK) if kind in (b"HEAD", b"MTRL") else min(size, 4) if kind == b"ASET" else 0
        content = source.read(wanted)
        source.skip(size - wanted)
        width = 1 << (types >> 4 & 3)
        if kind == b"HEAD":
            types, texts = int.from_bytes(content[4:8], "little"), content
        elif kind == b"MTRL":
            named |= dict.fromkeys(_in_material(content, texts, width, types))
        elif kind == b"ASET":
            packed.add(_text(texts, content[:width]))
    yield from (name for name in named if name and name not in packed)


def _in_material(content: bytes, texts: bytes, width: int, types: int) -> Iterator[str]:
    colour = 1 << (types >> 6 & 3)
    sizes = {_COLOUR: 4 if colour == 8 else colour, _BYTE: 1, _FLOAT: 4}
    material = BytesIO(content)
    material.seek(width)  # its name
    while number := material.read(1):
        if number[0] >= 128:
            yield _text(texts, material.read(width))
        elif number[0] in _PROPERTIES:
            material.seek(sizes[_PROPERTIES[number[0]]], 1)
        else:
            return


def _text(texts: bytes, place: bytes) -> str:
    at = int.from_bytes(place, "little")
    # Places count from the end of the header's numbers.
    return decode(texts[8 + at :].partition(b"\0")[0]) if at else ""
