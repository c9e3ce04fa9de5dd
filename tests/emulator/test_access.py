"""What users may see and do, under their tokens' scope and their grants."""

import pytest


def join(api, group_id: str, member_id: str, folder_access: str, kind: str = "users", group_access: str = "read"):
    return api.put(
        f"/groups/{group_id}/members/{kind}/{member_id}",
        json={"group_access": group_access, "folder_access": folder_access},
    )


def group(api, name: str = "group") -> str:
    return api.post("/groups", json={"name": name, "members": []}).json()["group_id"]


def test_a_user_sees_only_what_was_granted_and_what_is_below_it(api, folder) -> None:
    user_id, user = api.user("seer", "manage")
    granted = api.folder("granted", folder)
    below = api.folder("below", granted)
    api.folder("hidden", folder)
    api.grant(granted, user_id, "read")
    assert [f["folder_id"] for f in user.get("/folders", params={"limit": 100}).json()] == [granted, below]
    assert user.get(f"/folders/{below}").status_code == 200
    assert user.get(f"/folders/{folder}").status_code == 403
    assert user.get("/folders/unknown").status_code == 404


def test_reading_is_not_writing_and_writing_is_not_managing(api, folder) -> None:
    user_id, user = api.user("climber", "manage")
    new = {"name": "x"}
    allowed = []
    for access in ("read", "write", "manage"):
        api.grant(folder, user_id, access)
        allowed.append(
            (
                user.get(f"/folders/{folder}").status_code,
                user.post(f"/folders/{folder}/folders", json=new).status_code,
                user.put(f"/folders/{folder}/access/users/{user_id}", json={"access": access}).status_code,
            )
        )
    assert allowed == [(200, 403, 403), (200, 200, 403), (200, 200, 204)]


def test_the_scope_of_a_token_caps_the_grant(api, folder) -> None:
    user_id, reader = api.user("capped", "read")
    api.grant(folder, user_id, "manage")
    assert reader.get(f"/folders/{folder}").status_code == 200
    answer = reader.post(f"/folders/{folder}/folders", json={"name": "x"})
    assert answer.status_code == 403
    assert "scope" in answer.json()["message"]
    assert reader.send(folder, ("a.txt", b"a")).status_code == 403


def test_grants_come_through_groups_and_groups_in_groups(api, folder) -> None:
    user_id, user = api.user("member", "manage")
    outer, middle, inner = group(api), group(api), group(api)
    join(api, inner, user_id, "manage")
    join(api, middle, inner, "manage", "groups")
    join(api, outer, middle, "manage", "groups")
    assert user.get(f"/folders/{folder}").status_code == 403
    api.grant(folder, outer, "write", "groups")
    assert user.post(f"/folders/{folder}/folders", json={"name": "x"}).status_code == 200
    assert api.delete(f"/groups/{middle}/members/groups/{inner}").status_code == 204
    assert user.get(f"/folders/{folder}").status_code == 403


def test_a_membership_caps_what_the_group_passes_on(api, folder) -> None:
    user_id, user = api.user("modest", "manage")
    outer, inner = group(api), group(api)
    api.grant(folder, outer, "manage", "groups")
    join(api, outer, inner, "read", "groups")
    join(api, inner, user_id, "manage")
    assert user.get(f"/folders/{folder}").status_code == 200
    assert user.post(f"/folders/{folder}/folders", json={"name": "x"}).status_code == 403
    join(api, outer, user_id, "write")  # the better of two ways counts
    assert user.post(f"/folders/{folder}/folders", json={"name": "x"}).status_code == 200


def test_revoked_is_revoked_at_once(api, folder) -> None:
    user_id, user = api.user("former")
    api.grant(folder, user_id, "write")
    assert user.send(folder, ("a.txt", b"a")).status_code == 200
    assert api.delete(f"/folders/{folder}/access/users/{user_id}").status_code == 204
    assert user.send(folder, ("a.txt", b"a")).status_code == 403
    assert api.delete(f"/folders/{folder}/access/users/{user_id}").status_code == 404


def test_accesses_are_listed_and_replaced(api, folder) -> None:
    user_id, _ = api.user("listed")
    group_id = group(api, "crew")
    api.grant(folder, user_id, "read")
    api.grant(folder, user_id, "write")
    api.grant(folder, group_id, "manage", "groups")
    assert api.get(f"/folders/{folder}/access").json() == {
        "users": [{"user_id": user_id, "username": "listed", "access": "write"}],
        "groups": [{"group_id": group_id, "name": "crew", "access": "manage"}],
    }


def test_a_user_manages_the_folders_it_makes(api) -> None:
    _, user = api.user("founder", "manage")
    mine = user.folder("mine")
    assert user.get(f"/folders/{mine}").json()["created_by"]["username"] == "founder"
    assert user.delete(f"/folders/{mine}").status_code == 204


def test_lists_of_files_tasks_and_assets_show_what_may_be_read(api, folder, picture) -> None:
    user_id, user = api.user("lister", "read")
    open_, closed = api.folder("open", folder), api.folder("closed", folder)
    api.grant(open_, user_id, "read")
    shown = api.upload(open_, ("shown.png", picture()))
    hidden = api.upload(closed, ("hidden.png", picture(5)))
    files = user.get("/source-files")
    assert [f["name"] for f in files.json()] == ["shown"]
    assert files.headers["x-source-files-count"] == "1"
    assert [t["upload_task_id"] for t in user.get("/upload-tasks").json()] == [shown["upload_task_id"]]
    assert [t["name"] for t in user.get("/assets").json()["textures"]] == ["shown"]
    assert user.get(f"/upload-tasks/{hidden['upload_task_id']}").status_code == 403
    asset_id = hidden["conversion_tasks"][0]["asset_id"]
    assert user.get(f"/assets/textures/{asset_id}/details").status_code == 403
    source_file_id = hidden["conversion_tasks"][0]["source_file_id"]
    assert user.get(f"/source-files/{source_file_id}").status_code == 403


def test_a_folder_is_moved_by_who_manages_it_and_may_write_to_the_target(api, folder) -> None:
    user_id, user = api.user("mover", "manage")
    moved, target = api.folder("moved", folder), api.folder("target", folder)
    api.grant(moved, user_id, "manage")
    assert user.put(f"/folders/{target}", json=[moved]).status_code == 403
    api.grant(target, user_id, "write")
    assert user.put(f"/folders/{target}", json=[moved]).status_code == 204


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/users"), ("POST", "/users"), ("DELETE", "/users/{id}"), ("POST", "/users/{id}/tokens")],
)
def test_users_are_the_business_of_the_api_key(api, method: str, path: str) -> None:
    user_id, user = api.user(f"curious {method} {path}", "manage")
    body = {"username": "x", "scope": "read"}
    assert user.request(method, path.replace("{id}", user_id), json=body).status_code == 403


def test_users_read_about_themselves_only(api) -> None:
    me, user = api.user("me")
    other, _ = api.user("somebody else")
    for suffix in ("", "/groups", "/upload-tasks"):
        assert user.get(f"/users/{me}{suffix}").status_code == 200
        assert user.get(f"/users/{other}{suffix}").status_code == 403
