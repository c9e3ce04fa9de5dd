"""The drop folders: are they there, can they be read, and does the kernel tell of what happens in them?"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from watcher.config.folders import answered
from watcher.doctor.finding import Finding, failure, ok, warning
from watcher.intake.mounts import Mount, mount_of, mounts_below
from watcher.model import Drop, WatchMode
from watcher.spelling import shown

MOST_FOLDERS = 500_000
"""Folders that are counted, in all drops together."""
LONGEST_COUNT = 10.0
"""Seconds that counting may take."""
SHOWN = 3


@dataclass(slots=True)
class Tree:
    """What was counted below a drop folder."""

    folders: int = 0
    complete: bool = True
    """Whether everything was counted."""
    unreadable: list[str] = field(default_factory=list)
    silent: bool = False
    """Whether its disk does not answer."""

    @property
    def size(self) -> str:
        count = f"{self.folders:,} folder{'s' if self.folders != 1 else ''}"
        return count if self.complete else f"more than {count}"


def count_trees(drops: Sequence[Drop], most: int = MOST_FOLDERS, seconds: float = LONGEST_COUNT) -> dict[str, Tree]:
    """Counts the folders that a watch has to reach, by drop path, within bounds."""
    end = time.monotonic() + seconds
    trees: dict[str, Tree] = {}
    for drop in drops:
        left = most - sum(tree.folders for tree in trees.values())
        patience = max(0.0, end - time.monotonic())
        try:
            answered(partial(os.path.isdir, drop.path))
            trees[drop.path] = answered(partial(_count, drop, left, end), patience)
        except TimeoutError:
            trees[drop.path] = Tree(complete=False, silent=True)
    return trees


def _count(drop: Drop, most: int, end: float) -> Tree:
    tree = Tree()
    todo = [drop.path]
    while todo:
        if tree.folders >= most or time.monotonic() > end:
            tree.complete = False
            break
        folder = todo.pop()
        tree.folders += 1
        try:
            with os.scandir(folder) as entries:
                below = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:
            tree.unreadable.append(folder)
            continue
        if drop.recursive:
            todo += below
    return tree


def check_drops(
    drops: Sequence[Drop], trees: dict[str, Tree], mounts: Sequence[Mount], rescan: float
) -> Iterator[Finding]:
    """One finding for each drop, and one more for what is wrong with it.

    Args:
        rescan: seconds between two full scans.
    """
    if not drops:
        yield warning("drop", "no folder is watched", "add a [[drops]] table to the configuration, or name a folder")
    for drop in drops:
        yield from _check(drop, trees[drop.path], mounts, rescan)


def _check(drop: Drop, tree: Tree, mounts: Sequence[Mount], rescan: float) -> Iterator[Finding]:
    path = shown(drop.path)
    if tree.silent:
        yield failure(
            "drop",
            f"the disk of {path}, or one below it, does not answer",
            "look at the server of files behind it; its files wait, those of other drops do not",
        )
        return
    if not os.path.isdir(drop.path):
        yield failure("drop", f"{path} is not there, or is no folder", "create it, mount its disk, or mend its path")
        return
    if drop.path in tree.unreadable:
        yield failure(
            "drop", f"{path} cannot be read by this user", f"setfacl -R -m u:{_user()}:rX -m d:u:{_user()}:rX {path}"
        )
        return
    yield _watching(drop, tree, mounts, rescan)
    if tree.unreadable:
        names = ", ".join(shown(folder) for folder in tree.unreadable[:SHOWN])
        more = f" and {len(tree.unreadable) - SHOWN} more" if len(tree.unreadable) > SHOWN else ""
        yield warning(
            "drop",
            f"folders below {path} cannot be read by this user, their files are not taken: {names}{more}",
            "give the daemon's user the right to read and enter them",
        )


def _watching(drop: Drop, tree: Tree, mounts: Sequence[Mount], rescan: float) -> Finding:
    """How changes in a drop that can be read come to be known."""
    mount = mount_of(drop.path, mounts)
    fact = f"{shown(drop.path)} can be read: {tree.size}" + (f" on {mount.kind}" if mount is not None else "")
    silent = [each for each in (mount, *mounts_below(drop.path, mounts)) if each is not None and each.is_silent]
    kinds = ", ".join(dict.fromkeys(f"{each.kind} at {shown(each.point)}" for each in silent))
    polled = f"polled every {drop.poll_interval:g} s"
    if drop.watch is WatchMode.POLL:
        return ok("drop", f"{fact}, {polled} as configured")
    if silent and drop.watch is WatchMode.INOTIFY:
        return warning(
            "drop",
            f"{fact}, watched by inotify, which does not tell of what others change ({kinds})",
            f'such files are found within {rescan:g} s; with watch = "auto" they are polled',
        )
    if silent:
        part = "" if mount in silent else "watched by inotify, and in part "
        return ok("drop", f"{fact}, {part}{polled}, since it is not told of what others change ({kinds})")
    return ok("drop", f"{fact}, watched by inotify" if sys.platform == "linux" else fact)


def _user() -> str:
    try:
        import pwd

        return pwd.getpwuid(os.geteuid()).pw_name
    except (ImportError, KeyError):
        return "USER"
