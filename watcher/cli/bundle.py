"""Local files that are uploaded together by hand: those that are given and, unless they go alone, those they name."""

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from watcher.api import FilePart
from watcher.cli.local_files import GIVE_UP_SECONDS, chunks, from_disk
from watcher.cli.outcome import Unclear
from watcher.plan import DiskLook, Member, Missing, assemble
from watcher.spelling import shown


@dataclass(frozen=True, slots=True)
class Bundle:
    """The files of one upload."""

    members: tuple[Member, ...]
    lacking: tuple[Missing, ...]
    """What is named and does not go along."""

    def parts(self) -> list[FilePart]:
        """What is sent. Raises Unclear when a file cannot be read."""
        return [_part(member) for member in self.members]


def gather(files: Sequence[str], *, alone: bool, root: str | None) -> Bundle:
    """The files with their companions, each once.

    root: below which folder companions may lie; without, the folder of the file that names them.
    Raises Unclear.
    """
    members: dict[str, Member] = {}
    lacking: list[Missing] = []
    for file in files:
        main = os.path.realpath(file)
        named = Member(main, os.path.basename(file), "", "")
        if alone:
            members.setdefault(main, named)
            continue
        folder = os.path.realpath(root) if root else os.path.dirname(main)
        if not main.startswith(folder.rstrip(os.sep) + os.sep):
            raise Unclear(f"{shown(file)} does not lie below {shown(folder)}")
        try:
            assembly = assemble(main, folder, DiskLook(folder))
        except OSError as error:
            raise Unclear(f"{shown(file)} cannot be read: {error.strerror or error}") from error
        for member in (named, *assembly.companions):
            # A file that is named on the command line as well keeps the name by which the model knows it.
            if member.path not in members or member.named_by:
                members[member.path] = member
        lacking += assembly.lacking
    _check_names(members.values())
    return Bundle(tuple(members.values()), tuple(lacking))


def _check_names(members: Iterable[Member]) -> None:
    """Within one upload a name must say which file is meant."""
    by_name: dict[str, Member] = {}
    for member in members:
        other = by_name.setdefault(member.name, member)
        if other is not member:
            raise Unclear(
                f"{shown(other.path)} and {shown(member.path)} would both be {shown(member.name)!r}:"
                " upload them one by one"
            )


def _part(member: Member) -> FilePart:
    def look() -> os.stat_result:
        status = os.stat(member.path)
        if not stat.S_ISREG(status.st_mode):
            raise Unclear(f"{shown(member.path)} is no file")
        with open(member.path, "rb"):
            return status

    try:
        status = from_disk(member.path, look, GIVE_UP_SECONDS)
    except OSError as error:
        raise Unclear(f"{shown(member.path)} cannot be read: {error.strerror}") from error
    return FilePart(member.name, status.st_size, lambda: chunks(member.path))
