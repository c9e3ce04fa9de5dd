"""The client and the emulator, which were written apart, understand each other."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from watcher.api import AssetApi, FilePart, Forbidden, NotFound, RetryPolicy, Unauthorized
from watcher.api.models import Access, AssetType, MemberType, NewFolder, UploadStatus, UploadTask

emulator = pytest.importorskip("watcher.emulator", reason="the emulator needs the extra 'emulator'")

OBJ = b"mtllib box.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nusemtl red\nf 1 2 3\n"
MTL = b"newmtl red\nKd 1 0 0\n"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AssetApi]:
    with (
        emulator.Emulator(tmp_path_factory.mktemp("emulator")) as server,
        AssetApi(server.base_url, api_key=server.api_key, retry=RetryPolicy.none()) as client,
    ):
        yield client


def finished(api: AssetApi, upload_task_id: str) -> UploadTask:
    deadline = time.monotonic() + 60
    while not (task := api.upload_tasks.get(upload_task_id)).ended:
        assert time.monotonic() < deadline, f"still {task.status}"
        time.sleep(0.05)
    return task


def test_a_model_goes_up_and_its_assets_and_bytes_come_back(api: AssetApi, tmp_path: Path) -> None:
    folder = api.folders.create("Räder", subfolders=[NewFolder(name="new")])
    parts = [FilePart("box.obj", len(OBJ), lambda: [OBJ]), FilePart("box.mtl", len(MTL), lambda: [MTL])]
    task = finished(api, api.folders.upload(folder.folder_id, parts).upload_task_id)
    assert task.status is UploadStatus.SUCCESS
    assert [one.upload_task_id for one in api.folders.upload_tasks(folder.folder_id)] == [task.upload_task_id]
    assert task.upload_task_id in [one.upload_task_id for one in api.upload_tasks.iterate()]

    (conversion,) = task.conversion_tasks
    assert conversion.source_file_id is not None
    assets = api.source_files.assets(conversion.source_file_id).refs()
    assert {AssetType.SCENE, AssetType.MESH, AssetType.MATERIAL} <= {asset.asset_type for asset in assets}
    assert conversion.asset_id in [asset.asset_id for asset in assets]
    listed = list(api.folders.assets(folder.folder_id, asset_type=["mesh", "material"]))
    assert {asset.asset_type for asset in listed} == {"mesh", "material"}

    found = {file.source_file_original_name: file for file in api.folders.source_files(folder.folder_id)}
    assert set(found) == {"box.obj", "box.mtl"}
    copy = api.source_files.download_to(found["box.obj"].source_file_id, tmp_path)
    assert copy == tmp_path / "box.obj"
    assert copy.read_bytes() == OBJ


def test_a_user_may_do_what_it_was_granted(api: AssetApi) -> None:
    folder = api.folders.create("Shared")
    user = api.users.register("ann@example.org")
    token = api.users.generate_token(user.user_id, Access.WRITE)
    with AssetApi(api.base_url, user_token=token.user_token, retry=RetryPolicy.none()) as theirs:
        with pytest.raises(Forbidden):
            theirs.folders.get(folder.folder_id)
        api.folders.grant(folder.folder_id, MemberType.USERS, user.user_id, Access.WRITE)
        assert theirs.folders.get(folder.folder_id).name == "Shared"
        api.folders.revoke(folder.folder_id, MemberType.USERS, user.user_id)
        with pytest.raises(Forbidden):
            theirs.folders.get(folder.folder_id)


def test_failures_are_told_apart(api: AssetApi) -> None:
    with pytest.raises(NotFound) as caught:
        api.folders.get("no-such-folder")
    assert caught.value.error_code is not None
    with (
        AssetApi(api.base_url, api_key="wrong-key", retry=RetryPolicy.none()) as stranger,
        pytest.raises(Unauthorized) as refused,
    ):
        stranger.folders.list()
    assert "wrong-key" not in str(refused.value)


def test_a_package_made_in_one_folder_can_be_imported_into_another(api: AssetApi) -> None:
    folder = api.folders.create("Source")
    task = finished(
        api,
        api.folders.upload(folder.folder_id, [FilePart("tri.obj", len(OBJ), lambda: [OBJ])]).upload_task_id,
    )
    asset_id = task.conversion_tasks[0].asset_id
    assert asset_id is not None
    with api.assets.package("scenes", asset_id) as download:
        package = download.read()
    other = api.folders.create("Target")
    answer = api.assets.import_package(
        other.folder_id, FilePart("p.zip", len(package), lambda: [package]), overwrite="always"
    )
    assert asset_id in answer.asset_ids.imported + answer.asset_ids.overwritten
