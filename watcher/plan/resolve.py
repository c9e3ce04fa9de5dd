"""Where a reference may lead: pure path arithmetic, never outside of the drop."""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial

TEXTURE_FOLDERS = ("textures", "texture", "tex", "maps", "map", "images", "img", "sourceimages", "bitmaps", "materials")
"""What artists and programs call the folder with the images of a model."""
LONGEST_TAIL = 8
"""Folders of a foreign path that are compared, counted from its end."""
HIGHEST = 8
"""Folders above a model in which such an end is looked for."""

_DRIVE = re.compile(r"^[A-Za-z]:")


@dataclass(frozen=True)
class Places:
    """The places to look for a file that a model names: absolute, normalised, inside of the drop."""

    literal: tuple[str, ...]
    """What the text says, if that is inside of the drop: beside the file that names it, then beside the main file."""
    expected: str
    """Where to put a file that is found nowhere; empty when the text can be no file."""
    outside: str
    """Why the text, taken literally, leads out of the drop; empty when it does not."""
    _guess: Callable[[], Iterator[str]]

    @cached_property
    def guesses(self) -> tuple[str, ...]:
        """Where the file probably is if not there, the likeliest (and of the same likelihood the nearest) first."""
        return tuple(guess for guess in dict.fromkeys(self._guess()) if guess not in self.literal)

    @property
    def paths(self) -> Iterator[str]:
        """All of them, the likeliest first."""
        yield from self.literal
        yield from self.guesses


def places(text: str, naming: str, main: str, root: str, *, from_above: bool = False) -> Places:
    r"""Where the file may be that `text` names in the file at `naming`, for the model at `main`.

    Args:
        from_above: names are relative to a folder somewhere above the file, such as that of a game.

    Backslashes separate as slashes do, and colons as of old on a Macintosh and an Amiga. Where the path leads
    literally comes first. Otherwise it comes from another machine (``C:\art\car\textures\wood.png``) or the files
    were moved since: then the longest end of it that exists beside the model counts (``textures/wood.png`` before
    ``wood.png``), then a file of that name in the folders in which artists keep textures.
    """
    path = text.replace("\\", "/").strip()
    folders = tuple(dict.fromkeys((os.path.dirname(naming), os.path.dirname(main))))
    literal, outside = _literal(path, folders, root)
    parts = [part for part in re.split("[/:]", _DRIVE.sub("", path, count=1)) if part not in ("", ".", "..")]
    if not parts or path.endswith(("/", "/.", "/..")):
        return Places(literal, literal[0] if literal and not outside else "", outside, lambda: iter(()))
    farthest = root if outside or from_above else os.path.dirname(folders[0])
    guesses = partial(_guesses, parts[-LONGEST_TAIL:], naming, main, folders, farthest, from_above=from_above)
    expected = literal[0] if literal and ":" not in path else os.path.join(folders[0], parts[-1])
    return Places(literal, expected, outside, lambda: (guess for guess in guesses() if is_inside(guess, root)))


def _literal(path: str, folders: tuple[str, ...], root: str) -> tuple[tuple[str, ...], str]:
    """The places that the path names, and why there is none."""
    if path.startswith("/"):
        whole = os.path.normpath(path)
        return ((whole,), "") if is_inside(whole, root) else ((), "an absolute path outside of the drop folder")
    joined = (os.path.normpath(os.path.join(folder, path)) for folder in folders)
    inside = tuple(dict.fromkeys(place for place in joined if is_inside(place, root)))
    if _DRIVE.match(path):  # or a name that has a colon in it, here
        return inside, "an absolute path outside of the drop folder"
    return inside, "" if inside else "a path that leads out of the drop folder"


def _guesses(
    parts: list[str], naming: str, main: str, folders: tuple[str, ...], farthest: str, *, from_above: bool
) -> Iterator[str]:
    """Everything near before anything that is farther away, but for a path from above; `farthest`: above it nothing is
    looked for by its path."""
    name = parts[-1]
    tails = ["/".join(parts[-length:]) for length in range(len(parts), 1, -1)]
    above = tuple(os.path.dirname(folder) for folder in folders)
    yield from (os.path.join(folder, tail) for tail in tails for folder in folders)
    if from_above:
        yield from _higher(above, tails, farthest)
    yield from (os.path.join(folder, name) for folder in folders)
    for model in (naming, main):
        yield os.path.join(os.path.splitext(model)[0] + ".fbm", name)  # where FBX readers unpack embedded media
    yield from _in_texture_folders(folders, name)
    yield from (os.path.join(folder, tail) for tail in tails for folder in above)
    yield from _in_texture_folders(above, name)
    yield from _higher(tuple(map(os.path.dirname, above)), tails, farthest)


def _higher(folders: tuple[str, ...], tails: list[str], farthest: str) -> Iterator[str]:
    """In these folders and in those above them."""
    for folder in folders:
        for _ in range(HIGHEST):
            if not is_inside(os.path.join(folder, "x"), farthest):
                break
            yield from (os.path.join(folder, tail) for tail in tails)
            folder = os.path.dirname(folder)  # noqa: PLW2901 - step by step upwards


def _in_texture_folders(folders: tuple[str, ...], name: str) -> Iterator[str]:
    for folder in folders:
        for textures in TEXTURE_FOLDERS:
            yield os.path.join(folder, textures, name)


def last_part(text: str) -> str:
    """The file name that a reference ends with; empty when it ends with none."""
    return text.replace("\\", "/").rstrip().rpartition("/")[2].strip()


def is_inside(path: str, folder: str) -> bool:
    """Whether the normalised `path` lies below the folder, by name alone."""
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def relative_name(path: str, folder: str) -> str | None:
    """`path` relative to the folder, with slashes; None when it is not below it."""
    if not is_inside(path, folder):
        return None
    return os.path.relpath(path, folder).replace(os.sep, "/")
