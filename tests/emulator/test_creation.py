import uuid

import pytest

from watcher.emulator.resources.creation import EMPTY


@pytest.mark.parametrize("kind", list(EMPTY))
def test_a_new_asset_is_empty_but_complete(api, folder, kind) -> None:
    made = api.post(f"/folders/{folder}/assets", data={"asset_type": kind, "name": "n"}).json()
    description = api.get(f"/assets/{kind.container}/{made['asset_id']}/description").json()
    assert description == {"uuid": made["asset_id"], "name": "n", **EMPTY[kind]}


@pytest.mark.parametrize("kind", ["mesh", "texture", "dragon"])
def test_what_conversions_make_is_not_made_by_hand(api, folder, kind: str) -> None:
    assert api.post(f"/folders/{folder}/assets", json={"asset_type": kind, "name": "n"}).status_code == 422


def duplicate(api, folder_id: str, cube: dict, **more: object):
    body = {"asset_type": "scene", "copy_from_asset_id": cube["scenes"], **more}
    return api.post(f"/folders/{folder_id}/assets", json=body)


def test_a_copy_shares_what_the_original_needs(api, folder, cube) -> None:
    copy = duplicate(api, folder, cube, new_asset_name="twin").json()
    assert copy["name"] == "twin"
    assert copy["source_to_copy_asset_id_map"] == {cube["scenes"]: copy["asset_id"]}
    needed = api.get(f"/assets/scenes/{copy['asset_id']}/dependencies").json()
    assert {found["asset_id"] for found in needed} == {cube["meshes"], cube["materials"], cube["textures"]}
    assert api.get(f"/assets/scenes/{copy['asset_id']}/source-file").status_code == 404


def test_a_deep_copy_refers_to_copies(api, folder, cube) -> None:
    copy = duplicate(api, folder, cube, options={}).json()
    copies = copy["source_to_copy_asset_id_map"]
    assert set(copies) == {cube[kind] for kind in ("scenes", "meshes", "materials", "textures")}
    needed = api.get(f"/assets/scenes/{copy['asset_id']}/dependencies").json()
    assert {found["asset_id"] for found in needed} == set(copies.values()) - {copy["asset_id"]}
    payload = api.get(f"/assets/meshes/{copies[cube['meshes']]}/payload").content
    assert payload == api.get(f"/assets/meshes/{cube['meshes']}/payload").content


@pytest.mark.parametrize(
    ("options", "copied"),
    [
        ({"asset_types": ["mesh"]}, {"scenes", "meshes"}),
        ({"asset_types": ["material", "texture"]}, {"scenes", "materials", "textures"}),
        ({"max_depth": 1}, {"scenes", "meshes", "materials"}),
        ({"max_depth": 1.0}, {"scenes", "meshes", "materials"}),
        ({"max_depth": 0}, {"scenes"}),
    ],
)
def test_a_copy_goes_as_deep_as_it_is_told(api, folder, cube, options: dict, copied: set[str]) -> None:
    copies = duplicate(api, folder, cube, options=options).json()["source_to_copy_asset_id_map"]
    assert set(copies) == {cube[kind] for kind in copied}


def test_a_copy_must_name_what_is_there(api, folder, cube) -> None:
    assert duplicate(api, folder, cube, copy_from_asset_id="unknown").status_code == 404
    assert duplicate(api, folder, cube, asset_type="mesh").status_code == 422
    _, user = api.user("copycat", "manage")
    assert duplicate(user, user.folder("own"), cube).status_code == 403


def test_a_material_is_made_from_json_and_from_a_form(api, folder) -> None:
    shader = str(uuid.uuid4())
    path = f"/folders/{folder}/assets/materials"
    values = {"dataJson": {"albedo": [1, 0, 0]}, "isDoubleSided": True, "name": "red", "shaderRef": shader}
    made = api.post(path, json=values).json()["asset_id"]
    assert api.get(f"/assets/materials/{made}/description").json() == {"uuid": made, **values}
    form = {"dataJson": '{"albedo": [1, 0, 0]}', "isDoubleSided": "true", "name": "red", "shaderRef": shader}
    assert api.post(path, data=form).status_code == 200
    assert api.post(path, json={**values, "dataJson": "red"}).status_code == 422


@pytest.mark.parametrize("wrong", [{"isDoubleSided": 1}, {"isDoubleSided": "true"}, {"shaderRef": 5}, {"dataJson": []}])
def test_json_has_types_already(api, folder, wrong: dict) -> None:
    values = {"dataJson": {}, "isDoubleSided": True, "name": "red", "shaderRef": "none"}
    answer = api.post(f"/folders/{folder}/assets/materials", json=values | wrong)
    assert answer.status_code == 422
    assert next(iter(wrong)) in answer.json()["message"]


def test_a_material_cannot_use_a_mesh_as_its_shader(api, folder, cube) -> None:
    values = {"dataJson": {}, "isDoubleSided": True, "name": "red", "shaderRef": cube["meshes"]}
    assert api.post(f"/folders/{folder}/assets/materials", json=values).status_code == 422


def test_a_cubemap_has_six_textures(api, folder, cube) -> None:
    path = f"/folders/{folder}/assets/cubemaps"
    made = api.post(path, json={"name": "sky", "faces": [cube["textures"]] * 6}).json()["asset_id"]
    assert api.get(f"/assets/cubemaps/{made}/description").json()["faces"] == [cube["textures"]] * 6
    for faces in ([cube["textures"]] * 5, [cube["meshes"]] * 6, ["unknown"] * 6):
        assert api.post(path, json={"name": "sky", "faces": faces}).status_code == 422
    assert api.delete(f"/assets/cubemaps/{made}").status_code == 204
