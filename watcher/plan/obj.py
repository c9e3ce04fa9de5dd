r"""Names in Wavefront files: the material libraries of an OBJ, the textures of an MTL.

Statements: P. Bourke, "Object Files" and "MTL material format"; the PBR maps as Blender and assimp write them.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

from watcher.plan.text import blocks, decode, whole_lines
from watcher.plan.uri import plain_readings

MOST_STATEMENTS = 200_000
"""Of one file that are looked at, so that a hostile file ends in finite time."""
LARGEST_MTL = 64 * 1024 * 1024
"""Bytes of a material library that are looked at."""

LONGEST_VALUE = 8 * 1024
"""Bytes of a statement; a longer one is passed over."""
MOST_WORDS = 64
"""Of one `mtllib` statement that are taken apart."""

# To the end of the line and of its continuation lines.
_VALUE = rb"[ \t]([^\r\n\\]*+(?:\\(?:\r\n|[\r\n])?+[^\r\n\\]*+)*+)"
_CONTINUATION = re.compile(rb"\\(?:\r\n|[\r\n])")
_MTLLIB = re.compile(rb"mtllib" + _VALUE, re.IGNORECASE)
_MAP = re.compile(rb"(?:^|(?<=[\r\n]))[ \t]*+(?:map_(?!aat\b)\w++|bump|disp|decal|refl|norm)" + _VALUE, re.IGNORECASE)

# With a comma where the author's country has one, and as C writes what is no number. Possessive: of very many digits
# each end would be tried.
_NUMBER = r"[-+]?(?:\d++[.,]?+\d*+(?:e[-+]?\d++)?+|[.,]\d++(?:e[-+]?\d++)?+|1\.#[a-z]+\d*|nan|inf)(?=\s|$)"
_OPTION = (
    r"-(?:(?:blendu|blendv|clamp|cc)\s+(?:on|off)"
    rf"|[ost](?:\s+{_NUMBER}){{1,3}}"
    rf"|mm(?:\s+{_NUMBER}){{1,2}}"
    rf"|(?:bm|boost)\s+{_NUMBER}"
    r"|texres\s+\d\S*"
    r"|imfchan\s+[rgbmlz]"
    r"|type\s+(?:sphere|cube_\w+)"
    r"|(?:colorspace|filter)\s+\S+)(?=\s|$)"
)
_LEADING_OPTIONS = re.compile(rf"(?:{_OPTION}\s*+)++", re.IGNORECASE)
_TRAILING_OPTIONS = re.compile(rf"(?:\s+{_OPTION})+$", re.IGNORECASE)
_UNKNOWN = rf"(?:-[a-z]\w*|{_NUMBER})"
_BEFORE = re.compile(rf"(?:{_UNKNOWN}\s+)++", re.IGNORECASE)
_BEHIND = re.compile(rf"(?:\s+{_UNKNOWN})+$", re.IGNORECASE)
_TAIL = 256  # characters in which options behind the name are looked for: they are no part of the format, but seen
_QUOTED = re.compile(r'"([^"]*)"')
_COMMENT = re.compile(r"(?:(?<=\.[a-z]\w\w)|(?<=\.[a-z]\w\w\w))\s+(?:#|//).*", re.IGNORECASE | re.DOTALL)
"""A number sign may also be part of a name: it starts a comment only where a name with an extension ended."""
_NO_IMAGE = re.compile(rf"none|\(none\)|null|\(null\)|{_NUMBER}$", re.IGNORECASE)
"""What programs write where there is no image, or a value instead of one."""


def read_obj(file: BinaryIO) -> Iterator[str]:
    """The value of every `mtllib` statement, names in quotes one by one."""
    seen = 0
    for piece in whole_lines(blocks(file)):
        lower = piece.lower()
        at = lower.find(b"mtllib")  # no regular expression: finding bytes is many times faster
        while at >= 0:
            seen += 1
            if seen > MOST_STATEMENTS:
                return
            end = at + len(b"mtllib")
            if _begins_line(piece, at) and (statement := _MTLLIB.match(piece, at)):
                end = statement.end()
                text = _text(statement[1])
                yield from _QUOTED.findall(text) or (_COMMENT.sub("", text),)
            at = lower.find(b"mtllib", end)


def obj_readings(text: str) -> tuple[tuple[str, ...], ...]:
    """`mtllib` takes several names, and names with spaces are common: ``a b.mtl c.mtl`` has three readings.

    First a name ends where a word ends in ``.mtl``; then the whole is one name; then each word is one. Last come the
    readings of any name.
    """
    words = text.split()
    if len(words) == 1 or len(words) > MOST_WORDS:
        return plain_readings(text)
    ends_in_mtl = tuple(name.strip() for name in re.split(r"(?<=\.mtl)\s", text, flags=re.IGNORECASE))
    return tuple(dict.fromkeys((tuple(filter(None, ends_in_mtl)), (text,), tuple(words), *plain_readings(text))))


def read_mtl(file: BinaryIO) -> Iterator[str]:
    """The file of every texture statement, without its options."""
    seen = size = 0
    for piece in whole_lines(blocks(file)):
        for statement in _MAP.finditer(piece):
            seen += 1
            if seen > MOST_STATEMENTS:
                return
            text = _text(statement[1])
            if options := _LEADING_OPTIONS.match(text):
                text = text[options.end() :]
            if quoted := _QUOTED.match(text):
                text = quoted[1]
            else:
                text = _COMMENT.sub("", text)
                text = _without_end(_TRAILING_OPTIONS, text)
            if not _NO_IMAGE.fullmatch(text):
                yield text
        size += len(piece)
        if size > LARGEST_MTL:
            return


def mtl_readings(text: str) -> tuple[tuple[str, ...], ...]:
    """Those of any name; else without numbers and options of no known meaning before and behind it."""
    before = _BEFORE.match(text)
    bare = text[before.end() :] if before else text
    bare = quoted[1] if (quoted := _QUOTED.match(bare)) else _without_end(_BEHIND, bare)
    return tuple(dict.fromkeys((*plain_readings(text), *plain_readings(bare))))


def _without_end(end: re.Pattern[str], text: str) -> str:
    return (text[:-_TAIL] + end.sub("", text[-_TAIL:])).strip()


def _begins_line(piece: bytes, at: int) -> bool:
    before = piece[max(at - 256, 0) : at].rstrip(b" \t")
    return before.endswith((b"\n", b"\r")) or (not before and at <= 256)


def _text(value: bytes) -> str:
    """The value of a statement as text, continuation lines joined."""
    return decode(_CONTINUATION.sub(b" ", value)).strip() if len(value) <= LONGEST_VALUE else ""
