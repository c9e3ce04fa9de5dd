"""The files of one job, and what a name written inside one of them means.

References are looked up among the files of the job only, never on the disk.
"""

import posixpath
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from watcher.emulator.convert.job import ConversionFailed
from watcher.formats import extension_of

_LARGEST_SOURCE = 1 << 30
"""Bytes of a file that a converter reads whole."""
_BEHIND_PATH = re.compile(r"(\.\w+)[?#].*", re.DOTALL)
"""The query and the fragment of a URI, where the name before them has an extension."""
_TILE = re.compile(r"<udim>|%\(udim\)d|<uvtile>|<tile>|<[uvf]>|%0[1-9]d|\$f[1-9]?(?![a-z0-9])")
"""What stands for the number of a tile, or of a picture of a sequence, in a name in small letters."""


class SourceFiles:
    """Relative names to blobs."""

    def __init__(self, files: dict[str, Path], main_name: str) -> None:
        self._files = files
        self._main_name = main_name
        self._by_name: dict[str, str] = {}
        self._by_basename: dict[str, str] = {}
        for name in sorted(files):
            key = _key(posixpath.normpath(name.replace("\\", "/")))
            self._by_name.setdefault(key, name)
            self._by_basename.setdefault(posixpath.basename(key), name)

    def path(self, name: str) -> Path:
        return self._files[name]

    def names(self) -> list[str]:
        return sorted(self._files)

    def named(self, extension: str) -> list[str]:
        """The names that end in an extension, in alphabetical order."""
        return sorted(name for name in self._files if extension_of(name) == extension)

    def read(self, name: str) -> bytes:
        """The whole content. Raises ConversionFailed when it is empty or too large to be read whole."""
        self.require_readable(name)
        return self._files[name].read_bytes()

    def require_readable(self, name: str) -> None:
        """Raises ConversionFailed when a file is empty or too large to be read whole."""
        size = self._files[name].stat().st_size
        if size == 0:
            raise ConversionFailed(f"the file {name} is empty")
        if size > _LARGEST_SOURCE:
            limit = _LARGEST_SOURCE >> 20
            raise ConversionFailed(f"{name} has {size >> 20} MiB; this emulator converts models up to {limit} MiB")

    def resolve(self, reference: str, written_in: str) -> str | None:
        """The file that a reference names, or None when the job has no such file.

        Tried in turn: the path relative to the file it is written in, relative to the main file, then the bare file
        name anywhere; upper and lower case are the same. Other spellings come after the plain one: see ``_spellings``.
        """
        for name in _spellings(reference):
            if not name or name.endswith("/"):
                continue
            for base in (written_in, self._main_name):
                folder = posixpath.dirname(base.replace("\\", "/"))
                found = self._by_name.get(_key(posixpath.normpath(posixpath.join(folder, name.lstrip("/")))))
                if found is not None:
                    return found
            found = self._by_basename.get(_key(posixpath.basename(name)))
            if found is not None:
                return found
        return None

    def first_tile(self, reference: str) -> str | None:
        """The first file, in whichever folder, that is a tile of the picture which a reference names; None also when it
        names no picture in tiles."""
        parts = _TILE.split(posixpath.basename(_key(reference.replace("\\", "/"))))
        if len(parts) == 1:
            return None
        # Possessive: many numbers side by side would be tried in all ways.
        tile = re.compile(r"(?:u\d++_v)?+\d++".join(map(re.escape, parts)))
        return next((self._by_basename[name] for name in sorted(self._by_basename) if tile.fullmatch(name)), None)


def _spellings(reference: str) -> Iterator[str]:
    """What a reference may mean, with slashes, the likeliest first.

    Backslashes, ``file:``, quotes, apostrophes, percent-encoding, spaces behind a backslash, the query and the fragment
    of a URI, and colons as separators (of old on a Macintosh, and behind the name of an archive) are understood.
    """
    text = reference.strip().strip('"').strip()
    if text.lower().startswith("file:"):
        text = text[5:]
    bare = text[1:-1] if text.startswith("'") and text.endswith("'") else text
    ways = [way.replace("\\", "/") for way in (text, bare, bare.replace("\\ ", " "), _BEHIND_PATH.sub(r"\1", bare))]
    decoded = [name for way in dict.fromkeys(ways) for name in (way, unquote(way))]
    yield from dict.fromkeys(decoded)
    yield from (name.replace(":", "/") for name in dict.fromkeys(decoded) if ":" in name)


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
