"""Which files of a drop count, decided by their names alone."""

import os
import re
from dataclasses import dataclass
from enum import StrEnum

from pathspec import GitIgnoreSpec

from watcher.formats import Kind, kind_of
from watcher.intake.temporaries import is_system_folder, is_temporary
from watcher.model import Drop

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
        self._ignore = _compiled(drop.ignore, "ignore")
        self._include = _compiled(drop.include, "include")
        self._ignored_by = drop.ignore
        self._of_extension: dict[str, Taken | PassedOver] = {}
        self._of_folder: dict[str, PassedOver | None] = {"": None}

    def verdict(self, relative_path: str) -> Taken | PassedOver:
        """Whether the file at this path is taken, or why not."""
        folder, _, name = relative_path.rpartition("/")
        if (passed_over := self._folder(folder)) is not None:
            return passed_over
        if name.startswith("."):
            return PassedOver(Reason.HIDDEN, f"hidden file {name!r}")
        by_format = self._format(name)
        # A name with an extension that the API takes is temporary only by how it begins.
        if (name.startswith("~") or not isinstance(by_format, Taken)) and is_temporary(name):
            return PassedOver(Reason.TEMPORARY, f"temporary file {name!r}")
        if self._ignore and (pattern := self._ignoring(relative_path)) is not None:
            return PassedOver(Reason.IGNORED, f"ignored by the pattern {pattern!r}")
        if self._include and not self._include.match_file(relative_path):
            return PassedOver(Reason.NOT_INCLUDED, "no include pattern matches")
        return by_format

    def enters(self, relative_dir: str) -> bool:
        """Whether a scan descends into this folder; ``""`` is the drop's own."""
        return self._folder(relative_dir.rstrip("/")) is None

    def _folder(self, folder: str) -> PassedOver | None:
        """Why nothing in the folder counts; None when its files are judged one by one."""
        known = self._of_folder
        if folder in known:
            return known[folder]
        if len(known) > _REMEMBERED:
            known.clear()
            known[""] = None
        above, _, name = folder.rpartition("/")
        known[folder] = result = self._folder(above) or self._own(folder, name)
        return result

    def _own(self, folder: str, name: str) -> PassedOver | None:
        if name.startswith("."):
            return PassedOver(Reason.HIDDEN, f"in the hidden folder {folder!r}")
        if is_system_folder(name):
            return PassedOver(Reason.TEMPORARY, f"in the system folder {folder!r}")
        if not self._recursive:
            return PassedOver(Reason.SUB_FOLDER, "in a sub-folder, and the drop is not recursive")
        # As git has it: below an ignored folder nothing can be taken back.
        if self._ignore and (pattern := self._ignoring(folder + "/")) is not None:
            return PassedOver(Reason.IGNORED, f"in the folder {folder!r}, ignored by the pattern {pattern!r}")
        return None

    def _ignoring(self, path: str) -> str | None:
        """The pattern that decides that the path is ignored."""
        assert self._ignore is not None
        result = self._ignore.check_file(path)
        return self._ignored_by[result.index] if result.include and result.index is not None else None

    def _format(self, name: str) -> Taken | PassedOver:
        extension = os.path.splitext(name)[1]
        verdict = self._of_extension.get(extension)
        if verdict is None:
            if len(self._of_extension) > _REMEMBERED:
                self._of_extension.clear()
            verdict = self._of_extension[extension] = _by_extension(extension.lower())
        return verdict


def _by_extension(extension: str) -> Taken | PassedOver:
    kind = kind_of("name" + extension)
    if kind is None:
        what = f"{extension!r} files" if extension else "files without an extension"
        return PassedOver(Reason.UNSUPPORTED, f"the Asset API takes no {what}")
    if kind is Kind.COMPANION:
        return PassedOver(Reason.COMPANION, f"{extension!r} files are uploaded with the model that names them")
    return Taken(kind)


def _compiled(patterns: tuple[str, ...], where: str) -> GitIgnoreSpec | None:
    for pattern in patterns:
        try:
            if "\n" in pattern:
                raise ValueError("a pattern is one line")
            GitIgnoreSpec.from_lines([pattern])
        except (ValueError, re.error) as error:
            raise ValueError(f"{where} pattern {pattern!r} is not in gitignore syntax: {error}") from error
    return GitIgnoreSpec.from_lines(patterns) if patterns else None
