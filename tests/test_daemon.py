"""The whole way of a file, in one process: real folders, a real ledger, a real server, real faults on the wire."""

import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from enum import Enum, auto
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from watcher.api import AssetApi, RetryPolicy
from watcher.api.folders import Folders
from watcher.config import Settings, load_settings
from watcher.daemon import Daemon
from watcher.emulator import Emulator
from watcher.ledger import FileReport, Ledger
from watcher.model import FileState, Role
from watcher.server import Server
from watcher.state import LEDGER

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


class Fault(Enum):
    """What the wire does to one upload."""

    NONE = auto()
    CUT_IN_BODY = auto()
    """The connection ends in the middle of the body."""
    LOSE_ANSWER = auto()
    """The server gets all of it, and its answer is lost."""
    REFUSE = auto()
    """Nobody listens."""
    ANSWER_503 = auto()
    """Something in front of the server answers before it is asked."""
    ANSWER_PAGE = auto()
    """A page comes where JSON is expected, after the server got all of it."""


class Wire:
    """A proxy in front of the emulator that spoils uploads on demand; everything else passes."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.faults: list[Fault] = []
        self.uploads = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, socket.create_connection(self._target) as server:
            while True:
                head = _until(client, b"\r\n\r\n")
                if not head:
                    return
                length = _length(head)
                upload = head.startswith(b"POST") and b"/source-files" in head.split(b"\r\n", 1)[0]
                fault = self.faults.pop(0) if upload and self.faults else Fault.NONE
                self.uploads += upload
                if fault is Fault.REFUSE:
                    return
                if fault is Fault.ANSWER_503:
                    _read(client, length)
                    client.sendall(b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")
                    continue
                # One request a connection to the server, so that its answer ends with the connection.
                server.sendall(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
                body = _read(client, length // 2 if fault is Fault.CUT_IN_BODY else length)
                server.sendall(body)
                if fault is Fault.CUT_IN_BODY:
                    return
                answer = b""
                while chunk := server.recv(65536):
                    answer += chunk
                if fault is Fault.LOSE_ANSWER:
                    return
                if fault is Fault.ANSWER_PAGE:
                    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>"
                client.sendall(answer)
                return


def _until(connection: socket.socket, mark: bytes) -> bytes:
    data = b""
    while mark not in data:
        byte = connection.recv(1)
        if not byte:
            return b""
        data += byte
    return data


def _read(connection: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        chunk = connection.recv(min(65536, length - len(data)))
        if not chunk:
            break
        data += chunk
    return data


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0


class House:
    """A drop folder with its state directory, and passes over it."""

    def __init__(self, drop: Path, state: Path, api: AssetApi, until: Callable[..., None]) -> None:
        self.drop = drop
        self.state = state
        self.api = api
        self._until = until
        self.remote = f"Test {uuid.uuid4()}"
        self.overrides = {"WATCHER_UPLOAD__BACKOFF_BASE": "0.05", "WATCHER_TRACK__INTERVAL_MIN": "0.05"}

    def settings(self) -> Settings:
        config = self.state.parent / "config.toml"
        config.write_text(
            f'state_dir = "{self.state}"\n[[drops]]\npath = "{self.drop}"\nfolder = "{self.remote}"\n'
            "settle_seconds = 0.1\ncompanion_wait_seconds = 1.0\n"
        )
        return load_settings(config, environ=self.overrides)

    @contextlib.contextmanager
    def daemon(self, *, watch: bool) -> Iterator[Daemon]:
        stop = threading.Event()
        with Daemon(self.settings(), Server(self.api, "test"), stop, watch=watch) as daemon:
            daemon.start()
            yield daemon

    def scan(self, seconds: float = 60.0) -> None:
        """One pass, to its end."""
        with self.daemon(watch=False) as daemon:
            self._until(daemon.at_rest, seconds, "rest")

    def reports(self) -> dict[str, FileReport]:
        """What the ledger says, by path relative to the drop."""
        with Ledger(self.state / LEDGER, read_only=True) as ledger:
            return {os.path.relpath(file.path, self.drop): file for file in ledger.report.files()}

    def states(self) -> dict[str, FileState]:
        return {name: file.state for name, file in self.reports().items()}

    def on_server(self) -> Counter[str]:
        """How often each file name lies in the remote folder."""
        folder = next(f.folder_id for f in self.api.folders.iterate() if f.name == self.remote)
        return Counter(source.source_file_original_name for source in self.api.folders.source_files(folder))


@pytest.fixture
def house(drop_folder: Path, tmp_path: Path, api: AssetApi, until: Callable[..., None]) -> House:
    return House(drop_folder.resolve(), tmp_path / "state", api, until)


@pytest.fixture
def wire(emulator: Emulator) -> Iterator[Wire]:
    host, port = emulator.base_url.split("/")[2].split(":")
    wire = Wire((host, int(port)))
    yield wire
    wire.close()


@pytest.fixture
def house_behind_wire(house: House, wire: Wire, emulator: Emulator) -> Iterator[House]:
    with AssetApi(
        f"http://127.0.0.1:{wire.port}/app/v1", api_key=emulator.api_key, retry=RetryPolicy.none(), timeout=10
    ) as api:
        house.api = api
        yield house


def test_a_dropped_model_becomes_assets_that_the_server_has(house: House, copy_model: Callable[..., Path]) -> None:
    copy_model("obj-spider")
    house.scan()
    reports = house.reports()
    model = reports["obj-spider/spider.obj"]
    assert model.state is FileState.DONE
    assert model.assets
    types = Counter(asset.type for asset in model.assets)
    assert types["scene"] == 1
    assert types["texture"] == 5
    assert model.source_file_id is not None
    confirmed = {asset_id for _, asset_id, _ in house.api.source_files.assets(model.source_file_id).refs()}
    assert {asset.asset_id for asset in model.assets} == confirmed
    others = [file for name, file in reports.items() if not name.endswith("spider.obj")]
    assert {file.role for file in others} == {Role.COMPANION}
    assert set(house.on_server().values()) == {1}
    assert len(house.on_server()) == 7


def test_what_was_uploaded_is_byte_for_byte_the_file(house: House) -> None:
    content = os.urandom(3 * 1024 * 1024 + 17)
    (house.drop / "noise.raw").write_bytes(content)
    house.scan()
    report = house.reports()["noise.raw"]
    assert report.state is FileState.FAILED  # noise is no model, and the server says so
    assert report.source_file_id is not None
    with house.api.source_files.download(report.source_file_id) as chunks:
        assert hashlib.sha256(b"".join(chunks)).digest() == hashlib.sha256(content).digest()


def test_a_second_scan_sends_nothing(house_behind_wire: House, wire: Wire, copy_model: Callable[..., Path]) -> None:
    for model in ("obj-spider", "glb-box", "gltf-box", "off-invalid"):
        copy_model(model)
    house_behind_wire.scan()
    sent, states = wire.uploads, house_behind_wire.states()
    assert sent == 4
    house_behind_wire.scan()
    for path in house_behind_wire.drop.rglob("*"):
        path.touch()
    house_behind_wire.scan()
    assert wire.uploads == sent
    assert house_behind_wire.states() == states


def test_a_copy_under_another_name_is_a_duplicate_with_the_same_assets(house: House) -> None:
    (house.drop / "first.png").write_bytes(PIXEL)
    house.scan()
    (house.drop / "second.png").write_bytes(PIXEL)
    house.scan()
    reports = house.reports()
    assert (reports["first.png"].state, reports["second.png"].state) == (FileState.DONE, FileState.DUPLICATE)
    assert reports["second.png"].assets == reports["first.png"].assets != ()
    assert house.on_server() == {"first.png": 1}


def test_equal_files_dropped_at_once_are_sent_once(house: House) -> None:
    for number in range(20):
        (house.drop / f"{number}.png").write_bytes(PIXEL)
    house.scan()
    assert sorted(Counter(house.states().values()).items()) == [(FileState.DONE, 1), (FileState.DUPLICATE, 19)]
    assert sum(house.on_server().values()) == 1


def test_sub_folders_are_mirrored_when_the_drop_says_so(house: House) -> None:
    (house.drop / "cars" / "red").mkdir(parents=True)
    (house.drop / "cars" / "red" / "paint.png").write_bytes(PIXEL)
    config = house.settings()
    mirrored = config.model_copy(update={"drops": tuple(_mirror(drop) for drop in config.drops)})
    stop = threading.Event()
    with Daemon(mirrored, Server(house.api, "test"), stop, watch=False) as daemon:
        daemon.start()
        house._until(daemon.at_rest)
    report = house.reports()["cars/red/paint.png"]
    assert report.folder_id is not None
    folder = house.api.folders.get(report.folder_id)
    assert folder.name == "red"
    assert folder.parent_folder_id is not None
    assert house.api.folders.get(folder.parent_folder_id).name == "cars"


def _mirror(drop: object) -> object:
    from dataclasses import replace

    return replace(drop, mirror=True)  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("fault", "sent_again"),
    [
        (Fault.CUT_IN_BODY, True),
        (Fault.LOSE_ANSWER, False),
        (Fault.REFUSE, True),
        (Fault.ANSWER_503, True),
        (Fault.ANSWER_PAGE, False),
    ],
)
def test_whatever_the_wire_does_the_file_is_on_the_server_once(
    house_behind_wire: House, wire: Wire, fault: Fault, sent_again: bool
) -> None:
    wire.faults = [fault]
    (house_behind_wire.drop / "a.png").write_bytes(PIXEL)
    house_behind_wire.scan()
    report = house_behind_wire.reports()["a.png"]
    assert report.state is FileState.DONE
    assert report.assets
    assert report.error is None
    assert house_behind_wire.on_server() == {"a.png": 1}
    assert wire.uploads == (2 if sent_again else 1)
    assert report.attempts == (2 if sent_again else 1), "the server was there for others: it counts as an attempt"


def test_a_set_that_fails_again_and_again_is_given_up_with_the_reason_and_comes_back_with_retry(
    house_behind_wire: House, wire: Wire
) -> None:
    house_behind_wire.overrides["WATCHER_UPLOAD__MAX_ATTEMPTS"] = "2"
    wire.faults = [Fault.ANSWER_503] * 2
    (house_behind_wire.drop / "a.png").write_bytes(PIXEL)
    house_behind_wire.scan()
    report = house_behind_wire.reports()["a.png"]
    assert report.state is FileState.FAILED
    assert report.error is not None
    assert "2 attempts" in report.error
    assert "503" in report.error
    with Ledger(house_behind_wire.state / LEDGER) as ledger:
        ledger.upkeep.retry([report.path], 0.0)
    house_behind_wire.scan()
    assert house_behind_wire.states() == {"a.png": FileState.DONE}


def test_a_server_that_is_away_for_a_while_costs_no_attempt(house: House, emulator: Emulator) -> None:
    (house.drop / "before.png").write_bytes(PIXEL)
    house.scan()  # so that the remote folder is known, and the upload itself is what fails
    (house.drop / "before.png").unlink()
    (house.drop / "a.png").write_bytes(PIXEL + b"\0")
    host, port = emulator.base_url.split("/")[2].split(":")
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        away = reserved.getsockname()[1]
    with AssetApi(f"http://127.0.0.1:{away}/app/v1", api_key=emulator.api_key, retry=RetryPolicy.none()) as api:
        house.api = api
        with house.daemon(watch=True) as daemon:
            house._until(lambda: daemon.trouble() is not None, 30, "noticing")
            house._until(lambda: house.reports()["a.png"].error is not None, 30, "its reason")
            time.sleep(1.0)
            report = house.reports()["a.png"]
            assert report.state is FileState.PENDING
            assert report.attempts == 0
            # It comes back, on the same port.
            wire = Wire((host, int(port)))
            wire._listener.close()
            wire._listener = socket.create_server(("127.0.0.1", away))
            threading.Thread(target=wire._accept, daemon=True).start()
            house._until(lambda: house.states()["a.png"] is FileState.DONE, 30, "the upload")
            assert daemon.trouble() is None
            wire.close()


def test_a_file_that_changes_while_it_is_hashed_or_sent_is_uploaded_as_it_ends_up(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The content is changed after it was hashed and before it is sent: the attempt is void."""
    path = house.drop / "a.png"
    path.write_bytes(PIXEL)
    final = PIXEL[:-1] + b"\x00"
    from watcher.upload import Uploader

    claim = Uploader._claim
    changed = []

    def change_first(self: Uploader, *args: object) -> bool:
        if not changed:
            changed.append(True)
            path.write_bytes(final)
        return claim(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Uploader, "_claim", change_first)
    house.scan()
    report = house.reports()["a.png"]
    assert changed
    assert report.digest == f"blake3:{blake3(final).hexdigest()}", "the attempt with the stale digest was void"
    assert report.source_file_id is not None
    with house.api.source_files.download(report.source_file_id) as chunks:
        assert b"".join(chunks) == final
    assert house.on_server() == {"a.png": 1}


def test_a_fault_of_ours_after_the_last_byte_sends_nothing_twice(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    upload, faults = Folders.upload, iter([True])

    def then_fail(*args: Any, **options: Any) -> Any:
        answer = upload(*args, **options)
        if next(faults, False):
            raise RuntimeError("nobody foresaw this")
        return answer

    monkeypatch.setattr(Folders, "upload", then_fail)
    (house.drop / "a.png").write_bytes(PIXEL)
    house.scan()
    assert (house.states(), house.on_server()) == ({"a.png": FileState.DONE}, {"a.png": 1})


def test_a_name_that_is_no_text_is_uploaded_and_reported(house: House) -> None:
    name = b"caf\xe9\n.png"
    with open(os.path.join(os.fsencode(house.drop), name), "wb") as file:
        file.write(PIXEL)
    house.scan()
    assert house.states() == {os.fsdecode(name): FileState.DONE}


@pytest.mark.parametrize("way", ["cp -r", "mv", "rsync -a", "tar x"])
def test_a_tree_dropped_on_a_running_daemon_ends_the_same_however_it_comes(
    way: str, house: House, corpus: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    for model in ("obj-spider", "obj-subfolder", "gltf-box", "glb-box", "off-invalid", "obj-spaces"):
        shutil.copytree(corpus / model, source / model)
    for path in source.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    with house.daemon(watch=True):
        if way == "mv":
            for child in source.iterdir():
                child.rename(house.drop / child.name)
        elif way == "cp -r":
            subprocess.run(["cp", "-r", f"{source}/.", str(house.drop)], check=True)
        elif way == "rsync -a":
            if shutil.which("rsync") is None:
                pytest.skip("rsync is not installed")
            subprocess.run(["rsync", "-a", f"{source}/", f"{house.drop}/"], check=True)
        else:
            subprocess.run(["tar", "cf", tmp_path / "t.tar", "-C", source, "."], check=True)
            subprocess.run(["tar", "xf", tmp_path / "t.tar", "-C", house.drop], check=True)
        expected = {
            "obj-spider/spider.obj": (FileState.DONE, Role.MAIN),
            "obj-spider/spider.mtl": (FileState.DONE, Role.COMPANION),
            "obj-spider/SpiderTex.jpg": (FileState.DONE, Role.COMPANION),
            "obj-spider/drkwood2.jpg": (FileState.DONE, Role.COMPANION),
            "obj-spider/engineflare1.jpg": (FileState.DONE, Role.COMPANION),
            "obj-spider/wal67ar_small.jpg": (FileState.DONE, Role.COMPANION),
            "obj-spider/wal69ar_small.jpg": (FileState.DONE, Role.COMPANION),
            "obj-subfolder/mtl_different_folder.obj": (FileState.DONE, Role.MAIN),
            "obj-subfolder/folder/mtl_different_folder.mtl": (FileState.DONE, Role.COMPANION),
            "gltf-box/BoxTextured.gltf": (FileState.DONE, Role.MAIN),
            "gltf-box/BoxTextured0.bin": (FileState.DONE, Role.COMPANION),
            "gltf-box/CesiumLogoFlat.png": (FileState.DONE, Role.COMPANION),
            "glb-box/BoxTextured.glb": (FileState.DONE, Role.MAIN),
            "off-invalid/invalid.off": (FileState.FAILED, Role.MAIN),
            "obj-spaces/box_mat_with_spaces.obj": (FileState.DONE, Role.MAIN),
            "obj-spaces/box_spaces.mtl": (FileState.DONE, Role.COMPANION),
        }

        def outcome() -> dict[str, tuple[FileState, Role]]:
            return {name: (file.state, file.role) for name, file in house.reports().items()}

        house._until(lambda: outcome() == expected, 60, f"the end state after {way}")
    assert set(house.on_server().values()) == {1}


def test_uploads_that_go_well_wake_only_who_has_to_do_with_them(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    woken = Counter[str]()
    wake = Daemon._wake

    def counted(daemon: Daemon, *names: str) -> None:
        woken.update(names)
        wake(daemon, *names)

    monkeypatch.setattr(Daemon, "_wake", counted)
    house.overrides["WATCHER_TRACK__INTERVAL_MIN"] = "1"
    for number in range(40):
        (house.drop / f"{number}.obj").write_text(f"v {number} 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    house.scan()
    assert set(house.states().values()) == {FileState.DONE}
    assert woken["tracker"] == 40
    assert woken["reconcile"] == 0
    assert woken["caretaker"] < 20
