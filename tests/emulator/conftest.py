"""A real emulator behind real HTTP. Most tests share one and work in a folder of their own."""

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from watcher.emulator import Emulator

CUBE_OBJ = "".join(
    [
        "mtllib cube.mtl\nusemtl red\n",
        *(f"v {x} {y} {z}\n" for x in (0, 1) for y in (0, 2) for z in (0, 3)),
        *(f"f {a} {b} {c}\n" for a, b, c in ((1, 2, 4), (1, 4, 3), (5, 7, 8), (5, 8, 6), (1, 5, 6), (1, 6, 2))),
    ]
).encode()
CUBE_MTL = b"newmtl red\nKd 1 0 0\nmap_Kd dots.png\n"


def png(width: int = 4, height: int = 4, colour: tuple[int, int, int] = (200, 30, 30)) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass
class Api:
    """A thin client: short calls, and the answers as they are."""

    http: httpx.Client
    emulator: Emulator

    def __getattr__(self, method: str) -> Callable[..., httpx.Response]:
        return getattr(self.http, method)

    def as_token(self, token: str) -> "Api":
        return Api(httpx.Client(base_url=self.emulator.base_url, headers={"user_token": token}), self.emulator)

    def folder(self, name: str = "folder", parent: str | None = None) -> str:
        path = "/folders" if parent is None else f"/folders/{parent}/folders"
        answer = self.http.post(path, json={"name": name})
        assert answer.status_code == 200, answer.text
        return answer.json()["folder_id"]

    def user(self, name: str, scope: str = "write") -> tuple[str, "Api"]:
        """A new user and a client that acts for it."""
        user_id = self.http.post("/users", json={"username": name}).json()["user_id"]
        token = self.http.post(f"/users/{user_id}/tokens", json={"scope": scope}).json()["user_token"]
        return user_id, self.as_token(token)

    def grant(self, folder_id: str, member_id: str, access: str, kind: str = "users") -> None:
        answer = self.http.put(f"/folders/{folder_id}/access/{kind}/{member_id}", json={"access": access})
        assert answer.status_code == 204, answer.text

    def send(self, folder_id: str, *files: tuple[str, bytes]) -> httpx.Response:
        return self.http.post(f"/folders/{folder_id}/source-files", files=[("file", file) for file in files])

    def upload(self, folder_id: str, *files: tuple[str, bytes]) -> dict[str, Any]:
        """Upload and wait for the conversions; the finished upload task."""
        answer = self.send(folder_id, *files)
        assert answer.status_code == 200, answer.text
        return self.finished(answer.json()["upload_task_id"])

    def finished(self, upload_task_id: str, seconds: float = 60) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            task = self.http.get(f"/upload-tasks/{upload_task_id}").json()
            if task["status"] in ("success", "error"):
                return task
            time.sleep(0.01)
        raise AssertionError(f"the conversion did not end: {task}")

    def assets_of(self, source_file_id: str) -> dict[str, list[dict[str, str]]]:
        lists = self.http.get(f"/source-files/{source_file_id}/assets").json()
        return {container: found for container, found in lists.items() if found}

    def cube(self, folder_id: str) -> dict[str, str]:
        """Upload a cube of one mesh, one material and one texture; the ids of its assets by type."""
        task = self.upload(folder_id, ("cube.obj", CUBE_OBJ), ("cube.mtl", CUBE_MTL), ("dots.png", png()))
        assert task["status"] == "success", task
        source_file_id = task["conversion_tasks"][0]["source_file_id"]
        lists = self.assets_of(source_file_id)
        ids = {kind: lists[kind][0]["asset_id"] for kind in ("scenes", "meshes", "materials", "textures")}
        return ids | {"source_file": source_file_id}


def connect(emulator: Emulator) -> Api:
    http = httpx.Client(base_url=emulator.base_url, headers={"api_key": emulator.api_key}, timeout=60)
    return Api(http, emulator)


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture(scope="session")
def api(emulator: Emulator) -> Iterator[Api]:
    client = connect(emulator)
    yield client
    client.http.close()


@pytest.fixture
def folder(api: Api, request: pytest.FixtureRequest) -> str:
    return api.folder(request.node.name)


@pytest.fixture(scope="session")
def cube(api: Api) -> dict[str, str]:
    """The assets of one converted cube, for tests that only read them; its folder as ``folder``."""
    folder_id = api.folder("shared cube")
    return api.cube(folder_id) | {"folder": folder_id}


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Callable[..., Api]]:
    """Starts emulators of their own; with one ``data`` folder, one after the other."""
    started: list[Api] = []

    def start(data: Path = tmp_path / "data", **options: Any) -> Api:
        emulator = Emulator(data, **options)
        emulator.start()
        started.append(connect(emulator))
        return started[-1]

    yield start
    for client in started:
        client.http.close()
        client.emulator.stop()


def blobs_on_disk(emulator: Emulator) -> list[str]:
    """Every file with content below the data folder."""
    found = []
    for folder in ("blobs", "incoming", "work"):
        found += [str(path) for path in (emulator.data / folder).rglob("*") if path.is_file()]
    return found


@pytest.fixture
def on_disk() -> Callable[[Emulator], list[str]]:
    return blobs_on_disk


@pytest.fixture
def picture() -> Callable[..., bytes]:
    return png
