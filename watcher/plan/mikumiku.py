"""Names in MikuMikuDance models (PMX 2.0 and 2.1): the table of textures, behind vertices and faces.

Source: "PMX (Polygon Model eXtended) 2.0, 2.1" as F. Nguyen describes it.
"""

from collections.abc import Iterator
from typing import BinaryIO

MOST_TEXTURES = 10_000
MOST_VERTICES = 10_000_000
LONGEST_TEXT = 1024 * 1024
"""Bytes of the comments in front."""

_POSITION = 32
"""Bytes of the place, normal and texture coordinates of a vertex."""
_VECTOR = 16


def read_pmx(file: BinaryIO) -> Iterator[str]:
    """The textures of the model."""
    head = file.read(9)
    if not head.startswith(b"PMX ") or len(head) < 9:
        return
    settings = file.read(head[8])
    if len(settings) < 8:
        return
    encoding = "utf-8" if settings[0] else "utf-16-le"
    more_vectors, vertex_index, bone_index = settings[1], settings[2], settings[5]
    # One bone; two and a weight; four and four weights; as two, with three vectors; as four. Then the edge's scale.
    weights = (
        bone_index,
        2 * bone_index + 4,
        4 * bone_index + 16,
        2 * bone_index + 4 + 36,
        4 * bone_index + 16,
    )
    for _ in range(4):  # the names and the comments of the model
        if _raw_text(file) is None:
            return
    for _ in range(min(_number(file), MOST_VERTICES)):
        file.seek(_POSITION + more_vectors * _VECTOR, 1)
        kind = file.read(1)
        if not kind or kind[0] >= len(weights):
            return
        file.seek(weights[kind[0]] + 4, 1)
    file.seek(_number(file) * vertex_index, 1)
    for _ in range(min(_number(file), MOST_TEXTURES)):
        raw = _raw_text(file)
        if raw is None:
            return
        yield raw.decode(encoding, "replace")


def _raw_text(file: BinaryIO) -> bytes | None:
    size = _number(file)
    raw = file.read(size) if size <= LONGEST_TEXT else b""
    return raw if len(raw) == size else None


def _number(file: BinaryIO) -> int:
    return int.from_bytes(file.read(4), "little")
