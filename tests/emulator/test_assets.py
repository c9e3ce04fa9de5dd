import json

import pytest

from watcher.emulator.asset_types import AssetType


def new(api, folder_id: str, kind: str = "scene", name: str = "new") -> str:
    answer = api.post(f"/folders/{folder_id}/assets", json={"asset_type": kind, "name": name})
    assert answer.status_code == 200, answer.text
    return answer.json()["asset_id"]


def names(lists: dict) -> list[str]:
    return [asset["name"] for found in lists.values() for asset in found]


def test_every_container_of_the_contract_is_in_every_list(api) -> None:
    lists = api.get("/assets").json()
    assert len(lists) == 22
    assert set(lists) == {kind.container for kind in AssetType}
    assert {"textures_1d", "textures_3d", "collision_geometries", "meshes", "animation_sequences"} < set(lists)


def test_a_model_becomes_assets_in_the_folder_of_its_file(api, cube) -> None:
    answer = api.get(f"/folders/{cube['folder']}/assets", params={"limit": 100})
    assert json.loads(answer.headers["x-assets-count"]) == {
        "total": 4,
        "scene": 1,
        "mesh": 1,
        "material": 1,
        "texture": 1,
    }
    details = api.get(f"/assets/meshes/{cube['meshes']}/details").json()
    assert details["type"] == "mesh" and details["contributors"] == []
    assert api.get(f"/assets/meshes/{cube['meshes']}/folder").json()["folder_id"] == cube["folder"]
    source = api.get(f"/assets/meshes/{cube['meshes']}/source-file").json()
    assert source["source_file_id"] == cube["source_file"]


def test_lists_are_filtered_and_paged(api, folder) -> None:
    sub = api.folder("sub", folder)
    for number in range(3):
        new(api, folder, "scene", f"Scène {number}")
        new(api, folder, "script", f"script {number}")
    new(api, sub, "scene", "below")

    def find(**query: object) -> tuple[list[str], int]:
        answer = api.get(f"/folders/{folder}/assets", params=query)
        return names(answer.json()), json.loads(answer.headers["x-assets-count"])["total"]

    assert find(**{"filter[asset_type]": "scene"}) == (["Scène 0", "Scène 1", "Scène 2"], 3)
    assert find(**{"filter[asset_type][]": ["scene", "script"], "limit": 1}) == (["Scène 0"], 6)
    assert find(**{"filter[asset_type][0]": "scene", "filter[asset_type][1]": "script", "offset": 5}) == (
        ["script 2"],
        6,
    )
    assert find(**{"filter[asset_name]": "SCÈNE 1"}) == (["Scène 1"], 1)
    assert find(**{"recursive": "true", "filter[asset_type]": "scene"})[1] == 4
    assert find(**{"filter[source_file]": "exclude"})[1] == 6
    assert find(**{"filter[source_file][]": "unknown"})[1] == 0


def test_assets_are_filtered_by_their_source_file(api, cube) -> None:
    query = {"filter[source_file]": cube["source_file"], "filter[asset_type]": "mesh"}
    found = api.get(f"/folders/{cube['folder']}/assets", params=query).json()
    assert [mesh["asset_id"] for mesh in found["meshes"]] == [cube["meshes"]]
    query["filter[source_file]"] = "exclude"
    assert names(api.get(f"/folders/{cube['folder']}/assets", params=query).json()) == []


@pytest.mark.parametrize(
    "query", ["filter[asset_type]=dragon", "filter=x", "recursive=maybe", "filter[a][b][c][d][e][f][g][h]=1"]
)
def test_nonsense_filters_are_refused(api, folder, query: str) -> None:
    assert api.get(f"/folders/{folder}/assets?{query}").status_code in (400, 422)


def test_an_asset_is_renamed_and_remembers_who_did_it(api, folder) -> None:
    user_id, user = api.user("renamer")
    api.grant(folder, user_id, "write")
    path = f"/assets/scenes/{new(api, folder)}"
    assert user.patch(f"{path}/description", json={"name": "better"}).status_code == 204
    details = api.get(f"{path}/details").json()
    assert details["name"] == api.get(f"{path}/description").json()["name"] == "better"
    assert "created_by" not in details
    assert details["last_edited_by"]["user_id"] == user_id
    assert details["contributors"] == [{"contribution_count": 1, "user": details["last_edited_by"]}]
    edits = api.get(f"{path}/history").json()["edits"]
    assert [(e["action"], e["by"]) for e in edits] == [("created", None), ("renamed", "renamer")]


def test_assets_are_moved_together_or_not_at_all(api, folder) -> None:
    a, b = new(api, folder), new(api, folder, "script")
    target = api.folder("target", folder)
    assert api.put(f"/folders/{target}/assets", json=[a, "unknown"]).status_code == 404
    assert api.get(f"/assets/scenes/{a}/folder").json()["folder_id"] == folder
    assert api.put(f"/folders/{target}/assets", json=[a, b]).status_code == 204
    assert api.get(f"/folders/{target}").json()["asset_count"] == 2


def test_what_is_referenced_stays(api, folder) -> None:
    ids = api.cube(folder)
    answer = api.delete(f"/assets/textures/{ids['textures']}")
    assert answer.status_code == 409
    assert ids["materials"] in answer.json()["message"]
    assert api.request("DELETE", "/assets", json=[ids["textures"], ids["meshes"]]).status_code == 409
    assert api.get(f"/assets/meshes/{ids['meshes']}/details").status_code == 200
    assert api.delete(f"/assets/scenes/{ids['scenes']}").status_code == 204
    rest = [ids["textures"], ids["materials"], ids["meshes"]]
    assert api.request("DELETE", "/assets", json=rest).status_code == 204
    assert api.get(f"/folders/{folder}").json()["asset_count"] == 0


def test_after_everything_is_deleted_nothing_is_left_on_disk(fresh, on_disk) -> None:
    api = fresh()
    folder = api.folder()
    source = api.cube(folder)["source_file"]
    assert on_disk(api.emulator)
    everything = [f["source_file_id"] for f in api.get("/source-files").json()]
    body = {"source_file_ids": everything, "delete_assets": True}
    assert api.request("DELETE", "/source-files", json=body).status_code == 204
    assert api.get(f"/source-files/{source}/details").status_code == 404
    assert api.delete(f"/folders/{folder}").status_code == 204
    assert on_disk(api.emulator) == []


def test_assets_outlive_their_source_file_unless_told_otherwise(api, folder) -> None:
    ids = api.cube(folder)
    form = {"source_file_ids": ids["source_file"], "delete_assets": "false"}
    assert api.request("DELETE", "/source-files", data=form).status_code == 204
    assert api.get(f"/assets/meshes/{ids['meshes']}/details").status_code == 200
    assert api.get(f"/assets/meshes/{ids['meshes']}/source-file").status_code == 404


def test_a_source_file_stays_when_its_assets_are_needed_elsewhere(api, folder) -> None:
    ids = api.cube(folder)
    scene = new(api, folder)
    components = {"mesh_ref": {"value": ids["meshes"]}}
    assert api.post(f"/assets/scenes/{scene}/entities", json=components).status_code == 200
    body = {"source_file_ids": [ids["source_file"]], "delete_assets": True}
    assert api.request("DELETE", "/source-files", json=body).status_code == 409
    assert api.get(f"/source-files/{ids['source_file']}").status_code == 200
    assert api.get(f"/assets/scenes/{ids['scenes']}/details").status_code == 200


def test_an_asset_is_found_in_its_own_container_only(api, cube) -> None:
    answer = api.get(f"/assets/textures/{cube['meshes']}/details")
    assert answer.status_code == 404
    assert "meshes" in answer.json()["message"]
    assert api.get("/assets/meshes/unknown/details").status_code == 404
    assert api.delete("/assets/meshes/unknown").status_code == 404
