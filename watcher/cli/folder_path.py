"""Creating remote folders by path."""

from collections.abc import Sequence

import click

from watcher.api import AssetApi
from watcher.api.models import Folder, NewFolder
from watcher.cli.outcome import Refused
from watcher.cli.tree import FolderTree
from watcher.spelling import shown


def create_path(api: AssetApi, tree: FolderTree, path: str, *, parents: bool) -> Folder:
    """The folder of a path, created, all of it at once. Raises Refused when something is there or is missing."""
    path = path.strip("/")
    if not path:
        raise click.UsageError("a folder needs a name")
    deepest: Folder | None = None
    rest = path
    for folder, left in tree.readings(path):
        if len(left) < len(rest):
            deepest, rest = folder, left
    if not rest:
        assert deepest is not None
        if parents:
            return deepest
        raise Refused(f"there is a folder {shown(path)!r} already: {deepest.folder_id}")
    first, *below = rest.split("/")
    if below and not parents:
        raise Refused(
            f"there is no folder {shown(path.rpartition('/')[0])!r} to create it in: --parents creates that, too"
        )
    if not all([first, *below]):
        raise click.UsageError(f"{path!r} holds an empty name")
    subfolders = _chain(below)
    if deepest is None:
        created = api.folders.create(first, subfolders=subfolders)
    else:
        created = api.folders.create_subfolder(deepest.folder_id, first, subfolders=subfolders)
    return _innermost(api, created, below)


def _chain(names: Sequence[str]) -> list[NewFolder] | None:
    if not names:
        return None
    return [NewFolder(name=names[0], subfolders=_chain(names[1:]))]


def _innermost(api: AssetApi, folder: Folder, names: Sequence[str]) -> Folder:
    for name in names:
        below = folder.subfolders if folder.subfolders is not None else api.folders.subfolders(folder.folder_id)
        folder = next(each for each in below if each.name == name)
    return folder
