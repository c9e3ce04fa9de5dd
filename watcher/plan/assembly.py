"""Upload sets: a main file and everything that it names, directly or through a file that it names."""

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from watcher.plan.references import readings
from watcher.plan.resolve import Places, places, relative_name


class Look(Protocol):
    """What planning needs to know of the disk."""

    def find(self, path: str) -> str | None:
        """The real spelling of the existing regular file at `path` (absolute, inside of the drop), or None.

        Where a component below the drop's root does not exist as spelled, its spelling in other case or Unicode form
        counts. Nothing outside of the drop and nothing behind a symbolic link is ever found.
        """

    def references(self, path: str) -> tuple[str, ...]:
        """What the file names, as :func:`watcher.plan.read_references` tells; may be remembered from earlier."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an upload set."""

    path: str
    """Absolute."""
    name: str
    """Unique in the set; what it is uploaded as. Relative to the main file's folder, with slashes, spelled as in the
    reference, so that the reference works for the receiver. For a file outside of that folder: its last part."""
    named_by: str
    """Path of the file that names it; empty for the main file."""
    text: str
    """The reference as written; empty for the main file."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A file that is named and cannot be had."""

    text: str
    """The reference as written."""
    named_by: str
    """Path of the file that names it."""
    expected: str
    """Absolute path where it is looked for first; empty when the text can be no file of the drop."""
    note: str = ""
    """Why it is refused, if it is."""


@dataclass(frozen=True, slots=True)
class Assembly:
    """A main file with its companions. Every name is in the drop; nothing else ever becomes a member."""

    main: Member
    companions: tuple[Member, ...]
    """Each file once, in the order in which they are named."""
    missing: tuple[Missing, ...]
    """Named, inside of the drop, and not there (yet)."""
    refused: tuple[Missing, ...]
    """Named with a path that leads out of the drop, and no file of that name stands beside the model."""

    @property
    def members(self) -> tuple[Member, ...]:
        """The main file and its companions."""
        return (self.main, *self.companions)

    @property
    def lacking(self) -> tuple[Missing, ...]:
        """Everything that is named and does not come along."""
        return self.missing + self.refused


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One name, looked up."""

    text: str
    where: Places
    found: str | None
    wanted: str
    """The place it was found at, as the reference spells it; when not found the first place, if any."""


def assemble(main: str, root: str, look: Look) -> Assembly:
    """The upload set of the file at `main` in the drop at `root`, both absolute and normalised.

    References of references are followed to any depth; circles are harmless. Raises what `look` raises.
    """
    main_folder = os.path.dirname(main)
    main_member = Member(path=main, name=os.path.basename(main), named_by="", text="")
    members = {main: main_member}
    names = {main_member.name}
    lacking: dict[tuple[str, str], Missing] = {}
    queue = deque([main])
    while queue:
        naming = queue.popleft()
        for reference in look.references(naming):
            for attempt in _look_up(reference, naming, main_folder, root, look):
                if attempt.found is None:
                    note = attempt.where.outside or ""
                    lacking[attempt.text, naming] = Missing(attempt.text, naming, attempt.wanted, note)
                elif attempt.found not in members:
                    name = _upload_name(attempt.found, attempt.wanted, main_folder, root, names)
                    names.add(name)
                    members[attempt.found] = Member(attempt.found, name, naming, attempt.text)
                    queue.append(attempt.found)
    return Assembly(
        main=main_member,
        companions=tuple(members.values())[1:],
        missing=tuple(one for one in lacking.values() if not one.note),
        refused=tuple(one for one in lacking.values() if one.note),
    )


def _look_up(reference: str, naming: str, main_folder: str, root: str, look: Look) -> tuple[_Attempt, ...]:
    """The names in the reference, read in the way in which most of them exist."""
    best: tuple[_Attempt, ...] = ()
    best_share = -1.0
    for names in readings(naming, reference):
        attempts = tuple(_attempt(name, naming, main_folder, root, look) for name in names)
        share = sum(attempt.found is not None for attempt in attempts) / len(attempts)
        if share > best_share:
            best, best_share = attempts, share
        if share == 1:
            break
    return best


def _attempt(text: str, naming: str, main_folder: str, root: str, look: Look) -> _Attempt:
    where = places(text, os.path.dirname(naming), main_folder, root)
    for path in where.paths:
        if (found := look.find(path)) is not None:
            return _Attempt(text, where, found, path)
    return _Attempt(text, where, None, where.paths[0] if where.paths else "")


def _upload_name(found: str, wanted: str, main_folder: str, root: str, taken: set[str]) -> str:
    return next(name for name in _name_choices(found, wanted, main_folder, root) if name not in taken)


def _name_choices(found: str, wanted: str, main_folder: str, root: str) -> Iterator[str]:
    base = os.path.basename(wanted)
    yield relative_name(wanted, main_folder) or base
    yield relative_name(found, root) or base
    number = 2
    while True:  # two files that cannot both have the name they are known by
        yield f"{number}-{base}"
        number += 1
