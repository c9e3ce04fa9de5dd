"""The disk as planning sees it: a drop folder, and nothing outside of it."""

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator

from watcher.formats import extension_of
from watcher.plan.references import read_references
from watcher.plan.resolve import is_inside
from watcher.plan.text import decode, decoded_otherwise, loose

_NOTHING_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ)


GREAT = 1000
"""Names in a folder that takes long to be listed."""
STEADY_SECONDS = 2.0
"""So long a folder must have stayed as it is for its time to tell of the next change: no file system counts coarser."""


class Listings:
    """What was listed of great folders, as long as they stay as they are: in one there may be very many models, and
    only some of them are looked at together."""

    def __init__(self, age: Callable[[float], float]) -> None:
        """`age` tells how many seconds ago a time was that a disk has stamped."""
        self._age = age
        self._listed: dict[str, tuple[tuple[int, int, int], list[str], dict[str, str]]] = {}

    def clear(self) -> None:
        """Let go of them all: they take memory."""
        self._listed.clear()

    def of(self, folder: str) -> tuple[list[str], dict[str, str]]:
        """The names in a folder in order, and a place to keep them by their loose form; none when it cannot be
        listed."""
        try:
            status = os.stat(folder)
            version = status.st_dev, status.st_ino, status.st_ctime_ns  # a copy may set mtime back
            if (known := self._listed.get(folder)) is not None and known[0] == version:
                return known[1:]
            names = sorted(os.listdir(folder))
        except OSError:
            return [], {}
        listed = version, names, dict[str, str]()
        if len(names) >= GREAT and self._age(status.st_ctime) > STEADY_SECONDS:
            self._listed[folder] = listed
        return listed[1:]


class DiskLook:
    """Finds files in one drop, for one run of :func:`watcher.plan.assemble` (or a few at the same moment).

    What it has seen of folders it remembers, so that each is examined and listed at most once.
    Use a new one when the disk may have changed. Not for several threads at once.
    """

    def __init__(
        self,
        root: str,
        references: Callable[[str], tuple[str, ...]] = read_references,
        *,
        follow_symlinks: bool = False,
        listings: Listings | None = None,
    ) -> None:
        """`root` is the drop's real path. `references` may remember what it read, `listings` what was listed."""
        self._follow = follow_symlinks
        self._root = root.rstrip(os.sep) or os.sep
        self._references = references
        self._folders = {self._root: True}
        """Whether the paths are folders, all the way from the root (and without a symbolic link, unless followed)."""
        self._spelled: dict[str, str | None] = {self._root: self._root}
        self._great = listings or Listings(lambda _time: 0.0)
        self._listings: dict[str, tuple[list[str], dict[str, str]]] = {}
        """By folder: the names in order, and by their loose form, of several with one form the first in order."""
        self._alike: dict[tuple[str, str], list[str]] = {}

    def references(self, path: str) -> tuple[str, ...]:
        """What the file at `path` names. Raises OSError, with the path as its filename, when it cannot be read."""
        try:
            return self._references(os.path.realpath(path) if self._follow else path)
        except OSError as error:
            error.filename = error.filename or path  # a read that fails does not say of what
            raise

    def find(self, path: str) -> str | None:
        """See :class:`watcher.plan.Look`. Hidden files and folders are not found either: they never leave the drop.

        A folder that cannot be listed holds nothing but what is there under just this name. Raises OSError when it
        cannot be told whether that is there: a folder that is closed for a moment may hold it.
        """
        if not is_inside(path, self._root) or "\0" in path:
            return None
        folder, name = os.path.split(path)
        here = self._folder_spelled_as(folder)
        return None if here is None else self._spelled_as(here, name, self._is_file)

    def _folder_spelled_as(self, path: str) -> str | None:
        """The real spelling of the folder at this path, the drop's root or below it."""
        if path in self._spelled:
            return self._spelled[path]
        here: str | None = self._root
        for component in path[len(self._root) :].strip(os.sep).split(os.sep):
            here = None if here is None else self._spelled_as(here, component, self._is_folder)
        self._spelled[path] = here
        return here

    def alike(self, path: str) -> Iterator[str]:
        """See :class:`watcher.plan.Look`."""
        key = folder, extension = os.path.dirname(path), extension_of(path)
        if (names := self._alike.get(key)) is None:
            names = [name for name in self._listed(folder) if extension_of(name) == extension and name[0] != "."]
            self._alike[key] = names
        return (path for path in (os.path.join(folder, name) for name in names) if self._is_file(path))

    def matching(self, folder: str, pattern: re.Pattern[str]) -> tuple[str, ...]:
        """See :class:`watcher.plan.Look`."""
        if not is_inside(os.path.join(folder, "x"), self._root) or "\0" in folder:
            return ()
        here = self._folder_spelled_as(folder)
        if here is None:
            return ()
        names = (name for name in self._listed(here) if pattern.fullmatch(loose(name)) and not name.startswith("."))
        return tuple(path for path in (os.path.join(here, name) for name in names) if self._is_file(path))

    def _spelled_as(self, folder: str, name: str, is_wanted: Callable[[str], bool]) -> str | None:
        """The path of `name` in the folder, or of what is called alike, if it is what is wanted."""
        if name.startswith("."):
            return None
        path = os.path.join(folder, name)
        if is_wanted(path):
            return path
        other = self._names(folder).get(loose(name))
        if other is None or other == name:
            return None
        path = os.path.join(folder, other)
        return path if is_wanted(path) else None

    def _is_folder(self, path: str) -> bool:
        if (known := self._folders.get(path)) is None:
            known = self._folders[path] = stat.S_ISDIR(self._mode(path))
        return known

    def _names(self, folder: str) -> dict[str, str]:
        """The names in the folder by their loose form."""
        listed, names = self._list(folder)
        if listed and not names:
            names.update((loose(name), name) for name in reversed(listed))
            for name in listed:
                if not _is_unicode(name):  # unpacked, perhaps, from an archive of another place
                    for other in decoded_otherwise(decode(os.fsencode(name))):
                        names.setdefault(loose(other), name)
        return names

    def _listed(self, folder: str) -> list[str]:
        """The names in the folder in order."""
        return self._list(folder)[0]

    def _list(self, folder: str) -> tuple[list[str], dict[str, str]]:
        if (known := self._listings.get(folder)) is None:
            known = self._listings[folder] = self._great.of(folder)
        return known

    def _is_file(self, path: str) -> bool:
        return stat.S_ISREG(self._mode(path))

    def _mode(self, path: str) -> int:
        """The type of what is there; 0 when there is nothing. Raises OSError when that cannot be told."""
        try:
            return (os.stat if self._follow else os.lstat)(path).st_mode
        except OSError as error:
            if error.errno not in _NOTHING_THERE:
                raise
            return 0
        except ValueError:  # a name that cannot be one here
            return 0


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
