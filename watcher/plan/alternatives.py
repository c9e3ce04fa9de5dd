"""One text for several names of which any will do: the names in quotes, the preferred first, quotes in them doubled."""

import re
from collections.abc import Iterable

STEM = "<stem>"
"""In a name: that of the file itself, without its extension."""

_QUOTED = re.compile(r'"((?:[^"]|"")++)"')

IMAGES = ("tga", "png", "jpg", "jpeg", "bmp", "dds", "tif", "tiff", "pcx")
"""Extensions that stand in for each other where a game engine tries several."""
_OTHER_IMAGES = ("gif", "psd", "wal", "webp", "iff", "rgb", "vtf")
"""Extensions of images that no engine puts in the place of others."""


def any_of(names: Iterable[str]) -> str:
    """The text that stands for whichever of the names exists; empty without names."""
    different = list(dict.fromkeys(filter(None, names)))
    if len(different) == 1 and not different[0].startswith('"'):
        return different[0]
    return " ".join('"' + name.replace('"', '""') + '"' for name in different)


def first_that_exists(text: str) -> tuple[tuple[str, ...], ...]:
    """The readings of what :func:`any_of` wrote. When none exists, the first is missing."""
    names = _QUOTED.findall(text) if text.startswith('"') else []
    return tuple((name.replace('""', '"'),) for name in names) or ((text,),)


def image_readings(text: str) -> tuple[tuple[str, ...], ...]:
    """A texture of a game: as named, else as an image of another format. Without an extension it is the name of a
    material, of which there may be no image at all."""
    stem, dot, extension = text.rpartition(".")
    is_image = bool(dot) and extension.lower() in (*IMAGES, *_OTHER_IMAGES)
    others = tuple((f"{stem if is_image else text}.{other}",) for other in IMAGES if other != extension.lower())
    return ((text,), *others) if is_image else (*others, ())
