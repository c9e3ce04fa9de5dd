import hashlib
import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from watcher.emulator.multipart import file_name_of
from watcher.emulator.resources.uploads import conversion_roots


def download(api, source_file_id: str, **headers: str):
    return api.get(f"/source-files/{source_file_id}", headers=headers)


def part(name: str, content: bytes, boundary: str = "B") -> bytes:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="f"; filename="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n"


def post_raw(api, folder_id: str, body: bytes | Iterator[bytes], content_type="multipart/form-data; boundary=B"):
    return api.post(f"/folders/{folder_id}/source-files", content=body, headers={"content-type": content_type})


def files_in(api, folder_id: str, **query: object) -> list[dict]:
    return api.get(f"/folders/{folder_id}/source-files", params={"limit": 100, **query}).json()


@pytest.mark.parametrize(
    "content",
    [b"", b"\r\n", b"\r\n--", b"--B--\r\n", b"\r\n--A\r\n\r\r\n-" * 5, os.urandom(3 << 20), b"\r" * 70_000],
    ids=["empty", "newline", "half a boundary", "a boundary out of place", "almost a boundary", "3 MiB", "many CR"],
)
def test_a_file_comes_back_byte_for_byte(api, folder, content: bytes) -> None:
    assert post_raw(api, folder, part("a.bin", content) + b"--B--\r\n").status_code == 200
    file = files_in(api, folder)[0]
    answer = download(api, file["source_file_id"])
    assert answer.content == content
    assert file["size"] == len(content) == int(answer.headers["content-length"])
    assert 'filename="a.bin"' in answer.headers["content-disposition"]


def test_files_of_one_request_belong_together(api, folder) -> None:
    answer = api.send(folder, ("m.obj", b"v 0 0 0"), ("sub/m.mtl", b"newmtl a"), ("t.png", b"no picture"))
    task = api.get(f"/upload-tasks/{answer.json()['upload_task_id']}").json()
    assert [c["source_file_name"] for c in task["conversion_tasks"]] == ["m.obj"]
    assert task["folder_id"] == folder
    assert [(f["source_file_original_name"], f["name"]) for f in files_in(api, folder)] == [
        ("m.obj", "m"),
        ("sub/m.mtl", "m"),
        ("t.png", "t"),
    ]


@pytest.mark.parametrize(
    ("names", "roots"),
    [
        (["a.obj", "a.mtl", "a.png"], [0]),
        (["a.png", "b.jpg"], [0, 1]),
        (["a.gltf", "a.bin", "b.GLB", "t.png"], [0, 2]),
        (["cloud.las", "t.png", "beep.wav"], [0, 2]),
        (["a.dcm", "b.txt"], [0]),
        (["t.png", "2.dcm", "1.DCM", "3.dcm", "m.obj"], [1, 4]),
        (["readme.txt", "lonely.mtl"], [0, 1]),
    ],
)
def test_models_and_sounds_are_converted_and_the_rest_goes_with_them(names: list[str], roots: list[int]) -> None:
    assert conversion_roots(names) == roots


def test_a_body_without_a_length_is_taken(api, folder) -> None:
    def body() -> Iterator[bytes]:
        for piece in (part("a.txt", b"x" * 100_000), part("b.txt", b"y"), b"--B--\r\n"):
            yield from (piece[i : i + 999] for i in range(0, len(piece), 999))

    assert post_raw(api, folder, body()).status_code == 200
    assert [f["size"] for f in files_in(api, folder)] == [100_000, 1]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (part("a", b"x"), "multipart/form-data; boundary=B", 400),
        (part("a", b"x") + b"--B", "multipart/form-data; boundary=B", 400),
        (b"", "multipart/form-data; boundary=B", 400),
        (b"--B--\r\n", "multipart/form-data; boundary=B", 422),
        (
            b'--B\r\nContent-Disposition: form-data; name="f"\r\n\r\nx\r\n--B--\r\n',
            "multipart/form-data; boundary=B",
            422,
        ),
        (b"nonsense", "multipart/form-data; boundary=B", 400),
        (part("a", b"x") + b"--B--\r\n", "multipart/form-data", 400),
        (part("a", b"x") + b"--B--\r\n", f"multipart/form-data; boundary={'B' * 300}", 400),
        (b"{}", "application/json", 400),
        (part("a", b"x", "b=c") + b"--b=c--\r\n", 'multipart/form-data; boundary="b=c"', 200),
        (b"preamble\r\n" + part("a", b"x") + b"--B--\r\nepilogue", "multipart/form-data; boundary=B", 400),
    ],
)
def test_bodies_that_are_no_complete_form_leave_nothing(
    api, folder, on_disk, body: bytes, content_type: str, status: int
) -> None:
    before = set(on_disk(api.emulator))
    answer = post_raw(api, folder, body, content_type)
    assert answer.status_code == status
    if status != 200:
        assert answer.json()["errorCode"] == status
        assert set(on_disk(api.emulator)) == before
        assert files_in(api, folder) == []


@pytest.mark.parametrize(
    "name",
    [
        "../a.obj",
        "/etc/passwd",
        "a/../../b",
        "a//b",
        "./a",
        "..",
        "C:\\\\a.obj",
        "\\\\\\\\host\\\\a",
        "a\0b",
        "",
        "x" * 1025,
    ],
)
def test_names_that_lead_elsewhere_are_refused(api, folder, name: str) -> None:
    answer = post_raw(api, folder, part(name, b"x") + b"--B--\r\n")
    assert answer.status_code == 422
    assert files_in(api, folder) == []


def test_names_of_all_tongues_survive(api, folder) -> None:
    names = [
        "Größe 名前.txt",
        'quo"te.txt',
        "semi;colon=.txt",
        "back\\slash.txt",
        "100%25.txt",
        "a b/c d.txt",
        ".hidden",
    ]
    for name in names:
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        assert post_raw(api, folder, part(escaped, b"x") + b"--B--\r\n").status_code == 200
    assert [f["source_file_original_name"] for f in files_in(api, folder)] == names
    headers = download(api, files_in(api, folder)[0]["source_file_id"]).headers
    assert "filename*=UTF-8''Gr%C3%B6%C3%9Fe%20%E5%90%8D%E5%89%8D.txt" in headers["content-disposition"]


def test_old_clients_may_encode_their_names() -> None:
    assert file_name_of(b"form-data; name=f; filename*=utf-8''na%C3%AFve.obj") == "naïve.obj"
    assert file_name_of(b"form-data; filename=\"plain\"; filename*=utf-8''other") == "plain"
    assert file_name_of(b"form-data; name=f") is None


def test_an_upload_that_breaks_off_leaves_nothing(api, folder, emulator, on_disk) -> None:
    before = set(on_disk(emulator))
    address = urlsplit(emulator.base_url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        head = (
            f"POST {address.path}/folders/{folder}/source-files HTTP/1.1\r\nHost: x\r\napi_key: {emulator.api_key}\r\n"
            "Content-Type: multipart/form-data; boundary=B\r\nContent-Length: 9000000\r\n\r\n"
        )
        connection.sendall(head.encode() + part("whole.txt", b"x" * 2_000_000) + part("torn.txt", b"y" * 3_000_000))
        wait_for(lambda: set(on_disk(emulator)) != before)
    wait_for(lambda: set(on_disk(emulator)) == before)
    assert files_in(api, folder) == []
    assert api.get(f"/folders/{folder}/upload-tasks").json() == []


def wait_for(condition, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_a_folder_that_goes_while_a_file_comes_takes_nothing(api, folder, on_disk) -> None:
    before = set(on_disk(api.emulator))

    def body() -> Iterator[bytes]:
        yield part("a.txt", b"x" * 100)[:80]
        assert api.delete(f"/folders/{folder}").status_code == 204
        yield part("a.txt", b"x" * 100)[80:] + b"--B--\r\n"

    assert post_raw(api, folder, body()).status_code == 404
    assert set(on_disk(api.emulator)) == before


def test_equal_contents_lie_on_disk_once_until_the_last_one_goes(api, folder, on_disk) -> None:
    content = os.urandom(1000)
    before = set(on_disk(api.emulator))
    for name in ("a.txt", "b.txt"):
        api.upload(folder, (name, content))
    assert len(set(on_disk(api.emulator)) - before) == 1
    first, second = (f["source_file_id"] for f in files_in(api, folder))
    assert api.request("DELETE", "/source-files", json={"source_file_ids": [first]}).status_code == 204
    assert download(api, second).content == content
    api.request("DELETE", "/source-files", json={"source_file_ids": [second]})
    assert set(on_disk(api.emulator)) == before


def test_many_uploads_at_once_all_arrive(api, folder) -> None:
    def send(number: int) -> int:
        return api.send(folder, (f"{number}.txt", f"{number % 10}".encode())).status_code

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(send, range(200))) == {200}
    counted = api.get(f"/folders/{folder}/source-files", params={"limit": 1000})
    assert counted.headers["x-source-files-count"] == "200"
    assert len({f["source_file_id"] for f in counted.json()}) == 200


def test_a_large_file_does_not_need_its_size_in_memory(api, folder) -> None:
    chunk, count = os.urandom(1 << 20), 200
    digest = hashlib.sha256()

    def body() -> Iterator[bytes]:
        yield part("big.txt", b"")[:-2]
        for _ in range(count):
            digest.update(chunk)
            yield chunk
        yield b"\r\n--B--\r\n"

    before = peak_memory()
    assert post_raw(api, folder, body()).status_code == 200
    received = hashlib.sha256()
    with api.stream("GET", f"/source-files/{files_in(api, folder)[0]['source_file_id']}") as answer:
        for piece in answer.iter_raw(1 << 20):
            received.update(piece)
    assert received.digest() == digest.digest()
    assert peak_memory() - before < 60 << 20


def peak_memory() -> int:
    """Peak of this process, which is client and server, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) << 10


@pytest.mark.parametrize(
    ("asked", "status", "content"),
    [
        ("bytes=2-4", 206, b"234"),
        ("bytes=7-", 206, b"789"),
        ("bytes=-2", 206, b"89"),
        ("bytes=5-500", 206, b"56789"),
        ("bytes=20-", 200, b"0123456789"),
        ("bytes=4-2", 200, b"0123456789"),
        ("lines=1-2", 200, b"0123456789"),
    ],
)
def test_parts_of_a_file_can_be_downloaded(api, folder, asked: str, status: int, content: bytes) -> None:
    api.send(folder, ("a.txt", b"0123456789"))
    answer = download(api, files_in(api, folder)[0]["source_file_id"], range=asked)
    assert (answer.status_code, answer.content) == (status, content)
    if status == 206:
        first = b"0123456789".index(content)
        assert answer.headers["content-range"] == f"bytes {first}-{first + len(content) - 1}/10"


def test_the_size_can_be_asked_without_the_content(api, folder) -> None:
    api.send(folder, ("a.txt", b"0123456789"))
    answer = api.head(f"/source-files/{files_in(api, folder)[0]['source_file_id']}")
    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "10", b"")


def test_source_files_are_found_by_a_part_of_either_name(api, folder) -> None:
    api.send(folder, ("Crème/Brûlée.txt", b"1"), ("100%.txt", b"2"), ("1000.txt", b"3"))
    renamed = files_in(api, folder)[2]["source_file_id"]
    assert api.patch(f"/source-files/{renamed}/details", json={"name": "thousand"}).status_code == 204
    for wanted, found in (("BRÛLÉE", 1), ("0%", 1), ("100", 2), ("THOUSAND", 1), (".txt", 3), ("absent", 0)):
        answer = api.get(f"/folders/{folder}/source-files", params={"filters[source_file_name]": wanted})
        assert (len(answer.json()), answer.headers["x-source-files-count"]) == (found, str(found)), wanted


def test_source_files_are_renamed_and_moved(api, folder) -> None:
    api.send(folder, ("a.txt", b"1"))
    file = files_in(api, folder)[0]
    target = api.folder("target", folder)
    assert api.put(f"/folders/{target}/source-files", json=[file["source_file_id"]]).status_code == 204
    assert files_in(api, folder) == []
    assert files_in(api, target) == [file]
    assert api.put(f"/folders/{target}/source-files", json=[]).status_code == 204
    assert api.patch(f"/source-files/{file['source_file_id']}/details", json={}).status_code == 422
