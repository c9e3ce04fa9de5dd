"""What people and programs do to a drop folder, drawn by a seed."""

import contextlib
import heapq
import itertools
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from enum import StrEnum

from tests.chaos import contents
from tests.chaos.records import Records

ODD_NAMES = (b"caf\xe9", b"new\nline", "Zoë".encode(), "Zoe\u0308".encode(), b"a b  c", b"-rf", b"%s{}'\"\\", b"#x")
FOLDERS = ("", "a", "a/b", "c d", "déjà")
TEMPORARIES = (".{}.swp", "{}~", "{}.tmp", ".~lock.{}#", "{}.part", "{}.crdownload")

MOST_FILES = 400
"""With more, half of what happens is that one is deleted."""

Steps = Iterator[float]
"""A piece of mischief in progress: does something and yields the seconds until it goes on."""


class Mischief(StrEnum):
    """One kind of event in a drop folder."""

    CREATE = "create"
    KIT = "model with companions"
    SLOW_WRITE = "slow write"
    PIECEWISE = "written in several openings"
    REWRITE = "rewrite in place"
    SLOW_REWRITE = "slow rewrite in place"
    APPEND = "append"
    TRUNCATE = "truncate"
    REPLACE = "replace by rename"
    RENAME = "rename"
    MOVE = "move"
    DELETE = "delete"
    RECREATE = "delete and re-create"
    COPY = "copy"
    HARD_LINK = "hard link"
    COMPANION = "companion changes"
    LATE_COMPANION = "companion goes and comes back"
    UNREADABLE = "unreadable for a while"
    UNREADABLE_FOLDER = "folder unreadable for a while"
    NOISE = "symlink, fifo, directory with a file's name"
    TEMPORARY = "temporary"
    TOUCH = "touch"
    FOLDER_RENAME = "folder renamed"
    FOLDER_IN = "folder moved in"
    FOLDER_GONE = "folder deleted"
    REFUSED = "refused by the server"
    BROKEN = "broken file"


WEIGHTS = {Mischief.CREATE: 6, Mischief.KIT: 5, Mischief.COPY: 3, Mischief.DELETE: 3, Mischief.REFUSED: 1}


class Mischievous:
    """Does one thing after the other, many at a time, all in the caller's thread: see :meth:`run_for`."""

    def __init__(self, drops: Sequence[str], outside: str, records: Records, seed: int, *, settle: float) -> None:
        """
        Args:
            outside: a folder on the same file system, where things are made that are moved in.
            settle: the daemon's settle time: what is left alone for half as long may count as complete.
        """
        self._drops = drops
        self._outside = outside
        self._records = records
        self._dice = random.Random(seed)
        self._settle = settle
        self._numbers = itertools.count(1)
        self._going_on: list[tuple[float, int, Steps]] = []
        self._writing: Counter[int] = Counter()
        self.done: Counter[Mischief] = Counter()
        self._kinds = list(Mischief)
        self._weights = [WEIGHTS.get(kind, 1.5) for kind in self._kinds]

    def run_for(self, seconds: float, *, every: float) -> None:
        """Begin something new every ``every`` seconds (on average); at the end nothing is left half done."""
        end, next_one = time.monotonic() + seconds, time.monotonic()
        while (now := time.monotonic()) < end or self._going_on:
            if now < end and now >= next_one:
                next_one = now + self._dice.expovariate(1 / every)
                kind = self._dice.choices(self._kinds, self._weights)[0]
                full = self._dice.random() < 0.5 and sum(len(names) for _, _, names in self._walk()) > MOST_FILES
                self.begin(Mischief.DELETE if full else kind)
            while self._going_on and self._going_on[0][0] <= now:
                self._go_on(heapq.heappop(self._going_on)[2])
            time.sleep(0.01)

    def begin(self, kind: Mischief) -> None:
        """Begin a piece of mischief; :meth:`run_for` brings it to its end."""
        self.done[kind] += 1
        self._go_on(getattr(self, f"_{kind.name.lower()}")())

    def _go_on(self, steps: Steps) -> None:
        with contextlib.suppress(StopIteration, OSError):  # somebody else had the file first
            wait = next(steps)
            heapq.heappush(self._going_on, (time.monotonic() + wait, next(self._numbers), steps))

    # -- places and names --------------------------------------------------------------------------------------------

    def _folder(self) -> str:
        folder = os.path.join(self._dice.choice(self._drops), self._dice.choice(FOLDERS)).rstrip("/")
        os.makedirs(folder, exist_ok=True)
        return folder

    def _new(self, extension: str, prefix: str = "") -> str:
        odd = os.fsdecode(self._dice.choice(ODD_NAMES)) if not prefix and self._dice.random() < 0.15 else ""
        return os.path.join(self._folder(), f"{prefix}{odd}f{next(self._numbers)}.{extension}")

    def _walk(self) -> Iterator[tuple[str, list[str], list[str]]]:
        return itertools.chain.from_iterable(os.walk(drop) for drop in self._drops)

    def _existing(self, *extensions: str) -> str:
        """A file of a drop. Raises FileNotFoundError when there is none."""
        wanted = extensions or (*contents.SINGLE, "gltf", "mtl", "bin")
        found = sorted(
            os.path.join(folder, name)
            for folder, _, names in self._walk()
            for name in names
            if name.rpartition(".")[2] in wanted and not name.startswith((".", "noise", "refuse"))
        )
        found = [path for path in found if os.path.isfile(path) and not os.path.islink(path)]
        if not found:
            raise FileNotFoundError
        return self._dice.choice(found)

    def _content(self) -> tuple[str, bytes]:
        extension = self._dice.choice(list(contents.SINGLE))
        return extension, self._fresh(extension)

    def _fresh(self, extension: str) -> bytes:
        return self._records.made(contents.SINGLE[extension](self._dice))

    # -- writing, and telling the records of it ----------------------------------------------------------------------

    def _write(self, path: str, content: bytes, event: str, mode: str = "wb") -> None:
        with open(path, mode) as file:
            file.write(content)
        self._whole(path, event)

    def _whole(self, path: str, event: str) -> None:
        """Something happened at this path, and the file is whole unless somebody still writes it."""
        self._records.tell(path, event)
        with contextlib.suppress(OSError):
            status = os.lstat(path)
            if not self._writing[status.st_ino]:
                for name in self._names(status.st_ino) if status.st_nlink > 1 else [path]:
                    self._records.at_rest(name)

    def _ended(self, inode: int, event: str) -> None:
        """Nobody writes this file any more; it may have been renamed, or bear other names only."""
        for name in self._names(inode):
            self._whole(name, event)

    def _names(self, inode: int) -> list[str]:
        """All paths of a file."""
        places = itertools.chain(self._walk(), os.walk(self._outside))
        paths = (os.path.join(folder, name) for folder, _, names in places for name in names)
        return [path for path in paths if os.path.lexists(path) and os.lstat(path).st_ino == inode]

    def _slowly(self, path: str, content: bytes, event: str) -> Steps:
        """Write with pauses, the file open all the time."""
        pieces = self._pieces(content)
        with open(path, "r+b" if os.path.exists(path) else "wb") as file:
            inode = os.fstat(file.fileno()).st_ino
            self._writing[inode] += 1
            file.truncate(0)
            try:
                for number, piece in enumerate(pieces):
                    file.write(piece)
                    file.flush()
                    self._records.tell(path, f"{event}: piece {number + 1} of {len(pieces)}, {len(piece)} bytes")
                    yield self._settle * self._dice.uniform(0.2, 2.5)
            finally:
                self._writing[inode] -= 1
        self._ended(inode, f"{event}: closed")

    def _pieces(self, content: bytes) -> list[bytes]:
        cuts = sorted(self._dice.randrange(1, len(content)) for _ in range(self._dice.randint(1, 4)))
        return [content[a:b] for a, b in itertools.pairwise([0, *cuts, len(content)])]

    def _make_kit(self, folder: str, *, gradually: bool = True) -> Steps:
        files = list(contents.kit(self._dice, f"kit{next(self._numbers)}").items())
        self._dice.shuffle(files)
        for name, content in files:
            self._write(os.path.join(folder, name), self._records.made(content), "created with its model")
            if gradually:
                yield self._dice.choice((0, 0, 0.1, 0.5, 3.0))

    # -- mischief ----------------------------------------------------------------------------------------------------

    def _create(self) -> Steps:
        extension, content = self._content()
        self._write(self._new(extension), content, "created")
        yield from ()

    def _kit(self) -> Steps:
        yield from self._make_kit(self._folder())

    def _slow_write(self) -> Steps:
        extension, content = self._content()
        yield from self._slowly(self._new(extension), content, "slow write")

    def _piecewise(self) -> Steps:
        """A writer that opens the file for each piece; a piece that lies for long enough counts as a whole."""
        extension, content = self._content()
        path = self._new(extension)
        inode = 0
        try:
            for piece in self._pieces(content):
                with open(path, "ab") as file:
                    if (now := os.fstat(file.fileno()).st_ino) != inode:
                        self._ended(inode, "no piece comes any more")  # it lives on under another name
                    inode = now
                    file.write(piece)
                self._records.tell(path, f"one opening: {len(piece)} bytes")
                before = time.monotonic()
                yield self._settle * 0.3
                if time.monotonic() - before > self._settle * 0.6:
                    self._whole(path, "the next piece is late")
        finally:
            self._ended(inode, "all pieces are there")

    def _rewrite(self) -> Steps:
        path = self._existing(*contents.SINGLE)
        self._write(path, self._fresh(path.rpartition(".")[2]), "rewritten in place")
        yield from ()

    def _slow_rewrite(self) -> Steps:
        path = self._existing(*contents.SINGLE)
        yield from self._slowly(path, self._fresh(path.rpartition(".")[2]), "slow rewrite")

    def _append(self) -> Steps:
        path = self._existing()
        self._write(path, b"\n", "appended a byte", mode="ab")
        yield from ()

    def _truncate(self) -> Steps:
        path = self._existing()
        size = self._dice.choice((0, os.path.getsize(path) // 2))
        os.truncate(path, size)
        self._whole(path, f"truncated to {size}")
        yield from ()

    def _replace(self) -> Steps:
        path = self._existing(*contents.SINGLE)
        temporary = f"{path}.tmp"
        content = self._fresh(path.rpartition(".")[2])
        self._write(temporary, content, "written to replace another")
        yield self._dice.uniform(0, self._settle)
        os.rename(temporary, path)
        self._whole(path, "replaced by rename")

    def _rename(self) -> Steps:
        path = self._existing()
        folder, name = os.path.split(path)
        self._rename_to(path, os.path.join(folder, f"r{next(self._numbers)}-{name[-40:]}"))
        yield from ()

    def _move(self) -> Steps:
        path = self._existing()
        self._rename_to(path, os.path.join(self._folder(), os.path.basename(path)))
        yield from ()

    def _rename_to(self, path: str, target: str) -> None:
        os.rename(path, target)
        self._records.tell(path, f"renamed to {target!r}")
        self._whole(target, f"renamed from {path!r}")

    def _delete(self) -> Steps:
        path = self._existing()
        os.unlink(path)
        self._records.tell(path, "deleted")
        yield from ()

    def _recreate(self) -> Steps:
        path = self._existing()
        with open(path, "rb") as file:
            content = file.read()
        os.unlink(path)
        self._records.tell(path, "deleted, to come back")
        yield self._dice.choice((0.0, self._settle, 2.0))
        self._write(path, content, "re-created with equal content")

    def _copy(self) -> Steps:
        path = self._existing()
        extension = path.rpartition(".")[2]
        for _ in range(self._dice.randint(1, 3)):
            target = self._new(extension)
            shutil.copyfile(path, target)
            self._whole(target, f"copied from {path!r}")
            yield self._dice.choice((0.0, 0.2))

    def _hard_link(self) -> Steps:
        path = self._existing(*contents.SINGLE)
        target = self._new(path.rpartition(".")[2])
        os.link(path, target)
        self._whole(target, f"linked to {path!r}")
        yield from ()

    def _companion(self) -> Steps:
        path = self._existing("mtl", "bin")
        stem = os.path.basename(path).rpartition(".")[0]
        new = contents.triangle(self._dice) if path.endswith("bin") else contents.mtl(self._dice, f"{stem}.png")
        self._write(path, self._records.made(new), "companion rewritten")
        yield from ()

    def _late_companion(self) -> Steps:
        path = self._existing("mtl", "bin", "png")
        aside = os.path.join(self._outside, f"aside{next(self._numbers)}")
        os.rename(path, aside)
        self._records.tell(path, "moved out")
        yield self._dice.uniform(0.2, 4.0)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.rename(aside, path)
        self._whole(path, "moved back in")

    def _unreadable(self) -> Steps:
        path = self._existing()
        yield from self._without_rights(path, 0o644)

    def _unreadable_folder(self) -> Steps:
        folder = self._folder()
        if folder not in self._drops:
            yield from self._without_rights(folder, 0o755)

    def _without_rights(self, path: str, mode: int) -> Steps:
        # By descriptor: it may bear another name when the rights come back.
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fchmod(descriptor, 0)
            self._records.tell(path, "chmod 000")
            yield self._dice.uniform(0.1, 4.0)
            os.fchmod(descriptor, mode)
            self._records.tell(path, "readable again")
        finally:
            os.close(descriptor)

    def _noise(self) -> Steps:
        path = self._new("png", "noise")
        kind = self._dice.choice(("symlink", "dangling", "loop", "fifo", "folder"))
        match kind:
            case "symlink":
                os.symlink(self._existing(), path)
            case "dangling":
                os.symlink("nowhere", path)
            case "loop":
                os.symlink("..", path)
            case "fifo":
                os.mkfifo(path)
            case _:
                os.mkdir(path)
        self._records.tell(path, kind)
        yield self._dice.uniform(1, 6)
        (os.rmdir if kind == "folder" else os.unlink)(path)

    def _temporary(self) -> Steps:
        folder, name = os.path.split(self._new("png", "temporary"))
        path = os.path.join(folder, self._dice.choice(TEMPORARIES).format(name))
        with open(path, "wb") as file:
            file.write(b"not to be uploaded %d" % next(self._numbers))
        self._records.tell(path, "temporary")
        yield self._dice.uniform(0.1, 5)
        os.unlink(path)

    def _touch(self) -> Steps:
        path = self._existing()
        os.utime(path)
        self._records.tell(path, "touched")
        yield from ()

    def _folder_rename(self) -> Steps:
        folder = self._folder()
        if folder in self._drops:
            return
        target = os.path.join(self._dice.choice(self._drops), f"d{next(self._numbers)}")
        os.rename(folder, target)
        self._folder_told(target, f"came with its folder from {folder!r}")
        yield self._dice.uniform(0.2, 5)
        if self._dice.random() < 0.5:
            os.rename(target, folder)
            self._folder_told(folder, f"came back with its folder from {target!r}")

    def _folder_in(self) -> Steps:
        made = os.path.join(self._outside, f"in{next(self._numbers)}")
        deep = os.path.join(made, "x/y")
        os.makedirs(deep)
        list(self._make_kit(deep, gradually=False))
        extension, content = self._content()
        self._write(os.path.join(made, f"f{next(self._numbers)}.{extension}"), content, "made outside")
        target = os.path.join(self._folder(), os.path.basename(made))
        os.rename(made, target)
        self._folder_told(target, "came with its folder from outside")
        yield from ()

    def _folder_gone(self) -> Steps:
        found = sorted(
            os.path.join(drop, entry) for drop in self._drops for entry in os.listdir(drop) if entry[:1] in {"d", "i"}
        )
        if not found:
            return
        folder = self._dice.choice(found)
        shutil.rmtree(folder, ignore_errors=True)
        self._records.tell(folder, "rm -r")
        if self._dice.random() < 0.4:
            yield self._dice.uniform(0, 1)
            os.makedirs(folder, exist_ok=True)
            yield from self._make_kit(folder)

    def _folder_told(self, folder: str, event: str) -> None:
        for directory, _, names in os.walk(folder):
            for name in names:
                self._whole(os.path.join(directory, name), event)

    def _refused(self) -> Steps:
        prefix = self._dice.choice(("refuse-413-", "refuse-422-", "refuse-rejected-"))
        extension, content = self._content()
        self._write(self._new(extension, prefix), content, "created; the server will refuse it")
        yield from ()

    def _broken(self) -> Steps:
        extension, content = self._content()
        self._write(self._new(extension), content[: len(content) // 3], "created, broken")
        yield from ()
