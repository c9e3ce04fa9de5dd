"""``folders``: a tree that is made, shown, moved, shared and deleted."""

import re


def test_a_path_is_created_at_once_with_parents_only(types, home):
    refused = types("folders", "create", f"{home}/a/b/c", code=1)
    assert f"there is no folder '{home}/a/b'" in refused.err
    assert "--parents" in refused.err
    created = types("folders", "create", f"{home}/a/b/c", "-p", "--json").json
    assert types("folders", "show", f"{home}/a/b/c", "--json").json["folder_id"] == created["folder_id"]
    assert types("folders", "create", f"{home}/a/b/c", "-p", "--json").json["folder_id"] == created["folder_id"]
    assert len(types("folders", "ls", f"{home}/a").lines) == 1


def test_a_folder_that_is_there_is_not_created_twice(types, home):
    types("folders", "create", f"{home}/a")
    assert "already" in types("folders", "create", f"{home}/a", code=1).err
    assert len(types("folders", "ls", home).lines) == 1


def test_a_path_with_an_empty_name_is_refused(types, home):
    assert "empty name" in types("folders", "create", f"{home}/a//b", "-p", code=2).err
    assert types("folders", "ls", home).out == ""


def test_the_tree_is_nested_as_json_and_paths_without_a_terminal(types, home):
    types("folders", "create", f"{home}/a/b", "-p")
    types("folders", "create", f"{home}/c")
    tree = types("folders", "tree", home, "--json").json
    assert [(each["name"], [below["name"] for below in each["subfolders"]]) for each in tree] == [(home, ["a", "c"])]
    assert tree[0]["subfolders"][0]["subfolders"][0]["subfolders"] == []
    paths = [cells[0] for cells in types("folders", "ls", home, "--tree").lines]
    assert paths == [home, f"{home}/a", f"{home}/a/b", f"{home}/c"]


def test_the_tree_is_a_tree_on_a_terminal(types, home, on_terminal):
    types("folders", "create", f"{home}/a/b", "-p")
    types("folders", "create", f"{home}/c")
    code, screen = on_terminal("folders", "tree", home)
    assert code == 0
    assert [re.sub(r"(?<=\w)  .*", "", line) for line in screen.splitlines()] == [home, "├── a", "│   └── b", "└── c"]


def test_folders_move_with_all_that_is_in_them(types, home):
    types("folders", "create", f"{home}/a/b", "-p")
    types("folders", "create", f"{home}/c")
    types("folders", "mv", f"{home}/a", "--to", f"{home}/c")
    assert types("folders", "show", f"{home}/c/a/b").code == 0
    assert "HTTP 409" in types("folders", "mv", f"{home}/c", "--to", f"{home}/c/a", code=1).err


def test_a_folder_that_is_not_empty_goes_only_when_told_so(types, home, cube):
    types("folders", "create", f"{home}/a/b", "-p")
    types("sources", "upload", cube, "--to", f"{home}/a/b", "--wait")
    refused = types("folders", "rm", f"{home}/a", "--yes", code=1)
    assert re.search(rf"{home}/a with 1 folder, 3 source files of \d+ bytes, 4 assets", refused.err)
    gone = types("folders", "rm", f"{home}/a", "--recursive", "--yes", "--json").json
    assert [folder["name"] for folder in gone] == ["b", "a"]
    assert types("folders", "ls", home).out == ""
    assert types("assets", "ls", home, "-r").out == ""


def test_nothing_goes_without_a_terminal_to_ask_on(types, home):
    types("folders", "create", f"{home}/a")
    refused = types("folders", "rm", f"{home}/a", code=2)
    assert f"{home}/a (empty)" in refused.err
    assert "--yes" in refused.err
    assert types("folders", "show", f"{home}/a").code == 0


def test_one_is_asked_on_a_terminal_and_no_means_no(types, home, on_terminal):
    types("folders", "create", f"{home}/a")
    code, screen = on_terminal("folders", "rm", f"{home}/a", asked="[y/N]", answer="n\n")
    assert code == 1
    assert f"{home}/a (empty)" in screen
    assert "nothing was done" in screen
    assert types("folders", "show", f"{home}/a").code == 0
    code, screen = on_terminal("folders", "rm", f"{home}/a", asked="[y/N]", answer="y\n")
    assert (code, "deleted 1 folder" in screen) == (0, True)
    types("folders", "show", f"{home}/a", code=1)


def test_rights_are_granted_listed_and_taken_back(types, home):
    ann = types("users", "create", f"ann {home}").lines[0][0]
    granted = types("folders", "grant", home, "write", "--user", f"ann {home}", "--json").json
    assert granted["users"] == [{"user_id": ann, "username": f"ann {home}", "access": "write"}]
    assert types("folders", "access", home).lines == [[ann, "user", f"ann {home}", "write"]]
    types("folders", "revoke", home, "--user", ann)
    assert types("folders", "access", home).out == ""
    assert "--user or --group" in types("folders", "grant", home, "read", code=2).err
