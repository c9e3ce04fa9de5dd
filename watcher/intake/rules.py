"""Which files of a drop count, decided by their names alone."""

import os
from dataclasses import dataclass
from enum import StrEnum

from watcher.formats import IMAGES, Kind, kind_of
from watcher.intake.patterns import Patterns
from watcher.intake.temporaries import is_system_folder, is_temporary
from watcher.model import Drop, Textures

_REMEMBERED = 20_000
"""Entries of a cache before it starts anew."""


class Reason(StrEnum):
    """Why a file is passed over."""

    HIDDEN = "hidden"
    """It or a folder above it begins with a dot."""
    TEMPORARY = "temporary"
    """A program's working file: a download, an editor's copy, a system's folder."""
    SUB_FOLDER = "sub_folder"
    """Below the drop's top folder, and the drop is not recursive."""
    IGNORED = "ignored"
    """One of the drop's `ignore` patterns says so."""
    NOT_INCLUDED = "not_included"
    """The drop has `include` patterns and none takes it."""
    COMPANION = "companion"
    """Only ever travels with the model that names it."""
    UNSUPPORTED = "unsupported"
    """The Asset API does not take its format."""


_COUNTED = frozenset({Reason.IGNORED, Reason.NOT_INCLUDED, Reason.UNSUPPORTED})


@dataclass(frozen=True, slots=True)
class Taken:
    """The file is uploaded once it is settled."""

    kind: Kind


@dataclass(frozen=True, slots=True)
class PassedOver:
    """The file is not uploaded for itself."""

    reason: Reason
    detail: str
    """One line for people: the pattern, the folder or the format that decided."""

    @property
    def counted(self) -> bool:
        """Whether it belongs into the statistics of passed over files: what a person may have meant to upload."""
        return self.reason in _COUNTED


class Rules:
    """The rules of one drop. Paths are relative to the drop's folder, with slashes, as `os` gives names.

    For hundreds of thousands of verdicts a second: what is equal for many files is decided once.
    Not for several threads at once.
    """

    def __init__(self, drop: Drop) -> None:
        """Raises ValueError that names the pattern when one of the drop's is no gitignore pattern."""
        self._recursive = drop.recursive
        self._no_loose_images = drop.textures is Textures.COMPANIONS_ONLY
        self._ignore = Patterns(drop.ignore, "ignore")
        self._include = Patterns(drop.include, "include")
        self._of_extension: dict[str, Taken | PassedOver] = {}
        self._of_folder: dict[str, _Folder] = {}

    def verdict(self, relative_path: str) -> Taken | PassedOver:
        """Whether the file at this path is taken, or why not."""
        folder_path, _, name = relative_path.rpartition("/")
        folder = self._folder(folder_path)
        if folder.passed_over is not None:
            return folder.passed_over
        if name.startswith("."):
            return PassedOver(Reason.HIDDEN, f"hidden file {name!r}")
        by_format = self._format(name)
        # A name with an extension that the API takes is temporary only by how it begins.
        if (name.startswith("~") or not isinstance(by_format, Taken)) and is_temporary(name):
            return PassedOver(Reason.TEMPORARY, f"temporary file {name!r}")
        if self._ignore and (match := self._ignore.match(relative_path)) and match.positive:
            return PassedOver(Reason.IGNORED, f"ignored by the pattern {match.pattern!r}")
        if self._include:
            match = self._include.match(relative_path)
            if not (match.positive if match else folder.included):
                return PassedOver(Reason.NOT_INCLUDED, "no include pattern takes it")
        return by_format

    def enters(self, relative_dir: str) -> bool:
        """Whether a scan descends into this folder; ``""`` is the drop's own."""
        return self._folder(relative_dir.rstrip("/")).passed_over is None

    def _folder(self, path: str) -> "_Folder":
        folder = self._of_folder.get(path)
        if folder is not None:
            return folder
        if len(self._of_folder) > _REMEMBERED:
            self._of_folder.clear()
        # From the top down, not by recursion: a path may have two thousand components.
        folder = _Folder(None, included=False)
        end = 0
        while path and end >= 0 and folder.passed_over is None:
            end = path.find("/", end + 1)
            here = path if end < 0 else path[:end]
            known = self._of_folder.get(here)
            if known is None:
                known = self._of_folder[here] = self._judged(here, folder)
            folder = known
        # As git has it: below an ignored folder nothing can be taken back.
        self._of_folder[path] = folder
        return folder

    def _judged(self, path: str, above: "_Folder") -> "_Folder":
        match = self._include.match(path + "/")
        return _Folder(self._own_reason(path), match.positive if match else above.included)

    def _own_reason(self, path: str) -> PassedOver | None:
        name = path.rpartition("/")[2]
        if name.startswith("."):
            return PassedOver(Reason.HIDDEN, f"in the hidden folder {path!r}")
        if is_system_folder(name):
            return PassedOver(Reason.TEMPORARY, f"in the system folder {path!r}")
        if not self._recursive:
            return PassedOver(Reason.SUB_FOLDER, "in a sub-folder, and the drop is not recursive")
        if (match := self._ignore.match(path + "/")) and match.positive:
            return PassedOver(Reason.IGNORED, f"in the folder {path!r}, ignored by the pattern {match.pattern!r}")
        return None

    def _format(self, name: str) -> Taken | PassedOver:
        extension = os.path.splitext(name)[1]
        verdict = self._of_extension.get(extension)
        if verdict is None:
            if len(self._of_extension) > _REMEMBERED:
                self._of_extension.clear()
            verdict = self._of_extension[extension] = self._by_extension(extension.lower())
        return verdict

    def _by_extension(self, extension: str) -> Taken | PassedOver:
        kind = kind_of("name" + extension)
        if kind is None:
            what = f"{extension!r} files" if extension else "files without an extension"
            return PassedOver(Reason.UNSUPPORTED, f"the Asset API takes no {what}")
        if kind is Kind.COMPANION:
            return PassedOver(Reason.COMPANION, f"{extension!r} files are uploaded with the model that names them")
        if self._no_loose_images and kind in IMAGES:
            return PassedOver(Reason.COMPANION, 'no model names it (textures = "companions-only")')
        return Taken(kind)


@dataclass(frozen=True, slots=True)
class _Folder:
    passed_over: PassedOver | None
    """Why nothing in it counts; None when its files are judged one by one."""
    included: bool
    """Whether the include patterns take it with all that they do not name."""
