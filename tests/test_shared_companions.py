"""A texture that many models share: in all their sets, hashed once, and what a change of it sends."""

import os
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from watcher.api import AssetApi
from watcher.config import Settings, load_settings
from watcher.daemon import Daemon
from watcher.digest import FileDigest
from watcher.ledger import FileReport, Ledger
from watcher.model import FileState
from watcher.server import Server
from watcher.state import LEDGER

MODELS = 10
TRIANGLE = "v 0 0 {0}\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nusemtl m\nf 1/1 2/2 3/3\n"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


class Shop:
    """A drop with ten models that share a texture, and passes over it."""

    def __init__(self, drop: Path, state: Path, api: AssetApi, until: Callable[..., None]) -> None:
        self.drop = drop
        self.state = state
        self.api = api
        self._until = until
        self._remote = f"Test {uuid.uuid4()}"
        for number in range(MODELS):
            (drop / f"{number}.obj").write_text(f"mtllib {number}.mtl\n" + TRIANGLE.format(number))
            (drop / f"{number}.mtl").write_text(f"newmtl m\nKd 0 0 0.{number}\nmap_Kd wood.png\n")
        self.texture = drop / "wood.png"
        self.texture.write_bytes(PIXEL)

    def _settings(self) -> Settings:
        config = self.state.parent / "config.toml"
        config.write_text(
            f'state_dir = "{self.state}"\n[[drops]]\npath = "{self.drop}"\nfolder = "{self._remote}"\n'
            "settle_seconds = 0.2\ncompanion_wait_seconds = 1.0\n"
        )
        return load_settings(config, environ={"WATCHER_TRACK__INTERVAL_MIN": "0.05"})

    def scan(self) -> None:
        with Daemon(self._settings(), Server(self.api, "test"), threading.Event(), watch=False) as daemon:
            daemon.start()
            self._until(daemon.at_rest, 60, "rest")

    def reports(self) -> dict[str, FileReport]:
        with Ledger(self.state / LEDGER, read_only=True) as ledger:
            return {os.path.basename(file.path): file for file in ledger.report.files()}

    def on_server(self) -> Counter[str]:
        """How often each file name lies in the remote folder."""
        folder = next(f.folder_id for f in self.api.folders.iterate() if f.name == self._remote)
        return Counter(source.source_file_original_name for source in self.api.folders.source_files(folder))


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the content of each file was hashed, by name (apart from the proof while it is sent)."""
    from watcher import source

    counts: Counter[str] = Counter()
    real = source.hash_file

    def hash_file(descriptor: int, **options: Callable[[], bool]) -> FileDigest:
        counts[os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))] += 1
        return real(descriptor, **options)

    monkeypatch.setattr(source, "hash_file", hash_file)
    return counts


def test_a_texture_of_ten_models_is_in_ten_sets_and_hashed_once_a_version(
    drop_folder: Path, tmp_path: Path, api: AssetApi, until: Callable[..., None], hashed: Counter[str]
) -> None:
    shop = Shop(drop_folder.resolve(), tmp_path / "state", api, until)
    shop.scan()
    reports = shop.reports()
    models = [reports[f"{number}.obj"] for number in range(MODELS)]
    assert {model.state for model in models} == {FileState.DONE}
    assert sorted(map(os.path.basename, reports["wood.png"].mains)) == [f"{number}.obj" for number in range(MODELS)]
    assert shop.on_server()["wood.png"] == MODELS
    assert set(hashed.values()) == {1}
    assert len(hashed) == 2 * MODELS + 1

    hashed.clear()
    sent = shop.on_server()
    for path in shop.drop.iterdir():
        path.touch()
    shop.scan()
    assert shop.on_server() == sent, "what did not change is not sent"
    assert set(hashed.values()) == {1}
    assert {shop.reports()[model.path.rpartition("/")[2]].upload_task_id for model in models} == {
        model.upload_task_id for model in models
    }

    hashed.clear()
    shop.texture.write_bytes(PIXEL + b"\0")
    shop.scan()
    assert shop.on_server() == Counter({name: 2 * count for name, count in sent.items()}), "all ten sets went again"
    assert hashed == {"wood.png": 1}
    assert {report.state for report in shop.reports().values()} == {FileState.DONE}
