"""``users``, ``groups`` and ``tasks``."""

from watcher.api import AssetApi


def test_a_token_is_all_that_stdout_gets_and_it_works(types, home, emulator):
    types("users", "create", f"ann {home}")
    types("folders", "grant", home, "read", "--user", f"ann {home}")
    answer = types("users", "token", f"ann {home}", "--ttl", "10m")
    assert "good for 600 s" in answer.err
    with AssetApi(emulator.base_url, user_token=answer.out.strip()) as api:
        assert [folder.name for folder in api.folders.iterate()] == [home]
    made = types("users", "token", f"ann {home}", "--json").json
    assert made["expires_in"] == 3600
    assert made["user_token"] not in ("", "**********")


def test_deleting_a_user_asks_and_says_what_went(types, home):
    types("users", "create", f"ann {home}")
    assert f"ann {home}" in types("users", "rm", f"ann {home}", code=2).err
    assert types("users", "rm", f"ann {home}", "--yes").out == f"deleted ann {home} with 0 assets\n"
    types("users", "show", f"ann {home}", code=1)


def test_a_name_that_is_taken_is_refused_with_the_servers_words(types, home):
    types("users", "create", f"ann {home}")
    assert "HTTP 409" in types("users", "create", f"ann {home}", code=1).err


def test_members_come_with_their_rights(types, home):
    ann, bob = (types("users", "create", f"{name} {home}").lines[0][0] for name in ("ann", "bob=x,y"))
    group = types(
        "groups",
        "create",
        f"crew {home}",
        "--member",
        f"ann {home}=manage,read",
        "--member",
        f"bob=x,y {home}",
        "--json",
    ).json
    rights = {member["user_id"]: (member["group_access"], member["folder_access"]) for member in group["members"]}
    assert rights == {ann: ("manage", "read"), bob: ("read", "write")}
    types("groups", "describe", group["group_id"], "builders")
    types("groups", "rename", group["group_id"], f"team {home}")
    shown = types("groups", "show", f"team {home}", "--json").json
    assert (shown["name"], shown["description"]) == (f"team {home}", "builders")
    listed = types("groups", "show", f"team {home}").out
    assert f"ann {home}\tmanage\tread" in listed
    types("groups", "revoke", f"team {home}", "--user", bob)
    assert len(types("groups", "show", f"team {home}", "--json").json["members"]) == 1


def test_a_group_can_be_in_a_group(types, home):
    inner, outer = (types("groups", "create", f"{name} {home}").lines[0][0] for name in ("inner", "outer"))
    assert types("groups", "grant", outer, "--group", inner, "--folder-access", "read").code == 0
    types("groups", "revoke", outer, "--group", inner)
    assert "HTTP 404" in types("groups", "revoke", outer, "--group", inner, code=1).err


def test_tasks_are_listed_shown_and_waited_for(types, home, cube, tmp_path):
    task = types("sources", "upload", cube, "--to", home).out.strip()
    assert len(types("tasks", "wait", task).lines) == 4
    assert types("tasks", "ls", "--folder", home).lines[0][:3] == [task, "success", "100%"]
    assert task in types("tasks", "ls").out
    shown = types("tasks", "show", task, "--json").json
    (conversion,) = shown["conversion_tasks"]
    assert types("tasks", "metadata", conversion["conversion_task_id"], "log.txt").err == ""
    types("tasks", "metadata", conversion["conversion_task_id"], "log.txt", "--to", tmp_path / "log")
    assert (tmp_path / "log").is_file()
    assert "HTTP 404" in types("tasks", "show", "nothing", code=1).err


def test_several_tasks_are_waited_for_and_one_that_failed_makes_exit_1(types, home, cube, tmp_path):
    (tmp_path / "broken.stl").write_bytes(b"solid nothing")
    tasks = [types("sources", "upload", file, "--to", home).out.strip() for file in (cube, tmp_path / "broken.stl")]
    answer = types("tasks", "wait", *tasks, code=1)
    assert len(answer.lines) == 4
    assert "broken.stl: " in answer.err


def test_a_group_without_users_is_found_by_its_id_and_that_is_said(types, home):
    made = types("groups", "create", home)
    assert "only its id finds this one" in made.err
    assert "found by its id only" in types("groups", "show", home, code=1).err
    assert home in types("groups", "show", made.lines[0][0]).out
    types("users", "create", f"ann {home}")
    types("groups", "grant", made.lines[0][0], "--user", f"ann {home}")
    assert made.lines[0][0] in types("groups", "show", home).out
