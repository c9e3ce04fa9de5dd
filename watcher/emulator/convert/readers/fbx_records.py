"""The records of an FBX file of the years before 2011, in text or binary, and how they are written as text.

Source: Autodesk, "FBX SDK documentation", and the Blender Foundation's notes on the binary format.
"""

import base64
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from watcher.emulator.convert.job import ConversionFailed

_MAGIC = b"Kaydara FBX Binary  \x00\x1a\x00"
_HEAD = 27
_DEEPEST = 50
_MOST_RECORDS = 500_000
_TOKEN = re.compile(
    r"""(?:[\s,]++|;[^\n]*+)*+(?:
        (?P<string>"[^"]*+")
      | (?P<brace>[{}])
      | (?P<name>[A-Za-z_][\w-]*+)\s*+:
      | (?P<word>[^\s,{}";:]++)
      | (?P<stray>[":])
      | \Z  # so that it matches everywhere, and never looks at anything twice
    )""",
    re.VERBOSE,
)
_NUMBERS = {b"Y": "<h", b"I": "<i", b"L": "<q", b"F": "<f", b"D": "<d"}
_VERSION = re.compile(rb"FBXVersion\s*:\s*(\d{4,5})")


@dataclass(slots=True)
class Record:
    name: str
    values: list[str]
    """As they stand in text: a string in its quotes."""
    children: list["Record"] = field(default_factory=list)

    def child(self, name: str) -> "Record | None":
        return next((one for one in self.children if one.name == name), None)

    def first(self) -> str:
        """The first value without its quotes."""
        return self.values[0].strip('"') if self.values else ""


def version_of(head: bytes) -> int | None:
    """The version, such as 6100, of a file that begins like this. Raises ConversionFailed for another kind."""
    if head.startswith(_MAGIC[:-1] + b"\x01"):
        raise ConversionFailed("this FBX model is written for big-endian machines; export it anew, or as text")
    if head.startswith(_MAGIC) and len(head) >= _HEAD:
        return int(struct.unpack_from("<I", head, len(_MAGIC))[0])
    found = _VERSION.search(head)
    return None if found is None else int(found[1])


def as_newer(data: bytes, version: int, newer: int) -> bytes:
    """A model of version 7.0, whose records are those of 7.1, under the newer number."""
    old, new = struct.pack("<I", version), struct.pack("<I", newer)
    for before in (_MAGIC, b"FBXVersionI"):
        data = data.replace(before + old, before + new, 1)
    return _VERSION.sub(b"FBXVersion: %d" % newer, data, count=1)


def parse(data: bytes) -> list[Record]:
    """The outermost records. Raises ConversionFailed when the file is damaged, or nested too deeply."""
    top = Record("", [])
    stack = [top]
    count = 0
    for step in _binary(data) if data.startswith(_MAGIC) else _text(data.decode("utf-8", "surrogateescape")):
        if step is None:
            if len(stack) == 1:
                raise _damaged("it closes more records than it opens")
            stack.pop()
            continue
        count += 1
        if count > _MOST_RECORDS or len(stack) > _DEEPEST:
            raise _damaged("it has too many records, or they are nested too deeply")
        record, opens = step
        stack[-1].children.append(record)
        if opens:
            stack.append(record)
    if len(stack) > 1:
        raise _damaged("it ends early")
    return top.children


def written(records: Iterable[Record], arrays: frozenset[str]) -> Iterator[str]:
    """The lines of a text; ``arrays``: the names of records that newer files write with their length."""
    for record in records:
        if record.name in arrays and not record.children:
            if record.values:
                yield f"{record.name}: *{len(record.values)} {{\na: {','.join(record.values)}\n}}\n"
            continue
        yield f"{record.name}: {','.join(record.values)}"
        if record.children:
            yield " {\n"
            yield from written(record.children, arrays)
            yield "}"
        yield "\n"


_Step = tuple[Record, bool] | None
"""A record and whether others in it follow; None where these end."""


def _text(text: str) -> Iterator[_Step]:
    record: Record | None = None
    for token in _TOKEN.finditer(text):
        match token.lastgroup:
            case "name":
                if record is not None:
                    yield record, False
                record = Record(token["name"], [])
            case "brace":
                if token["brace"] == "{":
                    if record is None:
                        raise _damaged("braces stand where no record begins")
                    yield record, True
                else:
                    if record is not None:
                        yield record, False
                    yield None
                record = None
            case "string" | "word" as kind:
                if record is not None:
                    record.values.append(token[kind])
            case "stray" if token["stray"] == '"':
                raise _damaged("a text in it has no end")
    if record is not None:
        yield record, False


def _binary(data: bytes) -> Iterator[_Step]:
    """A record: where it ends, how many values it has, how long these are, and its name; a list ends with zeros."""
    at = _HEAD
    ends: list[int] = []
    try:
        while at < len(data):
            end, count, length, name_length = struct.unpack_from("<3IB", data, at)
            if not end:
                at += 13
                if not ends:
                    return
                if at != ends.pop():
                    raise _damaged("a record does not end where it says")
                yield None
                continue
            start = at + 13 + name_length
            if not at < start + length <= end <= (ends[-1] if ends else len(data)):
                raise _damaged("a record reaches beyond the one around it")
            name = data[at + 13 : start].decode("utf-8", "replace")
            yield Record(name, list(_values(data, start, start + length, count))), start + length < end
            at = start + length
            if at < end:
                ends.append(end)
    except struct.error:
        raise _damaged("it ends early") from None


def _values(data: bytes, at: int, end: int, count: int) -> Iterator[str]:
    for _ in range(count):
        kind = data[at : at + 1]
        at += 1
        if kind in _NUMBERS:
            (number,) = struct.unpack_from(_NUMBERS[kind], data, at)
            yield repr(number)
            at += struct.calcsize(_NUMBERS[kind])
        elif kind == b"C":
            yield chr(data[at]) if data[at : at + 1].isalnum() else str(data[at])
            at += 1
        elif kind in (b"S", b"R"):
            size = int(struct.unpack_from("<I", data, at)[0])
            content = data[at + 4 : at + 4 + size]
            at += 4 + size
            yield f'"{_string(content) if kind == b"S" else base64.b64encode(content).decode()}"'
        else:
            raise _damaged("a value is of an unknown kind")
        if at > end:
            raise _damaged("a value reaches beyond its record")


def _string(content: bytes) -> str:
    """Binary files write a name and its kind the other way round: ``Cube``, two bytes, ``Model``."""
    name, mark, kind = content.partition(b"\x00\x01")
    return (kind + b"::" + name if mark else content).decode("utf-8", "surrogateescape").replace('"', "'")


def _damaged(why: str) -> ConversionFailed:
    return ConversionFailed(f"this FBX model is damaged: {why}")
