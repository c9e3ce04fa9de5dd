"""What people call things: by id, or by a path such as ``Cars/Incoming/spider``.

Names on the server are not unique and may hold slashes, so a text is read in all ways, and what fits more than once is
refused with the list of what it may mean. A text in the form of an id is one; ``/`` before it makes it a name.
"""

import difflib
import functools
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TypeVar

from watcher.api import AssetApi, NotFound, Rejected, RetryPolicy
from watcher.api.models import (
    AssetEntry,
    AssetType,
    Folder,
    Group,
    SourceFile,
    User,
)
from watcher.cli.outcome import Refused, Unclear
from watcher.cli.tree import FolderTree
from watcher.spelling import shown

T = TypeVar("T")

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_ID_FIRST = re.compile(rf"({_ID.pattern})/(.+)", re.IGNORECASE | re.DOTALL)
_MOST_SHOWN = 20
_MOST_COMPARED = 1000
"""Names among which a mistyped one is looked for."""
_TYPES = {str(word): each for each in AssetType for word in (each, each.container)}
"""Asset types by their own name, and by that of their container."""
_COMMON = (AssetType.SCENE, AssetType.MESH, AssetType.MATERIAL, AssetType.TEXTURE)


def is_id(text: str) -> bool:
    """Whether a text has the form of an id."""
    return _ID.fullmatch(text) is not None


def container_of(asset_type: str) -> str:
    """The container of assets of a type; a type that is not known stands for itself."""
    known = _TYPES.get(asset_type)
    return known.container if known else asset_type


class Names:
    """Finds what a text names. Everything raises ApiError besides what it says."""

    def __init__(self, api: AssetApi) -> None:
        self._api = api

    @functools.cached_property
    def tree(self) -> FolderTree:
        """The folders, as they were when they were first asked for."""
        return FolderTree(self._api.folders.iterate(), self._api.folders.subfolders)

    # Folders

    def folder(self, text: str) -> Folder:
        """The folder of an id or a path. Raises Unclear, Refused."""
        if is_id(text):
            return self._api.folders.get(text)
        found = [folder for folder, rest in self._readings(text) if not rest]
        return one("folder", text, found, self._line_of_folder, lambda: self._near_folders(text))

    def folders(self, texts: Iterable[str]) -> list[Folder]:
        """Each folder once. Raises Unclear, Refused."""
        return list({folder.folder_id: folder for folder in map(self.folder, texts)}.values())

    def path(self, folder: Folder) -> str:
        """A folder's path."""
        return self.tree.path(self.tree.get(folder.folder_id) or folder)

    def _readings(self, text: str) -> list[tuple[Folder, str]]:
        """The folders that a path leads to or through, and what is left of the path then."""
        if first := _ID_FIRST.fullmatch(text):
            start = self._api.folders.get(first[1])
            rest = first[2].rstrip("/")
            return [(start, rest), *self.tree.readings(rest, start)]
        return list(self.tree.readings(text.strip("/")))

    def _near_folders(self, text: str) -> Sequence[str]:
        """Folders that bear names like the part of a path that leads nowhere."""
        deepest, rest = self._deepest(text)
        around = self.tree.top() if deepest is None else self.tree.below(deepest)
        names = [folder.name for folder in around]
        return [self._in(deepest, name) for name in _near(rest, names) or _near(rest.partition("/")[0], names)]

    def _deepest(self, text: str) -> tuple[Folder | None, str]:
        """As far as a path leads, and what is left of it."""
        return min(self._readings(text), key=lambda reading: len(reading[1]), default=(None, text.strip("/")))

    def _line_of_folder(self, folder: Folder) -> str:
        return f"{folder.folder_id}  {shown(self.path(folder))}"

    # Source files

    def source_file(self, text: str) -> SourceFile:
        """The source file of an id, of a path, or of a name that stands alone. Raises Unclear, Refused."""
        if is_id(text):
            return self._api.source_files.details(text)
        name = text.strip("/")
        found: list[tuple[SourceFile, Folder | None]] = [
            (file, folder)
            for folder, rest in self._readings(text)
            if rest
            for file in _by_name(rest, self._api.folders.source_files(folder.folder_id, name=rest))
        ]
        if not found:
            found = [(file, None) for file in _by_name(name, self._api.source_files.iterate(name=name))]

        def line(candidate: tuple[SourceFile, Folder | None]) -> str:
            file, folder = candidate
            size = "" if file.size is None else f"  {file.size} bytes"
            return f"{file.source_file_id}  {shown(self._in(folder, _own_name(file)))}{size}"

        def near() -> Sequence[str]:
            return self._near_content(text, lambda f: map(_own_name, self._api.folders.source_files(f.folder_id)))

        return one("source file", text, _distinct(found, lambda pair: pair[0].source_file_id), line, near)[0]

    # Assets

    def asset(self, text: str) -> AssetEntry:
        """The asset of an id, of a path, or of a name that stands alone. Raises Unclear, Refused.

        The type may stand before it: ``mesh:Cars/Incoming/spider``, ``mesh:ID``.
        """
        asset_type, rest = _typed(text)
        if is_id(rest):
            return self._asset_by_id(rest, asset_type)
        found = self._assets_at(rest, asset_type)
        if not found and asset_type is not None:
            found = self._assets_at(text, None)

        def line(candidate: tuple[AssetEntry, Folder | None]) -> str:
            entry, folder = candidate
            return f"{entry.asset_id}  {entry.asset_type:<10}  {shown(self._in(folder, entry.name))}"

        def near() -> Sequence[str]:
            return self._near_content(rest, lambda f: (i.name for i in self._api.folders.assets(f.folder_id)))

        candidates = _distinct(found, lambda pair: pair[0].asset_id)
        types = {entry.asset_type for entry, _ in candidates}
        hint = f", or the type before the name, such as {min(types)}:{text}" if len(types) > 1 else ""
        return one("asset", text, candidates, line, near, hint)[0]

    def assets(self, texts: Iterable[str]) -> list[AssetEntry]:
        """Each asset once. Raises Unclear, Refused."""
        return list({entry.asset_id: entry for entry in map(self.asset, texts)}.values())

    def _asset_by_id(self, asset_id: str, asset_type: AssetType | None) -> AssetEntry:
        """The API wants to know an asset's type, which an id does not tell: it is looked for type by type."""
        types = [asset_type] if asset_type else sorted(AssetType, key=lambda each: each not in _COMMON)
        api = self._api if asset_type else self._api.with_options(retry=RetryPolicy.none())
        for each in types:
            try:
                details = api.assets.details(each.container, asset_id)
            except (NotFound, Rejected):
                continue
            return AssetEntry(details.type, details.asset_id, details.name)
        raise Refused(f"there is no {asset_type or 'asset'} with the id {asset_id}")

    def _assets_at(self, text: str, asset_type: AssetType | None) -> list[tuple[AssetEntry, Folder | None]]:
        found: list[tuple[AssetEntry, Folder | None]] = [
            (entry, folder)
            for folder, rest in self._readings(text)
            if rest
            for entry in self._api.folders.assets(folder.folder_id, name=rest, asset_type=asset_type)
            if entry.name == rest
        ]
        if found:
            return found
        name = text.strip("/")
        listed = self._api.assets.iterate(name=name, asset_type=asset_type)
        return [(entry, None) for entry in listed if entry.name == name]

    # Users and groups

    def user(self, text: str) -> User:
        """The user of an id or a name. Raises Unclear, Refused."""
        if is_id(text):
            return self._api.users.get(text)
        users = list(self._api.users.iterate())
        found = [user for user in users if user.username == text.removeprefix("/")]
        names = [user.username for user in users]
        return one(
            "user", text, found, lambda user: f"{user.user_id}  {shown(user.username)}", lambda: _near(text, names)
        )

    def group(self, text: str) -> Group:
        """The group of an id or a name. Raises Unclear, Refused.

        A name is looked for in the groups of all users, as the API has no other list of groups.
        """
        if is_id(text):
            return self._api.groups.get(text)
        groups = self.groups()
        found = [group for group in groups if group.name == text.removeprefix("/")]
        names = [group.name for group in groups]
        try:
            return one(
                "group", text, found, lambda group: f"{group.group_id}  {shown(group.name)}", lambda: _near(text, names)
            )
        except Refused as refused:
            raise Refused(f"{refused} (one without a user in it is found by its id only)") from None

    def groups(self) -> list[Group]:
        """The groups that have a user as a member."""
        found = (group for user in self._api.users.iterate() for group in self._api.users.groups(user.user_id))
        return _distinct(found, lambda group: group.group_id)

    def _in(self, folder: Folder | None, name: str) -> str:
        return name if folder is None else f"{self.path(folder)}/{name}"

    def _near_content(self, text: str, names: Callable[[Folder], Iterable[str]]) -> Sequence[str]:
        """What lies at the end of a path and bears a name like that, or where the path may have been meant to lead."""
        folder, rest = self._deepest(text)
        if folder is not None and (near := _near(rest, islice(names(folder), _MOST_COMPARED))):
            return [self._in(folder, name) for name in near]
        return [f"{path}/..." for path in self._near_folders(text)]


def one(
    kind: str,
    text: str,
    found: Sequence[T],
    line: Callable[[T], str],
    near: Callable[[], Sequence[str]],
    hint: str = "",
) -> T:
    """The one thing that a text names.

    line: says of a candidate which it is, its id first. near: gives what the text may have been meant to be.
    Raises Unclear when there are several, Refused when there is none.
    """
    if len(found) == 1:
        return found[0]
    if found:
        lines = [f"  {line(candidate)}" for candidate in found[:_MOST_SHOWN]]
        more = [f"  and {len(found) - _MOST_SHOWN} more"] if len(found) > _MOST_SHOWN else []
        listed = "\n".join(lines + more)
        raise Unclear(f"{shown(text)!r} may be any of {len(found)}: give the id{hint}\n{listed}")
    meant = " or ".join(repr(shown(name)) for name in near())
    raise Refused(f"there is no {kind} {shown(text)!r}" + (f"; did you mean {meant}?" if meant else ""))


def _typed(text: str) -> tuple[AssetType | None, str]:
    """An asset's type, in the singular or the plural, and what stands behind it."""
    word, colon, rest = text.partition(":")
    asset_type = _TYPES.get(word)
    return (asset_type, rest) if asset_type and colon and rest else (None, text)


def _by_name(name: str, listed: Iterable[SourceFile]) -> list[SourceFile]:
    """The source files that bear a name, or did so when they were uploaded."""
    return [file for file in listed if name in (file.name, file.source_file_original_name)]


def _own_name(file: SourceFile) -> str:
    return file.source_file_original_name or file.name


def _near(text: str, names: Iterable[str]) -> list[str]:
    by_loose = {name.casefold(): name for name in names}
    return [by_loose[loose] for loose in difflib.get_close_matches(text.casefold(), by_loose, 3, 0.6)]


def _distinct(items: Iterable[T], key: Callable[[T], str]) -> list[T]:
    return list({key(item): item for item in items}.values())
