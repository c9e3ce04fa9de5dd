"""Assets: lists, details, places, names and ends."""

import json
import sqlite3
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator
from starlette.responses import Response

from watcher.emulator.access import Access
from watcher.emulator.asset_types import AssetType
from watcher.emulator.catalog import delete_assets as delete_together
from watcher.emulator.catalog import grouped, note_edit
from watcher.emulator.faults import NotFound
from watcher.emulator.json_forms import user_json
from watcher.emulator.lookup import find_asset, the_asset, the_folder
from watcher.emulator.operation import Call, json_response, operation
from watcher.emulator.resources.folders import folder_details
from watcher.emulator.resources.source_files import source_file_json
from watcher.emulator.values import Name, Values, as_list, one_or_many


class AssetFilters(Values):
    asset_name: str | None = None
    asset_type: Annotated[list[AssetType], BeforeValidator(one_or_many)] | None = None
    source_file: Annotated[list[str], BeforeValidator(one_or_many)] | None = None
    """Ids of source files; ``exclude`` alone stands for assets without one."""
    include_public_assets: bool = False
    """There are no public assets here."""


class AssetQuery(Values):
    filter: AssetFilters = AssetFilters()
    recursive: bool = False


class AssetName(Values):
    name: Name | None = None


@operation("GET", "/assets")
def list_assets(call: Call) -> Response:
    filters = call.query_values(AssetQuery).filter.model_copy(update={"source_file": None})
    return _list(call, *call.rights.only_readable("folder_id"), filters)


@operation("GET", "/folders/{folder_id}/assets")
def get_folder_assets(call: Call) -> Response:
    folder = the_folder(call, call.path["folder_id"], Access.READ)
    query = call.query_values(AssetQuery)
    condition = "folder_id = ?"
    if query.recursive:
        condition = (
            "folder_id IN (WITH RECURSIVE down(id) AS (SELECT ? UNION"
            " SELECT folder_id FROM folder JOIN down ON parent_id = id) SELECT id FROM down)"
        )
    return _list(call, condition, [folder["folder_id"]], query.filter)


@operation("PUT", "/folders/{folder_id}/assets")
def move_assets(call: Call) -> None:
    """Move the assets of the body into the folder of the path."""
    target = the_folder(call, call.path["folder_id"], Access.WRITE)["folder_id"]
    call.body = as_list(call.body)
    for asset_id in call.values(list[str]):
        find_asset(call, asset_id, Access.WRITE)
        call.tx.run("UPDATE asset SET folder_id = ? WHERE asset_id = ?", target, asset_id)
        note_edit(call.tx, asset_id, call.caller.user_id, "moved")


@operation("DELETE", "/assets")
def delete_assets(call: Call) -> None:
    """All of them or, when one is referenced from outside, none."""
    call.body = as_list(call.body)
    ids = call.values(list[str])
    for asset_id in ids:
        find_asset(call, asset_id, Access.WRITE)
    delete_together(call.tx, ids)


@operation("DELETE", "/assets/{asset_container}/{asset_id}")
def delete_asset(call: Call) -> None:
    delete_together(call.tx, [the_asset(call, Access.WRITE)["asset_id"]])


@operation("GET", "/assets/{asset_container}/{asset_id}/source-file")
def get_asset_source_file(call: Call) -> dict[str, Any]:
    asset = the_asset(call, Access.READ)
    row = call.tx.row("SELECT * FROM source_file WHERE source_file_id = ?", asset["source_file_id"])
    if row is None:
        raise NotFound("The asset has no source file.")
    call.rights.require_folder(row["folder_id"], Access.READ)
    return source_file_json(row)


@operation("GET", "/assets/{asset_container}/{asset_id}/folder")
def get_asset_folder(call: Call) -> dict[str, Any]:
    return folder_details(call, the_asset(call, Access.READ)["folder_id"])


@operation("GET", "/assets/{asset_container}/{asset_id}/details")
def get_asset_details(call: Call) -> dict[str, Any]:
    """Edits under the API key have no author, so the contract's optional author fields stay away."""
    asset = the_asset(call, Access.READ)
    edits = call.tx.rows(
        "SELECT edited_at, user.* FROM asset_edit e LEFT JOIN user ON user.user_id = e.user_id"
        " WHERE asset_id = ? ORDER BY e.seq",
        asset["asset_id"],
    )
    details: dict[str, Any] = {
        "asset_id": asset["asset_id"],
        "name": asset["name"],
        "type": asset["type"],
        "created_at": asset["created_at"],
        "last_edited_at": edits[-1]["edited_at"] if edits else asset["created_at"],
        "contributors": _contributors(edits),
    }
    creator = call.tx.row("SELECT * FROM user WHERE user_id = ?", asset["created_by"])
    if creator is not None:
        details["created_by"] = user_json(creator)
    if edits and edits[-1]["user_id"] is not None:
        details["last_edited_by"] = user_json(edits[-1])
    return details


@operation("PATCH", "/assets/{asset_container}/{asset_id}/description")
def rename_asset(call: Call) -> None:
    asset = the_asset(call, Access.WRITE)
    name = call.values(AssetName).name
    if name is not None:
        call.tx.run("UPDATE asset SET name = ? WHERE asset_id = ?", name, asset["asset_id"])
        note_edit(call.tx, asset["asset_id"], call.caller.user_id, "renamed")


def _list(call: Call, condition: str, values: Sequence[str], filters: AssetFilters) -> Response:
    page = call.page
    where, parameters = [condition], list(values)
    if filters.asset_name:
        where.append("instr(casefold(name), ?)")
        parameters.append(filters.asset_name.casefold())
    if filters.asset_type:
        where.append("type IN (SELECT value FROM json_each(?))")
        parameters.append(json.dumps(filters.asset_type))
    if filters.source_file == ["exclude"]:
        where.append("source_file_id IS NULL")
    elif filters.source_file:
        where.append("source_file_id IN (SELECT value FROM json_each(?))")
        parameters.append(json.dumps(filters.source_file))
    condition = " AND ".join(where)
    counts = {
        row["type"]: row["found"]
        for row in call.tx.rows(
            f"SELECT type, count(*) AS found FROM asset WHERE {condition} GROUP BY type", *parameters
        )
    }
    rows = call.tx.rows(
        f"SELECT asset_id, type, name FROM asset WHERE {condition} ORDER BY seq LIMIT ? OFFSET ?",
        *parameters,
        page.limit,
        page.offset,
    )
    header = json.dumps({"total": sum(counts.values()), **counts})
    return json_response(grouped(rows), headers={"x-assets-count": header})


def _contributors(edits: Sequence[sqlite3.Row]) -> list[dict[str, Any]]:
    counts: dict[str, int] = {}
    users = {edit["user_id"]: edit for edit in edits if edit["user_id"] is not None}
    for edit in edits:
        if edit["user_id"] is not None:
            counts[edit["user_id"]] = counts.get(edit["user_id"], 0) + 1
    return [{"contribution_count": count, "user": user_json(users[user_id])} for user_id, count in counts.items()]
