"""Where a reference may lead: pure path arithmetic, never outside of the drop."""

import os
import re
from dataclasses import dataclass

_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class Places:
    """The places to look for a file that a model names."""

    paths: tuple[str, ...]
    """Absolute, normalised, inside of the drop, the likeliest first; empty when the text names no file."""
    outside: str | None
    """Why the text, taken literally, leads out of the drop; None when it does not."""


def places(text: str, naming_folder: str, main_folder: str, root: str) -> Places:
    r"""Where the file that `text` names may be: beside the file that names it, then beside the main file.

    Backslashes separate as slashes do. An absolute path (also ``C:\...`` and ``\\server\...``) and one that climbs
    out of the drop come from the author's machine: what counts is their last part, beside the same two files.
    """
    path = text.replace("\\", "/").strip()
    folders = dict.fromkeys((naming_folder, main_folder))
    outside: str | None = None
    found: list[str] = []
    if path.startswith("/") or _DRIVE.match(path):
        literal = os.path.normpath(path)
        if path.startswith("/") and is_inside(literal, root):
            found.append(literal)
        else:
            outside = "an absolute path outside of the drop folder"
    else:
        for folder in folders:
            literal = os.path.normpath(os.path.join(folder, path))
            if is_inside(literal, root):
                found.append(literal)
        if not found:
            outside = "a path that leads out of the drop folder"
    if outside:
        name = _DRIVE.sub("", path, count=1).rpartition("/")[2]
        if name not in ("", ".", ".."):
            found.extend(os.path.join(folder, name) for folder in folders)
    return Places(tuple(dict.fromkeys(found)), outside)


def is_inside(path: str, folder: str) -> bool:
    """Whether the normalised `path` lies below the folder, by name alone."""
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def relative_name(path: str, folder: str) -> str | None:
    """`path` relative to the folder, with slashes; None when it is not below it."""
    if not is_inside(path, folder):
        return None
    return os.path.relpath(path, folder).replace(os.sep, "/")
