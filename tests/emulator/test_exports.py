import io

import pytest
import trimesh


def export(api, cube: dict, format: str, **query: object):
    return api.get(f"/assets/meshes/{cube['meshes']}/exports/{format}", params=query)


@pytest.mark.parametrize("format", ["obj", "stl"])
def test_a_mesh_is_exported_as_other_programs_read_it(api, cube, format: str) -> None:
    answer = export(api, cube, format, scale=10)
    assert f".{format}" in answer.headers["content-disposition"]
    mesh = trimesh.load(io.BytesIO(answer.content), file_type=format, force="mesh")
    assert len(mesh.faces) == 6
    assert mesh.bounds.tolist() == [[0, 0, 0], [10, 20, 30]]


def test_one_submesh_can_be_picked(api, cube) -> None:
    assert export(api, cube, "stl", sub_mesh_index=0).content == export(api, cube, "stl").content
    assert export(api, cube, "stl", sub_mesh_index=7).status_code == 422


@pytest.mark.parametrize(
    "query", [{"scale": 0}, {"scale": -1}, {"scale": 1e300}, {"scale": "inf"}, {"scale": "x"}, {"sub_mesh_index": -1}]
)
def test_nonsense_is_refused(api, cube, query: dict) -> None:
    assert export(api, cube, "obj", **query).status_code == 422


def test_only_meshes_are_exported(api, cube) -> None:
    assert export(api, cube, "fbx").status_code == 404
    assert api.get(f"/assets/textures/{cube['textures']}/exports/obj").status_code == 404
    assert api.get("/assets/sounds/unknown/exports/obj").status_code == 404
