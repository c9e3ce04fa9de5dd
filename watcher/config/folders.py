"""What the disk says about the configured folders: are they there, do they lie in each other?"""

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from watcher.config.lines import Location

Complaint = tuple[Location, str]
Answer = TypeVar("Answer")

ANSWER_SECONDS = 3.0
"""A disk that takes longer to say whether a folder is there counts as away: a server of files may never answer."""


def check_folders(values: Mapping[str, Any], may_be_away: Collection[str] = ()) -> Iterator[Complaint]:
    """What is wrong with ``state_dir`` and the paths of ``drops``. Values of a wrong type are passed over.

    Args:
        may_be_away: real paths of folders of which it is no fault that they cannot be reached now.
    """
    drops = values.get("drops")
    tables = drops if isinstance(drops, list) else []
    roots: list[tuple[Location, Path]] = []
    for index, table in enumerate(tables):
        path = table.get("path") if isinstance(table, dict) else None
        if isinstance(path, Path):
            location: Location = ("drops", index, "path")
            try:
                fault = answered(partial(_fault, path))
            except OSError as error:
                if real_path(path) not in may_be_away:
                    yield location, _why_away(path, error)
                continue
            if fault is not None:
                yield location, fault
            else:
                yield from _overlaps(location, path, roots)
                roots.append((location, path))
    state_dir = values.get("state_dir")
    if isinstance(state_dir, Path):
        try:
            if answered(lambda: os.path.lexists(state_dir) and not os.path.isdir(state_dir)):
                yield ("state_dir",), f"{state_dir} is not a folder"
        except TimeoutError as error:
            yield ("state_dir",), f"{state_dir}: {error.strerror}"
            return
        for _, root in roots:
            if _lies_in(state_dir, root):
                yield ("state_dir",), f"{state_dir} lies in the drop {root}; choose a place outside all drops"


def answered(
    question: Callable[[], Answer], seconds: float | None = 0.0, on_silence: Callable[[], object] = lambda: None
) -> Answer:
    """What a disk answers. When it does not within :data:`ANSWER_SECONDS`, ``on_silence`` is called and so many seconds
    more are waited, without end for None. Raises TimeoutError."""
    answer: SimpleQueue[Answer | Exception] = SimpleQueue()

    def ask() -> None:
        try:
            answer.put(question())
        except Exception as error:  # noqa: BLE001 - raised by whoever asked
            answer.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        try:
            given = answer.get(timeout=ANSWER_SECONDS)
        except Empty:
            on_silence()
            given = answer.get(timeout=seconds)
    except Empty:
        raise TimeoutError(errno.ETIMEDOUT, "its disk does not answer") from None
    if isinstance(given, Exception):
        raise given
    return given


def real_path(path: Path) -> str:
    """An absolute path free of symbolic links, as far as the disks on its way answer."""
    known, *rest = path.parts
    left = list(rest)

    def resolve() -> None:
        nonlocal known
        while left:
            known = os.path.realpath(os.path.join(known, left[0]))
            del left[0]

    with contextlib.suppress(TimeoutError):
        answered(resolve)
    return os.path.join(known, *left)


def _why_away(path: Path, error: OSError) -> str:
    if not isinstance(error, FileNotFoundError):
        return f"folder {path} cannot be reached: {error.strerror}"
    return f"{path} is a symbolic link to nothing" if os.path.islink(path) else f"folder {path} does not exist"


def _fault(path: Path) -> str | None:
    """Raises OSError when it cannot be reached."""
    status = os.stat(path)
    if not stat.S_ISDIR(status.st_mode):
        return f"{path} is a file; a drop has to be a folder"
    if not os.access(path, os.R_OK | os.X_OK):
        return f"folder {path} cannot be read by this user"
    return None


def _overlaps(location: Location, path: Path, others: list[tuple[Location, Path]]) -> Iterator[Complaint]:
    for _, other in others:
        inner, outer = _lies_in(path, other), _lies_in(other, path)
        if inner and outer:
            yield location, f"{path} is the same folder as the drop {other}"
        elif inner:
            yield location, f"{path} lies in the drop {other}; drops must not overlap"
        elif outer:
            yield location, f"{path} holds the drop {other}; drops must not overlap"


def _lies_in(path: Path, root: Path) -> bool:
    """Whether ``path`` is ``root`` or below it, by what the folders are and not by how they are spelled."""
    wanted = os.stat(root)
    real = Path(os.path.realpath(path))
    for folder in (real, *real.parents):
        try:
            if os.path.samestat(os.stat(folder), wanted):
                return True
        except OSError:
            continue  # not there yet
    return False
