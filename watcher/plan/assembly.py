"""Upload sets: a main file and everything that it names, directly or through a file that it names."""

import contextlib
import os
import re
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby, takewhile
from typing import Protocol

from watcher.plan.references import can_refer, format_of, gathers, readings
from watcher.plan.resolve import Places, last_part, places, relative_name
from watcher.plan.text import loose
from watcher.plan.tiles import is_tiled, short_pattern, short_rank, tile_pattern
from watcher.plan.variables import resolved

MOST_AWAITED = 2_000
"""Names of one set that are remembered for files that may still come."""
MOST_BETTER = 12
"""Places of one name, before the one where a file was found, that are remembered for a better one."""


class Look(Protocol):
    """What planning needs to know of the disk."""

    def find(self, path: str) -> str | None:
        """The real spelling of the existing regular file at `path` (absolute, inside of the drop), or None.

        Where a component below the drop's root does not exist as spelled, its spelling in other case or Unicode form
        counts. Nothing outside of the drop and nothing behind a symbolic link is ever found. Raises OSError when it
        cannot be told: PermissionError when that holds for this path.
        """

    def references(self, path: str) -> tuple[str, ...]:
        """What the file names, as :func:`watcher.plan.read_references` tells; may be remembered from earlier."""

    def alike(self, path: str) -> Iterable[str]:
        """The regular files in the folder of the file at `path` that have its extension, itself too, in name order."""

    def matching(self, folder: str, pattern: re.Pattern[str]) -> tuple[str, ...]:
        """Like `find`, for all files of the folder whose :func:`watcher.plan.text.loose` name matches, in order."""


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
    """The reference as written; empty for the main file and for what belongs to it without being named."""
    others: tuple[str, ...] = ()
    """Paths of further files that may have been meant, when the reference does not lead literally to this one, the
    nearest."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A file that is named and cannot be had."""

    text: str
    """The reference as written."""
    named_by: str
    """Path of the file that names it."""
    expected: str
    """Absolute path where to put it; empty when the text can be no file of the drop."""
    note: str = ""
    """Why the text cannot be taken literally, if so."""


@dataclass(frozen=True, slots=True)
class Assembly:
    """A main file with its companions. Every name is in the drop; nothing else ever becomes a member."""

    main: Member
    companions: tuple[Member, ...]
    """Each file once, in the order in which they are named."""
    missing: tuple[Missing, ...]
    """Named, and not there (yet). Nothing that only convention or an alternative suggests is missing."""
    refused: tuple[Missing, ...]
    """Named with a path that leads out of the drop and has no last part that could stand beside the model."""
    part_of: str = ""
    """Path of the file that leads the set when `main` does not: the first slice of a volume, the first of scenes that
    load each other. Empty otherwise."""
    awaited: tuple[str, ...] = ()
    """Names, beside the missing ones, of files that would become members if they came: other forms of a name, tiles of
    a texture, what goes along by convention. Whole paths, with a NUL between them: of the places of one name that come
    before the one where a file was found."""
    may_grow: bool = False
    """Whether it is worth to wait for further files that are named, or for more slices of a volume, although nothing
    is missing."""
    obstacle: PermissionError | None = None
    """What kept a file from being read or looked for: there may be more in the set than is known."""

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
    """The place it was found at, as the reference spells it."""


class _Set:
    """The members of an upload set as they are found, each file once and each under a name of its own."""

    def __init__(self, main: str, root: str) -> None:
        self._root = root
        self._folder = os.path.dirname(main)
        self.members = {main: Member(path=main, name=os.path.basename(main), named_by="", text="")}
        self.awaited: dict[str, None] = {}
        self.may_grow = False
        self.obstacle: PermissionError | None = None
        self._names = {os.path.basename(main)}

    def add(self, path: str, wanted: str, named_by: str, text: str, others: tuple[str, ...] = ()) -> bool:
        """Whether the file is new in the set. `wanted`: its path as the reference spells it."""
        if path in self.members:
            return False
        name = next(name for name in self._name_choices(path, wanted) if name not in self._names)
        self._names.add(name)
        self.members[path] = Member(path, name, named_by, text, others)
        return True

    @contextlib.contextmanager
    def around_obstacles(self) -> Iterator[None]:
        """What is closed hides what is in it, and nothing else."""
        try:
            yield
        except PermissionError as error:
            self.obstacle = self.obstacle or error

    def await_names(self, names: Iterable[str]) -> None:
        """Files of these names may still come."""
        for name in names:
            if (base := last_part(name)) and len(self.awaited) < MOST_AWAITED:
                self.awaited[base] = None

    def await_better(self, attempt: "_Attempt") -> None:
        """What was found is not quite what is named: that, or something nearer to it, may still come."""
        better = [*takewhile(lambda place: place != attempt.wanted, attempt.where.paths), attempt.wanted]
        if attempt.found == attempt.wanted:
            better.pop()
        if not is_tiled(attempt.text) and len(self.awaited) < MOST_AWAITED:
            # What comes is recognised by its name; with a colon in it that may be a path, too.
            for _, places_of_name in groupby(better[:MOST_BETTER], os.path.basename):
                self.awaited["\0".join(places_of_name)] = None

    def _name_choices(self, path: str, wanted: str) -> Iterator[str]:
        base = os.path.basename(wanted)
        yield relative_name(wanted, self._folder) or base
        yield relative_name(path, self._root) or base
        number = 2
        while True:  # two files that cannot both have the name they are known by
            yield f"{number}-{base}"
            number += 1


def assemble(main: str, root: str, look: Look, may_lead: Callable[[str], bool] = can_refer) -> Assembly:
    """The upload set of the file at `main` in the drop at `root`, both absolute and normalised.

    References of references are followed to any depth; circles are harmless. Raises what `look` raises, but for what
    is closed: that is the `obstacle` of the set.

    Args:
        may_lead: whether the file at a path is one that goes by itself.
    """
    if gathers(main):
        return _gather(main, root, look, may_lead)
    found, loads, lacking = _follow(main, root, look)
    main_member, *companions = found.members.values()
    leader = next((path for path in _before(main, loads) if may_lead(path)), "")
    if leader:
        # Seen from there names may lead elsewhere: beside another file, with other variables.
        its_set, its_loads, _ = _follow(leader, root, look)
        if main not in its_set.members or any(map(may_lead, _before(leader, its_loads))):
            leader = ""
    return Assembly(
        main=main_member,
        companions=tuple(companions),
        missing=tuple(one for one in lacking if one.expected),
        refused=tuple(one for one in lacking if not one.expected),
        part_of=leader,
        awaited=tuple(found.awaited),
        may_grow=found.may_grow,
        obstacle=found.obstacle,
    )


def _follow(main: str, root: str, look: Look) -> tuple[_Set, Mapping[str, Collection[str]], Collection[Missing]]:
    """The set of the file at `main`, which of its files load which, and what is not there."""
    found = _Set(main, root)
    loads: defaultdict[str, set[str]] = defaultdict(set)
    lacking: dict[tuple[str, str], Missing] = {}
    variables: dict[str, str] = {}
    queue = deque([main])
    while queue:
        naming = queue.popleft()
        attempts: list[_Attempt] = []
        references: tuple[str, ...] = ()
        with found.around_obstacles():
            references = look.references(naming)
        for reference in resolved(references, variables):
            with found.around_obstacles():
                attempts += _look_up(reference, naming, main, root, look, found)
        with found.around_obstacles():
            attempts = _with_conventions(attempts, naming, main, root, look, found)
        for attempt in attempts:
            if attempt.found is None:
                where = attempt.where
                lacking[attempt.text, naming] = Missing(attempt.text, naming, where.expected, where.outside)
                continue
            found.await_better(attempt)
            # From wherever the set is looked at, this leads there.
            if can_refer(attempt.found) and attempt.wanted in _places(attempt.text, naming, naming, root).literal:
                loads[naming].add(attempt.found)
            with found.around_obstacles():
                if found.add(attempt.found, attempt.wanted, naming, attempt.text, _others(attempt, look)):
                    queue.append(attempt.found)
    return found, loads, lacking.values()


def _before(main: str, loads: Mapping[str, Collection[str]]) -> list[str]:
    """Of the files that load each other with `main`, those before it by path: the first leads."""
    loaded_by: defaultdict[str, set[str]] = defaultdict(set)
    for naming, names in loads.items():
        for name in names:
            loaded_by[name].add(naming)
    circle = _reached(main, loads) & _reached(main, loaded_by) if main in loaded_by else {main}
    return sorted(path for path in circle if path < main)


def _reached(start: str, ways: Mapping[str, Collection[str]]) -> set[str]:
    reached = {start}
    queue = [start]
    while queue:
        fresh = set(ways.get(queue.pop(), ())) - reached
        reached |= fresh
        queue += fresh
    return reached


def _gather(main: str, root: str, look: Look, may_lead: Callable[[str], bool]) -> Assembly:
    """All files beside `main` that say of themselves what it says: the slices of one volume. The first leads."""
    belongs_to = look.references(main)

    def alike() -> Iterator[str]:
        return (
            path for path in look.alike(main) if path == main or (belongs_to and look.references(path) == belongs_to)
        )

    leader = next((path for path in alike() if path == main or may_lead(path)), main)
    found = _Set(main, root)
    if leader == main:  # of any other slice it is enough to know that it is none
        for path in alike():
            found.add(path, path, main, "")
    main_member, *companions = found.members.values()
    part_of = "" if leader == main else leader
    return Assembly(main_member, tuple(companions), (), (), part_of, may_grow=bool(belongs_to))


def _look_up(reference: str, naming: str, main: str, root: str, look: Look, into: _Set) -> tuple[_Attempt, ...]:
    """The names in the reference, read in the way in which most of them exist."""
    best: tuple[_Attempt, ...] = ()
    best_share = -1.0
    tried: list[str] = []
    likelier: list[str] = []
    ways = readings(naming, reference)
    for names in filter(None, ways):
        attempts = tuple(attempt for name in names for attempt in _attempts(name, naming, main, root, look, into))
        share = sum(attempt.found is not None for attempt in attempts) / len(attempts)
        if share > best_share:
            best, best_share, likelier = attempts, share, [*tried]
        if share == 1:
            break
        tried += names
    if best_share <= 0:
        if len(ways) > 1:
            into.await_names(name for names in ways for name in names)
        if () in ways:
            into.may_grow |= bool(ways[0])
            return ()
    elif likelier:
        into.await_names(likelier)
        into.may_grow |= () not in ways
    return best


def _with_conventions(
    attempts: list[_Attempt], naming: str, main: str, root: str, look: Look, into: _Set
) -> list[_Attempt]:
    """The attempts, and what belongs to the file at `naming` by its name alone."""
    known = format_of(naming)
    if known is None:
        return attempts
    stem = os.path.splitext(os.path.basename(naming))[0]

    def existing(names: Iterable[str]) -> Iterator[_Attempt]:
        for name in names:
            attempt = _attempt(name, naming, main, root, look)
            if attempt.found is not None and attempt.wanted in attempt.where.literal:
                # Nothing spells its name but the disk.
                yield replace(attempt, wanted=attempt.found)
            else:
                into.await_names((name,))

    if not any(attempt.found for attempt in attempts) and (attempts or known.instead_of_nothing):
        stand_in = next(existing(known.instead(stem)), None)
        if stand_in is not None:
            into.await_names(attempt.text for attempt in attempts)
            into.may_grow |= bool(attempts)
            attempts = [stand_in]
    return [*attempts, *existing(known.beside(stem))]


def _attempts(text: str, naming: str, main: str, root: str, look: Look, into: _Set) -> Iterator[_Attempt]:
    """One for the name; of a texture in tiles, for each tile that exists."""
    attempt = _attempt(text, naming, main, root, look)
    if attempt.found is not None or not is_tiled(text):
        known = format_of(naming)
        if attempt.found is None and ":" in text:  # it is a part of the name here, perhaps
            into.await_names((text,))
        if attempt.found is None and known is not None and known.short_names:
            into.await_names((text,))
            longer = list(_matches(attempt, short_pattern, look))
            attempt = longer[min(short_rank(last_part(text)), len(longer) - 1)] if longer else attempt
        yield attempt
        return
    into.await_names((text,))
    tiles = list(_matches(attempt, tile_pattern, look))
    into.may_grow |= bool(tiles)
    yield from tiles or [attempt]


def _matches(attempt: _Attempt, pattern_of: Callable[[str], re.Pattern[str] | None], look: Look) -> Iterator[_Attempt]:
    """The files that are called like a pattern of the name, in the first place where there are any."""
    for path in attempt.where.paths:
        folder, name = os.path.split(path)
        pattern = pattern_of(loose(name))
        if pattern is not None and (found := look.matching(folder, pattern)):
            for match in found:
                wanted = os.path.join(folder, os.path.basename(match))
                yield _Attempt(attempt.text, attempt.where, match, wanted)
            return


def _attempt(text: str, naming: str, main: str, root: str, look: Look) -> _Attempt:
    where = _places(text, naming, main, root)
    for path in where.paths:
        if (found := look.find(path)) is not None:
            return _Attempt(text, where, found, path)
    return _Attempt(text, where, None, "")


def _places(text: str, naming: str, main: str, root: str) -> Places:
    known = format_of(naming)
    return places(text, naming, main, root, from_above=known is not None and known.from_above)


def _others(attempt: _Attempt, look: Look) -> tuple[str, ...]:
    """What else the reference may mean, if it was a guess."""
    if attempt.wanted in attempt.where.literal or is_tiled(attempt.text):
        return ()
    found = (look.find(path) for path in attempt.where.guesses)
    return tuple(dict.fromkeys(path for path in found if path is not None and path != attempt.found))
