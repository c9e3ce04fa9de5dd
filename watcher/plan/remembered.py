"""References that were read before: a file that many models share is read once."""

import os
from collections import OrderedDict
from collections.abc import Callable

import structlog

from watcher.plan.references import can_refer, read_references

_log = structlog.get_logger(__name__)

MOST_CHARACTERS = 64_000_000
"""Of all names that are kept in memory; what was not asked for longest is forgotten first."""

Version = tuple[int, int, int, int, int]


class RememberedReferences:
    """What files name, read anew only when they changed. Not for several threads at once."""

    def __init__(self, read: Callable[[str], tuple[str, ...]] = read_references) -> None:
        self._read = read
        self._known: OrderedDict[str, tuple[Version, tuple[str, ...]]] = OrderedDict()
        self._characters = 0

    def __call__(self, path: str) -> tuple[str, ...]:
        """What the file at `path` names; nothing when its reader has a fault. Raises OSError when it cannot be read."""
        if not can_refer(path):
            return ()
        before = _version(path)
        if (known := self._known.get(path)) and known[0] == before:
            self._known.move_to_end(path)
            return known[1]
        try:
            names = self._read(path)
        except OSError:
            raise
        except Exception:  # noqa: BLE001 - a fault of ours must not keep this model, and all behind it, from going
            _log.exception("what a model names could not be read; it goes without companions", path=path)
            names = ()
        if _version(path) == before:
            self._keep(path, before, names)
        return names

    def _keep(self, path: str, version: Version, names: tuple[str, ...]) -> None:
        self._forget(path)
        self._known[path] = (version, names)
        self._characters += _characters(path, names)
        while self._characters > MOST_CHARACTERS:
            self._forget(next(iter(self._known)))

    def _forget(self, path: str) -> None:
        if (known := self._known.pop(path, None)) is not None:
            self._characters -= _characters(path, known[1])


def _version(path: str) -> Version:
    status = os.lstat(path)
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _characters(path: str, names: tuple[str, ...]) -> int:
    return len(path) + sum(map(len, names)) + 100 * (len(names) + 1)
