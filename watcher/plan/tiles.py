"""Textures in tiles: one name stands for an image for each tile of the texture space that is used.

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
