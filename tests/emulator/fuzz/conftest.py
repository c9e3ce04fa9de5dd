"""A populated emulator for generated requests: objects of every kind, and spare ones for requests that destroy."""

import io
import time
import wave
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from PIL import Image

from watcher.emulator import Emulator

MODEL = (
    ("model.obj", b"mtllib model.mtl\nusemtl red\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nf 1/1 2/2 3/3\n"),
    ("model.mtl", b"newmtl red\nKd 1 0 0\nmap_Kd dots.png\n"),
)
POINTS = (
    "points.ply",
    b"ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\nproperty float z\n"
    b"end_header\n1 2 3\n4 5 6\n",
)
MADE_BY_HAND = ("action_map", "animation_graph", "animation_sequence", "event_map", "module", "render_graph")
MADE_BY_HAND += ("script", "shader", "volume_material")


class World:
    """What stands in one emulator, under the names that the contract gives to its ids.

    ``credentials`` are the headers of the API key and of a token of ``user_id``, who manages ``folder_id``, where
    everything is. ``assets`` holds one asset by container.
    """

    def __init__(self, emulator: Emulator, http: httpx.Client) -> None:
        self.base_url = emulator.base_url
        self._http = http
        self._count = 0
        self.user_id = self._new_user()
        self.member_id = self._new_user()
        self.group_id = self._new_group()
        self.folder_id = self._post("/folders", {"name": "root"})["folder_id"]
        self.subfolder_id = self._new_folder()
        self.grant(self.user_id, "manage")
        token = self._post(f"/users/{self.user_id}/tokens", {"scope": "manage"})["user_token"]
        self.credentials = {"api_key": {"api_key": emulator.api_key}, "user_token": {"user_token": token}}

        self.picture = _picture()
        self.upload_task_id, self.source_file_id, self.conversion_task_id = self._upload(
            *MODEL, ("dots.png", self.picture)
        )
        self._upload(POINTS)
        self._upload(("beep.wav", _sound()))
        for kind in MADE_BY_HAND:
            self._post(f"/folders/{self.folder_id}/assets", {"asset_type": kind, "name": kind})
        found = http.get("/assets", params={"limit": 100}).json()
        self.assets = {container: assets[0]["asset_id"] for container, assets in found.items() if assets}
        self.scene_id, self.texture_id = self.assets["scenes"], self.assets["textures"]
        faces = {"name": "sky", "faces": [self.texture_id] * 6}
        self.assets["cubemaps"] = self._post(f"/folders/{self.folder_id}/assets/cubemaps", faces)["asset_id"]
        self.entity_id = self._new_entity()
        self.package = http.get(f"/assets/scenes/{self.scene_id}/package").content
        self._makers: dict[str, Callable[[], str]] = {
            self.user_id: self._new_user,
            self.group_id: self._new_group,
            self.folder_id: self._new_folder,
            self.source_file_id: self._new_source_file,
            self.entity_id: self._new_entity,
        }

    def spare(self, value: Any) -> Any:
        """A copy of a path or a body in which new objects of the same kind stand in for those of this world."""
        if isinstance(value, dict):
            return {key: self.spare(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.spare(item) for item in value]
        if not isinstance(value, str):
            return value
        if value in self._makers:
            return self._makers[value]()
        container = next((name for name, asset_id in self.assets.items() if asset_id == value), None)
        return value if container is None else self._new_asset(container)

    def unique(self, name: str) -> str:
        """A name that no user has yet."""
        self._count += 1
        return f"{name} {self._count}"

    def grant(self, user_id: str, access: str) -> None:
        path = f"/folders/{self.folder_id}/access/users/{user_id}"
        assert self._http.put(path, json={"access": access}).status_code == 204

    def join(self, user_id: str) -> None:
        """Make a user a member of the group."""
        access = {"group_access": "read", "folder_access": "read"}
        path = f"/groups/{self.group_id}/members/users/{user_id}"
        assert self._http.put(path, json=access).status_code == 204

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._http.post(path, json=body)
        assert answer.status_code == 200, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def _new_user(self) -> str:
        return str(self._post("/users", {"username": self.unique("user")})["user_id"])

    def _new_group(self) -> str:
        member = {"user_id": self.user_id, "group_access": "manage", "folder_access": "manage"}
        return str(self._post("/groups", {"name": "group", "members": [member]})["group_id"])

    def _new_folder(self) -> str:
        return str(self._post(f"/folders/{self.folder_id}/folders", {"name": "sub"})["folder_id"])

    def _new_entity(self) -> str:
        body = {"debug_name": {"value": "lamp"}, "local_transform": {"position": [1, 2, 3]}}
        return str(self._post(f"/assets/scenes/{self.scene_id}/entities", body)["entity_id"])

    def _new_asset(self, container: str) -> str:
        original = self.assets[container]
        kind = self._http.get(f"/assets/{container}/{original}/details").json()["type"]
        body = {"asset_type": kind, "copy_from_asset_id": original}
        return str(self._post(f"/folders/{self.folder_id}/assets", body)["asset_id"])

    def _new_source_file(self) -> str:
        return self._upload((self.unique("note"), b"no model"))[1]

    def _upload(self, *files: tuple[str, bytes]) -> tuple[str, str, str]:
        """The ids of upload task, source file and conversion task, once the conversion is over."""
        path = f"/folders/{self.folder_id}/source-files"
        upload_task_id = self._http.post(path, files=[("file", file) for file in files]).json()["upload_task_id"]
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            task = self._http.get(f"/upload-tasks/{upload_task_id}").json()
            if task["status"] in ("success", "error"):
                conversion = task["conversion_tasks"][0]
                return upload_task_id, conversion["source_file_id"], conversion["conversion_task_id"]
            time.sleep(0.01)
        raise AssertionError(f"the conversion did not end: {task}")


def _picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (200, 30, 30)).save(buffer, "PNG")
    return buffer.getvalue()


def _sound() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(1600))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with (
        Emulator(tmp_path_factory.mktemp("fuzzed")) as emulator,
        httpx.Client(base_url=emulator.base_url, headers={"api_key": emulator.api_key}, timeout=60) as http,
    ):
        yield World(emulator, http)
