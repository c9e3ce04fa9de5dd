"""The tree of remote folders, and what a path in it means. Names may hold slashes, and need not be unique."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from watcher.api.models import Folder


class FolderTree:
    """The folders that the credential may see.

    A server may list all of them, or those at the top only: what the list does not tell is asked for.
    """

    def __init__(self, listed: Iterable[Folder], ask: Callable[[str], Sequence[Folder]]) -> None:
        """ask: gives the folders directly in a folder, by its id."""
        self._ask = ask
        self._folders: dict[str, Folder] = {}
        self._parents: dict[str, str] = {}
        self._children: dict[str, list[Folder]] = {}
        for folder in listed:
            self._add(folder, folder.parent_folder_id)
        for folder_id, parent_id in self._parents.items():
            if parent_id in self._folders:
                self._children.setdefault(parent_id, []).append(self._folders[folder_id])
        self._complete = bool(self._children)

    def _add(self, folder: Folder, parent_id: str | None) -> None:
        if folder.folder_id in self._folders:
            return
        self._folders[folder.folder_id] = folder
        if parent_id:
            self._parents[folder.folder_id] = parent_id
        for below in folder.subfolders or ():
            self._add(below, folder.folder_id)

    def top(self) -> list[Folder]:
        """The folders in no folder that can be seen."""
        return [folder for key, folder in self._folders.items() if self._parents.get(key) not in self._folders]

    def below(self, folder: Folder) -> list[Folder]:
        """The folders directly in a folder."""
        if not self._complete and folder.folder_id not in self._children:
            children = self._children[folder.folder_id] = list(self._ask(folder.folder_id))
            for child in children:
                self._folders.setdefault(child.folder_id, child)
                self._parents[child.folder_id] = folder.folder_id
        return self._children.get(folder.folder_id, [])

    def all_below(self, folder: Folder) -> Iterator[Folder]:
        """All folders below a folder, each before what is in it."""
        for child in self.below(folder):
            yield child
            yield from self.all_below(child)

    def path(self, folder: Folder) -> str:
        """The names from the top down to a folder, with slashes."""
        names = [folder.name]
        folder_id = folder.folder_id
        while (parent := self._folders.get(self._parents.get(folder_id) or folder.parent_folder_id or "")) is not None:
            names.append(parent.name)
            folder_id, folder = parent.folder_id, parent
        return "/".join(reversed(names))

    def get(self, folder_id: str) -> Folder | None:
        """A folder that was listed."""
        return self._folders.get(folder_id)

    def readings(self, text: str, start: Folder | None = None) -> Iterator[tuple[Folder, str]]:
        """The ways to read a path: each folder that it leads to or through, and what is left of the text then.

        start: where the path begins; without, at the top.
        """
        for folder in self.top() if start is None else self.below(start):
            if text == folder.name:
                yield folder, ""
            elif text.startswith(f"{folder.name}/"):
                rest = text[len(folder.name) + 1 :]
                yield folder, rest
                if rest:
                    yield from self.readings(rest, folder)
