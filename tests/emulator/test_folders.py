import pytest


def test_a_tree_is_created_at_once(api) -> None:
    tree = {"name": "Cars", "subfolders": [{"name": "In", "subfolders": [{"name": "new"}]}, {"name": "Out"}]}
    made = api.post("/folders", json=tree).json()
    assert [sub["name"] for sub in made["subfolders"]] == ["In", "Out"]
    inner = made["subfolders"][0]
    assert inner["parent_folder_id"] == made["folder_id"]
    assert inner["subfolders"][0]["parent_folder_id"] == inner["folder_id"]
    assert "parent_folder_id" not in made
    found = api.get(f"/folders/{made['folder_id']}/folders").json()
    assert [sub["name"] for sub in found] == ["In", "Out"]
    deep = api.get(f"/folders/{made['folder_id']}/folders", params={"recursive": "true"}).json()
    assert deep[0]["subfolders"][0]["name"] == "new"


def test_forms_do_as_well_as_json(api) -> None:
    made = api.post("/folders", data={"name": "F", "subfolders[0][name]": "a", "subfolders[1][name]": "b"})
    assert [sub["name"] for sub in made.json()["subfolders"]] == ["a", "b"]
    made = api.post("/folders", data={"name": "F", "subfolders": '[{"name": "c"}]'})
    assert [sub["name"] for sub in made.json()["subfolders"]] == ["c"]


def test_lists_are_paged_and_oldest_first(fresh) -> None:
    api = fresh()
    names = [f"folder {n}" for n in range(13)]
    for name in names:
        api.folder(name)
    seen = [f["name"] for f in api.get("/folders").json()]
    assert seen == names[:10]
    assert [f["name"] for f in api.get("/folders", params={"offset": 10}).json()] == names[10:]
    assert [f["name"] for f in api.get("/folders", params={"offset": 3, "limit": 2}).json()] == names[3:5]
    assert api.get("/folders", params={"limit": 0}).json() == []


@pytest.mark.parametrize(
    "query", ["limit=-1", "offset=-1", "limit=x", "limit=1.5", "offset=", "limit=99999999999999999999"]
)
def test_nonsense_pages_are_422(api, query: str) -> None:
    assert api.get(f"/folders?{query}").status_code == 422


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b'{"name": NaN}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"name=x", "text/plain", 400),
        (b"", "application/json", 422),
        (b"[]", "application/json", 422),
        (b"{}", "application/json", 422),
        (b'{"name": ""}', "application/json", 422),
        (b'{"name": 5}', "application/json", 422),
        (b"null", "application/json", 422),
        (b'{"name": "x", "subfolders": null}', "application/json", 422),
        (b'{"name": "\\ud800"}', "application/json", 422),
        (b'{"name": "x", "subfolders": [{}]}', "application/json", 422),
        (b'{"name": "' + b"x" * (17 << 20) + b'"}', "application/json", 413),
    ],
)
def test_bodies_that_make_no_sense_are_refused(api, content: bytes, kind: str, status: int) -> None:
    answer = api.post("/folders", content=content, headers={"content-type": kind})
    assert answer.status_code == status
    assert answer.json()["errorCode"] == status


def test_a_folder_tells_its_counts(api, folder) -> None:
    api.upload(folder, ("a.txt", b"a"), ("b.txt", b"b"))
    info = api.get(f"/folders/{folder}").json()
    assert (info["source_file_count"], info["asset_count"]) == (2, 0)


def test_a_folder_is_renamed(api, folder) -> None:
    assert api.patch(f"/folders/{folder}", json={"name": "Ünïcode 名"}).status_code == 204
    assert api.get(f"/folders/{folder}").json()["name"] == "Ünïcode 名"


def test_only_empty_folders_are_deleted(api, folder) -> None:
    sub = api.folder("sub", folder)
    assert api.delete(f"/folders/{folder}").status_code == 409
    assert api.delete(f"/folders/{sub}").status_code == 204
    task = api.upload(folder, ("a.txt", b"a"))
    answer = api.delete(f"/folders/{folder}")
    assert answer.status_code == 409
    assert "1 source files" in answer.json()["message"]
    source_file_id = task["conversion_tasks"][0]["source_file_id"]
    api.request("DELETE", "/source-files", json={"source_file_ids": [source_file_id]})
    assert api.delete(f"/folders/{folder}").status_code == 204
    assert api.get(f"/folders/{folder}").status_code == 404
    assert api.get(f"/upload-tasks/{task['upload_task_id']}").status_code == 404


def test_folders_are_moved_together_or_not_at_all(api, folder) -> None:
    a, b = api.folder("a", folder), api.folder("b", folder)
    assert api.put(f"/folders/{a}", json=[b]).status_code == 204
    assert api.get(f"/folders/{b}").json()["parent_folder_id"] == a
    c = api.folder("c", folder)
    assert api.put(f"/folders/{b}", json=[c, "unknown"]).status_code == 404
    assert api.get(f"/folders/{c}").json()["parent_folder_id"] == folder


def test_a_folder_cannot_be_moved_below_itself(api, folder) -> None:
    a = api.folder("a", folder)
    b = api.folder("b", a)
    for target in (a, b):
        assert api.put(f"/folders/{target}", json=[a]).status_code == 409
    assert api.get(f"/folders/{a}").json()["parent_folder_id"] == folder


def test_what_is_unknown_is_404(api) -> None:
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/folders"), ("GET", "/source-files")):
        assert api.request(method, f"/folders/unknown{path}", json={"name": "x"}).status_code == 404
