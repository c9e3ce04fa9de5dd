"""Assets in the store: making and changing them, and what refers to what.

A description is stored without ``uuid`` and ``name``, which are added when it is served. What it refers to is read
from the description itself, so that the dependencies can never tell another story.
"""

import json
import re
import sqlite3
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from watcher.emulator.asset_types import CONTAINERS, AssetType
from watcher.emulator.clock import now
from watcher.emulator.faults import Conflict
from watcher.emulator.store import Transaction

Description = dict[str, Any]

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_ENTITY_KEYS = frozenset({"euid", "lineage", "originalEUID", "linkage", "uuid"})
"""Below these keys stand ids of entities, which are no assets."""


def new_id() -> str:
    return str(uuid.uuid4())


def is_id(text: str) -> bool:
    """Whether a text can be an asset's id."""
    return _UUID.fullmatch(text) is not None


def add_asset(
    tx: Transaction,
    *,
    asset_id: str,
    kind: AssetType,
    name: str,
    folder_id: str,
    description: Description,
    user_id: str | None,
    source_file_id: str | None = None,
    blobs: Mapping[str, str] | None = None,
    action: str = "created",
) -> None:
    """Store a new asset; ``blobs`` are the digests of its contents by part."""
    tx.run(
        "INSERT INTO asset (asset_id, type, name, folder_id, source_file_id, description, created_at, created_by)"
        " VALUES (?, ?, ?, ?, ?, '{}', ?, ?)",
        asset_id,
        kind,
        name,
        folder_id,
        source_file_id,
        now(),
        user_id,
    )
    set_description(tx, asset_id, description)
    for part, digest in (blobs or {}).items():
        set_blob(tx, asset_id, part, digest)
    note_edit(tx, asset_id, user_id, action)


def set_description(tx: Transaction, asset_id: str, description: Description) -> None:
    stored = {key: value for key, value in description.items() if key not in ("uuid", "name")}
    tx.run("UPDATE asset SET description = ? WHERE asset_id = ?", json.dumps(stored), asset_id)
    tx.run("DELETE FROM dependency WHERE asset_id = ?", asset_id)
    found = references_in(stored)
    found.pop(asset_id, None)
    tx.run_many(
        "INSERT INTO dependency (asset_id, target_id, count) VALUES (?, ?, ?)",
        [(asset_id, target, count) for target, count in found.items()],
    )


def set_blob(tx: Transaction, asset_id: str, part: str, digest: str) -> None:
    tx.run("DELETE FROM asset_blob WHERE asset_id = ? AND part = ?", asset_id, part)
    tx.run("INSERT INTO asset_blob (asset_id, part, digest) VALUES (?, ?, ?)", asset_id, part, digest)


def note_edit(tx: Transaction, asset_id: str, user_id: str | None, action: str) -> None:
    """Add a line to the asset's history."""
    tx.run(
        "INSERT INTO asset_edit (asset_id, user_id, edited_at, action) VALUES (?, ?, ?, ?)",
        asset_id,
        user_id,
        now(),
        action,
    )


def delete_assets(tx: Transaction, asset_ids: Iterable[str]) -> None:
    """Delete assets together. Raises Conflict when an asset that stays refers to one of them."""
    ids = json.dumps(list(asset_ids))
    referring = tx.row(
        "SELECT d.target_id, a.asset_id, a.type, a.name FROM dependency d JOIN asset a USING (asset_id)"
        " WHERE d.target_id IN (SELECT value FROM json_each(?1))"
        " AND d.asset_id NOT IN (SELECT value FROM json_each(?1)) LIMIT 1",
        ids,
    )
    if referring is not None:
        target, asset_id, kind, name = referring
        raise Conflict(f"Asset {target} is referenced by the {kind} {name!r} ({asset_id}); delete that first.")
    tx.run("DELETE FROM asset WHERE asset_id IN (SELECT value FROM json_each(?))", ids)


def references_in(value: Any) -> Counter[str]:
    """The asset ids that a description names, and how often."""
    found: Counter[str] = Counter()
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            if _UUID.fullmatch(item):
                found[item.lower()] += 1
        elif isinstance(item, list):
            todo.extend(item)
        elif isinstance(item, dict):
            todo.extend(inner for key, inner in item.items() if key not in _ENTITY_KEYS)
    return found


def replace_text(value: Any, replacements: Mapping[str, str]) -> Any:
    """A copy of a description in which whole texts are replaced, wherever they stand."""
    if isinstance(value, str):
        return replacements.get(value, value)
    if isinstance(value, list):
        return [replace_text(item, replacements) for item in value]
    if isinstance(value, dict):
        return {key: replace_text(item, replacements) for key, item in value.items()}
    return value


def grouped(rows: Iterable[sqlite3.Row]) -> dict[str, Any]:
    """Rows with asset_id, type and name as the contract's lists: by container, every container named."""
    lists: dict[str, Any] = {container: [] for container in CONTAINERS}
    for row in rows:
        lists[AssetType(row["type"]).container].append({"asset_id": row["asset_id"], "name": row["name"]})
    return lists
