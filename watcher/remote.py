"""Remote folders by path: found or created once, remembered in the ledger."""

import os
import re
import threading
from collections.abc import Iterable

import structlog

from watcher.api import AssetApi
from watcher.api.models import Folder
from watcher.ledger import Ledger
from watcher.model import Drop

_log = structlog.get_logger(__name__)

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class RemoteFolders:
    """Finds the remote folder of a local file. Safe to share between threads."""

    def __init__(self, api: AssetApi, ledger: Ledger) -> None:
        self._api = api
        self._ledger = ledger
        self._lock = threading.Lock()

    def folder_for(self, drop: Drop, path: str) -> str:
        """The id of the remote folder that the file at ``path`` goes to; creates what is missing.

        Raises:
            ApiError: the server cannot be asked, or does not allow it.
        """
        parts = [drop.folder]
        if drop.mirror:
            below = os.path.relpath(os.path.dirname(path), drop.path)
            parts += [_name(part) for part in below.split(os.sep) if part != os.curdir]
        remote = "/".join(parts)
        known = self._ledger.upkeep.remote_folder(remote)
        if known is not None:
            return known
        with self._lock:
            return self._find_or_create(remote)

    def forget(self, folder_id: str) -> None:
        """A folder is not there any more: it is looked for, or created, anew."""
        self._ledger.upkeep.forget_folder(folder_id)

    def _find_or_create(self, remote: str) -> str:
        known = self._ledger.upkeep.remote_folder(remote)
        if known is not None:
            return known
        parent, _, name = remote.rpartition("/")
        if not parent and _ID.fullmatch(name):
            folder_id = self._api.folders.get(name).folder_id
        elif not parent:
            top = [folder for folder in self._api.folders.iterate() if not folder.parent_folder_id]
            folder_id = _named(top, name, remote) or self._api.folders.create(name).folder_id
        else:
            parent_id = self._find_or_create(parent)
            folder_id = (
                _named(self._api.folders.subfolders(parent_id), name, remote)
                or self._api.folders.create_subfolder(parent_id, name).folder_id
            )
        self._ledger.upkeep.remember_folder(remote, folder_id)
        return folder_id


def _named(folders: Iterable[Folder], name: str, remote: str) -> str | None:
    """The folder that bears this name. Names are not unique on the server: of several the first in the list counts."""
    found = [folder.folder_id for folder in folders if folder.name == name]
    if len(found) > 1:
        _log.warning("several remote folders bear this path, the first is used", path=remote, folder_ids=found)
    return found[0] if found else None


def _name(part: str) -> str:
    """A local folder name as a remote one: bytes that are no text are shown as such."""
    return os.fsencode(part).decode("utf-8", "backslashreplace")
