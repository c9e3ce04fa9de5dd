"""What a model file names, whatever its format."""

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import BinaryIO

from watcher.formats import extension_of
from watcher.plan.alternatives import STEM
from watcher.plan.readers import FORMATS, Format
from watcher.plan.text import decoded_otherwise

LONGEST_NAME = 4096
"""Characters; longer than any path that Linux opens."""
MOST_NAMES = 10_000
"""Names of one file that are followed; more of them is no model but an attack."""
MOST_REPEATS = 1_000_000
"""Names of one file that are looked at, the same ones too."""


def format_of(path: str) -> Format | None:
    """How a file of this name names others; None when it never does."""
    return FORMATS.get(extension_of(path))


def gathers(path: str) -> bool:
    """Whether a file of this name belongs to others that say the same of themselves, rather than naming them."""
    known = format_of(path)
    return known is not None and known.gathers


def may_be_part(path: str) -> bool:
    """Whether a model file of this name is often a part of another one; see :class:`Format`."""
    known = format_of(path)
    return known is not None and known.parts is not None and known.parts.search(path) is not None


def is_scene(path: str) -> bool:
    """Whether a file of this name often names models that otherwise go by themselves; see :class:`Format`."""
    known = format_of(path)
    return known is not None and known.is_scene


def can_refer(path: str) -> bool:
    """Whether a file of this name is of a format that can name other files."""
    return extension_of(path) in FORMATS


def read_references(path: str) -> tuple[str, ...]:
    """The names of other files in the model file at `path`, decoded, in order, without repeats.

    The model is not loaded: the file is streamed in constant memory. What cannot be understood yields nothing;
    `data:` and web addresses are no files and are left out. An OBJ statement ``mtllib a b.mtl`` may mean one
    file with a space in its name or two files: it is returned as one text, and resolution tries both.

    Raises OSError when the file cannot be read; a symbolic link and anything but a regular file count as that.
    """
    known = format_of(path)
    if known is None:
        return ()
    with _open(path) as file:
        return tuple(islice(_unique(islice(known.read(file), MOST_REPEATS)), MOST_NAMES))


def readings(named_by: str, text: str) -> tuple[tuple[str, ...], ...]:
    """The ways to understand the reference `text` of the file at `named_by`; see :class:`Format`."""
    known = format_of(named_by)
    text = text.replace(STEM, os.path.splitext(os.path.basename(named_by))[0])
    ways = known.readings(text) if known else ((text,),)
    otherwise = (other for names in ways if len(names) == 1 for other in decoded_otherwise(names[0]))
    return (*ways, *((other,) for other in dict.fromkeys(otherwise)))


def _open(path: str) -> BinaryIO:
    # Non-blocking, so that a FIFO put in the file's place cannot hold us.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW if os.name == "posix" else os.O_RDONLY
    descriptor = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _unique(names: Iterable[str]) -> Iterator[str]:
    """Each name once, without what no file can be called."""
    seen: set[str] = set()
    for name in names:
        if name not in seen and _is_possible(name) and not _NO_FILE.match(name):
            seen.add(name)
            yield name


_NO_FILE = re.compile(r"(?:https?|ftp)://|data:(?:[\w.+-]+/[\w.+-]+)?[;,]", re.IGNORECASE)


def _is_possible(name: str) -> bool:
    if not name or len(name) > LONGEST_NAME or any(character < " " for character in name):
        return False
    try:
        os.fsencode(name)
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True
