"""Names that stand for others: of a texture in tiles, for the image of each tile; of a sequence, for each of its files;
of old, for a longer one.

Source: the tokens as MaterialX and Blender (`<UDIM>`, `<UVTILE>`), Mari (`%(UDIM)d`), Arnold (`<tile>`), Maya
(`<u>`, `<v>`, `<f>`), Houdini (`$F4`), USD (`###`) and C (`%04d`) write them.
"""

import re

_TOKEN = re.compile(
    r"<UDIM>|%\(UDIM\)d|(?P<pair><UVTILE>|<TILE>)|(?P<any><[UVF]>)|(?P<signs>#{2,}|(?<=\.)#(?=\.))"
    r"|%0(?P<width>[1-9])d|\$F(?P<padding>[1-9]?)(?![a-z0-9])",
    re.IGNORECASE,
)

MOST_OPEN_ENDS = 3
"""Numbers in a name that end before a digit or another number: each may end in several places."""


def is_tiled(name: str) -> bool:
    """Whether a part of the name stands for the number of a tile or of another file of a sequence."""
    return _TOKEN.search(name) is not None


def tile_pattern(name: str) -> re.Pattern[str]:
    """What matches the names of the tiles, of which all differ in numbers only."""
    pattern = ""
    at = open_ends = 0
    for token in _TOKEN.finditer(name):
        pattern += re.escape(name[at : token.start()])
        at = token.end()
        is_open = open_ends < MOST_OPEN_ENDS and (name[at : at + 1].isdecimal() or _TOKEN.match(name, at) is not None)
        open_ends += is_open
        pattern += _number(token, is_open)
    return re.compile(pattern + re.escape(name[at:]), re.IGNORECASE)


def _number(token: re.Match[str], is_open: bool) -> str:
    # Possessive, where no digit follows: many numbers side by side would be tried in all ways.
    possessive = "" if is_open else "+"
    if token["pair"]:
        return "u[0-9]{1,3}+_v[0-9]{1,3}" + possessive
    if width := len(token["signs"] or "") or int(token["width"] or token["padding"] or 0):
        return f"[0-9]{{{width},{max(width, 9) if is_open else ''}}}{possessive}"
    if token["any"] or token["padding"] is not None:
        return "[0-9]{1,9}" + possessive
    return "1[0-9]{3}"


_LAST_NUMBER = r"(?=[^0-9/\\]*(?:\.\w+)?$)"
_TILE, _PART = re.compile("(?<![0-9])1[0-9]{3}" + _LAST_NUMBER), re.compile("[0-9]{1,9}" + _LAST_NUMBER)


def of_tile(name: str) -> str:
    """What stands for the image of which the one of this name is a tile."""
    return _TILE.sub("<UDIM>", name)


def of_part(name: str) -> str:
    """What stands for the sequence of which the file of this name is a part."""
    return _PART.sub(lambda number: f"%0{len(number[0])}d", name, count=1)


_SHORT = re.compile(r"(?! )(?P<stem>[^.]{1,6}~(?P<rank>[1-9])|[^.]{8})(?P<extension>\.[^.]{1,3})", re.DOTALL)
_CUT = re.compile(r"(?P<start>.{12})(?:\.(?P<rank>[0-9]{3}))?", re.DOTALL)
"""As Blender cuts names in 3DS files, with their extension; with a number if there was such a name before."""


def short_pattern(name: str) -> re.Pattern[str] | None:
    """What matches the names that may have been cut to this one; None when nothing was cut, as far as can be seen."""
    patterns = [re.escape(cut["start"]) + r".*"] if (cut := _CUT.fullmatch(name)) else []
    if short := _SHORT.fullmatch(name):
        # Spaces are left out of such names.
        stem = " *".join(map(re.escape, short["stem"].partition("~")[0].replace(" ", "")))
        patterns.append(stem + r".*" + re.escape(short["extension"]) + r"[^.]?")
    return re.compile("|".join(patterns), re.IGNORECASE | re.DOTALL) if patterns else None


def short_rank(name: str) -> int:
    """Which of the names that were cut to the same one is meant, from 0."""
    if (cut := _CUT.fullmatch(name)) and cut["rank"]:
        return int(cut["rank"]) + 1
    short = _SHORT.fullmatch(name)
    return int(short["rank"]) - 1 if short and short["rank"] else 0
