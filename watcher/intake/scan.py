"""The authoritative look at the disk: compare folders with the ledger, one folder at a time."""

import os
import stat
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from watcher.formats import extension_of
from watcher.intake.rules import PassedOver, Reason, Rules, Taken
from watcher.ledger import IntakeLedger
from watcher.model import Drop, Signature

PROBLEM_LIMIT = 1000
"""How many unreadable places one scan reports by name."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A file that counts, as a look found it."""

    path: str
    signature: Signature
    unchanged_for: float
    """Seconds since the kernel last saw it change."""


@dataclass(slots=True)
class FolderScan:
    """What one folder holds in comparison with the ledger."""

    new: list[Seen] = field(default_factory=list)
    """New files and changed ones."""
    unsettled: list[Seen] = field(default_factory=list)
    """Files that the ledger knows in this version, and that had not settled."""
    vanished: list[str] = field(default_factory=list)
    passed_over: list[tuple[str, PassedOver]] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class ScanTotals:
    """What a full scan adds up."""

    passed_over: Counter[str] = field(default_factory=Counter)
    """Files by extension (with the dot; ``""`` without one)."""
    problems: dict[str, str] = field(default_factory=dict)

    def add(self, folder: FolderScan) -> None:
        for path, verdict in folder.passed_over:
            if verdict.counted:
                extension = extension_of(path)
                self.passed_over["." + extension if extension else ""] += 1
        if len(self.problems) < PROBLEM_LIMIT:
            self.problems.update(folder.problems)


def signature_of(status: os.stat_result) -> Signature:
    """The signature of a file from its ``lstat``."""
    return Signature(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def unchanged_for(status: os.stat_result) -> float:
    """Seconds since the kernel last saw the file change: its ctime, which nobody can set back."""
    changed = status.st_ctime_ns if os.name == "posix" else status.st_mtime_ns
    return max(0.0, time.time() - changed / 1e9)


class Scanner:
    """Looks at the folders and files of one drop."""

    def __init__(self, drop: Drop, rules: Rules, ledger: IntakeLedger) -> None:
        self.drop = drop
        self.rules = rules
        self._ledger = ledger
        self._dismissed: dict[str, Signature] = {}

    def walk(self, start: str | None = None) -> Iterator[FolderScan]:
        """Scan the tree below ``start`` (the whole drop without), folder by folder.

        A folder that cannot be read is a problem, never a reason to believe that its files are gone.
        """
        root = start or self.drop.path
        visited: set[str] = set()
        unreadable: list[str] = []
        if root != self.drop.path and not self.enters(root):
            return
        pending = [root]
        while pending:
            directory = pending.pop()
            visited.add(directory)
            try:
                result, folders = self._folder(directory)
            except FileNotFoundError:
                if directory == self.drop.path:
                    yield FolderScan(problems={directory: "the drop folder is not there"})
                    return
                visited.discard(directory)
                continue
            except OSError as error:
                unreadable.append(directory)
                yield FolderScan(problems={directory: f"cannot be read: {error.strerror or error}"})
                continue
            pending.extend(folders)
            yield result
        yield from self._vanished_folders(root, visited, unreadable)

    def look(self, path: str) -> FolderScan:
        """Look at one file."""
        result = FolderScan()
        known = self._ledger.known_file(path)
        if not self.enters(os.path.dirname(path)):
            return result
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            if known is not None:
                result.vanished.append(path)
            return result
        except OSError as error:
            result.problems[path] = f"cannot be read: {error.strerror or error}"
            return result
        verdict = self._verdict(path, status.st_mode)
        if isinstance(verdict, PassedOver) and known is None and not self._wanted(verdict, path):
            result.passed_over.append((path, verdict))
        elif not stat.S_ISREG(status.st_mode):
            if known is not None:
                result.vanished.append(path)
        else:
            self._compare(result, path, status, None if known is None else (known.signature, known.settled))
        return result

    def dismiss(self, path: str) -> None:
        """A file bears the name of one that a model lacks, and is not that file: it does not count until it changes."""
        try:
            self._dismissed[path] = signature_of(os.lstat(path))
        except OSError:
            self._dismissed.pop(path, None)

    def enters(self, directory: str) -> bool:
        """Whether the drop's rules let a scan into this folder (all the way from the drop's root)."""
        if directory == self.drop.path:
            return True
        relative = os.path.relpath(directory, self.drop.path)
        parts = relative.split(os.sep)
        if parts[0] == os.pardir:
            return False
        return all(self.rules.enters(os.sep.join(parts[: index + 1])) for index in range(len(parts)))

    def _folder(self, directory: str) -> tuple[FolderScan, list[str]]:
        result, folders = FolderScan(), []
        known = self._ledger.known(directory)
        anything_wanted = self._ledger.wants_anything()
        prefix = "" if directory == self.drop.path else os.path.relpath(directory, self.drop.path) + os.sep
        with os.scandir(directory) as entries:
            for entry in entries:
                relative = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    if self.rules.enters(relative):
                        folders.append(entry.path)
                    continue
                before = known.pop(entry.name, None)
                verdict = self.rules.verdict(relative)
                if (
                    isinstance(verdict, PassedOver)
                    and before is None
                    and not (anything_wanted and self._wanted(verdict, entry.path))
                ):
                    result.passed_over.append((entry.path, verdict))
                    continue
                if not entry.is_file(follow_symlinks=False):
                    result.passed_over.append((entry.path, _not_regular(entry.is_symlink())))
                    if before is not None:
                        result.vanished.append(entry.path)
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    if before is not None:
                        result.vanished.append(entry.path)
                    continue
                except OSError as error:
                    result.problems[entry.path] = f"cannot be read: {error.strerror or error}"
                    continue
                self._compare(
                    result, entry.path, status, None if before is None else (before.signature, before.settled)
                )
        result.vanished.extend(os.path.join(directory, name) for name in known)
        return result, folders

    def _compare(
        self, result: FolderScan, path: str, status: os.stat_result, before: tuple[Signature, bool] | None
    ) -> None:
        seen = Seen(path, signature_of(status), unchanged_for(status))
        if before is None or before[0] != seen.signature:
            result.new.append(seen)
        elif not before[1]:
            result.unsettled.append(seen)

    def _verdict(self, path: str, mode: int) -> Taken | PassedOver:
        if not stat.S_ISREG(mode):
            return _not_regular(stat.S_ISLNK(mode))
        return self.rules.verdict(os.path.relpath(path, self.drop.path))

    def _wanted(self, verdict: PassedOver, path: str) -> bool:
        """A file that cannot go by itself still counts when a model names it."""
        if verdict.reason not in {Reason.UNSUPPORTED, Reason.COMPANION}:
            return False
        if not self._ledger.wanted(self.drop.path, os.path.basename(path)):
            return False
        dismissed = self._dismissed.get(path)
        return dismissed is None or dismissed != _signature_at(path)

    def _vanished_folders(self, root: str, visited: set[str], unreadable: list[str]) -> Iterator[FolderScan]:
        """Files of folders that the ledger knows below ``root`` and that are not there any more."""
        for directory in self._ledger.directories(root):
            if directory in visited or any(
                directory == blind or directory.startswith(blind + os.sep) for blind in unreadable
            ):
                continue
            # The folder may be there, and the rules keep out of it: a companion in it is no less there.
            known = (os.path.join(directory, name) for name in self._ledger.known(directory))
            paths = [path for path in known if not os.path.lexists(path)]
            if paths:
                yield FolderScan(vanished=paths)


def _signature_at(path: str) -> Signature | None:
    try:
        return signature_of(os.lstat(path))
    except OSError:
        return None


def _not_regular(is_link: bool) -> PassedOver:
    detail = "a symbolic link: links are not followed" if is_link else "not a regular file"
    return PassedOver(Reason.UNSUPPORTED, detail)
