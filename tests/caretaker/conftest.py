"""Drops with policies, passes over them, and what the server has afterwards."""

import contextlib
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from watcher.api import AssetApi, NotFound
from watcher.api.models import Folder, SourceFile
from watcher.config import Settings, load_settings
from watcher.daemon import Daemon
from watcher.ledger import FileReport, Ledger
from watcher.model import FileState
from watcher.server import Server
from watcher.state import LEDGER

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


def picture(number: int) -> bytes:
    """A picture that can be converted, another one for each number, all of one size."""
    return PIXEL + number.to_bytes(4, "big")


def cube(material: str = "", shift: float = 0.0) -> str:
    """A triangle, really."""
    library = f"mtllib {material}.mtl\nusemtl paint\n" if material else ""
    return f"{library}v {shift} 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nf 1/1 2/2 3/3\n"


class Yard:
    """A drop folder with a policy, its state directory, and its remote folder."""

    def __init__(self, root: Path, api: AssetApi, until: Callable[..., None]) -> None:
        self.api = api
        self.until = until
        self.state = root / "state"
        self.drop = (root / "drop").resolve()
        self.drop.mkdir(exist_ok=True)
        self._config = root / "config.toml"
        self.remote = f"Yard {uuid.uuid4()}"
        self.policy = ""
        self.delete_wait = 0.3
        self.more_drops = ""

    def settings(self) -> Settings:
        self._config.write_text(
            f'state_dir = "{self.state}"\n[[drops]]\npath = "{self.drop}"\nfolder = "{self.remote}"\n'
            f"settle_seconds = 0.1\ncompanion_wait_seconds = 0.5\n"
            f"delete_wait_seconds = {self.delete_wait}\n{self.policy}\n" + self.more_drops
        )
        environ = {"WATCHER_UPLOAD__BACKOFF_BASE": "0.05", "WATCHER_TRACK__INTERVAL_MIN": "0.05"}
        return load_settings(self._config, environ=environ)

    def write(self, name: str, content: bytes | str) -> Path:
        """A file that counts as settled at once."""
        path = self.drop / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    @contextlib.contextmanager
    def daemon(self, *, watch: bool = False) -> Iterator[Daemon]:
        with Daemon(self.settings(), Server(self.api, "test"), threading.Event(), watch=watch) as daemon:
            daemon.start()
            yield daemon

    def scan(self, seconds: float = 30.0) -> None:
        """One pass, to its end."""
        with self.daemon() as daemon:
            self.until(daemon.at_rest, seconds, "rest")

    def report(self, name: str) -> FileReport:
        with Ledger(self.state / LEDGER, read_only=True) as ledger:
            (file,) = ledger.report.files([str(self.drop / name)])
            return file

    def states(self) -> dict[str, FileState]:
        with Ledger(self.state / LEDGER, read_only=True) as ledger:
            return {file.path.removeprefix(f"{self.drop}/"): file.state for file in ledger.report.files()}

    def folder(self, *below: str) -> Folder:
        """The drop's remote folder, or one below it."""
        folder = next(f for f in self.api.folders.iterate() if f.name == self.remote)
        for name in below:
            folder = next(f for f in self.api.folders.subfolders(folder.folder_id) if f.name == name)
        return folder

    def sources(self, *below: str) -> list[SourceFile]:
        return list(self.api.folders.source_files(self.folder(*below).folder_id))

    def names(self, *below: str) -> Counter[str]:
        """How often each file name lies in the remote folder."""
        return Counter(source.source_file_original_name for source in self.sources(*below))

    def contents(self) -> list[bytes]:
        """What the source files in the remote folder hold."""
        found = []
        for source in self.sources():
            with self.api.source_files.download(source.source_file_id) as chunks:
                found.append(b"".join(chunks))
        return sorted(found)

    def assets(self, *below: str) -> dict[str, str]:
        """The assets in the remote folder: id and type."""
        return {asset.asset_id: asset.asset_type for asset in self.api.folders.assets(self.folder(*below).folder_id)}

    def is_there(self, source_file_id: str | None) -> bool:
        assert source_file_id is not None
        try:
            self.api.source_files.details(source_file_id)
        except NotFound:
            return False
        return True

    def check(self) -> None:
        """No false claims: what the ledger says of files that are done, the server has."""
        with Ledger(self.state / LEDGER, read_only=True) as ledger:
            for file in ledger.report.files(states=[FileState.DONE, FileState.DUPLICATE]):
                if file.role == "main":
                    assert file.source_file_id is not None
                    with self.api.source_files.download(file.source_file_id) as chunks:
                        assert b"".join(chunks) == Path(file.path).read_bytes()
                    there = {a for _, a, _ in self.api.source_files.assets(file.source_file_id).refs()}
                    assert {asset.asset_id for asset in file.assets} <= there
                    assert file.assets


@pytest.fixture
def yard(tmp_path: Path, api: AssetApi, until: Callable[..., None]) -> Yard:
    return Yard(tmp_path, api, until)


@pytest.fixture
def replacing(yard: Yard) -> Yard:
    yard.policy = 'on_change = "replace"'
    return yard


@pytest.fixture
def deleting(yard: Yard) -> Yard:
    yard.policy = 'on_delete = "delete"'
    return yard


@pytest.fixture(name="picture")
def picture_fixture() -> Callable[[int], bytes]:
    return picture


@pytest.fixture
def triangle() -> Callable[..., str]:
    return cube
