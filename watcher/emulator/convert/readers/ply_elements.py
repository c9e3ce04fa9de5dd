"""The container of PLY: a header that declares elements, then their rows as text or binary."""

import re
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Doubles
from watcher.emulator.convert.readers.text import numbers

_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8", "int64": "i8", "uint64": "u8",
}  # fmt: skip
_END = re.compile(rb"^end_header[ \t]*\r?\n", re.MULTILINE)
_LONGEST_HEADER = 1 << 20


@dataclass(frozen=True, slots=True)
class Property:
    name: str
    kind: str
    """numpy's code of the value's type, without byte order"""
    count_kind: str | None
    """the same of a list's length; None for a single value"""


@dataclass(slots=True)
class Element:
    name: str
    count: int
    properties: list[Property] = field(default_factory=list)


@dataclass(slots=True)
class Rows:
    """The content of one element."""

    count: int
    values: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    """Per property with single values: (count,)"""
    lists: dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[Any]]] = field(default_factory=dict)
    """Per list property: lengths (count,), and all items in one run"""


def read_elements(data: bytes) -> tuple[dict[str, Rows], list[str]]:
    """All elements by name, and the header's comments. Raises ConversionFailed."""
    if not data.startswith(b"ply"):
        raise ConversionFailed("this is not a PLY model: it does not begin with ply")
    end = _END.search(data, 0, _LONGEST_HEADER)
    if end is None:
        raise ConversionFailed("this PLY file is damaged: its header has no end")
    order, elements, comments = _parse_header(data[: end.start()].decode("latin-1"))
    if order == "ascii":
        return _read_text(data[end.end() :], elements), comments
    return _read_binary(data, end.end(), elements, "<" if order == "binary_little_endian" else ">"), comments


def _parse_header(text: str) -> tuple[str, list[Element], list[str]]:
    order = ""
    elements: list[Element] = []
    comments = []
    for line in text.splitlines()[1:]:
        words = line.split()
        try:
            match words:
                case ["format", "ascii" | "binary_little_endian" | "binary_big_endian", *_]:
                    order = words[1]
                case ["element", name, count]:
                    if not 0 <= int(count) < 1 << 48:
                        raise ValueError("absurd count")
                    elements.append(Element(name, int(count)))
                case ["property", "list", count_kind, kind, name]:
                    elements[-1].properties.append(Property(name, _TYPES[kind], _TYPES[count_kind]))
                case ["property", kind, name]:
                    elements[-1].properties.append(Property(name, _TYPES[kind], None))
                case ["comment" | "obj_info", *_]:
                    comments.append(line.strip().partition(" ")[2])
                case []:
                    pass
                case _:
                    raise ValueError("unknown statement")
        except (ValueError, KeyError, IndexError):
            raise ConversionFailed(f"this PLY file is damaged: the header has the line {line[:80]!r}") from None
    if not order:
        raise ConversionFailed("this PLY file is damaged: the header names no known format")
    return order, elements, comments


def _ends_early(element: Element) -> ConversionFailed:
    return ConversionFailed(f"this PLY file ends early: it has not all of its {element.count} rows of {element.name!r}")


def _read_text(data: bytes, elements: list[Element]) -> dict[str, Rows]:
    lines = data.decode("latin-1").splitlines()
    at = 0
    found: dict[str, Rows] = {}
    for element in elements:
        if not element.properties:
            continue
        while at < len(lines) and not lines[at].strip():
            at += 1
        part = lines[at : at + element.count]
        if len(part) < element.count:
            raise _ends_early(element)
        at += element.count
        words = [line.split() for line in part]
        rows = Rows(element.count)
        if all(prop.count_kind is None for prop in element.properties):
            width = len(element.properties)
            if any(len(row) < width for row in words):
                raise _ends_early(element)
            table = numbers([word for row in words for word in row[:width]], element.name).reshape(-1, width)
            for column, prop in enumerate(element.properties):
                rows.values[prop.name] = _declared(table[:, column], prop)
        else:
            _read_text_lists(words, element, rows)
        found.setdefault(element.name, rows)
    return found


def _declared(values: Doubles, prop: Property) -> npt.NDArray[Any]:
    """Numbers of a text file in the type that the header gives them."""
    kind = np.dtype(prop.kind)
    if kind.kind == "f":
        return values
    limits = np.iinfo(kind)
    return np.nan_to_num(np.clip(values, limits.min, limits.max)).astype(kind)


def _read_text_lists(words: list[list[str]], element: Element, rows: Rows) -> None:
    at = [0] * len(words)
    for prop in element.properties:
        if prop.count_kind is None:
            try:
                column = numbers([row[place] for row, place in zip(words, at, strict=True)], prop.name)
            except IndexError:
                raise _ends_early(element) from None
            rows.values[prop.name] = _declared(column, prop)
            at = [place + 1 for place in at]
            continue
        flat: list[str] = []
        sizes = np.empty(len(words), np.int64)
        for index, row in enumerate(words):
            place = at[index]
            size = int(row[place]) if place < len(row) and row[place].isdigit() else -1
            if size < 0 or place + 1 + size > len(row):
                raise ConversionFailed(f"this PLY file is damaged: row {index} of {element.name!r} is not complete")
            flat += row[place + 1 : place + 1 + size]
            sizes[index] = size
            at[index] = place + 1 + size
        rows.lists[prop.name] = (sizes, numbers(flat, prop.name))


def _read_binary(data: bytes, at: int, elements: list[Element], order: str) -> dict[str, Rows]:
    found: dict[str, Rows] = {}
    for element in elements:
        if not element.properties or not element.count:
            found.setdefault(element.name, Rows(0))
            continue
        rows, at = _read_binary_rows(data, at, element, order)
        found.setdefault(element.name, rows)
    return found


def _read_binary_rows(data: bytes, at: int, element: Element, order: str) -> tuple[Rows, int]:
    """Rows of one layout: without lists, or with lists that are all as long as those of the first row."""
    lengths = _first_lengths(data, at, element, order)
    if lengths is None:
        raise _ends_early(element)
    layout: list[tuple[str, str, tuple[int, ...]]] = []
    for place, (prop, length) in enumerate(zip(element.properties, lengths, strict=True)):
        if prop.count_kind is not None:
            layout.append((f"length {place}", order + prop.count_kind, ()))
        layout.append((f"value {place}", order + prop.kind, () if prop.count_kind is None else (length,)))
    kind = np.dtype(layout)
    if at + kind.itemsize * element.count <= len(data):
        table = np.frombuffer(data, kind, element.count, at)
        if all(
            (table[f"length {place}"] == length).all()
            for place, (prop, length) in enumerate(zip(element.properties, lengths, strict=True))
            if prop.count_kind is not None
        ):
            rows = Rows(element.count)
            for place, (prop, length) in enumerate(zip(element.properties, lengths, strict=True)):
                column = table[f"value {place}"]
                if prop.count_kind is None:
                    rows.values[prop.name] = column
                else:
                    rows.lists[prop.name] = (np.full(element.count, length, np.int64), column.ravel())
            return rows, at + kind.itemsize * element.count
    if all(prop.count_kind is None for prop in element.properties):
        raise _ends_early(element)
    return _walk_binary_rows(data, at, element, order)


def _first_lengths(data: bytes, at: int, element: Element, order: str) -> list[int] | None:
    lengths = []
    for prop in element.properties:
        length = 1
        if prop.count_kind is not None:
            kind = np.dtype(order + prop.count_kind)
            if at + kind.itemsize > len(data):
                return None
            length = int(np.frombuffer(data, kind, 1, at)[0])
            at += kind.itemsize
        at += length * np.dtype(prop.kind).itemsize
        if length < 0 or at > len(data):
            return None
        lengths.append(length)
    return lengths


def _walk_binary_rows(data: bytes, at: int, element: Element, order: str) -> tuple[Rows, int]:
    """Rows whose lists differ in length, one after the other."""
    sizes: dict[str, list[int]] = {prop.name: [] for prop in element.properties}
    parts: dict[str, list[bytes]] = {prop.name: [] for prop in element.properties}
    steps = []
    for prop in element.properties:
        unpack = None if prop.count_kind is None else struct.Struct(order + np.dtype(prop.count_kind).char).unpack_from
        width = 0 if prop.count_kind is None else np.dtype(prop.count_kind).itemsize
        steps.append((unpack, width, np.dtype(prop.kind).itemsize, sizes[prop.name], parts[prop.name]))
    end = len(data)
    try:
        for _ in range(element.count):
            for unpack, width, item, lengths, chunks in steps:
                length = 1
                if unpack is not None:
                    length = int(unpack(data, at)[0])
                    at += width
                size = length * item
                if length < 0 or at + size > end:
                    raise _ends_early(element)
                lengths.append(length)
                chunks.append(data[at : at + size])
                at += size
    except struct.error:
        raise _ends_early(element) from None
    rows = Rows(element.count)
    for prop in element.properties:
        flat = np.frombuffer(b"".join(parts[prop.name]), order + prop.kind)
        if prop.count_kind is None:
            rows.values[prop.name] = flat
        else:
            rows.lists[prop.name] = (np.array(sizes[prop.name], np.int64), flat)
    return rows, at
