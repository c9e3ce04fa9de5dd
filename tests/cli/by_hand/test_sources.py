"""``sources``: uploads by hand, with what belongs to them, and the same bytes back."""

import subprocess
import sys

import pytest


def names(types, folder: str) -> list[str]:
    return [cells[2] for cells in types("sources", "ls", folder).lines]


def test_a_model_brings_what_it_names_and_says_so(types, home, cube):
    answer = types("sources", "upload", cube, "--to", home, "--wait")
    assert "with cube.mtl, dots.png: 3 files" in answer.err
    assert names(types, home) == ["cube.obj", "cube.mtl", "dots.png"]
    assert sorted(cells[1] for cells in answer.lines) == ["material", "mesh", "scene", "texture"]


def test_a_model_goes_alone_when_told_so(types, home, cube):
    answer = types("sources", "upload", cube, "--to", home, "--alone", "--wait")
    assert "with" not in answer.err
    assert names(types, home) == ["cube.obj"]


def test_what_a_model_lacks_is_named(types, home, cube):
    (cube.parent / "dots.png").unlink()
    assert "without dots.png: it is not there" in types("sources", "upload", cube, "--to", home).err


def test_companions_beside_the_models_folder_need_a_root(types, home, cube):
    (cube.parent / "models").mkdir()
    model = cube.rename(cube.parent / "models" / "cube.obj")
    model.write_text(model.read_text().replace("cube.mtl", "../cube.mtl"))
    assert "without ../cube.mtl" in types("sources", "upload", model, "--to", home).err
    answer = types("sources", "upload", model, "--to", home, "--root", cube.parent, "--wait")
    assert "3 files" in answer.err
    assert "texture" in [cells[1] for cells in answer.lines]


def test_a_companion_that_is_named_as_well_goes_once(types, home, cube):
    types("sources", "upload", cube.parent / "dots.png", cube, "--to", home, "--wait")
    assert sorted(names(types, home)) == ["cube.mtl", "cube.obj", "dots.png"]


def test_two_files_of_one_name_do_not_go_together(types, home, tmp_path, picture):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.png").write_bytes(picture)
    answer = types("sources", "upload", tmp_path / "a" / "x.png", tmp_path / "b" / "x.png", "--to", home, code=2)
    assert "one by one" in answer.err
    assert names(types, home) == []


def test_a_file_goes_under_the_name_of_a_link_to_it(types, home, cube):
    (cube.parent / "latest.obj").symlink_to("cube.obj")
    types("sources", "upload", cube.parent / "latest.obj", "--to", home)
    assert names(types, home) == ["latest.obj", "cube.mtl", "dots.png"]


def test_a_conversion_that_fails_makes_exit_1_and_says_why(types, home, tmp_path):
    (tmp_path / "broken.glb").write_bytes(b"this is no glb")
    answer = types("sources", "upload", tmp_path / "broken.glb", "--to", home, "--wait", code=1)
    assert answer.out == ""
    assert answer.err.startswith("broken.glb: ")


def test_the_task_and_its_assets_come_as_json(types, home, cube):
    (task,) = types("sources", "upload", cube, "--to", home, "--wait", "--json").json
    assert task["status"] == "success"
    assert {"asset_id", "asset_type", "name"} == set(task["assets"][0])
    accepted = types("sources", "upload", cube, "--to", home, "--json").json
    assert set(accepted) == {"upload_task_id"}


def test_a_task_that_takes_too_long_makes_exit_4(types, home, cube):
    answer = types("sources", "upload", cube, "--to", home, "--wait", "--timeout", "0", code=4)
    assert "it is still" in answer.err


def test_the_folder_is_created_with_parents(types, home, cube):
    assert "there is no folder" in types("sources", "upload", cube, "--to", f"{home}/new/er", code=1).err
    types("sources", "upload", cube, "--to", f"{home}/new/er", "--parents")
    assert len(names(types, f"{home}/new/er")) == 3


def test_the_same_bytes_come_back(types, home, cube, tmp_path):
    types("sources", "upload", cube, "--to", home)
    types("sources", "download", f"{home}/cube.obj", f"{home}/dots.png", "--to", tmp_path / "back")
    assert (tmp_path / "back" / "cube.obj").read_bytes() == cube.read_bytes()
    assert (tmp_path / "back" / "dots.png").read_bytes() == (cube.parent / "dots.png").read_bytes()
    types("sources", "download", f"{home}/cube.obj", "--to", tmp_path / "other.obj")
    assert (tmp_path / "other.obj").read_bytes() == cube.read_bytes()


def test_a_file_that_is_there_is_replaced_by_force_only(types, home, cube, tmp_path):
    types("sources", "upload", cube, "--to", home)
    (tmp_path / "cube.obj").write_text("mine")
    assert "--force" in types("sources", "download", f"{home}/cube.obj", code=2).err
    assert (tmp_path / "cube.obj").read_text() == "mine"
    types("sources", "download", f"{home}/cube.obj", "--force")
    assert (tmp_path / "cube.obj").read_bytes() == cube.read_bytes()


def test_a_file_goes_to_stdout_as_it_is(types, home, cube, emulator):
    types("sources", "upload", cube, "--to", home)
    done = subprocess.run(
        [sys.executable, "-m", "watcher", "sources", "download", f"{home}/dots.png", "--to", "-"],
        env={"WATCHER_API__BASE_URL": emulator.base_url, "WATCHER_API__API_KEY": emulator.api_key},
        capture_output=True,
        check=True,
    )
    assert done.stdout == (cube.parent / "dots.png").read_bytes()


def test_a_renamed_source_file_answers_to_both_names(types, home, cube):
    types("sources", "upload", cube, "--to", home, "--alone")
    renamed = types("sources", "rename", f"{home}/cube.obj", "box", "--json").json
    assert renamed["name"] == "box"
    assert types("sources", "show", f"{home}/box", "--json").json == renamed
    assert types("sources", "show", f"{home}/cube.obj", "--json").json == renamed


@pytest.mark.parametrize("with_assets", [False, True])
def test_deleting_a_source_file_names_what_goes(types, home, cube, with_assets):
    types("sources", "upload", cube, "--to", home, "--wait")
    words = ["--with-assets"] if with_assets else []
    told = types("sources", "rm", f"{home}/cube.obj", *words, code=2).err
    assert "cube (" in told
    assert ("with 4 assets" in told) == with_assets
    types("sources", "rm", f"{home}/cube.obj", *words, "--yes")
    assert names(types, home) == ["cube.mtl", "dots.png"]
    assert len(types("assets", "ls", home).lines) == (0 if with_assets else 4)


def test_source_files_move_and_their_assets_stay(types, home, cube):
    types("folders", "create", f"{home}/there")
    types("sources", "upload", cube, "--to", home, "--wait")
    types("sources", "mv", f"{home}/cube.obj", f"{home}/cube.mtl", "--to", f"{home}/there")
    assert names(types, f"{home}/there") == ["cube.obj", "cube.mtl"]
    assert types("assets", "ls", f"{home}/there").out == ""
    assert types("sources", "assets", f"{home}/there/cube.obj").lines


def test_a_bar_shows_on_a_terminal_and_goes(types, home, tmp_path, on_terminal):
    (tmp_path / "big.raw").write_bytes(bytes(30_000_000))
    code, screen = on_terminal("sources", "upload", tmp_path / "big.raw", "--to", home)
    assert code == 0
    assert "30.0 MB" in screen
    assert "━" in screen
