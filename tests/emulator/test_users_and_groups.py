def test_users_are_registered_listed_renamed_and_deleted(fresh) -> None:
    api = fresh()
    made = api.post("/users", data={"username": "ada"}).json()  # as the vendor's Python sample sends it
    assert made["username"] == "ada" and made["registered_at"].endswith("Z")
    second = api.post("/users", json={"username": "ben"}).json()
    assert api.get("/users").json() == [made, second]
    assert api.patch(f"/users/{made['user_id']}", json={"username": "ada l."}).status_code == 204
    assert api.get(f"/users/{made['user_id']}").json()["username"] == "ada l."
    assert api.delete(f"/users/{made['user_id']}").json()["deleted_assets"]["meshes"] == []
    assert api.get(f"/users/{made['user_id']}").status_code == 404
    assert api.get("/users").json() == [second]


def test_a_user_name_is_taken_once(api) -> None:
    api.user("unique")
    other, _ = api.user("another")
    assert api.post("/users", json={"username": "unique"}).status_code == 409
    assert api.patch(f"/users/{other}", json={"username": "unique"}).status_code == 409
    assert api.patch(f"/users/{other}", json={"username": "another"}).status_code == 204


def test_deleting_a_user_deletes_its_assets_but_no_files(api, folder, picture) -> None:
    user_id, user = api.user("leaving")
    api.grant(folder, user_id, "write")
    task = user.upload(folder, ("mine.png", picture(7)))
    asset_id = task["conversion_tasks"][0]["asset_id"]
    deleted = api.delete(f"/users/{user_id}").json()["deleted_assets"]
    assert deleted["textures"] == [{"asset_id": asset_id, "name": "mine"}]
    assert api.get(f"/assets/textures/{asset_id}/details").status_code == 404
    assert api.get(f"/folders/{folder}/source-files").headers["x-source-files-count"] == "1"
    after = api.get(f"/upload-tasks/{task['upload_task_id']}").json()
    assert after["uploaded_by"] == {"user_id": user_id, "username": "leaving"}


def test_a_group_is_made_with_members_and_described(api) -> None:
    user_id, _ = api.user("founding member")
    member = {"user_id": user_id, "group_access": "manage", "folder_access": "write"}
    made = api.post("/groups", json={"name": "g", "description": "first", "members": [member]}).json()
    assert made["members"][0] | member == made["members"][0]
    path = f"/groups/{made['group_id']}"
    assert api.patch(path, json={"name": "h", "description": "second"}).status_code == 204
    assert (api.get(path).json()["name"], api.get(path).json()["description"]) == ("h", "second")
    assert api.get(f"/users/{user_id}/groups").json() == [api.get(path).json()]
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404
    assert api.get(f"/users/{user_id}/groups").json() == []


def test_a_group_with_an_unknown_member_is_not_made(api) -> None:
    member = {"user_id": "nobody", "group_access": "read", "folder_access": "read"}
    answer = api.post("/groups", json={"name": "g", "members": [member]})
    assert answer.status_code == 422
    assert "nobody" in answer.json()["message"]


def test_groups_cannot_contain_themselves(api) -> None:
    ids = [api.post("/groups", json={"name": "g", "members": []}).json()["group_id"] for _ in range(3)]
    access = {"group_access": "read", "folder_access": "read"}
    for outer, inner in ((0, 1), (1, 2)):
        assert api.put(f"/groups/{ids[outer]}/members/groups/{ids[inner]}", json=access).status_code == 204
    assert api.put(f"/groups/{ids[2]}/members/groups/{ids[0]}", json=access).status_code == 409
    assert api.put(f"/groups/{ids[0]}/members/groups/{ids[0]}", json=access).status_code == 409


def test_a_group_is_managed_by_its_managers(api) -> None:
    manager_id, manager = api.user("group manager", "manage")
    member_id, member = api.user("group member", "manage")
    group_id = manager.post("/groups", json={"name": "own", "members": []}).json()["group_id"]
    path = f"/groups/{group_id}/members/users/{member_id}"
    access = {"group_access": "read", "folder_access": "read"}
    assert member.get(f"/groups/{group_id}").status_code == 403
    assert manager.put(path, json=access).status_code == 204
    assert member.get(f"/groups/{group_id}").status_code == 200
    assert member.delete(f"/groups/{group_id}/members/users/{manager_id}").status_code == 403
    assert manager.delete(path).status_code == 204
    assert manager.delete(path).status_code == 404


def test_a_deleted_user_leaves_groups_and_folders(api, folder) -> None:
    user_id, _ = api.user("ghost")
    group_id = api.post("/groups", json={"name": "g", "members": []}).json()["group_id"]
    access = {"group_access": "read", "folder_access": "read"}
    api.put(f"/groups/{group_id}/members/users/{user_id}", json=access)
    api.grant(folder, user_id, "write")
    api.delete(f"/users/{user_id}")
    assert api.get(f"/groups/{group_id}").json()["members"] == []
    assert api.get(f"/folders/{folder}/access").json()["users"] == []


def test_unknown_members_and_kinds_are_404(api, folder) -> None:
    for member in ("users/unknown", "groups/unknown", "robots/1"):
        assert api.put(f"/folders/{folder}/access/{member}", json={"access": "read"}).status_code == 404
