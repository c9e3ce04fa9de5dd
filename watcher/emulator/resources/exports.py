"""Meshes as files that other programs read."""

import json
from enum import StrEnum
from typing import Any

from pydantic import Field
from starlette.responses import Response

from watcher.emulator.access import Access
from watcher.emulator.asset_types import EXPORTABLE, AssetType
from watcher.emulator.downloads import FileDownload, content_disposition, open_blob
from watcher.emulator.faults import NotFound, Unprocessable
from watcher.emulator.lookup import the_asset
from watcher.emulator.operation import Call, operation
from watcher.emulator.payloads import WHOLE, parts_of
from watcher.emulator.values import Values


class ExportFormat(StrEnum):
    OBJ = "obj"
    STL = "stl"


class ExportQuery(Values):
    scale: float = Field(1, gt=0, allow_inf_nan=False)
    sub_mesh_index: int | None = Field(None, ge=0)


@operation("GET", "/assets/{asset_container}/{asset_id}/exports/{format}", slow=True)
def export_asset(call: Call) -> Response:
    """``scale`` multiplies all positions; ``sub_mesh_index`` picks one submesh."""
    asset = the_asset(call, Access.READ, EXPORTABLE)
    try:
        wanted = ExportFormat(call.path["format"])
    except ValueError:
        raise NotFound(f"There is no export to {call.path['format'][:40]!r}, only to obj and stl.") from None
    if asset["type"] != AssetType.MESH:
        raise Unprocessable(f"A {asset['type']} cannot be exported to {wanted}; only meshes can.")
    query = call.query_values(ExportQuery)
    from watcher.emulator.mesh_export import read_submesh, write_obj, write_stl

    digest = parts_of(call, asset["asset_id"]).get(WHOLE)
    if digest is None:
        raise NotFound("The mesh has no payload.")
    submeshes: list[dict[str, Any]] = json.loads(asset["description"]).get("submeshes", [])
    if query.sub_mesh_index is not None:
        if query.sub_mesh_index >= len(submeshes):
            raise Unprocessable(f"sub_mesh_index: the mesh has {len(submeshes)} submeshes.")
        submeshes = submeshes[query.sub_mesh_index : query.sub_mesh_index + 1]
    out = call.services.blobs.temporary()
    try:
        with open_blob(call.services.blobs.path(digest)) as payload:
            read = (read_submesh(payload, submesh, query.scale) for submesh in submeshes)
            if wanted == ExportFormat.OBJ:
                write_obj(out, asset["name"], read)
            else:
                write_stl(out, read)
        out.flush()
    except BaseException:
        out.close()
        raise
    headers = {"content-disposition": content_disposition(f"{asset['name']}.{wanted}")}
    return FileDownload(out, headers=headers)
