"""Source files: what was uploaded, byte for byte."""

import json
import sqlite3
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator
from starlette.responses import Response

from watcher.emulator.access import Access
from watcher.emulator.catalog import delete_assets, grouped
from watcher.emulator.downloads import blob_download
from watcher.emulator.lookup import the_folder, the_source_file
from watcher.emulator.operation import Call, json_response, operation
from watcher.emulator.values import Name, Values, as_list, one_or_many

_GONE = "The source file was deleted before it was converted."


class SourceFileFilters(Values):
    source_file_name: str | None = None


class SourceFileQuery(Values):
    filters: SourceFileFilters = SourceFileFilters()


class Deletion(Values):
    source_file_ids: Annotated[list[str], BeforeValidator(one_or_many)]
    delete_assets: bool = False


class SourceFileDetails(Values):
    name: Name


def source_file_json(row: sqlite3.Row) -> dict[str, Any]:
    """A source file's row as the contract's SourceFile."""
    return {
        "source_file_id": row["source_file_id"],
        "source_file_original_name": row["original_name"],
        "name": row["name"],
        "size": row["size"],
    }


@operation("GET", "/folders/{folder_id}/source-files")
def get_source_files_in_folder(call: Call) -> Response:
    folder = the_folder(call, call.path["folder_id"], Access.READ)
    return _list(call, "folder_id = ?", [folder["folder_id"]])


@operation("GET", "/source-files")
def list_source_files(call: Call) -> Response:
    return _list(call, *call.rights.only_readable("folder_id"))


@operation("PUT", "/folders/{folder_id}/source-files")
def move_source_files(call: Call) -> None:
    """Move the source files of the body into the folder of the path; their assets stay where they are."""
    target = the_folder(call, call.path["folder_id"], Access.WRITE)["folder_id"]
    call.body = as_list(call.body)
    for source_file_id in call.values(list[str]):
        the_source_file(call, source_file_id, Access.WRITE)
        call.tx.run("UPDATE source_file SET folder_id = ? WHERE source_file_id = ?", target, source_file_id)


@operation("DELETE", "/source-files")
def delete_source_files(call: Call) -> None:
    """With ``delete_assets`` the assets made of them go too, otherwise these merely lose their source."""
    wanted = call.values(Deletion)
    ids = wanted.source_file_ids
    for source_file_id in ids:
        the_source_file(call, source_file_id, Access.WRITE)
    listed = json.dumps(ids)
    if wanted.delete_assets:
        assets = call.tx.rows(
            "SELECT asset_id, folder_id FROM asset WHERE source_file_id IN (SELECT value FROM json_each(?))", listed
        )
        for folder_id in {asset["folder_id"] for asset in assets}:
            call.rights.require_folder(folder_id, Access.WRITE)
        delete_assets(call.tx, [asset["asset_id"] for asset in assets])
    call.tx.run(
        "UPDATE conversion_task SET status = 'error', message = ?"
        " WHERE status = 'waiting' AND source_file_id IN (SELECT value FROM json_each(?))",
        _GONE,
        listed,
    )
    call.tx.run("DELETE FROM source_file WHERE source_file_id IN (SELECT value FROM json_each(?))", listed)


@operation("GET", "/source-files/{source_file_id}")
def download_source_file(call: Call) -> Response:
    file = the_source_file(call, call.path["source_file_id"], Access.READ)
    path = call.services.blobs.path(file["digest"])
    return blob_download(path, file["digest"], call.headers.get("range"), file["original_name"])


@operation("GET", "/source-files/{source_file_id}/details")
def get_source_file_details(call: Call) -> dict[str, Any]:
    return source_file_json(the_source_file(call, call.path["source_file_id"], Access.READ))


@operation("PATCH", "/source-files/{source_file_id}/details")
def update_source_file_details(call: Call) -> None:
    file = the_source_file(call, call.path["source_file_id"], Access.WRITE)
    name = call.values(SourceFileDetails).name
    call.tx.run("UPDATE source_file SET name = ? WHERE source_file_id = ?", name, file["source_file_id"])


@operation("GET", "/source-files/{source_file_id}/assets")
def get_source_file_assets(call: Call) -> dict[str, Any]:
    file = the_source_file(call, call.path["source_file_id"], Access.READ)
    condition, values = call.rights.only_readable("folder_id")
    return grouped(
        call.tx.rows(
            f"SELECT asset_id, type, name FROM asset WHERE source_file_id = ? AND {condition} ORDER BY seq",
            file["source_file_id"],
            *values,
        )
    )


def _list(call: Call, condition: str, values: Sequence[str]) -> Response:
    page = call.page
    wanted = call.query_values(SourceFileQuery).filters.source_file_name
    if wanted:
        # A part of either name will do, whatever its case.
        condition += " AND (instr(casefold(original_name), ?) OR instr(casefold(name), ?))"
        values = [*values, wanted.casefold(), wanted.casefold()]
    count = call.tx.value(f"SELECT count(*) FROM source_file WHERE {condition}", *values)
    rows = call.tx.rows(
        f"SELECT * FROM source_file WHERE {condition} ORDER BY seq LIMIT ? OFFSET ?",
        *values,
        page.limit,
        page.offset,
    )
    return json_response([source_file_json(row) for row in rows], headers={"x-source-files-count": str(count)})
