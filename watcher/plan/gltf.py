"""Names in glTF files: the buffers and images that are files of their own, and what extensions name.

The JSON is not parsed into objects, which takes many times its size, but scanned: only its strings and brackets matter.
Source: glTF 2.0 specification, 3.6.1 (URIs), 4.4 (GLB); glTF 1.0 for `shaders` and the first binary format.
"""

import json
import re
import struct
from collections.abc import Iterator
from enum import Enum, auto
from itertools import islice
from typing import BinaryIO

from watcher.plan.text import BLOCK, blocks, decode
from watcher.plan.uri import named_by_uri

MOST_TOKENS = 20_000_000
"""Brackets and names that are looked at, so that a hostile file ends in finite time. Some 500 MB of dense JSON."""
MOST_URIS = 20_000
"""Different ones that are looked at."""
DEEPEST = 256
"""Brackets within brackets; no glTF comes near."""
LONGEST_STRING = 64 * 1024
"""Bytes; what is longer holds embedded data and is skipped."""

_PARTS = {
    b"word": rb'"(?:uri|schemaUri|extensions|extras|buffers|images|shaders)"',
    b"string": rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"',
    b"colon": rb"[ \t\r\n]*+:[ \t\r\n]*+",
}
_TOKEN = re.compile(
    # Passed over at the speed of the regular expression: numbers, strings that mean nothing here, words that are no
    # keys or have a value of no interest.
    rb'(?:[^"\[\]{}]++|(?!%(word)s)%(string)s|%(word)s(?=[ \t\r\n]*+[^ \t\r\n:]|%(colon)s[^ \t\r\n"\[{]))*+'
    rb'(?:"(?:uri|schemaUri)"%(colon)s(?P<uri>%(string)s)'
    rb"|%(word)s%(colon)s%(string)s"
    rb"|(?:(?P<key>%(word)s)%(colon)s)?(?P<open>[\[{])"
    rb"|(?P<close>[\]}])"
    rb'|(?P<unfinished>")'  # whatever begins here ends in a later block
    rb"|\Z)" % _PARTS,
    re.DOTALL,
)
_OPEN_STRING = re.compile(rb'(?:%(word)s%(colon)s)?"' % _PARTS)
_REST_OF_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)


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
    """The files that a glTF in either form names, percent-encoding decoded; what the extension says does not count."""
    header = file.read(20)
    if not header.startswith(b"glTF"):
        file.seek(0)
        return _names(blocks(file))
    if len(header) < 20:
        return iter(())
    version, _, length, kind = struct.unpack("<4I", header[4:])
    # Version 1 has the JSON's length at the same place, and a format that is 0 for JSON instead of the chunk's name.
    if (version, kind) != (1, 0) and kind != 0x4E4F534A:
        return iter(())
    return _names(_chunk(file, length))


def _chunk(file: BinaryIO, length: int) -> Iterator[bytes]:
    while length > 0 and (block := file.read(min(BLOCK, length))):
        length -= len(block)
        yield block


def _names(source: Iterator[bytes]) -> Iterator[str]:
    seen: set[bytes] = set()
    for raw in _uris(source):
        if raw in seen:
            continue
        seen.add(raw)
        if len(seen) > MOST_URIS:
            return
        try:
            uri = json.loads(decode(raw), strict=False)
        except ValueError:  # bad escapes
            uri = decode(raw)[1:-1]
        if name := named_by_uri(uri):
            yield name


def _uris(source: Iterator[bytes]) -> Iterator[bytes]:
    """Every `uri` that names something, with its quotes and escapes; nothing if the text is no JSON object."""
    zones: list[_Zone] = []
    for token in islice(_tokens(source), MOST_TOKENS):
        kind = token.lastgroup
        if kind == "open":
            zones.append(_inside(zones[-1], token["key"]) if zones else _Zone.TOP)
        elif kind == "close":
            zones.pop()
        elif kind == "uri" and zones[-1] in (_Zone.ITEM, _Zone.EXTENSIONS):
            yield token["uri"]
        if not zones or len(zones) > DEEPEST:
            return


def _inside(outer: _Zone, key: bytes | None) -> _Zone:
    if key == b'"extras"' or outer is _Zone.EXTRAS:
        return _Zone.EXTRAS
    if key == b'"extensions"' or outer is _Zone.EXTENSIONS:
        return _Zone.EXTENSIONS
    if outer is _Zone.TOP and key in (b'"buffers"', b'"images"', b'"shaders"'):
        return _Zone.LIST
    return _Zone.ITEM if outer is _Zone.LIST else _Zone.ELSEWHERE


def _tokens(source: Iterator[bytes]) -> Iterator[re.Match[bytes]]:
    """The tokens of the text, which must begin with a curly bracket. What is longer than LONGEST_STRING is skipped."""
    rest = b""
    begun = in_string = False
    for block in source:
        piece = rest + block
        rest = b""
        at = 0
        if in_string:
            at = _string_end(piece)
            if at > len(piece):
                rest = _escape(piece, at)
                continue
            in_string = False
        elif not begun:
            start = piece.lstrip()
            if not start:
                continue
            begun = start.startswith(b"{")
            if not begun:
                return
        for token in _TOKEN.finditer(piece, at):
            if token.lastgroup == "unfinished":
                rest = piece[token.start("unfinished") :]
                break
            yield token
        if len(rest) > LONGEST_STRING:
            begin = _OPEN_STRING.match(rest)
            assert begin is not None  # whatever is unfinished begins with a quote
            end = _string_end(rest, begin.end())
            in_string = end > len(rest)
            rest = _escape(rest, end)


def _string_end(piece: bytes, begin: int = 0) -> int:
    """Where the JSON string that goes on at `begin` has ended. It has not: one more than the length of the piece; and
    two more when the piece ends between a backslash and what it escapes."""
    quote = piece.find(b'"', begin)
    if piece.find(b"\\", begin, quote if quote >= 0 else len(piece)) < 0:  # most often: embedded data has no escapes
        return quote + 1 if quote >= 0 else len(piece) + 1
    end = _REST_OF_STRING.match(piece, begin)
    assert end is not None  # it matches everything, if only nothing
    if end.end() == len(piece):
        return len(piece) + 1
    return end.end() + 1 if piece[end.end()] == 34 else len(piece) + 2


def _escape(piece: bytes, end: int) -> bytes:
    """The backslash at the end of the piece if, by `end`, it belongs to what comes next."""
    return piece[-1:] if end > len(piece) + 1 else b""
