"""Names in the models of several games that share the extension MDL, and in materials that do.

Sources: `studio.h` of the Half-Life SDK; the MDL7 structures of 3D GameStudio as its importers describe them. The
models of Quake and of older GameStudios hold everything themselves.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from watcher.plan.alternatives import STEM, any_of
from watcher.plan.material_language import read_module
from watcher.plan.text import decode

MOST_GROUPS = 1_000
MOST_SKINS = 10_000
"""Of one group."""
LONGEST_NAME = 1024
"""Bytes."""

_HEADER_7 = struct.Struct("<8x2I12xH4xH12x")
_GROUP_7 = struct.Struct("<4xi16xi16x")
_SKIN_7 = struct.Struct("<B3x2I16x")
_REFERENCE, _DDS, _FILE = 1, 6, 7
"""Kinds of skins that are no pixels: another skin; a file in this one; a file beside it."""
_PIXEL = {2: 2, 3: 2, 4: 3, 5: 4}
"""Bytes of a pixel by the kind of the skin; one for all others."""
_FARTHEST = 1 << 40
"""Where a file is looked at: no file is so long, and to go farther is an error."""
_MIPS, _MATERIAL, _EFFECT = 0x08, 0x10, 0x20


def read_mdl(file: BinaryIO) -> Iterator[str]:
    """The files with the textures and the further animations of a Half-Life model; the images of a GameStudio model
    or of materials."""
    magic = file.read(8)
    if magic == b"IDST\x0a\0\0\0":
        return _half_life(file)
    if magic.startswith(b"MDL7"):
        return _game_studio(file)
    file.seek(0)
    return read_module(file)


def _half_life(file: BinaryIO) -> Iterator[str]:
    file.seek(172)
    numbers = file.read(12)
    if len(numbers) < 12:
        return
    groups, at, textures = struct.unpack("<3i", numbers)
    if textures == 0:
        yield f"{STEM}T.mdl"
    for number in range(1, min(groups, MOST_GROUPS)):
        file.seek(max(at, 0) + 104 * number + 32)
        written = decode(file.read(64).partition(b"\0")[0])
        yield any_of((f"{STEM}{number:02}.mdl", written))


def _game_studio(file: BinaryIO) -> Iterator[str]:
    file.seek(0)
    head = file.read(_HEADER_7.size)
    if len(head) < _HEADER_7.size:
        return
    bones, groups, bone_size, material_size = _HEADER_7.unpack(head)
    at = _HEADER_7.size + bones * bone_size
    for _ in range(min(groups, MOST_GROUPS)):
        file.seek(min(at, _FARTHEST))
        group = file.read(_GROUP_7.size)
        if len(group) < _GROUP_7.size:
            return
        size, skins = _GROUP_7.unpack(group)
        yield from _skins(file, min(skins, MOST_SKINS), material_size)
        if size < _GROUP_7.size:
            return
        at += size


def _skins(file: BinaryIO, count: int, material_size: int) -> Iterator[str]:
    for _ in range(count):
        skin = file.read(_SKIN_7.size)
        if len(skin) < _SKIN_7.size:
            return
        flags, width, height = _SKIN_7.unpack(skin)
        kind = flags & 0x07
        size = 0
        if kind == _FILE:
            at = file.tell()
            name = file.read(LONGEST_NAME).partition(b"\0")[0]
            yield decode(name)
            file.seek(at)
            size = len(name) + 1
        elif kind == _DDS:
            size = width
        elif kind != _REFERENCE:
            pixels = width * height
            pixels += sum(pixels >> shift for shift in (2, 4, 6)) if flags & _MIPS else 0
            size = pixels * _PIXEL.get(kind, 1)
        size += material_size if flags & _MATERIAL else 0
        file.seek(min(size, _FARTHEST), 1)
        if flags & _EFFECT:
            file.seek(int.from_bytes(file.read(4), "little"), 1)
