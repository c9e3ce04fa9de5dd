"""Removing source files and the assets that were made of them from the server, but nothing that other assets need."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from watcher.api import AssetApi, NotFound
from watcher.api.models import AssetEntry, AssetType, ReferenceProperty
from watcher.ledger import KeptAsset

SHOWN_NEEDERS = 3


@dataclass(frozen=True, slots=True)
class Removal:
    """What is to be removed, and what is not."""

    source_file_ids: tuple[str, ...]
    """Those that the server still has."""
    asset_ids: tuple[str, ...]
    """Assets made of them that nothing else needs."""
    kept: tuple[KeptAsset, ...]
    """Assets made of them that other assets need, and what those need in turn."""

    def steps(self, api: AssetApi) -> Sequence[Callable[[], None]]:
        """The requests that do it, in their order; each changes all that it is to change or, refused, nothing.

        The source files go last: as long as they are there, what was made of them can be found.
        """
        if not self.source_file_ids:
            return ()
        if not self.kept:
            return (lambda: api.source_files.delete(self.source_file_ids, delete_assets=True),)
        steps: list[Callable[[], None]] = []
        if self.asset_ids:
            steps.append(lambda: api.assets.delete_many(self.asset_ids))
        steps.append(lambda: api.source_files.delete(self.source_file_ids, delete_assets=False))
        return steps


def look(api: AssetApi, source_file_ids: Iterable[str]) -> Removal:
    """What can be removed of these source files and of the assets that were made of them. Changes nothing.

    Raises:
        ApiError: the server cannot be asked.
    """
    there: list[str] = []
    made: dict[str, AssetEntry] = {}
    for source_file_id in source_file_ids:
        try:
            entries = api.source_files.assets(source_file_id).refs()
        except NotFound:
            continue
        there.append(source_file_id)
        made.update((entry.asset_id, entry) for entry in entries)
    needed_by: dict[str, set[str]] = {}
    outside: dict[str, list[str]] = {}
    for asset_id, entry in list(made.items()):
        try:
            references = list(api.assets.references(_container(entry), asset_id, properties=[ReferenceProperty.NAME]))
        except NotFound:  # removed since
            del made[asset_id]
            continue
        needed_by[asset_id] = {reference.asset_id for reference in references}
        outside[asset_id] = [
            f"{reference.asset_type} {(reference.properties and reference.properties.name) or reference.asset_id}"
            for reference in references
            if reference.asset_id not in made
        ]
    reasons = {asset_id: _listed(outside[asset_id]) for asset_id in made if outside[asset_id]}
    while more := {
        asset_id: f"{made[user].asset_type} {made[user].name}"
        for asset_id in made
        if asset_id not in reasons
        for user in needed_by[asset_id] & reasons.keys()
    }:
        reasons |= more
    return Removal(
        tuple(there),
        tuple(asset_id for asset_id in made if asset_id not in reasons),
        tuple(
            KeptAsset(asset_id, made[asset_id].asset_type, made[asset_id].name, reason)
            for asset_id, reason in reasons.items()
        ),
    )


def _container(entry: AssetEntry) -> str:
    """Where an asset stands in paths; a kind that is not known bears its container's name."""
    return AssetType(entry.asset_type).container if entry.asset_type in _TYPES else entry.asset_type


def _listed(needers: Collection[str]) -> str:
    shown = list(dict.fromkeys(needers))
    return ", ".join(shown[:SHOWN_NEEDERS]) + (", ..." if len(shown) > SHOWN_NEEDERS else "")


_TYPES = frozenset(str(kind) for kind in AssetType)
