"""Things are named by id or by path; what may be several things is refused, what is nothing is looked for nearby."""

import uuid

import pytest

from watcher.api.models import Folder
from watcher.cli.tree import FolderTree


def create(types, *words: str) -> str:
    """The id of what a command creates."""
    return str(types(*words).lines[0][0])


def test_a_folder_is_named_by_its_id_and_by_its_path(types, home):
    folder_id = create(types, "folders", "create", f"{home}/Cars")
    assert types("folders", "show", folder_id, "--json").json["folder_id"] == folder_id
    for path in (f"{home}/Cars", f"/{home}/Cars", f"{home}/Cars/"):
        assert types("folders", "show", path, "--json").json["folder_id"] == folder_id


def test_a_path_may_begin_with_an_id(types, home):
    top = types("folders", "show", home, "--json").json["folder_id"]
    folder_id = create(types, "folders", "create", f"{home}/Cars")
    asset_id = create(types, "assets", "create", "scene", "stage", "--to", f"{top}/Cars")
    assert types("folders", "show", f"{top}/Cars", "--json").json["folder_id"] == folder_id
    assert types("assets", "show", f"{top}/Cars/stage", "--json").json["asset_id"] == asset_id


def test_two_folders_of_one_path_are_listed_with_their_ids(types, home):
    ids = {create(types, "folders", "create", "Twin", "--in", home) for _ in range(2)}
    refused = types("folders", "show", f"{home}/Twin", code=2)
    assert refused.out == ""
    assert "may be any of 2" in refused.err
    assert {line.split()[0] for line in refused.err.splitlines()[1:]} == ids
    assert types("folders", "show", ids.pop()).code == 0


def test_what_is_nothing_is_looked_for_nearby(types, home):
    types("folders", "create", f"{home}/Incoming")
    assert f"did you mean '{home}/Incoming'?" in types("folders", "show", f"{home}/incomming", code=1).err
    types("assets", "create", "scene", "spider", "--to", f"{home}/Incoming")
    assert f"did you mean '{home}/Incoming/spider'?" in types("assets", "show", f"{home}/Incoming/spidr", code=1).err
    assert f"did you mean '{home}/Incoming/...'?" in types("assets", "show", f"{home}/Incomin/spider", code=1).err
    assert "did you mean" not in types("folders", "show", f"{home}/0123456789", code=1).err


def test_a_name_with_slashes_is_found_all_the_same(types, home):
    folder_id = create(types, "folders", "create", "Q1/Q2", "--in", home)
    asset_id = create(types, "assets", "create", "scene", "left/right", "--to", folder_id)
    assert types("folders", "show", f"{home}/Q1/Q2", "--json").json["folder_id"] == folder_id
    assert types("assets", "show", f"{home}/Q1/Q2/left/right", "--json").json["asset_id"] == asset_id


def test_a_name_with_slashes_and_a_path_that_read_the_same_are_told_apart(types, home):
    one = create(types, "folders", "create", "Q1/Q2", "--in", home)
    types("folders", "create", "Q1", "--in", home)
    other = create(types, "folders", "create", "Q2", "--in", f"{home}/Q1")
    refused = types("folders", "show", f"{home}/Q1/Q2", code=2)
    assert one in refused.err
    assert other in refused.err


def test_a_name_that_looks_like_an_id_is_one_behind_a_slash(types):
    name = str(uuid.uuid4())
    folder_id = create(types, "folders", "create", f"/{name}")
    assert types("folders", "show", f"/{name}", "--json").json["folder_id"] == folder_id
    assert "not found" in types("folders", "show", name, code=1).err


def test_of_assets_of_one_name_the_type_tells_which_is_meant(types, home):
    scene = create(types, "assets", "create", "scene", "car", "--to", home)
    script = create(types, "assets", "create", "script", "car", "--to", home)
    refused = types("assets", "show", f"{home}/car", code=2)
    assert scene in refused.err
    assert script in refused.err
    assert f"such as scene:{home}/car" in refused.err
    assert types("assets", "show", f"scene:{home}/car", "--json").json["asset_id"] == scene
    assert types("assets", "show", f"scripts:{home}/car", "--json").json["asset_id"] == script
    assert types("assets", "show", script, "--json").json["type"] == "script"
    assert "no script" in types("assets", "show", f"script:{scene}", code=1).err


def test_a_folder_whose_name_looks_like_a_type_is_found_too(types):
    types("folders", "create", "scene:x")
    asset_id = create(types, "assets", "create", "script", "in-scene-x", "--to", "scene:x")
    assert types("assets", "show", "scene:x/in-scene-x", "--json").json["asset_id"] == asset_id


def test_an_asset_of_an_unknown_id_is_said_not_to_be_there(types):
    unknown = str(uuid.uuid4())
    assert f"no asset with the id {unknown}" in types("assets", "show", unknown, code=1).err


def test_a_name_that_stands_alone_finds_the_one_asset_that_bears_it(types, home):
    asset_id = create(types, "assets", "create", "scene", f"only {home}", "--to", home)
    assert types("assets", "show", f"only {home}", "--json").json["asset_id"] == asset_id


def test_users_and_groups_are_named_by_id_and_name(types, home):
    user_id = create(types, "users", "create", f"ann {home}")
    group_id = create(types, "groups", "create", f"crew {home}", "--member", user_id)
    assert types("users", "show", f"ann {home}", "--json").json["user_id"] == user_id
    assert types("groups", "show", f"crew {home}", "--json").json["group_id"] == group_id
    assert types("groups", "show", group_id, "--json").json["members"][0]["user_id"] == user_id
    assert f"did you mean 'ann {home}'" in types("users", "show", f"an {home}", code=1).err


# The tree, whatever a server lists


def folder(folder_id: str, parent: str | None = None, **more: object) -> Folder:
    return Folder.model_validate({"folder_id": folder_id, "name": folder_id, "parent_folder_id": parent, **more})


def test_a_server_that_lists_all_folders_is_asked_no_more():
    listed = [folder("a"), folder("b", "a"), folder("c", "b")]
    tree = FolderTree(listed, lambda _: pytest.fail("asked"))
    assert [each.name for each in tree.all_below(listed[0])] == ["b", "c"]
    assert tree.path(listed[2]) == "a/b/c"


def test_a_server_that_lists_the_top_only_is_asked_for_the_rest():
    below = {"a": [folder("b", "a")], "b": [folder("c", "b")]}
    tree = FolderTree([folder("a"), folder("z")], lambda folder_id: below.get(folder_id, []))
    found = [each for each, rest in tree.readings("a/b/c") if not rest]
    assert [each.name for each in found] == ["c"]
    assert tree.path(found[0]) == "a/b/c"


def test_folders_that_come_within_folders_are_seen():
    tree = FolderTree([folder("a", subfolders=[{"folder_id": "b", "name": "b"}])], lambda _: pytest.fail("asked"))
    assert [rest for _, rest in tree.readings("a/b")] == ["b", ""]


def test_a_folder_whose_parent_cannot_be_seen_stands_at_the_top():
    tree = FolderTree([folder("b", "hidden"), folder("c", "b")], lambda _: [])
    assert [each.name for each in tree.top()] == ["b"]
    assert [each.name for each, rest in tree.readings("b/c") if not rest] == ["c"]
