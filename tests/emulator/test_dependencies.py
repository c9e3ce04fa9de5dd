import pytest


def needed(api, cube: dict, **query: object) -> list[dict]:
    return api.get(f"/assets/scenes/{cube['scenes']}/dependencies", params=query).json()


def test_dependencies_are_found_at_any_depth(api, cube) -> None:
    kinds = [found["asset_type"] for found in needed(api, cube)]
    assert sorted(kinds) == ["material", "mesh", "texture"]
    assert kinds[-1] == "texture", "nearest first"
    assert {f["asset_type"] for f in needed(api, cube, depth="direct")} == {"material", "mesh"}
    assert {f["asset_type"] for f in needed(api, cube, depth=1)} == {"material", "mesh"}
    assert len(needed(api, cube, depth=2)) == 3
    assert len(needed(api, cube, limit=1, offset=1)) == 1


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ({"filters[with_asset_types][]": ["mesh", "texture"]}, {"mesh", "texture"}),
        ({"filters[without_asset_types][]": "mesh"}, {"material", "texture"}),
        ({"filters[public]": "restrict-to"}, set()),
        ({"filters[public]": "exclude"}, {"mesh", "material", "texture"}),
    ],
)
def test_dependencies_are_filtered(api, cube, query: dict, kinds: set[str]) -> None:
    assert {found["asset_type"] for found in needed(api, cube, **query)} == kinds


@pytest.mark.parametrize("query", ["depth=0", "depth=deep", "properties[]=secrets", "filters[public]=maybe"])
def test_nonsense_is_refused(api, cube, query: str) -> None:
    assert api.get(f"/assets/scenes/{cube['scenes']}/dependencies?{query}").status_code == 422


def test_properties_are_given_when_they_are_asked_for(api, cube) -> None:
    assert "properties" not in needed(api, cube)[0]
    asked = ["name", "count", "public", "accessible", "payload_info", "dependencies"]
    found = {f["asset_type"]: f["properties"] for f in needed(api, cube, **{"properties[]": asked})}
    assert (found["texture"]["direct_count"], found["texture"]["indirect_count"]) == (0, 1)
    assert (found["mesh"]["direct_count"], found["mesh"]["indirect_count"]) == (1, 0)
    assert found["material"]["dependencies"] == [{"asset_id": cube["textures"], "count": 1}]
    assert found["mesh"]["payload_info"]["hash"]
    assert found["mesh"]["is_public"] is False and found["mesh"]["is_accessible"] is True


def test_references_are_the_way_back(api, folder) -> None:
    cube = api.cube(folder)
    path = f"/assets/textures/{cube['textures']}/references"
    answer = api.get(path, params={"properties[]": ["name", "count", "public"]}).json()
    assert answer == [
        {
            "asset_id": cube["materials"],
            "asset_type": "material",
            "properties": {"name": "red", "direct_count": 1, "is_public": False},
        }
    ]
    assert [f["asset_type"] for f in api.get(path, params={"depth": "all"}).json()] == ["material", "scene"]
    assert api.get(f"/assets/scenes/{cube['scenes']}/references").json() == []


def test_what_a_user_may_not_read_has_no_name(api, folder) -> None:
    ids = api.cube(folder)
    open_ = api.folder("open", folder)
    api.put(f"/folders/{open_}/assets", json=[ids["scenes"]])
    user_id, user = api.user("half blind", "read")
    api.grant(open_, user_id, "read")
    query = {"properties[]": ["name", "accessible"]}
    found = user.get(f"/assets/scenes/{ids['scenes']}/dependencies", params=query).json()
    assert len(found) == 3
    assert all(f["properties"] == {"is_accessible": False} for f in found)
    assert user.get(f"/assets/scenes/{ids['scenes']}/package").status_code == 403


def test_circles_do_no_harm(api, folder) -> None:
    a, b = (
        api.post(f"/folders/{folder}/assets", json={"asset_type": "scene", "name": n}).json()["asset_id"] for n in "ab"
    )
    for outer, inner in ((a, b), (b, a)):
        body = {"scene_ref": {"value": inner}, "local_transform": {"position": [1, 0, 0]}}
        assert api.post(f"/assets/scenes/{outer}/entities", json=body).status_code == 200
    assert [f["asset_id"] for f in api.get(f"/assets/scenes/{a}/dependencies").json()] == [b]
    assert api.get(f"/assets/scenes/{a}/aabb").status_code == 200
    assert api.delete(f"/assets/scenes/{a}").status_code == 409
    assert api.request("DELETE", "/assets", json=[a, b]).status_code == 204
