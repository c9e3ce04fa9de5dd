"""Remote folders by path: found or created once, remembered in the ledger."""

import os
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress

import structlog

from watcher.api import ApiError, AssetApi, NotFound, Unauthorized
from watcher.api.models import Folder
from watcher.identity import Identity, KeyRefused
from watcher.ledger import Ledger
from watcher.model import Drop

_log = structlog.get_logger(__name__)

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class RemoteFolders:
    """Finds the remote folder of a local file. Safe to share between threads."""

    def __init__(self, api: AssetApi, ledger: Ledger, identity: Identity | None = None) -> None:
        """
        Args:
            api: makes the sub-folders of mirroring drops; without ``identity``, the mapped folders too.
            identity: the user that needs write on the mapped folders; its keeper finds and makes them.
        """
        self._api = api
        self._ledger = ledger
        self._identity = identity
        self._lock = threading.Lock()
        self._looked_at: set[str] = set()

    def folder_for(self, drop: Drop, path: str) -> str:
        """The id of the remote folder that the file at ``path`` goes to; creates what is missing.

        Raises:
            ApiError: the server cannot be asked, or does not allow it.
        """
        folder_id = self.mapped(drop)
        if not drop.mirror:
            return folder_id
        for remote in _mirrored(drop, path):
            folder_id = self._child(self._api, folder_id, remote)
        return folder_id

    def mapped(self, drop: Drop) -> str:
        """The id of the remote folder that the drop is mapped to; creates it when missing.

        Raises:
            ApiError: like :meth:`folder_for`.
        """
        known = self.known(drop)
        if self._identity is None:
            folder_id = known or self._find_mapped(drop.folder, self._api)
        else:
            try:
                folder_id = known or self._find_mapped(drop.folder, self._identity.keeper)
                self._identity.grant(folder_id)
            except Unauthorized as error:
                raise KeyRefused(error.operation, error.message, status=error.status) from error
        if known is None:
            self._hint(drop, folder_id)
        return folder_id

    def _hint(self, drop: Drop, folder_id: str) -> None:
        """A ledger that knows nothing, and files in the folder already: they may be what a lost one knew."""
        with self._lock:
            if drop.path in self._looked_at or self._ledger.report.sent_anything():
                return
            self._looked_at.add(drop.path)
        with suppress(ApiError):
            if self._api.folders.source_files_page(folder_id, limit=1).items:
                _log.warning(
                    "the ledger is new, and the remote folder holds files already: if a lost ledger knew them,"
                    " `3dverse-watcher adopt` links them, and what it links is not uploaded again",
                    drop=drop.path,
                    folder=drop.folder,
                )

    def known(self, drop: Drop) -> str | None:
        """The id of the drop's remote folder, when it was found before."""
        return self._ledger.upkeep.remote_folder(drop.folder)

    def forget(self, folder_id: str) -> None:
        """A folder is not there any more: it is looked for, or created, anew."""
        self._ledger.upkeep.forget_folder(folder_id)

    def _find_mapped(self, remote: str, api: AssetApi) -> str:
        top, *below = remote.split("/")
        with self._lock:
            folder_id = self._ledger.upkeep.remote_folder(top)
            if folder_id is None:
                if is_id(remote):
                    folder_id = api.folders.get(top).folder_id
                else:
                    folder_id = _named(_tops(api), top, top) or api.folders.create(top).folder_id
                self._ledger.upkeep.remember_folder(top, folder_id)
        path = top
        for name in below:
            path = f"{path}/{name}"
            folder_id = self._child(api, folder_id, path)
        return folder_id

    def _child(self, api: AssetApi, parent_id: str, remote: str) -> str:
        """The folder at the path ``remote``, which lies in the folder ``parent_id``."""
        known = self._ledger.upkeep.remote_folder(remote)
        if known is not None:
            return known
        with self._lock:
            known = self._ledger.upkeep.remote_folder(remote)
            if known is not None:
                return known
            name = remote.rpartition("/")[2]
            try:
                folder_id = (
                    _named(api.folders.subfolders(parent_id), name, remote)
                    or api.folders.create_subfolder(parent_id, name).folder_id
                )
            except NotFound:
                self.forget(parent_id)
                raise
            self._ledger.upkeep.remember_folder(remote, folder_id)
            return folder_id


class FolderSearch:
    """Finds the remote folders of local files and creates none. Asks once for each folder."""

    def __init__(self, api: AssetApi) -> None:
        self._api = api
        self._found: dict[str, str | None] = {}
        self._below: dict[str, list[Folder]] = {}

    def folder_for(self, drop: Drop, path: str) -> str | None:
        """The id of the remote folder that the file at ``path`` goes to; None when it is not there.

        Raises:
            ApiError: the server cannot be asked.
        """
        if drop.folder not in self._found:
            self._found[drop.folder] = find_folder(self._api, drop.folder)
        folder_id = self._found[drop.folder]
        if drop.mirror:
            for remote in _mirrored(drop, path):
                if folder_id is None:
                    break
                if remote not in self._found:
                    self._found[remote] = self._child(folder_id, remote)
                folder_id = self._found[remote]
        return folder_id

    def _child(self, parent_id: str, remote: str) -> str | None:
        if parent_id not in self._below:
            self._below[parent_id] = self._api.folders.subfolders(parent_id)
        return _named(self._below[parent_id], remote.rpartition("/")[2], remote)


def is_id(remote: str) -> bool:
    """Whether a drop names its remote folder by its id, not by a path."""
    return _ID.fullmatch(remote) is not None


def find_folder(api: AssetApi, remote: str) -> str | None:
    """The id of the folder that is named by its id or by a path such as ``Cars/Incoming``; None when there is none.

    Raises:
        ApiError: the server cannot be asked.
    """
    top, *below = remote.split("/")
    if is_id(remote):
        try:
            return api.folders.get(top).folder_id
        except NotFound:
            return None
    folder_id, path = _named(_tops(api), top, top), top
    for name in below:
        path = f"{path}/{name}"
        folder_id = folder_id and _named(api.folders.subfolders(folder_id), name, path)
    return folder_id


def _tops(api: AssetApi) -> Iterable[Folder]:
    return [folder for folder in api.folders.iterate() if not folder.parent_folder_id]


def _named(folders: Iterable[Folder], name: str, remote: str) -> str | None:
    """The folder that bears this name. Names are not unique on the server: of several the first in the list counts."""
    found = [folder.folder_id for folder in folders if folder.name == name]
    if len(found) > 1:
        _log.warning("several remote folders bear this path, the first is used", path=remote, folder_ids=found)
    return found[0] if found else None


def _mirrored(drop: Drop, path: str) -> Iterator[str]:
    """The remote paths below the drop's own folder that lead to a file of a mirroring drop, from the top."""
    remote = drop.folder
    for part in os.path.relpath(os.path.dirname(path), drop.path).split(os.sep):
        if part != os.curdir:
            remote = f"{remote}/{_name(part)}"
            yield remote


def _name(part: str) -> str:
    """A local folder name as a remote one: bytes that are no text are shown as such."""
    return os.fsencode(part).decode("utf-8", "backslashreplace")
