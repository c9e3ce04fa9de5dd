"""Names in Blender files: the images, sounds, fonts and the like that are not packed, and the libraries that are
linked.

A file describes its own structures, so that files of all versions are read alike. Compressed ones are of gzip until
Blender 2.93, then of Zstandard. Source: "The mystery of the blend" (J. Bakker); `DNA_sdna_types.h`, `DNA_ID_enums.h`,
`BLO_core_bhead.hh` of Blender 5.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from watcher.plan.compressed import Source, unpacked
from watcher.plan.text import decode
from watcher.plan.tiles import of_part, of_tile

MOST_BLOCKS = 5_000_000
MOST_NAMING = 10_000
"""Images, libraries and other data that name files."""
LARGEST_DNA = 1024 * 1024
"""Bytes of the description of the structures; some 200,000 in a real file."""
LARGEST_STRUCTURE = 4 * 1024
"""Bytes of each of these that are looked at."""

LONGEST_FIELD = 256
"""Bytes of the name of a field, with its dimensions."""

_HEADER = re.compile(rb"BLENDER(?:(?P<old>[_-][vV])\d{3}|17-01v\d{4})")
_PATHS = (b"name", b"filepath")
"""What a path is called, of old and today. Where there are both, the second is that of the
author's machine."""
_IMAGE, _CLIP = b"IM\0\0", b"MC\0\0"
_NAMING = {_IMAGE, _CLIP, b"LI\0\0", b"SO\0\0", b"VF\0\0", b"VO\0\0", b"CF\0\0"}
"""Codes of blocks: images, movie clips, libraries, sounds, fonts, volumes, cached geometry."""
_GENERATED, _RENDERED, _TILES = (_IMAGE, 4), (_IMAGE, 5), (_IMAGE, 6)
_SEQUENCES = {(_IMAGE, 2), (_CLIP, 1)}
"""Sources of images and clips, by the code."""
_BUILT_IN = b"<builtin>"
"""Blender's own font."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """How this file writes numbers, and the heads of its blocks."""

    order: str
    pointer: int
    head: struct.Struct
    is_large: bool


def read_blend(file: BinaryIO) -> Iterator[str]:
    """The files that the images, libraries and the like are in; ``//`` before a path, its folder, is left out."""
    source = unpacked(file)
    start = source.read(12)
    if start.startswith(b"BLENDER17"):
        start += source.read(5)
    header = _HEADER.match(start)
    if header is None:
        return
    if old := header["old"]:
        order, pointer = "<" if old[1:] == b"v" else ">", 8 if old[:1] == b"-" else 4
        layout = _Layout(order, pointer, struct.Struct(f"{order}4si{pointer}xii"), is_large=False)
    else:
        layout = _Layout("<", 8, struct.Struct("<4si8xqq"), is_large=True)
    naming: list[tuple[bytes, int, bytes]] = []
    for block in _blocks(source, layout):
        if block[0] == b"DNA1":
            yield from _paths(naming, block[2], layout)
            return
        if len(naming) < MOST_NAMING:
            naming.append(block)


def _blocks(file: Source, layout: _Layout) -> Iterator[tuple[bytes, int, bytes]]:
    """Code, number of the structure and beginning of the content of the blocks that matter."""
    for _ in range(MOST_BLOCKS):
        head = file.read(layout.head.size)
        if len(head) < layout.head.size:
            return
        if layout.is_large:
            code, structure, size, _ = layout.head.unpack(head)
        else:
            code, size, structure, _ = layout.head.unpack(head)
        if size < 0:
            return
        most = LARGEST_STRUCTURE if code in _NAMING else LARGEST_DNA
        if code in _NAMING or code == b"DNA1":
            content = file.read(min(size, most))
            size -= len(content)
            yield code, structure, content
        file.skip(size)


def _paths(naming: list[tuple[bytes, int, bytes]], dna: bytes, layout: _Layout) -> Iterator[str]:
    try:
        structures = _Structures(dna, layout)
    except (struct.error, ValueError, IndexError):
        return
    for code, number, content in naming:
        fields = structures.fields(number)
        path_field = next((name for name in _PATHS if name in fields), b"")
        packed = (fields.get(name) for name in (b"packedfile", b"packedfiles"))
        if not path_field or any(any(content[at : at + layout.pointer]) for at, _ in filter(None, packed)):
            continue
        at, size = fields[path_field]
        path = content[at : at + size].partition(b"\0")[0]
        at, size = fields.get(b"source", (0, 0))
        source = (code, int.from_bytes(content[at : at + size], "little" if layout.order == "<" else "big"))
        if path == _BUILT_IN or source in (_GENERATED, _RENDERED):
            continue
        name = decode(path).removeprefix("//")
        at, size = fields.get(b"is_sequence", (0, 0))
        if source in _SEQUENCES or any(content[at : at + size]):
            name = of_part(name)
        yield of_tile(name) if source == _TILES else name


class _Structures:
    """The structures that the file describes. Raises struct.error, ValueError or IndexError when it does not."""

    def __init__(self, dna: bytes, layout: _Layout) -> None:
        self._dna = dna
        self._layout = layout
        self._at = dna.index(b"NAME")
        self._names = self._texts(b"NAME")
        self._types = self._texts(b"TYPE")
        self._skip(b"TLEN")
        self._sizes = self._numbers("H", len(self._types))
        self._align()
        self._skip(b"STRC")
        self._structures = []
        self._fields: dict[int, dict[bytes, tuple[int, int]]] = {}
        for _ in range(self._numbers("i", 1)[0]):
            _type, count = self._numbers("H", 2)
            self._structures.append(self._numbers("H", 2 * count))

    def fields(self, number: int) -> dict[bytes, tuple[int, int]]:
        """Place and size of the fields of a structure, without what its structures have in them."""
        if number not in self._fields:
            self._fields[number] = self._read_fields(number) if 0 <= number < len(self._structures) else {}
        return self._fields[number]

    def _read_fields(self, number: int) -> dict[bytes, tuple[int, int]]:
        fields: dict[bytes, tuple[int, int]] = {}
        at = 0
        pairs = self._structures[number]
        for type_number, name_number in zip(pairs[::2], pairs[1::2], strict=True):
            if type_number >= len(self._sizes) or name_number >= len(self._names):
                return {}
            name = self._names[name_number]
            size = self._layout.pointer if name.startswith((b"*", b"(*")) else self._sizes[type_number]
            for count in re.findall(rb"\[(\d{1,6})\]", name[:LONGEST_FIELD]):
                size *= int(count)
            fields[name.partition(b"[")[0].strip(b"*()")] = (at, size)
            at += size
        return fields

    def _texts(self, mark: bytes) -> list[bytes]:
        self._skip(mark)
        count = self._numbers("i", 1)[0]
        texts = self._dna[self._at :].split(b"\0", count)[:count]
        self._at += sum(map(len, texts)) + len(texts)
        self._align()
        return texts

    def _numbers(self, kind: str, count: int) -> tuple[int, ...]:
        layout = struct.Struct(f"{self._layout.order}{count}{kind}")
        numbers = layout.unpack_from(self._dna, self._at)
        self._at += layout.size
        return numbers

    def _skip(self, mark: bytes) -> None:
        self._at = self._dna.index(mark, self._at, self._at + 16) + len(mark)

    def _align(self) -> None:
        self._at += -self._at % 4
