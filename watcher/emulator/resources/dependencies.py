"""What assets need, and what needs them."""

from collections import Counter
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from watcher.emulator.access import Access
from watcher.emulator.asset_types import AssetType
from watcher.emulator.lookup import the_asset
from watcher.emulator.operation import Call, operation
from watcher.emulator.payloads import parts_of
from watcher.emulator.values import Values, one_or_many


class Public(StrEnum):
    INCLUDE = "include"
    EXCLUDE = "exclude"
    RESTRICT_TO = "restrict-to"


class Property(StrEnum):
    NAME = "name"
    DEPENDENCIES = "dependencies"
    COUNT = "count"
    PUBLIC = "public"
    ACCESSIBLE = "accessible"
    PAYLOAD_INFO = "payload_info"


class DependencyFilters(Values):
    with_asset_types: Annotated[list[AssetType], BeforeValidator(one_or_many)] | None = None
    without_asset_types: Annotated[list[AssetType], BeforeValidator(one_or_many)] = Field(default_factory=list)
    public: Public = Public.INCLUDE


def _depth(value: Any) -> Any:
    return {"all": None, "direct": 1}.get(value, value) if isinstance(value, str) else value


Depth = Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(_depth)]


class DependencyQuery(Values):
    depth: Depth = None
    filters: DependencyFilters = DependencyFilters()
    properties: Annotated[list[Property], BeforeValidator(one_or_many)] = Field(default_factory=list)


class ReferenceQuery(Values):
    depth: Depth = 1
    """Not in the contract, which asks for direct references only."""
    properties: Annotated[list[Property], BeforeValidator(one_or_many)] = Field(default_factory=list)


@operation("GET", "/assets/{asset_container}/{asset_id}/dependencies")
def get_asset_dependencies(call: Call) -> list[Any]:
    """Nearest first. ``direct_count``: how often the asset itself names it; ``indirect_count``: all others."""
    root = the_asset(call, Access.READ)["asset_id"]
    page, query = call.page, call.query_values(DependencyQuery)
    direct, indirect = _counts(call, root, query.depth)
    found = []
    readable = _readable(call, list(direct | indirect))
    for target, (kind, name, accessible) in readable.items():
        if not _passes(query.filters, kind):
            continue
        properties: dict[str, Any] = {}
        if Property.NAME in query.properties and accessible:
            properties["name"] = name
        if Property.COUNT in query.properties:
            properties |= {"direct_count": direct[target], "indirect_count": indirect[target]}
        if Property.PUBLIC in query.properties:
            properties["is_public"] = False
        if Property.ACCESSIBLE in query.properties:
            properties["is_accessible"] = accessible
        if Property.PAYLOAD_INFO in query.properties:
            parts = list(parts_of(call, target).values())
            properties["payload_info"] = {"hash": parts[0], "storage_id": 0} if parts else {}
        if Property.DEPENDENCIES in query.properties:
            properties["dependencies"] = [
                {"asset_id": asset_id, "count": count} for asset_id, count in _edges(call, target).items()
            ]
        found.append(_entry(target, kind, properties))
    return found[page.offset : page.offset + page.limit]


@operation("GET", "/assets/{asset_container}/{asset_id}/references")
def get_asset_references(call: Call) -> list[Any]:
    """The assets that name this one, as far as the caller may read them."""
    root = the_asset(call, Access.READ)["asset_id"]
    page, query = call.page, call.query_values(ReferenceQuery)
    levels, seen = [root], {root}
    order: list[str] = []
    depth = 0
    while levels and (query.depth is None or depth < query.depth):
        nearer = [a for target in levels for a in _referrers(call, target)]
        levels = [a for a in dict.fromkeys(nearer) if a not in seen]
        seen.update(levels)
        order += levels
        depth += 1
    found = []
    for asset_id, (kind, name, accessible) in _readable(call, order).items():
        if not accessible:
            continue
        properties: dict[str, Any] = {}
        if Property.NAME in query.properties:
            properties["name"] = name
        if Property.COUNT in query.properties:
            properties["direct_count"] = _edges(call, asset_id).get(root, 0)
        if Property.PUBLIC in query.properties:
            properties["is_public"] = False
        found.append(_entry(asset_id, kind, properties))
    return found[page.offset : page.offset + page.limit]


def reachable(call: Call, root: str, depth: int | None, kinds: frozenset[AssetType]) -> list[str]:
    """The ids that ``root`` needs through assets of these types, nearest first, without itself."""
    found: dict[str, None] = {}
    level, reached = [root], 0
    while level and (depth is None or reached < depth):
        targets = dict.fromkeys(target for asset_id in level for target in _edges(call, asset_id))
        level = [t for t in targets if t != root and t not in found and _kind(call, t) in kinds]
        found.update(dict.fromkeys(level))
        reached += 1
    return list(found)


def _counts(call: Call, root: str, depth: int | None) -> tuple[Counter[str], Counter[str]]:
    direct = Counter(_edges(call, root))
    indirect: Counter[str] = Counter()
    for asset_id in reachable(call, root, None if depth is None else depth - 1, frozenset(AssetType)):
        indirect.update(_edges(call, asset_id))
    for counts in (direct, indirect):
        counts.pop(root, None)
    return direct, indirect


def _edges(call: Call, asset_id: str) -> dict[str, int]:
    """What an asset names, as far as it exists here, and how often."""
    rows = call.tx.rows(
        "SELECT target_id, count FROM dependency d JOIN asset t ON t.asset_id = d.target_id"
        " WHERE d.asset_id = ? ORDER BY t.seq",
        asset_id,
    )
    return {row[0]: row[1] for row in rows}


def _referrers(call: Call, target: str) -> list[str]:
    rows = call.tx.rows(
        "SELECT asset_id FROM dependency JOIN asset USING (asset_id) WHERE target_id = ? ORDER BY seq", target
    )
    return [row[0] for row in rows]


def _readable(call: Call, asset_ids: list[str]) -> dict[str, tuple[AssetType, str, bool]]:
    """Type, name and whether the caller may read it, of each of these assets; in their order."""
    condition, values = call.rights.only_readable("folder_id")
    found = {}
    for asset_id in asset_ids:
        row = call.tx.row(
            f"SELECT type, name, {condition} AS accessible FROM asset WHERE asset_id = ?", *values, asset_id
        )
        if row is not None:
            found[asset_id] = (AssetType(row["type"]), row["name"], bool(row["accessible"]))
    return found


def _kind(call: Call, asset_id: str) -> str | None:
    kind: str | None = call.tx.value("SELECT type FROM asset WHERE asset_id = ?", asset_id)
    return kind


def _passes(filters: DependencyFilters, kind: AssetType) -> bool:
    if filters.public == Public.RESTRICT_TO:
        return False  # nothing is public here
    if filters.with_asset_types is not None and kind not in filters.with_asset_types:
        return False
    return kind not in filters.without_asset_types


def _entry(asset_id: str, kind: AssetType, properties: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {"asset_id": asset_id, "asset_type": kind}
    if properties:
        entry["properties"] = properties
    return entry
