"""Whatever happens to a file at whatever moment of its way: what is on the server is what was whole, once."""

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

import watcher.reconcile
from watcher import source
from watcher.api import AssetApi
from watcher.api.folders import Folders
from watcher.config import Settings
from watcher.daemon import Daemon
from watcher.ledger import ConversionLedger, FileReport
from watcher.model import FileState
from watcher.server import Server
from watcher.source import SourceFile, SourceFiles
from watcher.upload import Uploader

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


def rewrite(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-2] + b"\xff" + content[-1:])


def rewrite_and_restore_the_time(path: Path) -> None:
    before = path.stat()
    rewrite(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def shrink(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 4)


def delete(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    other = path.with_name(f".{path.name}")
    other.write_bytes(path.read_bytes() + b"other")
    other.rename(path)


def make_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_a_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def make_a_link(path: Path) -> None:
    path.rename(path.with_name(f".{path.name}"))
    path.symlink_to(f".{path.name}")


def touch(path: Path) -> None:
    path.touch()


MISCHIEFS: list[Callable[[Path], None]] = [
    *(rewrite, rewrite_and_restore_the_time, grow, shrink, delete, replace),
    *(make_a_folder, make_a_fifo, make_a_link, touch),
]


class Moment:
    """Does each file's mischief, once, when its time has come."""

    def __init__(self) -> None:
        self.left: dict[str, Callable[[Path], None]] = {}

    def has_come(self, path: str) -> None:
        if (mischief := self.left.pop(path, None)) is not None:
            mischief(Path(path))


def before_it_is_opened(moment: Moment, patch: pytest.MonkeyPatch) -> None:
    real = SourceFiles.__init__

    def init(self: SourceFiles, members: Any, *more: Any) -> None:
        moment.has_come(members[0].path)
        real(self, members, *more)

    patch.setattr(SourceFiles, "__init__", init)


def after_it_was_opened(moment: Moment, patch: pytest.MonkeyPatch) -> None:
    real = SourceFile.hash

    def digest(self: SourceFile) -> str:
        moment.has_come(self.member.path)
        return real(self)

    patch.setattr(SourceFile, "hash", digest)


def after_it_was_hashed(moment: Moment, patch: pytest.MonkeyPatch) -> None:
    real = Uploader._claim

    def claim(self: Uploader, job: Any, *more: Any) -> bool:
        moment.has_come(job.main.path)
        return real(self, job, *more)

    patch.setattr(Uploader, "_claim", claim)


def while_it_is_sent(moment: Moment, patch: pytest.MonkeyPatch) -> None:
    real = SourceFile.chunks

    def chunks(self: SourceFile) -> Iterator[bytes]:
        for number, chunk in enumerate(real(self)):
            if number == 1:
                moment.has_come(self.member.path)
            yield chunk

    patch.setattr(SourceFile, "chunks", chunks)
    patch.setattr(source, "CHUNK", 32)


def after_the_server_has_it(moment: Moment, patch: pytest.MonkeyPatch) -> None:
    real = Folders.upload

    def upload(self: Folders, folder_id: str, files: Any, **more: Any) -> Any:
        answer = real(self, folder_id, files, **more)
        next((moment.has_come(path) for path in list(moment.left) if path.endswith(f"/{files[0].name}")), None)
        return answer

    patch.setattr(Folders, "upload", upload)


def when_its_conversion_ends(moment: Moment, patch: pytest.MonkeyPatch) -> None:
    real = ConversionLedger.succeeded

    def succeeded(self: ConversionLedger, upload_id: int, *more: Any) -> None:
        row = self._connection.row("SELECT name FROM members WHERE upload_id = ? AND position = 0", (upload_id,))
        assert row is not None
        name = row["name"].decode()
        next((moment.has_come(path) for path in list(moment.left) if path.endswith(f"/{name}")), None)
        real(self, upload_id, *more)

    patch.setattr(ConversionLedger, "succeeded", succeeded)


@pytest.mark.parametrize(
    "when",
    [
        *(before_it_is_opened, after_it_was_opened, after_it_was_hashed),
        *(while_it_is_sent, after_the_server_has_it, when_its_conversion_ends),
    ],
)
def test_a_file_may_be_spoiled_at_any_moment_of_its_way(
    when: Callable[[Moment, pytest.MonkeyPatch], None],
    settings: Settings,
    api: AssetApi,
    until: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watcher.reconcile, "ARRIVAL_SECONDS", 0.3)
    drop, moment = Path(settings.drops[0].path), Moment()
    when(moment, monkeypatch)
    whole = set()
    with Daemon(settings, Server(api, "test"), threading.Event(), watch=True) as daemon:
        daemon.start()
        for number, mischief in enumerate(MISCHIEFS):
            path = drop / f"{mischief.__name__}.png"
            moment.left[str(path)] = mischief
            content = PIXEL + number.to_bytes(4, "big")
            whole.add(content)
            path.with_suffix(".part").write_bytes(content)
        for path in drop.iterdir():
            path.rename(path.with_suffix(".png"))
        until(lambda: not moment.left and daemon.at_rest(), 20, "rest")
        daemon.intake.request_scan()  # no event tells of a truncation
        files = {path.name: path for path in drop.glob("[!.]*") if path.is_file() and not path.is_symlink()}
        whole |= {path.read_bytes() for path in files.values()}

        def reports() -> dict[str, FileReport]:
            return {os.path.basename(file.path): file for file in daemon.ledger.report.files()}

        def told() -> bool:
            is_gone = {name for name, file in reports().items() if file.state is FileState.GONE}
            done = {name: file.digest for name, file in reports().items() if file.state is FileState.DONE}
            digests = {name: f"blake3:{blake3(path.read_bytes()).hexdigest()}" for name, path in files.items()}
            return done == digests and len(done) + len(is_gone) == len(MISCHIEFS)

        until(told, 20, "what became of all")
        folder = next(f.folder_id for f in api.folders.iterate() if f.name == settings.drops[0].folder)
        there = {s.source_file_id: content_of(api, s.source_file_id) for s in api.folders.source_files(folder)}
        assert set(Counter(there.values()).values()) == {1}, "nothing is there twice"
        assert set(there.values()) <= whole, "nor torn"
        for name, path in files.items():
            source_file_id = reports()[name].source_file_id
            assert source_file_id is not None
            assert there[source_file_id] == path.read_bytes(), name


def content_of(api: AssetApi, source_file_id: str) -> bytes:
    with api.source_files.download(source_file_id) as chunks:
        return b"".join(chunks)
