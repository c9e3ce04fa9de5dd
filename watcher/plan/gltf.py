"""Names in glTF files: the buffers and images that are files of their own, and what extensions name.

The JSON is not parsed into objects, which takes many times its size, but scanned: only its strings and brackets matter.
Source: glTF 2.0 specification, 3.6.1 (URIs), 4.4 (GLB); glTF 1.0 for `shaders` and the first binary format.
"""

import json
import re
import struct
from collections.abc import Iterator
from enum import Enum, auto
from typing import BinaryIO
from urllib.parse import quote, unquote

from watcher.plan.text import BLOCK, blocks

MOST_TOKENS = 20_000_000
"""Strings and brackets that are looked at (some 300 MB of dense JSON; long strings count once)."""
DEEPEST = 256
"""Brackets within brackets; no glTF comes near."""
LONGEST_STRING = 64 * 1024
"""Bytes; what is longer holds embedded data and is skipped."""

_TOKEN = re.compile(
    rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"[ \t\r\n]*+(?:(:)|(?=.))'  # a string, and whether it is a key
    rb'|([\[{])|([\]}])|(")',  # brackets; a string that does not end in this block
    re.DOTALL,
)
_REST_OF_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # two letters at least: C: is a drive


class _Zone(Enum):
    """What the scan is inside of."""

    TOP = auto()
    LIST = auto()
    """`buffers`, `images` or `shaders`."""
    ITEM = auto()
    """An object in one of these; its `uri` is a name."""
    EXTENSIONS = auto()
    """Anything inside of an extension; a `uri` there is a name."""
    EXTRAS = auto()
    """The author's own data, in which nothing has a meaning."""
    ELSEWHERE = auto()


def read_gltf(file: BinaryIO) -> Iterator[str]:
    """The files that a glTF names, percent-encoding decoded."""
    return _names(blocks(file))


def read_glb(file: BinaryIO) -> Iterator[str]:
    """The files that the JSON chunk of a GLB names, percent-encoding decoded."""
    header = file.read(20)
    if len(header) < 20 or not header.startswith(b"glTF"):
        return iter(())
    version, _, length, kind = struct.unpack("<4I", header[4:])
    # Version 1 has the JSON's length at the same place, and a format that is 0 for JSON instead of the chunk's name.
    if (version, kind) != (1, 0) and kind != 0x4E4F534A:
        return iter(())
    return _names(_chunk(file, length))


def readings(text: str) -> tuple[tuple[str, ...], ...]:
    """As decoded; else as it probably stood in the file, for files whose names on disk are percent-encoded too."""
    encoded = quote(text, safe="/!$&'()*+,;=:@", errors="replace")
    return ((text,),) if encoded == text else ((text,), (encoded,))


def _chunk(file: BinaryIO, length: int) -> Iterator[bytes]:
    while length > 0 and (block := file.read(min(BLOCK, length))):
        length -= len(block)
        yield block


def _names(source: Iterator[bytes]) -> Iterator[str]:
    for raw in _uris(source):
        try:
            uri = json.loads(b'"%s"' % raw, strict=False)
        except ValueError:  # bad escapes, bad UTF-8
            uri = raw.decode("utf-8", "replace")
        if uri.lower().startswith("file:"):
            uri = re.sub(r"(?i)^file:(//(localhost)?(?=/))?(/(?=[a-z]:))?", "", uri)
        elif _SCHEME.match(uri):
            continue
        try:
            yield unquote(uri, errors="strict")
        except UnicodeDecodeError:
            yield uri


def _uris(source: Iterator[bytes]) -> Iterator[bytes]:
    """The raw strings of every `uri` that names something."""
    zones: list[_Zone] = []
    key = b""
    for kind, text in _tokens(source):
        if kind == "key":
            key = text
        elif kind == "string":
            if key == b"uri" and zones and zones[-1] in (_Zone.ITEM, _Zone.EXTENSIONS):
                yield text
            key = b""
        elif kind == "open":
            zones.append(_inside(zones[-1] if zones else None, key))
            key = b""
            if len(zones) > DEEPEST:
                return
        elif zones:
            zones.pop()
            key = b""


def _inside(outer: _Zone | None, key: bytes) -> _Zone:
    if outer is None:
        return _Zone.TOP
    if key == b"extras" or outer is _Zone.EXTRAS:
        return _Zone.EXTRAS
    if key == b"extensions" or outer is _Zone.EXTENSIONS:
        return _Zone.EXTENSIONS
    if outer is _Zone.TOP and key in (b"buffers", b"images", b"shaders"):
        return _Zone.LIST
    return _Zone.ITEM if outer is _Zone.LIST else _Zone.ELSEWHERE


def _tokens(source: Iterator[bytes]) -> Iterator[tuple[str, bytes]]:
    """`key`, `string`, `open` and `close`, with the text of the first two; nothing if there is no JSON object."""
    rest = b""
    count = 0
    skipping = False
    for block in _then_end(source):
        piece = rest + block
        rest = b""
        at = 0
        if count == 0 and piece.strip() and not piece.lstrip().startswith(b"{"):
            return
        if skipping:
            end = _REST_OF_STRING.match(piece)
            at = end.end() if end else 0
            if at == len(piece):
                continue
            if piece[at] == 92:  # the backslash of an escape whose second half is still to come
                rest = piece[at:]
                continue
            at += 1
            skipping = False
        for token in _TOKEN.finditer(piece, at):
            count += 1
            if count > MOST_TOKENS:
                return
            text, colon, opened, closed, unfinished = token.groups()
            if unfinished:
                rest = piece[token.start() :]
                break
            if opened:
                yield "open", b""
            elif closed:
                yield "close", b""
            else:
                yield ("key" if colon else "string"), text
        if len(rest) > LONGEST_STRING:
            skipping = True
            yield "string", b""  # of no interest, but the key before it is used up
            rest = b"\\" if _REST_OF_STRING.match(rest, 1).end() < len(rest) else b""  # type: ignore[union-attr]


def _then_end(source: Iterator[bytes]) -> Iterator[bytes]:
    yield from source
    yield b" "  # what a string at the very end is followed by
