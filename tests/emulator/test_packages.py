import io
import json
import uuid
import zipfile

import pytest


def package(api, cube: dict) -> bytes:
    answer = api.get(f"/assets/scenes/{cube['scenes']}/package")
    return answer.content


def send(api, folder_id: str, archive: bytes, **query: str):
    headers = {"content-type": "application/zip"}
    return api.put(f"/folders/{folder_id}/packages", content=archive, params=query, headers=headers)


def repack(archive: bytes, **changes: bytes | None) -> bytes:
    """A copy of an archive with entries added, replaced or (None) removed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w") as new:
        entries = {name: old.read(name) for name in old.namelist()} | changes
        for name, content in entries.items():
            if content is not None:
                new.writestr(name, content)
    return out.getvalue()


def zipped(entries: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return out.getvalue()


def test_a_package_holds_the_asset_and_all_it_needs(api, cube) -> None:
    with zipfile.ZipFile(io.BytesIO(package(api, cube))) as archive:
        names = set(archive.namelist())
        assert names == {
            f"desc.scene.{cube['scenes']}",
            f"desc.mesh.{cube['meshes']}",
            f"payload.mesh.{cube['meshes']}",
            f"desc.material.{cube['materials']}",
            f"desc.texture.{cube['textures']}",
            f"payload.texture.{cube['textures']}",
        }
        description = json.loads(archive.read(f"desc.mesh.{cube['meshes']}"))
        assert description == api.get(f"/assets/meshes/{cube['meshes']}/description").json()


def test_a_package_is_imported_into_another_application(api, cube, fresh) -> None:
    other = fresh()
    folder = other.folder()
    answer = send(other, folder, package(api, cube)).json()
    assert sorted(answer["asset_ids"]["imported"]) == sorted(
        cube[kind] for kind in ("scenes", "meshes", "materials", "textures")
    )
    assert answer["asset_ids"]["skipped"] == answer["asset_ids"]["overwritten"] == answer["skipped_files"] == []
    for container in ("scenes", "meshes", "materials", "textures"):
        path = f"/assets/{container}/{cube[container]}"
        assert other.get(f"{path}/description").json() == api.get(f"{path}/description").json()
    for container in ("meshes", "textures"):
        path = f"/assets/{container}/{cube[container]}/payload"
        assert other.get(path).content == api.get(path).content
    assert package(other, cube)
    assert len(other.get(f"/assets/scenes/{cube['scenes']}/dependencies").json()) == 3


def test_what_exists_is_overwritten_as_told(api, folder) -> None:
    ids = api.cube(folder)
    scene, mesh = ids["scenes"], ids["meshes"]
    entry = f"desc.material.{ids['materials']}"
    old = package(api, ids)
    with zipfile.ZipFile(io.BytesIO(old)) as archive:
        description = json.loads(archive.read(entry))
    new = repack(old, **{entry: json.dumps({**description, "name": "changed", "isDoubleSided": True}).encode()})

    def name() -> str:
        return api.get(f"/assets/materials/{ids['materials']}/details").json()["name"]

    assert len(send(api, folder, new).json()["asset_ids"]["skipped"]) == 4
    assert name() == "red"
    listed = repack(new, **{"overwrite.json": json.dumps([mesh]).encode()})
    answer = send(api, folder, listed, overwrite="only-specified").json()["asset_ids"]
    assert (answer["overwritten"], len(answer["skipped"])) == ([mesh], 3)
    assert name() == "red"
    answer = send(api, folder, new, overwrite="always").json()["asset_ids"]
    assert len(answer["overwritten"]) == 4
    assert name() == "changed"
    assert api.get(f"/assets/scenes/{scene}/history").json()["edits"][-1]["action"] == "overwritten by a package"


def test_files_that_do_not_belong_are_skipped_and_named(fresh) -> None:
    api = fresh()
    known = str(uuid.uuid4())
    archive = zipped(
        {
            f"desc.cubemap.{known}": b'{"name": "sky", "faces": []}',
            f"payload.mesh.{uuid.uuid4()}": b"nobody's",
            "readme.txt": b"hello",
            f"sub/desc.mesh.{uuid.uuid4()}": b"{}",
            f"desc.dragon.{uuid.uuid4()}": b"{}",
        }
    )
    answer = send(api, api.folder(), archive).json()
    assert answer["asset_ids"]["imported"] == [known]
    assert len(answer["skipped_files"]) == 4


def test_mips_and_points_come_in_parts(fresh) -> None:
    api = fresh()
    texture, cloud = str(uuid.uuid4()), str(uuid.uuid4())
    archive = zipped(
        {
            f"desc.texture.{texture}": b'{"name": "t", "format": 0, "mips": [], "payloadTotalSize": 3}',
            f"payload.texture.mips0.{texture}": b"m0",
            f"payload.texture.mips1.{texture}": b"m1",
            f"desc.point_cloud.{cloud}": b'{"name": "c", "format": 1, "payloadTotalSize": 2, "pointCount": 1}',
            f"payload.point_cloud.position.{cloud}": b"p",
            f"payload.point_cloud.color.{cloud}": b"c",
        }
    )
    assert send(api, api.folder(), archive).json()["skipped_files"] == []
    path = f"/assets/textures/{texture}"
    assert api.get(f"{path}/payload", params={"sub_resource": "mips1"}).content == b"m1"
    assert api.get(f"{path}/payload").content == b"m0"
    assert api.get(f"/assets/point_clouds/{cloud}/payload", params={"sub_resource": "color"}).content == b"c"
    with zipfile.ZipFile(io.BytesIO(api.get(f"{path}/package").content)) as again:
        assert again.read(f"payload.texture.mips1.{texture}") == b"m1"


@pytest.mark.parametrize(
    ("archive", "status"),
    [
        (b"", 422),
        (b"no zip", 422),
        (zipped({}), 422),
        (zipped({"readme.txt": b""}), 422),
        (zipped({f"desc.mesh.{uuid.uuid4()}": b"no json"}), 422),
        (zipped({f"desc.mesh.{uuid.uuid4()}": b"[]"}), 422),
        (zipped({f"desc.mesh.{uuid.uuid4()}": b'{"name": 7}'}), 422),
        (zipped({f"desc.mesh.{uuid.uuid4()}": b'{"uuid": "someone else"}'}), 422),
        (zipped({f"desc.scene.{uuid.uuid4()}": b'{"name": "no aabb", "entities": []}'}), 422),
        (zipped({f"desc.texture.{uuid.uuid4()}": b'{"format": 99, "mips": [], "payloadTotalSize": 0}'}), 422),
        (zipped({f"desc.sound.{uuid.uuid4()}": b'{"bitDepth": "16"}'}), 422),
    ],
)
def test_what_is_no_package_changes_nothing(api, folder, on_disk, archive: bytes, status: int) -> None:
    before = set(on_disk(api.emulator))
    answer = send(api, folder, archive)
    assert answer.status_code == status
    assert answer.json()["message"]
    assert api.get(f"/folders/{folder}").json()["asset_count"] == 0
    assert set(on_disk(api.emulator)) == before


def test_a_description_may_lead_nowhere_outside_its_payload(fresh) -> None:
    api = fresh()
    texture, mesh = str(uuid.uuid4()), str(uuid.uuid4())
    box = {"max": [0, 0, 0], "min": [0, 0, 0]}
    channel = {"semantic": "position", "elementSize": 12, "dataOffset": 0, "dataSize": 10**15}
    submesh = {"aabb": box, "channels": [channel], "indexCount": 0, "vertexCount": 0}
    mips = [{"offset": -1, "size": 1}, {"offset": 0, "size": 99}, {"offset": 1, "size": 2}]
    descriptions = {
        f"desc.texture.{texture}": {"format": 0, "mips": mips, "payloadTotalSize": 3},
        f"desc.mesh.{mesh}": {"payloadSize": 3, "submeshes": [submesh]},
    }
    archive = {name: json.dumps(description).encode() for name, description in descriptions.items()}
    archive |= {f"payload.texture.{texture}": b"abc", f"payload.mesh.{mesh}": b"abc"}
    assert send(api, api.folder(), zipped(archive)).status_code == 200
    path = f"/assets/textures/{texture}/payload"
    answers = [api.get(path, params={"sub_resource": f"mips{number}"}) for number in range(4)]
    assert [answer.status_code for answer in answers] == [404, 404, 200, 404]
    assert answers[2].content == b"bc"
    assert api.get(f"/assets/meshes/{mesh}/exports/obj").status_code == 422


def test_a_package_with_one_bad_part_is_refused_whole(api, cube, folder, on_disk) -> None:
    before = set(on_disk(api.emulator))
    good = package(api, cube)
    bad = repack(good, **{f"desc.material.{cube['materials']}": b"torn"})
    assert send(api, folder, bad, overwrite="always").status_code == 422
    assert send(api, folder, good[: len(good) // 2]).status_code == 422
    assert send(api, folder, good, overwrite="perhaps").status_code == 422
    assert set(on_disk(api.emulator)) == before


def test_an_asset_of_another_type_is_not_overwritten(api, folder, cube) -> None:
    archive = zipped({f"desc.cubemap.{cube['meshes']}": b'{"faces": []}'})
    assert send(api, folder, archive, overwrite="always").status_code == 409
