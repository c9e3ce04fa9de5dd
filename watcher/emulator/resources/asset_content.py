"""What assets are made of: description, payload, thumbnail, code, and what is known about them."""

import json
import sqlite3
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import RedirectResponse, Response

from watcher.emulator import thumbnails
from watcher.emulator.access import Access
from watcher.emulator.asset_types import WITH_CODE, WITH_PAYLOAD, AssetType
from watcher.emulator.catalog import note_edit, set_blob
from watcher.emulator.downloads import BINARY, FileDownload, blob_download, open_blob
from watcher.emulator.faults import NotFound, Unprocessable
from watcher.emulator.lookup import the_asset
from watcher.emulator.operation import Call, Stream, operation
from watcher.emulator.payloads import THUMBNAIL, WHOLE, part_name, parts_of, point_parts, slice_of, write_point_part
from watcher.emulator.values import Values, read_limited

_MAX_THUMBNAIL = 16 << 20


class ThumbnailSize(StrEnum):
    LARGE = "large"
    MEDIUM = "medium"
    SMALL = "small"
    TINY = "tiny"


_PIXELS = {
    ThumbnailSize.LARGE: 512,
    ThumbnailSize.MEDIUM: 256,
    ThumbnailSize.SMALL: 128,
    ThumbnailSize.TINY: 64,
}


class PayloadQuery(Values):
    sub_resource: str | None = None


class ThumbnailQuery(Values):
    size: ThumbnailSize
    default_url: str | None = None


@operation("GET", "/assets/{asset_container}/{asset_id}/description")
def get_asset_description(call: Call) -> dict[str, Any]:
    asset = the_asset(call, Access.READ)
    return {"uuid": asset["asset_id"], "name": asset["name"], **json.loads(asset["description"])}


@operation("GET", "/assets/{asset_container}/{asset_id}/payload", slow=True)
def get_asset_payload(call: Call) -> Response:
    """Without ``sub_resource``: the payload, or the first part of one that has parts only."""
    asset = the_asset(call, Access.READ, WITH_PAYLOAD)
    blobs, parts = call.services.blobs, parts_of(call, asset["asset_id"])
    wanted = call.query_values(PayloadQuery).sub_resource
    part = part_name(wanted) if wanted else next(iter(parts), WHOLE)
    if part in parts:
        return blob_download(blobs.path(parts[part]), parts[part], call.headers.get("range"))
    if WHOLE in parts:
        path = blobs.path(parts[WHOLE])
        if (place := slice_of(asset, part)) is not None and place[1] <= path.stat().st_size:
            return FileDownload(open_blob(path), start=place[0], end=place[1])
        if part in point_parts(asset):
            out = blobs.temporary()
            write_point_part(asset, path, part, out)
            out.flush()
            return FileDownload(out)
    has = ", ".join([*parts, *point_parts(asset)]) or "none at all"
    raise NotFound(f"The asset has no {'payload' if not wanted else repr(wanted[:40])}; it has {has}.")


@operation("GET", "/assets/{asset_container}/{asset_id}/code")
def get_asset_code(call: Call) -> Response:
    """Nothing here compiles code, so an asset has what its description carries as ``code``, or none yet."""
    asset = the_asset(call, Access.READ, WITH_CODE)
    code = json.loads(asset["description"]).get("code", "")
    return Response(code if isinstance(code, str) else "", media_type="text/plain")


@operation("GET", "/assets/{asset_container}/{asset_id}/custom-types")
def get_asset_custom_types(call: Call) -> dict[str, Any]:
    asset = the_asset(call, Access.READ, frozenset({AssetType.MODULE}))
    custom_types = json.loads(asset["description"]).get("customTypes", {})
    return custom_types if isinstance(custom_types, dict) else {}


@operation("GET", "/assets/{asset_container}/{asset_id}/history")
def get_asset_history(call: Call) -> dict[str, Any]:
    asset = the_asset(call, Access.READ)
    edits = call.tx.rows(
        "SELECT edited_at, action, username FROM asset_edit LEFT JOIN user USING (user_id)"
        " WHERE asset_id = ? ORDER BY asset_edit.seq",
        asset["asset_id"],
    )
    return {
        "asset_id": asset["asset_id"],
        "edits": [{"at": e["edited_at"], "action": e["action"], "by": e["username"]} for e in edits],
    }


@operation("GET", "/assets/{asset_container}/{asset_id}/meta")
def get_asset_meta(call: Call) -> dict[str, Any]:
    asset = the_asset(call, Access.READ)
    parts = call.tx.rows(
        "SELECT part, digest, size FROM asset_blob JOIN blob USING (digest) WHERE asset_id = ? ORDER BY part",
        asset["asset_id"],
    )
    return {
        "asset_id": asset["asset_id"],
        "type": asset["type"],
        "folder_id": asset["folder_id"],
        "source_file_id": asset["source_file_id"],
        "created_at": asset["created_at"],
        "contents": {row["part"]: {"hash": row["digest"], "size": row["size"]} for row in parts},
    }


@operation("GET", "/assets/{asset_container}/{asset_id}/thumbnail", slow=True)
def get_asset_thumbnail(call: Call) -> Response:
    """A PNG. Without a thumbnail: a redirect to ``default_url`` if there is one, else a picture of ours."""
    asset = the_asset(call, Access.READ)
    query = call.query_values(ThumbnailQuery)
    digest = _thumbnail_of(call, asset)
    if digest is None and query.default_url is not None:
        if urlsplit(query.default_url).scheme not in ("http", "https"):
            raise Unprocessable("default_url: give an http or https address.")
        return RedirectResponse(query.default_url, 302)
    pixels = _PIXELS[query.size]
    if digest is None:
        picture = thumbnails.stand_in(AssetType(asset["type"]), pixels)
    else:
        picture = thumbnails.scaled(call.services.blobs.path(digest), pixels)
    return Response(picture, media_type=BINARY)


@operation("PUT", "/assets/{asset_container}/{asset_id}/thumbnail", streams=True)
async def set_asset_thumbnail(stream: Stream) -> None:
    services, request = stream.services, stream.request
    with services.store.read() as tx:
        the_asset(stream.call(tx), Access.WRITE)
    data = await read_limited(request.stream(), _MAX_THUMBNAIL, request.headers.get("content-length"))
    picture = await services.in_thread(lambda: thumbnails.normalised(data))
    blob = services.blobs.begin()
    try:
        blob.write(picture)
        with services.store.write() as tx:
            asset_id = the_asset(stream.call(tx), Access.WRITE)["asset_id"]
            set_blob(tx, asset_id, THUMBNAIL, tx.keep(blob))
            note_edit(tx, asset_id, stream.caller.user_id, "thumbnail set")
    finally:
        blob.discard()


def _thumbnail_of(call: Call, asset: sqlite3.Row) -> str | None:
    digest: str | None = call.tx.value(
        "SELECT digest FROM asset_blob WHERE asset_id = ? AND part = ?", asset["asset_id"], THUMBNAIL
    )
    return digest
