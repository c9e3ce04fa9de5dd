"""Asset paths in binary USD layers ("crate" files), read from their tables without loading what the layer describes.

Only the values are looked at that can hold a path: asset paths and lists of them, in attributes, time samples and
dictionaries; references, payloads and sublayers. Source: the layout as `pxr/usd/sdf/crateFile.h` of OpenUSD documents
it, versions 0.0 to 0.12; `pxr/usd/sdf/crateDataTypes.h` for the numbers of types.
"""

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import BinaryIO

from watcher.plan import lz4
from watcher.plan.text import decode

MAGIC = b"PXR-USDC"
LARGEST_TABLE = 64 * 1024 * 1024
"""Bytes of a table, unpacked; layers with larger ones describe millions of values."""
MOST_VALUES = 2_000_000
"""Of one layer that are looked at."""
VARIABLES = b"expressionVariables"
"""The field with a dictionary of what expressions in paths may hold."""
MOST_VARIABLES = 1_000
IDENTIFIER = "identifier"
"""The key under which a dictionary says by which path the asset is known itself."""
TEMPLATE = "templateAssetPath"
"""The key of a text that is a path, with number signs for a number."""
DEEPEST = 32
"""Dictionaries within dictionaries."""


class _Type(IntEnum):
    """The types of values that may hold a path."""

    STRING = 10
    """Only under the key of a template."""
    ASSET_PATH = 12
    DICTIONARY = 31
    REFERENCE_LIST = 35
    TIME_SAMPLES = 46
    PAYLOAD = 47
    STRINGS = 50
    PAYLOAD_LIST = 55


_INLINED = 1 << 14
"""Beside the type: the value stands in the place of its place."""
_PLACE = 0xFFFFFFFFFFFF
_TYPES = {kind.value: kind for kind in _Type if kind is not _Type.STRING}


class _Broken(Exception):
    """The file ends early, or a number in it cannot be."""


def asset_paths(file: BinaryIO, variables: dict[str, str]) -> Iterator[str]:
    """All asset paths in the layer, as far as it is sound. What it sets is added to the variables (and whatever else
    stands in a dictionary of a layer that sets some)."""
    try:
        yield from _Crate(file, variables).paths()
    except (_Broken, lz4.Corrupt):
        return


class _Crate:
    """An open layer: its tables of texts in memory, its values on disk."""

    def __init__(self, file: BinaryIO, variables: dict[str, str]) -> None:
        self._file = file
        self._variables = variables
        self._size = file.seek(0, 2)
        head = self._bytes(0, 24)
        self._version = tuple(head[8:10])
        self._sections = self._contents(int.from_bytes(head[16:], "little"))
        self._left = MOST_VALUES

    def _contents(self, at: int) -> dict[bytes, tuple[int, int]]:
        """Place and size of each section."""
        count = self._u64(at)
        if count > 64:
            raise _Broken
        table = self._bytes(at + 8, 32 * count)
        sections = (struct.unpack_from("<16s2Q", table, 32 * number) for number in range(count))
        return {name.rstrip(b"\0"): (start, size) for name, start, size in sections}

    def paths(self) -> Iterator[str]:
        """The asset paths in all fields, which hold every value there is."""
        self._tokens = self._read_tokens()
        self._has_variables = VARIABLES in self._tokens
        start, size = self._section(b"STRINGS")
        count = min(self._u64(start), size // 4)
        # A layer of tokens alone has none.
        self._strings = struct.unpack(f"<{count}I", self._bytes(start + 8, 4 * count)) if count else ()
        seen: set[int] = set()
        for value in self._read_fields():
            if (value >> 48) & 0xFF in _TYPES and value not in seen:
                seen.add(value)
                yield from self._in_value(value, 0)

    def _section(self, name: bytes) -> tuple[int, int]:
        if name not in self._sections:
            raise _Broken
        return self._sections[name]

    def _read_tokens(self) -> list[bytes]:
        at, _ = self._section(b"TOKENS")
        if self._version < (0, 4):
            raw = self._bytes(at + 16, self._u64(at + 8))
        else:
            raw = self._unpacked(at + 24, self._u64(at + 16), self._u64(at + 8))
        return raw.split(b"\0")

    def _read_fields(self) -> Iterator[int]:
        """The values, each a type with a place or the value itself."""
        at, size = self._section(b"FIELDS")
        count = self._u64(at)
        if count > min(size * 256, LARGEST_TABLE // 8):
            raise _Broken
        if self._version < (0, 4):
            for number in range(count):
                yield self._u64(at + 8 + 16 * number + 8)
            return
        at += 16 + self._u64(at + 8)  # past the names of the fields
        raw = self._unpacked(at + 8, self._u64(at), 8 * count)
        for (value,) in struct.iter_unpack("<Q", raw[: len(raw) // 8 * 8]):
            yield value

    def _in_value(self, value: int, depth: int) -> Iterator[str]:
        self._left -= 1
        kind = _TYPES.get((value >> 48) & 0xFF)
        if kind is None or self._left < 0 or depth > DEEPEST:
            return
        at = value & _PLACE
        is_array, is_inlined = value >> 63, (value >> 62) & 1
        if kind is _Type.ASSET_PATH:
            if is_array:
                yield from self._in_array(at)
            elif is_inlined:
                yield self._token(at)
        elif is_array or is_inlined:
            return
        elif kind is _Type.STRINGS:
            count = self._count(at, 4)
            for number in range(count):
                yield self._string(at + 8 + 4 * number)
        elif kind is _Type.PAYLOAD:
            yield self._string(at)
        elif kind is _Type.TIME_SAMPLES:
            yield from self._in_samples(at, depth)
        elif kind is _Type.DICTIONARY:
            _, paths = self._dictionary(at, depth)
            yield from paths
        else:
            yield from self._in_list(at, kind, depth)

    def _in_array(self, at: int) -> Iterator[str]:
        if at == 0:  # how an empty one is written
            return
        if self._version < (0, 5):
            at += 4  # its rank
        width = 4 if self._version < (0, 7) else 8
        count = min(int.from_bytes(self._bytes(at, width), "little"), self._size // 4)
        for number in range(min(count, MOST_VALUES)):
            yield self._string(at + width + 4 * number)

    def _in_samples(self, at: int, depth: int) -> Iterator[str]:
        at += self._jump(at) + 8  # past the times
        at += self._jump(at)
        for number in range(self._count(at, 8)):
            yield from self._in_value(self._u64(at + 8 + 8 * number), depth + 1)

    def _dictionary(self, at: int, depth: int) -> tuple[int, list[str]]:
        """Where it ends, and the paths in it."""
        count = self._count(at, 12)
        at += 8
        paths: list[str] = []
        for _ in range(count):
            key = self._string(at)
            at += 4
            at += self._jump(at)
            value = self._u64(at)
            if value >> 48 == _Type.STRING | _INLINED:
                text = self._text(value & _PLACE)
                if key == TEMPLATE:
                    paths.append(text)
                elif self._has_variables and depth == 0 and len(self._variables) < MOST_VARIABLES:
                    self._variables[key] = text
            elif key != IDENTIFIER:
                paths += self._in_value(value, depth + 1)
            at += 8
        return at, paths

    def _in_list(self, at: int, kind: _Type, depth: int) -> Iterator[str]:
        """References or payloads; of the parts of the list those that are written, one after the other."""
        parts = self._bytes(at, 1)[0]
        at += 1
        for bit in (0x02, 0x04, 0x20, 0x40, 0x08, 0x10):  # explicit, added, prepended, appended, deleted, ordered
            if not parts & bit:
                continue
            count = self._count(at, 8)
            at += 8
            for _ in range(count):
                if bit != 0x08:
                    yield self._string(at)
                at += 8  # with the path of a prim
                if kind is _Type.REFERENCE_LIST or self._version >= (0, 8):
                    at += 16  # an offset and a scale of time
                if kind is _Type.REFERENCE_LIST:
                    at, _ = self._dictionary(at, depth + 1)

    def _jump(self, at: int) -> int:
        """A distance that is always forwards, so that no reading goes in circles."""
        distance = self._u64(at)
        if not 8 <= distance <= self._size:
            raise _Broken
        return distance

    def _count(self, at: int, width: int) -> int:
        """A number of items of at least `width` bytes."""
        count = self._u64(at)
        self._left -= count
        if count > self._size // width or self._left < 0:
            raise _Broken
        return count

    def _string(self, at: int) -> str:
        return self._text(self._u32(at))

    def _text(self, number: int) -> str:
        return self._token(self._strings[number]) if number < len(self._strings) else ""

    def _token(self, number: int) -> str:
        return decode(self._tokens[number]) if number < len(self._tokens) else ""

    def _unpacked(self, at: int, packed_size: int, most: int) -> bytes:
        """A compressed table: one block, or several with the size of each."""
        if most > LARGEST_TABLE:
            raise _Broken
        packed = self._bytes(at, packed_size)
        if not packed[0]:
            return lz4.unpacked(packed[1:], most)
        content = b""
        start = 1
        for _ in range(packed[0]):
            size = int.from_bytes(packed[start : start + 4], "little")
            content += lz4.unpacked(packed[start + 4 : start + 4 + size], most - len(content))
            start += 4 + size
        return content

    def _u32(self, at: int) -> int:
        return int.from_bytes(self._bytes(at, 4), "little")

    def _u64(self, at: int) -> int:
        return int.from_bytes(self._bytes(at, 8), "little")

    def _bytes(self, at: int, size: int) -> bytes:
        if size > LARGEST_TABLE or at + size > self._size or not size:
            raise _Broken
        self._file.seek(at)
        raw = self._file.read(size)
        if len(raw) < size:
            raise _Broken
        return raw
