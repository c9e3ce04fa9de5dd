import pytest


@pytest.fixture
def scene(api, folder) -> str:
    answer = api.post(f"/folders/{folder}/assets", json={"asset_type": "scene", "name": "stage"})
    return f"/assets/scenes/{answer.json()['asset_id']}"


def add(api, scene: str, **components: object) -> str:
    answer = api.post(f"{scene}/entities", json=components)
    assert answer.status_code == 200, answer.text
    return answer.json()["entity_id"]


def test_an_entity_is_made_changed_and_deleted(api, scene) -> None:
    entity_id = add(api, scene, debug_name={"value": "lamp"}, point_light={"intensity": 3, "range": 9})
    path = f"{scene}/entities/{entity_id}"
    made = api.get(path).json()
    assert made["euid"] == {"value": entity_id}
    assert made["local_transform"] == {"position": [0, 0, 0], "orientation": [0, 0, 0, 1], "scale": [1, 1, 1]}
    change = {"point_light": {"intensity": 5}, "local_transform": {"position": [1, 2, 3]}, "debug_name": None}
    assert api.patch(path, json=change).status_code == 204
    changed = api.get(path).json()
    assert changed["point_light"] == {"intensity": 5, "range": 9}
    assert changed["local_transform"]["position"] == [1, 2, 3]
    assert changed["local_transform"]["scale"] == [1, 1, 1]
    assert "debug_name" not in changed
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404
    assert api.get(f"{scene}/description").json()["entities"] == []


def test_transforms_add_up_along_the_lineage(api, scene) -> None:
    half_turn = [0, 1, 0, 0]
    parent = add(api, scene, local_transform={"position": [10, 0, 0], "orientation": half_turn, "scale": [2, 2, 2]})
    child = add(api, scene, lineage={"parentUUID": parent}, local_transform={"position": [1, 1, 0]})
    plain = api.get(f"{scene}/entities/{child}").json()
    assert "global_transform" not in plain
    query = {"compute_global_transform": "true"}
    world = api.get(f"{scene}/entities/{child}", params=query).json()["global_transform"]
    assert world["position"] == pytest.approx([8, 2, 0])
    assert world["scale"] == pytest.approx([2, 2, 2])


def test_what_is_below_an_entity_goes_with_it(api, scene) -> None:
    top = add(api, scene, debug_name={"value": "top"})
    middle = add(api, scene, lineage={"parentUUID": top})
    add(api, scene, lineage={"parentUUID": middle})
    other = add(api, scene, debug_name={"value": "other"})
    assert api.delete(f"{scene}/entities/{top}").status_code == 204
    left = api.get(f"{scene}/description").json()["entities"]
    assert [entity["euid"]["value"] for entity in left] == [other]


def test_bounds_follow_the_entities(api, scene, cube) -> None:
    nothing = {"max": [0, 0, 0], "min": [0, 0, 0]}
    assert api.get(f"{scene}/aabb").json() == nothing
    mesh = {"value": cube["meshes"]}
    entity = add(api, scene, mesh_ref=mesh, local_transform={"position": [5, 0, 0], "scale": [1, 2, 1]})
    assert api.get(f"{scene}/aabb").json() == {"max": [6, 4, 3], "min": [5, 0, 0]}
    add(api, scene, local_aabb={"min": [-1, -1, -1], "max": [0, 0, 0]})
    assert api.get(f"{scene}/aabb").json() == {"max": [6, 4, 3], "min": [-1, -1, -1]}
    description = api.get(f"{scene}/description").json()
    assert description["aabb"] == api.get(f"{scene}/aabb").json()
    assert description["triangleCount"] == 6
    assert [f["asset_id"] for f in api.get(f"{scene}/dependencies", params={"depth": 1}).json()] == [cube["meshes"]]
    api.delete(f"{scene}/entities/{entity}")
    assert api.get(f"{scene}/dependencies").json() == []


def test_scenes_within_scenes_count(api, scene, cube) -> None:
    add(api, scene, scene_ref={"value": cube["scenes"]}, local_transform={"position": [0, 100, 0]})
    assert api.get(f"{scene}/aabb").json() == {"max": [1, 102, 3], "min": [0, 100, 0]}


def test_a_converted_scene_has_the_bounds_of_its_model(api, cube) -> None:
    path = f"/assets/scenes/{cube['scenes']}"
    assert api.get(f"{path}/aabb").json() == {"max": [1, 2, 3], "min": [0, 0, 0]}
    assert api.get(f"{path}/settings").json() == {}
    assert api.get(f"{path}/sessions").json() == []


@pytest.mark.parametrize(
    "components",
    [
        {},
        {"dragon": {}},
        {"camera": 5},
        {"lineage": {"parentUUID": "unknown"}},
        {"local_transform": {"position": [1, 2]}, "mesh_ref": {"value": "MESH"}},
        {"local_transform": {"scale": ["a", 1, 1]}, "mesh_ref": {"value": "MESH"}},
    ],
)
def test_entities_that_make_no_sense_are_refused(api, scene, cube, components: dict) -> None:
    if "mesh_ref" in components:
        components = {**components, "mesh_ref": {"value": cube["meshes"]}}
    answer = api.post(f"{scene}/entities", json=components)
    assert answer.status_code == 422
    assert api.get(f"{scene}/description").json()["entities"] == []


@pytest.mark.parametrize("index", [[], {}, "0", True, 7, -1, 0.5, None])
def test_a_part_of_a_mesh_that_is_not_there_shows_nothing(api, scene, cube, index: object) -> None:
    add(api, scene, mesh_ref={"value": cube["meshes"], "submeshIndex": index})
    assert api.get(f"{scene}/aabb").json() == {"max": [0, 0, 0], "min": [0, 0, 0]}
    assert api.get(f"{scene}/description").json()["triangleCount"] == 0


def test_what_is_farther_than_numbers_reach_is_refused(api, scene, cube) -> None:
    far = {"scale": [1e200, 1, 1]}
    top = add(api, scene, local_transform=far)
    mesh = {"value": cube["meshes"]}
    answer = api.post(f"{scene}/entities", json={"lineage": {"parentUUID": top}, "local_transform": far})
    assert answer.status_code == 200
    query = {"compute_global_transform": "true"}
    below = answer.json()["entity_id"]
    assert api.get(f"{scene}/entities/{below}", params=query).status_code == 422
    assert api.patch(f"{scene}/entities/{below}", json={"mesh_ref": mesh}).status_code == 422
    assert api.get(f"{scene}/aabb").json() == {"max": [0, 0, 0], "min": [0, 0, 0]}


def test_scenes_that_show_each_other_are_measured_once(api, folder, scene, cube) -> None:
    own = {"value": scene.rsplit("/", 1)[1]}
    add(api, scene, mesh_ref={"value": cube["meshes"]})
    for _ in range(20):
        add(api, scene, scene_ref=own, local_transform={"position": [1, 0, 0]})
    assert api.get(f"{scene}/aabb").json() == {"max": [1, 2, 3], "min": [0, 0, 0]}


def test_an_entity_cannot_be_below_itself(api, scene) -> None:
    parent = add(api, scene, debug_name={"value": "p"})
    child = add(api, scene, lineage={"parentUUID": parent})
    for entity in (parent, child):
        body = {"lineage": {"parentUUID": child}}
        assert api.patch(f"{scene}/entities/{entity}", json=body).status_code == 422
    assert "lineage" not in api.get(f"{scene}/entities/{parent}").json()


def test_only_scenes_have_entities(api, cube) -> None:
    assert api.get(f"/assets/scenes/{cube['meshes']}/aabb").status_code == 404
    assert api.get(f"/assets/scenes/{cube['scenes']}/entities/unknown").status_code == 404


def test_sessions_need_the_real_service(api, folder) -> None:
    for method, path in (
        ("GET", "/sessions"),
        ("POST", "/sessions"),
        ("POST", "/sessions/guests"),
        ("GET", "/sessions/1"),
        ("DELETE", "/sessions/1"),
        ("POST", "/sessions/1/clients"),
        ("GET", "/sessions/1/clients/2"),
        ("DELETE", "/sessions/1/clients/2"),
        ("POST", "/sessions/1/guests"),
        ("GET", f"/folders/{folder}/sessions"),
    ):
        answer = api.request(method, path, json={"scene_id": "x"} if method == "POST" else None)
        assert answer.status_code == 501, path
        assert "real service" in answer.json()["message"]
