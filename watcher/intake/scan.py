"""The authoritative look at the disk: compare folders with the ledger, one folder at a time."""

import contextlib
import errno
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from watcher import clock
from watcher.formats import extension_of
from watcher.intake.again import Again
from watcher.intake.home import Home, device_at
from watcher.intake.links import Links
from watcher.intake.rules import PassedOver, Reason, Rules, Taken
from watcher.ledger import IntakeLedger, Known, SeenIn
from watcher.model import Drop, Signature

_SHORT_OF = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Faults of a look that are no folder's fault: the whole scan is tried again."""
PART = 1000
"""Entries of a folder that are looked at in one go."""
PROBLEM_LIMIT = 1000
"""How many unreadable places one scan reports by name."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A file that counts, as a look found it."""

    path: str
    signature: Signature
    unchanged_for: float
    """Seconds since the kernel last saw it change."""
    seen_in: SeenIn
    known: bool
    """Whether the ledger knows the file, be it in another version."""


@dataclass(slots=True)
class FolderScan:
    """What one folder holds in comparison with the ledger."""

    new: list[Seen] = field(default_factory=list)
    """New files and changed ones."""
    unsettled: list[Seen] = field(default_factory=list)
    """Files that the ledger knows in this version, and that had not settled."""
    vanished: list[str] = field(default_factory=list)
    """Files that are deleted, surely."""
    doubtful: list[str] = field(default_factory=list)
    """Files that are not there, and may come back with their disk; see :mod:`watcher.intake.home`."""
    passed_over: list[tuple[str, PassedOver]] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class ScanTotals:
    """What a full scan adds up."""

    passed_over: Counter[str] = field(default_factory=Counter)
    """Files by extension (with the dot; ``""`` without one)."""
    problems: dict[str, str] = field(default_factory=dict)

    def add(self, folder: FolderScan) -> None:
        self.passed_over.update(counted_as(path) for path, verdict in folder.passed_over if verdict.counted)
        if len(self.problems) < PROBLEM_LIMIT:
            self.problems.update(folder.problems)

    def followed(self, path: str) -> bool:
        """A file that was passed over goes with a model. Returns whether it was counted."""
        counted = self.passed_over[counted_as(path)] > 0
        self.passed_over -= Counter([counted_as(path)])
        return counted


def counted_as(path: str) -> str:
    """The extension with its dot; ``""`` without one."""
    extension = extension_of(path)
    return "." + extension if extension else ""


def signature_of(status: os.stat_result) -> Signature:
    """The signature of a file from its ``lstat``."""
    return Signature(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def unchanged_for(status: os.stat_result) -> float:
    """Seconds since the kernel last saw the file change: its ctime, which nobody can set back."""
    changed = status.st_ctime_ns if os.name == "posix" else status.st_mtime_ns
    return clock.age(changed / 1e9)


class Scanner:
    """Looks at the folders and files of one drop."""

    def __init__(
        self,
        drop: Drop,
        rules: Rules,
        ledger: IntakeLedger,
        on_folder: Callable[[str, os.stat_result | OSError], None] = lambda _path, _status: None,
    ) -> None:
        """
        Args:
            on_folder: called with each folder just before it is listed, or with why it cannot be.
        """
        self.drop = drop
        self.rules = rules
        self.status: Callable[[str], os.stat_result] = os.stat if drop.follow_symlinks else os.lstat
        """How this drop looks at a file."""
        self._ledger = ledger
        self._on_folder = on_folder
        self._home = Home(drop.path, ledger)
        self._links = Links(drop)
        self._dismissed: dict[str, Signature] = {}
        self._again = Again()

    def walk(self, start: str | None = None) -> Iterator[FolderScan]:
        """Scan the tree below ``start`` (the whole drop without), folder by folder.

        A folder that cannot be read is a problem, never a reason to believe that its files are gone.
        Raises OSError when the system is short of descriptors or memory.
        """
        root = start or self.drop.path
        visited: set[str] = set()
        unreadable: list[str] = []
        doubtful: list[str] = []
        try:
            self._home.arrive()
        except OSError as error:
            yield FolderScan(problems={self.drop.path: _why_away(error)})
            return
        if root != self.drop.path and not self.enters(root):
            return
        pending = [root]
        while pending:
            directory = pending.pop()
            try:
                for result in self._folder(directory, pending):
                    doubtful += result.doubtful
                    yield result
            except (FileNotFoundError, NotADirectoryError) as error:
                if directory == self.drop.path:
                    yield FolderScan(problems={directory: _why_away(error)})
                    return
                continue
            except OSError as error:
                if error.errno in _SHORT_OF:
                    raise
                unreadable.append(directory)
                self._on_folder(directory, error)
                yield FolderScan(problems={directory: f"cannot be read: {error.strerror or error}"})
                continue
            visited.add(directory)
        for result in self._vanished_folders(root, visited, unreadable):
            doubtful += result.doubtful
            yield result
        if root == self.drop.path:
            yield from self._resolve(doubtful)

    def look(self, path: str, *, companion: bool = False) -> FolderScan:
        """Look at one file.

        Args:
            companion: a model names it: it counts whatever the rules say.
        """
        result = FolderScan()
        known = self._ledger.known_file(path)
        folder = os.path.dirname(path)
        if not companion and not self.enters(folder):
            return result
        try:
            status = self.status(path)
        except (FileNotFoundError, NotADirectoryError):
            if known is not None:
                self._missing(result, path, known)
            return result
        except OSError as error:
            result.problems[path] = f"cannot be read: {error.strerror or error}"
            return result
        verdict = self._verdict(path, status.st_mode)
        if isinstance(verdict, PassedOver) and known is None and not companion and not self._wanted(verdict, path):
            result.passed_over.append((path, verdict))
        elif not stat.S_ISREG(status.st_mode):
            if known is not None:
                self._missing(result, path, known)
        else:
            try:
                self._home.arrive()
                self._compare(result, path, status, known, device_at(folder))
            except OSError as error:
                result.problems[self.drop.path] = _why_away(error)
        return result

    def dismiss(self, path: str) -> None:
        """A file bears the name of one that a model lacks, and is not that file: it does not count until it changes."""
        try:
            self._dismissed[path] = signature_of(self.status(path))
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

    def _folder(self, directory: str, folders: list[str]) -> Iterator[FolderScan]:
        """Look at a folder, a part at a time; the folders in it are added to ``folders``.

        Raises OSError; NotADirectoryError also for a symbolic link that is not followed.
        """
        prefix = "" if directory == self.drop.path else os.path.relpath(directory, self.drop.path) + os.sep
        # What lies at the drop's own path is the drop, by whatever way it leads there.
        with _opened(directory, follow=self.drop.follow_symlinks or not prefix) as (listable, status):
            device = status.st_dev
            if directory != self.drop.path and (device, status.st_ino) == self._home.here:
                return  # a link, or a mount, led back to the drop
            self._on_folder(directory, status)
            entries: list[os.DirEntry[str]] = []
            with os.scandir(listable) as listing:
                for entry in listing:
                    entries.append(entry)
                    if len(entries) % PART == 0:
                        yield FolderScan()
            # Neighbours by name are neighbours in the ledger, too: what belongs to one model is read and written there
            # together.
            entries.sort(key=_bytes_of)
            anything_wanted = self._ledger.wants_anything()
            for part, known in self._parts(directory, entries):
                result = FolderScan()
                for entry in part:
                    path, relative = os.path.join(directory, entry.name), prefix + entry.name
                    refusal = self._links.refusal(path) if entry.is_symlink() else None
                    if refusal is None and entry.is_dir(follow_symlinks=self.drop.follow_symlinks):
                        if self.rules.enters(relative):
                            folders.append(path)
                        continue
                    before = known.pop(entry.name, None)
                    verdict = self.rules.verdict(relative)
                    if (
                        isinstance(verdict, PassedOver)
                        and before is None
                        and not (anything_wanted and self._wanted(verdict, path))
                    ):
                        result.passed_over.append((path, verdict))
                        continue
                    self._entry(result, entry, path, refusal, before, device)
                self._absent(result, directory, known, device)
                yield result

    def _parts(
        self, directory: str, entries: list[os.DirEntry[str]]
    ) -> Iterator[tuple[list[os.DirEntry[str]], dict[str, Known]]]:
        """What is in a folder, in the order of the names, a part at a time, and what the ledger knows under the names
        of that part; asked for just then, as events tell of files meanwhile. The entries are taken from the list: each
        keeps its status from the look at it on."""
        after = b""
        while True:
            part, known = entries[:PART], self._ledger.known(directory, after, PART)
            ends = [_bytes_of(part[-1])] if len(entries) > PART else []
            if len(known) == PART:
                ends.append(os.fsencode(next(reversed(known))))
            if ends:
                after = min(ends)
                part = [entry for entry in part if _bytes_of(entry) <= after]
                known = {name: before for name, before in known.items() if os.fsencode(name) <= after}
            del entries[: len(part)]
            yield part, known
            if not ends:
                return

    def _absent(self, result: FolderScan, directory: str, known: Mapping[str, Known], device: int) -> None:
        """Files that the ledger knows in a folder, and that it does not list."""
        for name, before in known.items():
            path = os.path.join(directory, name)
            if not os.path.lexists(path):  # it may have come since, or the rules keep out of the folder
                self._missing(result, path, before, device)

    def _entry(
        self,
        result: FolderScan,
        entry: os.DirEntry[str],
        path: str,
        refusal: PassedOver | None,
        known: Known | None,
        device: int,
    ) -> None:
        """Look at something in a folder that counts if it is a file."""
        if refusal is not None or not entry.is_file(follow_symlinks=self.drop.follow_symlinks):
            result.passed_over.append((path, refusal or NOT_REGULAR))
            if known is not None:
                self._missing(result, path, known, device)
            return
        try:
            status = entry.stat(follow_symlinks=self.drop.follow_symlinks)
        except FileNotFoundError:
            if known is not None:
                self._missing(result, path, known, device)
            return
        except OSError as error:
            result.problems[path] = f"cannot be read: {error.strerror or error}"
            return
        self._compare(result, path, status, known, device)

    def _compare(self, result: FolderScan, path: str, status: os.stat_result, known: Known | None, device: int) -> None:
        signature = signature_of(status)
        if known is not None:
            self._home.found(known, signature, device)
            try_again = self._again.is_due(path, known, clock.now())
            if known.signature == signature and known.settled and not try_again:
                return
        seen = Seen(path, signature, unchanged_for(status), self._home.place(device), known is not None)
        if known is None or known.signature != signature or try_again:
            result.new.append(seen)
        else:
            result.unsettled.append(seen)

    def _missing(self, result: FolderScan, path: str, known: Known, device: int | None = None) -> None:
        """A file is not there, or is no regular file any more."""
        try:
            self._home.arrive()  # the drop may have been replaced a moment ago
            device = device_at(os.path.dirname(path)) if device is None else device
        except OSError:
            result.doubtful.append(path)
            return
        (result.vanished if self._home.is_deleted(known, device) else result.doubtful).append(path)

    def _resolve(self, doubtful: list[str]) -> Iterator[FolderScan]:
        """After a full scan: what is to be thought of the files that are not there, and may have been elsewhere?"""
        if self._home.confirm():
            for path in doubtful:
                yield self.look(path)
        elif doubtful:
            files = f"{len(doubtful):,} known file{'s' if len(doubtful) > 1 else ''}"
            one = os.path.relpath(doubtful[0], self.drop.path)
            yield FolderScan(
                problems={
                    self.drop.path: f"{files}, such as {one!r}, cannot be found,"
                    " and this is another folder, or another disk, than it was: that is not taken for a deletion; mount"
                    " the disk or put the files back, or else drop them with `3dverse-watcher forget`"
                }
            )

    def _verdict(self, path: str, mode: int) -> Taken | PassedOver:
        refusal = self._links.refusal(path) if os.path.islink(path) else None
        if refusal is not None:
            return refusal
        if not stat.S_ISREG(mode):
            return NOT_REGULAR
        return self.rules.verdict(os.path.relpath(path, self.drop.path))

    def _wanted(self, verdict: PassedOver, path: str) -> bool:
        """A file that cannot go by itself still counts when a model names it."""
        if verdict.reason not in {Reason.UNSUPPORTED, Reason.COMPANION}:
            return False
        if not self._ledger.wanted(self.drop.path, os.path.basename(path)):
            return False
        dismissed = self._dismissed.get(path)
        return dismissed is None or dismissed != self._signature_at(path)

    def _vanished_folders(self, root: str, visited: set[str], unreadable: list[str]) -> Iterator[FolderScan]:
        """Files of folders that the ledger knows below ``root`` and that are not there any more."""
        for directory in self._ledger.directories(root):
            if directory in visited or any(
                directory == blind or directory.startswith(blind + os.sep) for blind in unreadable
            ):
                continue
            device = device_at(directory)
            for _, known in self._parts(directory, []):
                result = FolderScan()
                self._absent(result, directory, known, device)
                yield result

    def _signature_at(self, path: str) -> Signature | None:
        try:
            return signature_of(self.status(path))
        except OSError:
            return None


NOT_REGULAR = PassedOver(Reason.UNSUPPORTED, "not a regular file")


def _why_away(error: OSError) -> str:
    missing = isinstance(error, FileNotFoundError | NotADirectoryError)
    return "the drop folder is not there" if missing else f"cannot be read: {error.strerror or error}"


def _bytes_of(entry: os.DirEntry[str]) -> bytes:
    """The name, as the ledger orders it."""
    return os.fsencode(entry.name)


@contextlib.contextmanager
def _opened(directory: str, *, follow: bool) -> Iterator[tuple[int | str, os.stat_result]]:
    """The folder, open for :func:`os.scandir`, and its status: what is listed surely is the folder that was looked at,
    whatever is mounted or renamed meanwhile."""
    if os.scandir not in os.supports_fd:
        yield directory, os.stat(directory)
        return
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    descriptor = os.open(directory, flags)
    try:
        yield descriptor, os.fstat(descriptor)
    finally:
        os.close(descriptor)
