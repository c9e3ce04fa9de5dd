"""Packages: an asset with all it needs as one zip archive, out and in.

File names as the service's documentation has them: ``desc.{type}.{uuid}``, ``payload.{type}.{uuid}`` and
``payload.{type}.{part}.{uuid}``; and ``overwrite.json``, any JSON in which the ids of assets to overwrite stand.
"""

import json
import re
import sqlite3
import zipfile
import zlib
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, BinaryIO, cast

from starlette.responses import Response

from watcher.emulator.access import Access
from watcher.emulator.asset_types import AssetType
from watcher.emulator.blobs import CHUNK, Blobs, IncomingBlob
from watcher.emulator.catalog import add_asset, note_edit, references_in, set_blob, set_description
from watcher.emulator.descriptions import check_description
from watcher.emulator.downloads import FileDownload, content_disposition, open_blob
from watcher.emulator.faults import BadRequest, Conflict, TooLarge, Unprocessable
from watcher.emulator.lookup import find_asset, the_asset, the_folder
from watcher.emulator.operation import Call, Stream, operation
from watcher.emulator.payloads import WHOLE, part_name, parts_of, point_parts, write_point_part
from watcher.emulator.resources.dependencies import reachable
from watcher.emulator.values import Values, parse_json, validate

_ENTRY = re.compile(
    rf"(?:(?P<desc>desc)|payload)\.(?P<type>{'|'.join(AssetType)})"
    r"(?(desc)|(?:\.(?P<part>mips\[?\d{1,2}\]?|position|color|histogram))?)"
    r"\.(?P<id>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"
)
_OVERWRITE_LIST = "overwrite.json"
_MAX_UNPACKED = 16 << 30
_MAX_DESCRIPTION = 64 << 20
_MAX_ENTRIES = 200_000


class Overwrite(StrEnum):
    NEVER = "never"
    ONLY_SPECIFIED = "only-specified"
    ALWAYS = "always"


class ImportQuery(Values):
    overwrite: Overwrite = Overwrite.NEVER


@dataclass
class Packed:
    """An asset as a package holds it."""

    asset_id: str
    kind: AssetType
    description: dict[str, Any]
    blobs: dict[str, IncomingBlob] = field(default_factory=dict)


@dataclass
class Package:
    """All that could be read from an archive."""

    assets: dict[str, Packed] = field(default_factory=dict)
    to_overwrite: frozenset[str] = frozenset()
    skipped_files: list[str] = field(default_factory=list)


@operation("GET", "/assets/{asset_container}/{asset_id}/package", slow=True)
def package_asset(call: Call) -> Response:
    """The asset and everything it needs, at any depth."""
    root = the_asset(call, Access.READ)
    ids = [root["asset_id"], *reachable(call, root["asset_id"], None, frozenset(AssetType))]
    file = call.services.blobs.temporary()
    try:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for asset_id in ids:
                _pack(call, archive, find_asset(call, asset_id, Access.READ))
        file.flush()
    except BaseException:
        file.close()
        raise
    headers = {"content-disposition": content_disposition(f"{root['name']}.zip")}
    return FileDownload(file, headers=headers)


@operation("PUT", "/folders/{folder_id}/packages", streams=True)
async def import_assets(stream: Stream) -> dict[str, Any]:
    """Assets keep their ids. What exists is skipped or overwritten, as ``overwrite`` says."""
    services, folder_id = stream.services, stream.path["folder_id"]
    overwrite: Overwrite = validate(ImportQuery, stream.query).overwrite
    with services.store.read() as tx:
        the_folder(stream.call(tx), folder_id, Access.WRITE)
    with ExitStack() as received:
        archive = received.enter_context(services.blobs.temporary())
        await stream.read_to(archive.write)

        def work() -> dict[str, Any]:
            package = read_package(archive, services.blobs, received)
            with services.store.write() as tx:
                return _import(stream.call(tx), folder_id, package, overwrite)

        return await services.in_thread(work)


def read_package(file: BinaryIO, blobs: Blobs, received: ExitStack) -> Package:
    """Unpack an archive; what it holds is discarded when ``received`` closes. Raises Unprocessable, TooLarge."""
    package = Package()
    payloads: list[tuple[re.Match[str], zipfile.ZipInfo]] = []
    try:
        with zipfile.ZipFile(file) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            unpacked = sum(entry.file_size for entry in entries)
            if unpacked > _MAX_UNPACKED or len(entries) > _MAX_ENTRIES:
                raise TooLarge(f"The package holds {len(entries)} files with {unpacked} bytes, which is too much.")
            for entry in entries:
                name = _ENTRY.fullmatch(entry.filename)
                if entry.filename == _OVERWRITE_LIST:
                    package.to_overwrite = frozenset(references_in(_json(archive, entry)))
                elif name is None:
                    package.skipped_files.append(entry.filename)
                elif name["desc"]:
                    _add_description(package, archive, entry, name)
                else:
                    payloads.append((name, entry))
            for name, entry in payloads:
                asset = package.assets.get(name["id"].lower())
                if asset is None or asset.kind != name["type"]:
                    package.skipped_files.append(entry.filename)
                    continue
                blob = blobs.begin()
                received.callback(blob.discard)
                with archive.open(entry) as content:
                    while chunk := content.read(CHUNK):
                        blob.write(chunk)
                asset.blobs[part_name(name["part"]) if name["part"] else WHOLE] = blob
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        raise Unprocessable(f"The body is not a zip archive that can be read: {error}.") from None
    if not package.assets:
        raise Unprocessable("The package holds no asset: files named desc.[asset_type].[uuid] are missing.")
    return package


def _add_description(package: Package, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: re.Match[str]) -> None:
    asset_id = name["id"].lower()
    description = _json(archive, entry)
    if not isinstance(description, dict) or not isinstance(description.get("name", ""), str):
        raise Unprocessable(f"{entry.filename} is not a description: an object with a name is needed.")
    if str(description.get("uuid", asset_id)).lower() != asset_id:
        raise Unprocessable(f"{entry.filename} describes another asset, {str(description['uuid'])[:80]}.")
    if asset_id in package.assets:
        raise Unprocessable(f"The package describes asset {asset_id} twice.")
    kind = AssetType(name["type"])
    try:
        check_description(kind, description)
    except Unprocessable as fault:
        raise Unprocessable(f"{entry.filename} is not a description of a {kind}: {fault.message}") from None
    package.assets[asset_id] = Packed(asset_id, kind, description)


def _json(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Any:
    if entry.file_size > _MAX_DESCRIPTION:
        raise TooLarge(f"{entry.filename} has {entry.file_size} bytes, too many for a description.")
    try:
        return parse_json(archive.read(entry).decode())
    except (UnicodeDecodeError, BadRequest):
        raise Unprocessable(f"{entry.filename} is not JSON.") from None


def _pack(call: Call, archive: zipfile.ZipFile, asset: sqlite3.Row) -> None:
    asset_id, kind = asset["asset_id"], asset["type"]
    description = {"uuid": asset_id, "name": asset["name"], **json.loads(asset["description"])}
    archive.writestr(f"desc.{kind}.{asset_id}", json.dumps(description))
    for part, digest in parts_of(call, asset_id).items():
        path = call.services.blobs.path(digest)
        if part == WHOLE and (split := point_parts(asset)):
            for point_part in split:
                with archive.open(f"payload.{kind}.{point_part}.{asset_id}", "w", force_zip64=True) as out:
                    write_point_part(asset, path, point_part, cast(BinaryIO, out))
            continue
        entry = f"payload.{kind}.{asset_id}" if part == WHOLE else f"payload.{kind}.{part}.{asset_id}"
        with open_blob(path) as content, archive.open(entry, "w", force_zip64=True) as out:
            while chunk := content.read(CHUNK):
                out.write(chunk)


def _import(call: Call, folder_id: str, package: Package, overwrite: Overwrite) -> dict[str, Any]:
    the_folder(call, folder_id, Access.WRITE)
    imported: list[str] = []
    overwritten: list[str] = []
    skipped: list[str] = []
    for asset in package.assets.values():
        if call.tx.row("SELECT 1 FROM asset WHERE asset_id = ?", asset.asset_id) is None:
            _add(call, folder_id, asset)
            imported.append(asset.asset_id)
        elif overwrite == Overwrite.ALWAYS or (
            overwrite == Overwrite.ONLY_SPECIFIED and asset.asset_id in package.to_overwrite
        ):
            _replace(call, asset)
            overwritten.append(asset.asset_id)
        else:
            skipped.append(asset.asset_id)
    return {
        "asset_ids": {"imported": imported, "overwritten": overwritten, "skipped": skipped},
        "skipped_files": package.skipped_files,
    }


def _add(call: Call, folder_id: str, asset: Packed) -> None:
    add_asset(
        call.tx,
        asset_id=asset.asset_id,
        kind=asset.kind,
        name=asset.description.get("name") or asset.kind,
        folder_id=folder_id,
        description=asset.description,
        user_id=call.caller.user_id,
        blobs={part: call.tx.keep(blob) for part, blob in asset.blobs.items()},
        action="imported",
    )


def _replace(call: Call, asset: Packed) -> None:
    present = find_asset(call, asset.asset_id, Access.WRITE)
    if present["type"] != asset.kind:
        raise Conflict(f"Asset {asset.asset_id} is a {present['type']} here and a {asset.kind} in the package.")
    if asset.description.get("name"):
        call.tx.run("UPDATE asset SET name = ? WHERE asset_id = ?", asset.description["name"], asset.asset_id)
    call.tx.run("DELETE FROM asset_blob WHERE asset_id = ?", asset.asset_id)
    for part, blob in asset.blobs.items():
        set_blob(call.tx, asset.asset_id, part, call.tx.keep(blob))
    set_description(call.tx, asset.asset_id, asset.description)
    note_edit(call.tx, asset.asset_id, call.caller.user_id, "overwritten by a package")
