"""The disk as planning sees it: a drop folder, and nothing outside of it."""

import os
import stat
import unicodedata
from collections.abc import Callable
from enum import Enum, auto

from watcher.plan.references import read_references
from watcher.plan.resolve import is_inside
from watcher.plan.text import decode


class _Is(Enum):
    FILE = auto()
    FOLDER = auto()
    NOTHING = auto()
    """Not there, or nothing that we touch: a symbolic link, a device, a socket."""


class DiskLook:
    """Finds files in one drop, for one run of :func:`watcher.plan.assemble` (or a few at the same moment).

    What it has seen of folders it remembers, so that a folder is examined once and a missing file costs nothing
    the second time. Use a new one when the disk may have changed. Not for several threads at once.
    """

    def __init__(self, root: str, references: Callable[[str], tuple[str, ...]] = read_references) -> None:
        """`root` is the drop's real path. `references` may remember what it read."""
        self._root = root.rstrip(os.sep) or os.sep
        self._references = references
        self._kinds: dict[str, _Is] = {self._root: _Is.FOLDER}
        self._spellings: dict[str, dict[str, str]] = {}

    def references(self, path: str) -> tuple[str, ...]:
        """What the file at `path` names. Raises OSError when it cannot be read."""
        return self._references(path)

    def find(self, path: str) -> str | None:
        """See :class:`watcher.plan.Look`. Hidden files and folders are not found either: they never leave the drop.

        A folder that cannot be listed holds nothing.
        """
        if not is_inside(path, self._root) or "\0" in path:
            return None
        here = self._root
        for component in path[len(self._root) :].split(os.sep):
            if component in ("", "."):
                continue
            if component.startswith(".") or self._kind(here) is not _Is.FOLDER:
                return None
            there = os.path.join(here, component)
            if self._kind(there) is _Is.NOTHING:
                other = self._spelled(here).get(_loose(component))
                if other is None:
                    return None
                there = os.path.join(here, other)
            here = there
        return here if self._kind(here) is _Is.FILE else None

    def _kind(self, path: str) -> _Is:
        kind = self._kinds.get(path)
        if kind is None:
            kind = self._kinds[path] = _examine(path)
        return kind

    def _spelled(self, folder: str) -> dict[str, str]:
        """The names in the folder by their loose form; of several with one form the first in order."""
        names = self._spellings.get(folder)
        if names is None:
            try:
                listed = sorted(os.listdir(folder), reverse=True)
            except OSError:
                listed = []
            names = self._spellings[folder] = {_loose(name): name for name in listed}
        return names


def _examine(path: str) -> _Is:
    try:
        mode = os.lstat(path).st_mode
    except (OSError, ValueError):  # ValueError: a name that cannot be one here
        return _Is.NOTHING
    if stat.S_ISREG(mode):
        return _Is.FILE
    return _Is.FOLDER if stat.S_ISDIR(mode) else _Is.NOTHING


def _loose(name: str) -> str:
    """What names have in common that differ only in case, Unicode form or (for old names) encoding."""
    if not name.isascii():
        try:
            name = unicodedata.normalize("NFC", decode(os.fsencode(name)))
        except UnicodeEncodeError:
            return name
        return unicodedata.normalize("NFC", name.casefold())
    return name.lower()
