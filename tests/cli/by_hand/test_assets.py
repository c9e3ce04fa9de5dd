"""``assets``: what conversions made comes down whole, goes elsewhere as a package, and is made by hand."""

import json
import zipfile

import pytest


@pytest.fixture
def converted(types, home, cube) -> str:
    """A folder with a converted cube."""
    types("sources", "upload", cube, "--to", home, "--wait")
    return home


def test_assets_are_listed_by_type_name_source_and_depth(types, converted):
    types("folders", "create", f"{converted}/below")
    script = types("assets", "create", "script", "turn", "--to", f"{converted}/below").lines[0][0]
    assert types("assets", "ls", f"{converted}/below").lines == [[script, "script", "turn"]]
    assert len(types("assets", "ls", converted).lines) == 4
    assert len(types("assets", "ls", converted, "-r").lines) == 5
    types_found = [cells[1] for cells in types("assets", "ls", converted, "--type", "mesh", "--type", "scene").lines]
    assert sorted(types_found) == ["mesh", "scene"]
    assert types("assets", "ls", converted, "-r", "--source", "-").lines == [[script, "script", "turn"]]
    assert len(types("assets", "ls", converted, "--source", f"{converted}/cube.obj").lines) == 4
    assert types("assets", "ls", converted, "-r", "--name", "turn", "--json").json == [
        {"asset_id": script, "asset_type": "script", "name": "turn"}
    ]
    assert "need a FOLDER" in types("assets", "ls", "-r", code=2).err


def test_an_asset_shows_where_it_lies_and_what_it_was_made_of(types, converted):
    shown = types("assets", "show", f"scene:{converted}/cube", "--json").json
    assert (shown["type"], shown["folder"]["name"]) == ("scene", converted)
    assert shown["source_file"]["source_file_original_name"] == "cube.obj"
    types("assets", "create", "scene", "empty", "--to", converted)
    assert types("assets", "show", f"{converted}/empty", "--json").json["source_file"] is None


def test_a_download_brings_description_payload_and_thumbnail(types, converted, tmp_path):
    mesh = types("assets", "ls", converted, "--type", "mesh").lines[0][0]
    written = types("assets", "download", mesh, "--to", tmp_path / "there", "--json").json
    suffixes = {file["path"].rpartition(".")[2]: file for file in written}
    assert set(suffixes) == {"json", "payload", "png"}
    with open(suffixes["json"]["path"]) as file:
        description = json.load(file)
    assert description["uuid"] == mesh
    assert description["payloadSize"] == suffixes["payload"]["size"] > 0
    with open(suffixes["png"]["path"], "rb") as file:
        assert file.read(4) == b"\x89PNG"
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == sorted(
        file["path"].rpartition("/")[2] for file in written
    )


def test_a_download_that_cannot_be_whole_leaves_nothing(types, converted, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "cube.scene.png").write_text("mine")
    answer = types("assets", "download", f"scene:{converted}/cube", "--to", tmp_path / "there", code=2)
    assert "--force" in answer.err
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["cube.scene.png"]
    assert (tmp_path / "there" / "cube.scene.png").read_text() == "mine"


def test_assets_of_one_name_and_type_do_not_overwrite_each_other(types, home, tmp_path):
    ids = [types("assets", "create", "scene", "twin", "--to", home).lines[0][0] for _ in range(2)]
    types("assets", "download", *ids, "--to", tmp_path / "there")
    descriptions = [json.loads(path.read_text())["uuid"] for path in (tmp_path / "there").glob("*.json")]
    assert sorted(descriptions) == sorted(ids)


def test_a_mesh_is_exported(types, converted, tmp_path):
    mesh = types("assets", "ls", converted, "--type", "mesh").lines[0][0]
    types("assets", "export", mesh, "--format", "stl", "--to", tmp_path / "cube.stl")
    assert (tmp_path / "cube.stl").stat().st_size == 84 + 6 * 50
    types("assets", "export", mesh, "--scale", "10", "--to", tmp_path / "big.obj")
    assert "v 10" in (tmp_path / "big.obj").read_text()
    assert "scene" in types("assets", "export", f"scene:{converted}/cube", code=1).err


def test_a_package_goes_elsewhere_and_keeps_its_ids(types, converted, tmp_path):
    before = types("assets", "ls", converted, "--json").json
    types("assets", "package", f"scene:{converted}/cube", "--to", tmp_path / "cube.zip")
    assert zipfile.is_zipfile(tmp_path / "cube.zip")
    types("folders", "create", f"{converted}/other")
    answer = types("assets", "import", tmp_path / "cube.zip", "--to", f"{converted}/other")
    assert answer.out == "0 assets imported, 0 overwritten, 4 skipped\n"
    answer = types("assets", "import", tmp_path / "cube.zip", "--to", f"{converted}/other", "--overwrite", "always")
    assert answer.out == "0 assets imported, 4 overwritten, 0 skipped\n"
    types("assets", "rm", *[entry["asset_id"] for entry in before], "--yes")
    imported = types("assets", "import", tmp_path / "cube.zip", "--to", f"{converted}/other", "--json").json
    assert sorted(imported["asset_ids"]["imported"]) == sorted(entry["asset_id"] for entry in before)
    after = types("assets", "ls", f"{converted}/other", "--json").json
    assert sorted(map(str, after)) == sorted(map(str, before))


def test_what_an_asset_needs_and_what_needs_it_are_listed(types, converted):
    scene, texture = f"scene:{converted}/cube", types("assets", "ls", converted, "--type", "texture").lines[0][0]
    assert sorted(cells[1] for cells in types("assets", "dependencies", scene).lines) == ["material", "mesh", "texture"]
    assert sorted(cells[1] for cells in types("assets", "dependencies", scene, "--depth", "1").lines) == [
        "material",
        "mesh",
    ]
    only = types("assets", "dependencies", scene, "--type", "mesh", "--tell", "name", "--json").json
    assert [(each["asset_type"], list(each["properties"])) for each in only] == [("mesh", ["name"])]
    assert [cells[1] for cells in types("assets", "references", texture).lines] == ["material"]
    assert [cells[1] for cells in types("assets", "references", texture, "--depth", "all").lines] == [
        "material",
        "scene",
    ]
    assert "levels" in types("assets", "dependencies", scene, "--depth", "0", code=2).err


def test_an_asset_that_is_needed_is_not_deleted_and_the_error_says_so(types, converted):
    mesh = types("assets", "ls", converted, "--type", "mesh").lines[0][0]
    refused = types("assets", "rm", mesh, "--yes", code=1)
    assert "HTTP 409" in refused.err
    assert len(types("assets", "ls", converted).lines) == 4


def test_deleting_names_each_asset(types, converted):
    told = types("assets", "rm", f"scene:{converted}/cube", code=2).err
    assert "scene cube" in told


def test_a_copy_takes_along_what_it_is_told_to(types, converted):
    types("folders", "create", f"{converted}/copies")
    to = f"{converted}/copies"
    types("assets", "duplicate", f"scene:{converted}/cube", "--to", to, "--name", "alone")
    assert [cells[1:] for cells in types("assets", "ls", to).lines] == [["scene", "alone"]]
    made = types("assets", "duplicate", f"scene:{converted}/cube", "--to", to, "--with-type", "mesh", "--json").json
    assert len(made["source_to_copy_asset_id_map"]) == 2


def test_a_thumbnail_is_replaced(types, converted, picture, tmp_path):
    (tmp_path / "new.png").write_bytes(picture)
    scene = f"scene:{converted}/cube"
    types("assets", "thumbnail", "get", scene, "--to", tmp_path / "before.png")
    types("assets", "thumbnail", "set", scene, tmp_path / "new.png")
    types("assets", "thumbnail", "get", scene, "--size", "tiny", "--to", tmp_path / "after.png")
    assert (tmp_path / "after.png").read_bytes() != (tmp_path / "before.png").read_bytes()
    (tmp_path / "no.png").write_text("no picture")
    assert "neither a PNG nor a JPEG" in types("assets", "thumbnail", "set", scene, tmp_path / "no.png", code=2).err


def test_an_entity_is_made_changed_and_deleted_with_those_below_it(types, home, tmp_path):
    types("assets", "create", "scene", "stage", "--to", home)
    stage = f"{home}/stage"
    (tmp_path / "lamp.json").write_text('{"debug_name": {"value": "lamp"}}')
    lamp = types("assets", "scene", "create", stage, f"@{tmp_path / 'lamp.json'}").out.strip()
    below = json.dumps({"debug_name": {"value": "bulb"}, "lineage": {"parentUUID": lamp}})
    types("assets", "scene", "create", stage, below)
    changed = types("assets", "scene", "update", stage, lamp, '{"tags": {"value": ["bright"]}}', "--json").json
    assert changed["euid"]["value"] == lamp
    assert [cells[1] for cells in types("assets", "scene", "ls", stage).lines] == ["lamp", "bulb"]
    told = types("assets", "scene", "rm", stage, lamp, code=2).err
    assert "lamp" in told
    assert "bulb" in told
    assert types("assets", "scene", "rm", stage, lamp, "--yes").out == "deleted 2 of 2 entities\n"
    assert types("assets", "scene", "ls", stage).out == ""
    assert "not JSON" in types("assets", "scene", "create", stage, "{lamp", code=2).err
    assert "object" in types("assets", "scene", "create", stage, "[1]", code=2).err


def test_a_scene_is_found_among_assets_of_its_name(types, home):
    types("assets", "create", "scene", "car", "--to", home)
    types("assets", "create", "script", "car", "--to", home)
    assert types("assets", "scene", "settings", f"{home}/car").json == {}
    assert "not a scene" in types("assets", "scene", "settings", f"script:{home}/car", code=1).err


def test_a_name_from_the_server_leads_out_of_no_folder(types, home, tmp_path):
    asset_id = types("assets", "create", "scene", "../../escaped", "--to", home).lines[0][0]
    (tmp_path / "a" / "b").mkdir(parents=True)
    types("assets", "download", asset_id, "--to", tmp_path / "a" / "b")
    types("assets", "package", asset_id, "--to", tmp_path / "a" / "b")
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*escaped*")}
    assert found == {"a/b/escaped.scene.json", "a/b/escaped.scene.png", "a/b/escaped.zip"}
