"""Answers of a later version of the API are understood as far as they go."""

from typing import Any

import pytest
from pydantic import ValidationError

from watcher.api.models import (
    Access,
    AssetContainer,
    AssetDetails,
    AssetEntry,
    AssetList,
    AssetType,
    Folder,
    Mesh,
    NewAsset,
    NewFolder,
    SourceFile,
    Token,
    UploadStatus,
    UploadTask,
    as_fraction,
)


def task(**fields: Any) -> UploadTask:
    return UploadTask.model_validate({"upload_task_id": "u", "status": "converting", **fields})


def test_a_known_word_is_itself_and_an_unknown_one_stays_text() -> None:
    assert task(status="success").status is UploadStatus.SUCCESS
    assert task(status="queued-for-gpu").status == "queued-for-gpu"
    assert AssetDetails.model_validate({"asset_id": "a", "name": "n", "type": "hologram"}).type == "hologram"


def test_an_unknown_status_is_still_running() -> None:
    assert [task(status=status).ended for status in ("success", "error", "rejected", "waiting", "new")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_fields_that_are_not_known_are_kept() -> None:
    folder = Folder.model_validate({"folder_id": "f", "name": "n", "colour": {"r": 1}})
    assert folder.model_extra == {"colour": {"r": 1}}
    assert folder.model_dump(exclude_unset=True) == {"folder_id": "f", "name": "n", "colour": {"r": 1}}


@pytest.mark.parametrize(
    ("progress", "fraction"),
    [(0, 0.0), (0.5, 0.5), (1, 1.0), (50, 0.5), (100, 1.0), ("0.25", 0.25), ("75", 0.75), (None, 0.0), ("?", 0.0),
     (-1, 0.0), (250, 1.0), ("nan", 0.0)],
)  # fmt: skip
def test_progress_may_run_to_one_or_to_a_hundred(progress: Any, fraction: float) -> None:
    assert task(progress=progress).fraction == fraction


def test_what_succeeded_is_complete_whatever_its_progress_says() -> None:
    assert task(status="success", progress=0.2).fraction == 1.0
    assert as_fraction(None) == 0.0


@pytest.mark.parametrize(("size", "number"), [(10, 10), (10.0, 10), ("10", 10), ("big", None), (None, None)])
def test_a_size_may_be_any_kind_of_number(size: Any, number: int | None) -> None:
    assert SourceFile.model_validate({"source_file_id": "s", "name": "n", "size": size}).size == number


def test_a_conversion_that_has_not_begun_has_no_asset_yet() -> None:
    (conversion,) = task(conversion_tasks=[{"status": "pending", "asset_id": None, "x": 1}]).conversion_tasks
    assert conversion.asset_id is None
    assert not conversion.ended


def test_all_assets_are_listed_also_those_of_unknown_containers() -> None:
    assets = AssetList.model_validate(
        {
            "meshes": [{"asset_id": "m", "name": "wheel"}],
            "textures_1d": [{"asset_id": "t"}],
            "scenes": None,
            "holograms": [{"asset_id": "h", "name": "ghost"}, "not an asset", {"asset_id": 7}],
            "total": 3,
        }
    )
    assert assets.refs() == [
        AssetEntry(AssetType.MESH, "m", "wheel"),
        AssetEntry(AssetType.TEXTURE_1D, "t", ""),
        AssetEntry("holograms", "h", "ghost"),
    ]
    assert AssetList().refs() == []


def test_every_type_has_its_container() -> None:
    assert AssetType.COLLISION_GEOMETRY.container is AssetContainer.COLLISION_GEOMETRIES
    assert AssetType.MESH.container == "meshes"
    assert AssetType.TEXTURE_3D.container == "textures_3d"
    assert [one.container.asset_type for one in AssetType] == list(AssetType)


def test_a_token_does_not_show_itself() -> None:
    token = Token.model_validate({"user_token": "t0ken", "expires_in": "3600"})
    assert "t0ken" not in f"{token} {token!r} {token.model_dump()}"
    assert token.user_token.get_secret_value() == "t0ken"
    assert token.expires_in == 3600


def test_a_typing_mistake_in_a_request_is_found_before_it_is_sent() -> None:
    with pytest.raises(ValidationError):
        NewFolder.model_validate({"name": "n", "sub_folders": []})
    with pytest.raises(ValidationError):
        NewAsset.model_validate({"asset_type": "hologram", "name": "n"})


def test_a_mesh_tells_where_its_channels_lie(api: Any, server: Any) -> None:
    channel = {"semantic": "position", "elementType": 0, "elementCount": 3, "elementSize": 12, "dataOffset": 0,
               "dataSize": 288}  # fmt: skip
    submesh = {"aabb": {"min": [0, 0, 0], "max": [1, 1, 1]}, "channels": [channel], "vertexCount": 24}
    server.says_body({"uuid": "m", "name": "box", "submeshes": [submesh]})
    mesh = api.assets.description(AssetContainer.MESHES, "m")
    assert isinstance(mesh, Mesh)
    assert mesh.submeshes[0].channels[0].dataSize == 288
    assert Access("read") is Access.READ
