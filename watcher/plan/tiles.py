"""Names that stand for others: of a texture in tiles, for the image of each tile; of old, for a longer one.

Source: the tokens as MaterialX and Blender (`<UDIM>`, `<UVTILE>`) and Mari (`%(UDIM)d`) write them.
"""

import re

_TOKEN = re.compile(r"<UDIM>|%\(UDIM\)d|(?P<pair><UVTILE>)", re.IGNORECASE)
_UDIM = r"1[0-9]{3}"
_UVTILE = r"u[0-9]{1,3}_v[0-9]{1,3}"


def is_tiled(name: str) -> bool:
    """Whether a part of the name stands for the number of a tile."""
    return _TOKEN.search(name) is not None


def tile_pattern(name: str) -> re.Pattern[str]:
    """What matches the names of the tiles, of which all differ in the number only."""
    token = _TOKEN.search(name)
    assert token is not None
    number = _UVTILE if token["pair"] else _UDIM
    return re.compile(re.escape(name[: token.start()]) + number + re.escape(name[token.end() :]), re.IGNORECASE)


_SHORT = re.compile(r"(?P<stem>[^.]{8}|[^.]{1,6}~[0-9])(?P<extension>\.[^.]{1,3})", re.DOTALL)
_CUT = 12
"""Characters after which Blender cuts names in 3DS files, with their extension."""


def short_pattern(name: str) -> re.Pattern[str] | None:
    """What matches the names that may have been cut to this one; None when nothing was cut, as far as can be seen."""
    patterns = [re.escape(name) + r".*"] if len(name) == _CUT else []
    if short := _SHORT.fullmatch(name):
        # Spaces are left out of such names.
        stem = " *".join(map(re.escape, short["stem"].partition("~")[0]))
        patterns.append(stem + r".*" + re.escape(short["extension"]) + r"[^.]?")
    return re.compile("|".join(patterns), re.IGNORECASE | re.DOTALL) if patterns else None
