"""Assets that are made by hand: new ones, copies, materials and cubemaps."""

import json
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from watcher.emulator.access import Access
from watcher.emulator.asset_types import AssetType
from watcher.emulator.catalog import add_asset, new_id, replace_text
from watcher.emulator.faults import Unprocessable
from watcher.emulator.lookup import find_asset, the_folder
from watcher.emulator.operation import Call, operation
from watcher.emulator.resources.dependencies import reachable
from watcher.emulator.values import Name, Object, Values, Whole, from_json_text, one_or_many

_NOTHING = "00000000-0000-0000-0000-000000000000"

EMPTY: dict[AssetType, dict[str, Any]] = {
    AssetType.ACTION_MAP: {"actions": {}},
    AssetType.ANIMATION_GRAPH: {"inputDescriptor": [], "stateMachines": []},
    AssetType.ANIMATION_SEQUENCE: {"durationInMs": 0},
    AssetType.CUBEMAP: {"faces": []},
    AssetType.EVENT_MAP: {"events": {}},
    AssetType.MATERIAL: {"dataJson": {}, "isDoubleSided": False, "shaderRef": _NOTHING},
    AssetType.MODULE: {"functions": {}},
    AssetType.RENDER_GRAPH: {
        "blendStates": [],
        "graphOrder": [],
        "inputDescriptor": [],
        "nodeDataDescriptions": [],
        "renderPassDescriptions": [],
        "renderTargetDescriptions": [],
        "stencilStates": [],
    },
    AssetType.SCENE: {
        "aabb": {"max": [0.0, 0.0, 0.0], "min": [0.0, 0.0, 0.0]},
        "entities": [],
        "settings": {},
        "triangleCount": 0,
    },
    AssetType.SCRIPT: {"eventNames": []},
    AssetType.SHADER: {"payloadSize": 0},
    AssetType.VOLUME_MATERIAL: {"rangeMax": 1, "rangeMin": 0},
}
"""The descriptions of new assets: what the contract requires, and nothing in it."""


class NewAsset(Values):
    asset_type: AssetType
    name: Name


class DuplicationOptions(Values):
    asset_types: Annotated[list[AssetType], BeforeValidator(one_or_many)] | None = None
    max_depth: Whole | None = Field(None, ge=0)


class Duplication(Values):
    asset_type: AssetType
    copy_from_asset_id: str
    new_asset_name: Name | None = None
    options: Annotated[DuplicationOptions, BeforeValidator(from_json_text)] | None = None


class NewMaterial(Values):
    dataJson: Object
    isDoubleSided: bool
    name: Name
    shaderRef: str


class NewCubemap(Values):
    faces: list[str]
    name: Name


@operation("POST", "/folders/{folder_id}/assets")
def create_asset(call: Call) -> dict[str, Any]:
    """A new empty asset or, with ``copy_from_asset_id``, a copy of another one."""
    folder_id = the_folder(call, call.path["folder_id"], Access.WRITE)["folder_id"]
    if isinstance(call.body, dict) and "copy_from_asset_id" in call.body:
        return _duplicate(call, folder_id, call.values(Duplication))
    wanted = call.values(NewAsset)
    if wanted.asset_type not in EMPTY:
        raise Unprocessable(f"asset_type: a {wanted.asset_type} is made by a conversion, not by hand.")
    asset_id = _add(call, folder_id, wanted.asset_type, wanted.name, EMPTY[wanted.asset_type])
    return {"asset_id": asset_id, "name": wanted.name}


@operation("POST", "/folders/{folder_id}/assets/materials")
def create_material(call: Call) -> dict[str, Any]:
    """The shader may be one of the service's own, which are not here."""
    folder_id = the_folder(call, call.path["folder_id"], Access.WRITE)["folder_id"]
    wanted = call.values(NewMaterial)
    kind = call.tx.value("SELECT type FROM asset WHERE asset_id = ?", wanted.shaderRef)
    if kind not in (None, AssetType.SHADER):
        raise Unprocessable(f"shaderRef: {wanted.shaderRef} is a {kind}, not a shader.")
    description = {
        "dataJson": wanted.dataJson,
        "isDoubleSided": wanted.isDoubleSided,
        "shaderRef": wanted.shaderRef,
    }
    return {"asset_id": _add(call, folder_id, AssetType.MATERIAL, wanted.name, description)}


@operation("POST", "/folders/{folder_id}/assets/cubemaps")
def create_cubemap(call: Call) -> dict[str, Any]:
    folder_id = the_folder(call, call.path["folder_id"], Access.WRITE)["folder_id"]
    wanted = call.values(NewCubemap)
    if len(wanted.faces) != 6:
        raise Unprocessable(f"faces: a cubemap has six, not {len(wanted.faces)}.")
    for face in wanted.faces:
        if call.tx.value("SELECT type FROM asset WHERE asset_id = ?", face) != AssetType.TEXTURE:
            raise Unprocessable(f"faces: there is no texture {face[:80]!r}.")
        find_asset(call, face, Access.READ)
    return {"asset_id": _add(call, folder_id, AssetType.CUBEMAP, wanted.name, {"faces": wanted.faces})}


def _duplicate(call: Call, folder_id: str, wanted: Duplication) -> dict[str, Any]:
    """Copy an asset and, with options, what it needs; copies refer to each other, and else to the originals."""
    original = find_asset(call, wanted.copy_from_asset_id, Access.READ)
    if original["type"] != wanted.asset_type:
        raise Unprocessable(f"asset_type: {original['asset_id']} is a {original['type']}.")
    originals = [original]
    if wanted.options is not None:
        kinds = frozenset(AssetType if wanted.options.asset_types is None else wanted.options.asset_types)
        needed = reachable(call, original["asset_id"], wanted.options.max_depth, kinds)
        originals += [find_asset(call, asset_id, Access.READ) for asset_id in needed]
    copies = {row["asset_id"]: new_id() for row in originals}
    for row in originals:
        blobs = call.tx.rows("SELECT part, digest FROM asset_blob WHERE asset_id = ?", row["asset_id"])
        name = wanted.new_asset_name if row is original and wanted.new_asset_name else row["name"]
        add_asset(
            call.tx,
            asset_id=copies[row["asset_id"]],
            kind=AssetType(row["type"]),
            name=name,
            folder_id=folder_id,
            description=replace_text(json.loads(row["description"]), copies),
            user_id=call.caller.user_id,
            blobs={blob["part"]: blob["digest"] for blob in blobs},
            action=f"copied from {row['asset_id']}",
        )
    return {
        "asset_id": copies[original["asset_id"]],
        "name": wanted.new_asset_name or original["name"],
        "source_to_copy_asset_id_map": copies,
    }


def _add(call: Call, folder_id: str, kind: AssetType, name: str, description: dict[str, Any]) -> str:
    asset_id = new_id()
    add_asset(
        call.tx,
        asset_id=asset_id,
        kind=kind,
        name=name,
        folder_id=folder_id,
        description=description,
        user_id=call.caller.user_id,
    )
    return asset_id
