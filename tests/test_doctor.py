"""What the doctor finds, on real servers, folders and ledgers; and that it leaves no trace."""

import contextlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from watchdog.events import FileSystemEventHandler
from watchdog.observers import Observer

import watcher.doctor.inotify
import watcher.doctor.server
from watcher.api import AssetApi
from watcher.api.models import Access, MemberType, NewGroupMember
from watcher.config import Settings, load_settings
from watcher.daemon import Daemon
from watcher.doctor import Finding, Result, examine
from watcher.doctor.drops import check_drops, count_trees
from watcher.doctor.inotify import Usage, check_inotify
from watcher.doctor.server import check_server
from watcher.doctor.state import check_daemon, check_state, look_at_ledger
from watcher.emulator import Emulator, running_at
from watcher.intake.mounts import Mount, mount_of, mounts_below, read_mounts
from watcher.ledger import Ledger
from watcher.ledger.health import Health
from watcher.model import Drop, WatchMode
from watcher.server import Server
from watcher.state import EMULATOR_DATA, LEDGER, StateLock

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


class Patient:
    """A configuration to be looked at."""

    def __init__(self, home: Path, drop: Path, emulator: Emulator) -> None:
        self.home = home
        self.drop = drop
        self.state = home / "state"
        self.folder = f"Patient {time.time_ns()}"
        self.api: dict[str, object] = {"base_url": emulator.base_url, "api_key": emulator.api_key}

    def load(self, folders_must_exist: bool = True) -> Settings:
        config = self.home / "config.toml"
        lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in self.api.items())
        config.write_text(
            f'state_dir = "{self.state}"\n[api]\n{lines}\n[[drops]]\npath = "{self.drop}"\nfolder = "{self.folder}"\n'
            "settle_seconds = 0.05\n"
        )
        return load_settings(config, environ={}, folders_must_exist=folders_must_exist)

    def scan(self, api: AssetApi, until: Callable[..., None]) -> None:
        settings = self.load()
        server = Server(api, settings.api.base_url)
        with Daemon(settings, server, threading.Event(), watch=False) as daemon:
            daemon.start()
            until(daemon.at_rest)

    def health(self) -> Health | None:
        return look_at_ledger(self.load())[0]

    def on_the_network(self, patience: float = 20.0) -> dict[str, Finding]:
        return by_check(check_server(self.load(), self.health(), patience))


def by_check(findings: Iterator[Finding]) -> dict[str, Finding]:
    """The findings by what was looked at; of several the worst."""
    found: dict[str, Finding] = {}
    for finding in findings:
        before = found.get(finding.check)
        if before is None or finding.result.rank > before.result.rank:
            found[finding.check] = finding
    return found


@pytest.fixture
def patient(tmp_path: Path, drop_folder: Path, emulator: Emulator) -> Patient:
    return Patient(tmp_path, drop_folder.resolve(), emulator)


@contextlib.contextmanager
def serving(status: int, body: bytes, *, date: float | None = None) -> Iterator[str]:
    """A server that answers everything so; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(status)
            if date is not None:
                self.send_header("date", formatdate(date, usegmt=True))
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/app/v1"
    finally:
        server.shutdown()
        server.server_close()


# All of it ------------------------------------------------------------------------------------------------------------


def test_of_a_new_installation_nothing_is_wrong_and_nothing_is_made(patient: Patient, api: AssetApi) -> None:
    before = {folder.folder_id for folder in api.folders.iterate()}
    findings = list(examine(patient.load))
    assert [finding for finding in findings if finding.result is not Result.OK] == []
    assert {finding.check for finding in findings} == {
        "program",
        "configuration",
        "server",
        "clock",
        "credentials",
        "remote folder",
        "drop",
        "inotify",
        "state",
        "ledger",
        "daemon",
        "emulator",
    }
    assert not patient.state.exists()
    assert {folder.folder_id for folder in api.folders.iterate()} == before


def test_what_is_wrong_with_the_configuration_does_not_hide_the_rest(patient: Patient) -> None:
    patient.drop.rmdir()
    found = by_check(examine(patient.load))
    assert found["configuration"].result is Result.FAILURE
    assert "does not exist" in found["configuration"].message
    assert found["drop"].result is Result.FAILURE
    assert found["credentials"].result is Result.OK


def test_a_configuration_that_cannot_be_read_ends_it(patient: Patient) -> None:
    patient.api["nonsense"] = "1"
    found = by_check(examine(patient.load))
    assert set(found) == {"program", "configuration"}
    assert "nonsense" in found["configuration"].message


# The server -----------------------------------------------------------------------------------------------------------


def test_a_refused_key_is_told_as_that_and_by_where_it_came_from(patient: Patient) -> None:
    patient.api["api_key"] = "wrong-key-of-mine"
    found = patient.on_the_network()
    assert found["server"].result is Result.OK
    assert found["credentials"].result is Result.FAILURE
    assert found["credentials"].message.startswith("the API key ([api] api_key) is refused")
    assert "remote folder" not in found
    assert "wrong-key-of-mine" not in str(found)


def test_without_a_key_the_server_is_asked_for_nevertheless(patient: Patient) -> None:
    del patient.api["api_key"]
    found = patient.on_the_network()
    assert found["credentials"].message == "there is no API key"
    assert found["server"].result is Result.OK


def test_a_key_file_that_everybody_can_read_is_a_warning(patient: Patient, emulator: Emulator) -> None:
    file = patient.home / "key"
    file.write_text(emulator.api_key)
    file.chmod(0o644)
    del patient.api["api_key"]
    patient.api["api_key_file"] = str(file)
    found = patient.on_the_network()["credentials"]
    assert (found.result, found.advice) == (Result.WARNING, f"chmod 600 {file}")


def test_a_server_that_is_not_there_is_a_failure_at_once(patient: Patient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    patient.api["base_url"] = f"http://127.0.0.1:{port}/app/v1"
    began = time.monotonic()
    found = patient.on_the_network()
    assert time.monotonic() - began < 5
    assert found["server"].result is Result.FAILURE
    assert "refused the connection" in found["server"].message
    assert "could not be tried" in found["credentials"].message


def test_a_server_that_never_answers_is_not_waited_for_long(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        patient.api["base_url"] = f"http://127.0.0.1:{silent.getsockname()[1]}/app/v1"
        began = time.monotonic()
        late = patient.on_the_network(patience=0.3)
        monkeypatch.setattr(watcher.doctor.server, "TIMEOUT", 0.3)
        silence = patient.on_the_network()
        assert time.monotonic() - began < 5
    assert late["server"].message == "no answer came within 0.3 s"
    assert "did not answer within 0.3 s" in silence["server"].message


def test_another_server_at_the_address_is_told_from_the_asset_api(patient: Patient) -> None:
    with serving(404, b"<html><title>Welcome</title></html>") as address:
        patient.api["base_url"] = address
        found = patient.on_the_network()["server"]
    assert found.result is Result.FAILURE
    assert found.message.startswith("there is no Asset API at ")


@pytest.mark.parametrize(("ahead", "words"), [(7200, "behind"), (-7200, "ahead of")])
def test_clocks_that_differ_are_a_warning(patient: Patient, ahead: float, words: str) -> None:
    with serving(401, b'{"errorCode": 401, "message": "no"}', date=time.time() + ahead) as address:
        patient.api["base_url"] = address
        found = patient.on_the_network()
    assert found["server"].result is Result.OK
    assert found["clock"].result is Result.WARNING
    assert f"s {words} the server's" in found["clock"].message
    assert found["clock"].message.startswith("this machine's clock is 7,")


def test_the_embedded_server_is_tried_on_data_of_its_own(patient: Patient) -> None:
    patient.api = {"emulator": True}
    found = patient.on_the_network()
    assert found["server"].message.startswith("the embedded server starts and answers")
    assert not patient.state.exists()


def test_the_embedded_server_of_a_daemon_is_found_and_asked(patient: Patient) -> None:
    patient.api = {"emulator": True}
    data = patient.state / EMULATOR_DATA
    assert running_at(data) is None
    with Emulator(data) as embedded:
        assert running_at(data) == embedded.base_url
        found = patient.on_the_network()
    assert found["server"].message == f"the embedded server runs, at {embedded_address(found)}"
    assert found["remote folder"].result is Result.OK
    assert running_at(data) is None


def embedded_address(found: dict[str, Finding]) -> str:
    return found["server"].message.rsplit(" ", 1)[1]


# Rights ---------------------------------------------------------------------------------------------------------------


def test_a_folder_that_is_there_is_asked_for_the_right_to_write_and_left_as_it_is(
    patient: Patient, api: AssetApi
) -> None:
    folder = api.folders.create(patient.folder)
    found = patient.on_the_network()["remote folder"]
    assert found == Finding("remote folder", Result.OK, f"{patient.folder} can be listed and written to")
    assert not api.folders.subfolders(folder.folder_id)
    assert not api.folders.source_files_page(folder.folder_id).items


@pytest.mark.parametrize(
    ("granted", "result", "words"),
    [
        (Access.WRITE, Result.OK, "can be listed and written to"),
        (Access.READ, Result.FAILURE, "the user token has no write access to the remote folder"),
        (None, Result.FAILURE, "the user token may not look into"),
    ],
)
def test_the_right_of_a_user_token_is_told(
    patient: Patient, api: AssetApi, granted: Access | None, result: Result, words: str
) -> None:
    folder_id = api.folders.create(patient.folder).folder_id
    user_id = api.users.register(patient.folder).user_id
    if granted is not None:
        api.folders.grant(folder_id, MemberType.USERS, user_id, granted)
    token = api.users.generate_token(user_id, Access.WRITE).user_token.get_secret_value()
    del patient.api["api_key"]
    patient.api["user_token"] = token
    patient.folder = folder_id
    found = patient.on_the_network()["remote folder"]
    assert found.result is result
    assert words in found.message


def test_an_id_that_the_server_does_not_know_is_a_failure(patient: Patient) -> None:
    patient.folder = "00000000-0000-4000-8000-000000000000"
    assert "has no folder with the id" in patient.on_the_network()["remote folder"].message


def test_the_daemon_s_own_user_is_told_of_before_and_after_its_first_start_and_when_a_right_is_revoked(
    patient: Patient, api: AssetApi, until: Callable[..., None]
) -> None:
    patient.api |= {"auth": "user", "user_name": f"daemon {patient.folder}"}
    found = patient.on_the_network()
    assert found["user"].message == f"daemon {patient.folder} is not there yet; the first start registers it"
    assert found["remote folder"].message.endswith("the first upload makes it")
    assert all(user.username != f"daemon {patient.folder}" for user in api.users.iterate())

    (patient.drop / "a.png").write_bytes(PIXEL)
    patient.scan(api, until)
    user_id = next(user.user_id for user in api.users.iterate() if user.username == f"daemon {patient.folder}")
    found = patient.on_the_network()
    assert found["user"].message.endswith(f"({user_id})")
    assert found["remote folder"].message == f"{patient.folder} is open for writing to daemon {patient.folder}"

    folder_id = next(folder.folder_id for folder in api.folders.iterate() if folder.name == patient.folder)
    api.folders.revoke(folder_id, MemberType.USERS, user_id)
    lost = patient.on_the_network()["remote folder"]
    assert lost.result is Result.FAILURE
    assert lost.message.endswith(f"has no write access to the remote folder {patient.folder}")
    assert lost.advice == (
        f"grant it again (3dverse-watcher folders grant '{patient.folder}' write --user 'daemon {patient.folder}')"
    )
    assert api.folders.accesses(folder_id).users == ()  # it was not granted by looking

    member = NewGroupMember(user_id=user_id, group_access=Access.READ, folder_access=Access.WRITE)
    group = api.groups.create(patient.folder, [member])
    api.folders.grant(folder_id, MemberType.GROUPS, group.group_id, Access.WRITE)
    assert patient.on_the_network()["remote folder"].result is Result.OK


# Drop folders ---------------------------------------------------------------------------------------------------------


def drops_found(drop: Path, *mounts: Mount, recursive: bool = True) -> list[Finding]:
    drops = [Drop(str(drop), "X", recursive=recursive)]
    return list(check_drops(drops, count_trees(drops), mounts, 300.0))


def test_a_folder_is_counted_with_all_below_it_that_is_watched(drop_folder: Path) -> None:
    (drop_folder / "a" / "b").mkdir(parents=True)
    (drop_folder / "link").symlink_to(drop_folder)
    (drop_folder / "file").touch()
    disk = Mount("/", "ext4")
    told = f"{drop_folder} can be read: 3 folders on ext4, watched by inotify"
    assert drops_found(drop_folder, disk)[0].message == told
    assert drops_found(drop_folder, disk, recursive=False)[0].message.endswith("1 folder on ext4, watched by inotify")


def test_counting_ends_at_its_bounds(drop_folder: Path) -> None:
    for number in range(10):
        (drop_folder / str(number)).mkdir()
    drops = [Drop(str(drop_folder), "X")]
    assert count_trees(drops, most=4)[drops[0].path].size == "more than 4 folders"
    assert not count_trees(drops, seconds=-1)[drops[0].path].complete


@pytest.mark.parametrize(
    ("mode", "mounts", "words"),
    [
        ("auto", {"{drop}": "nfs4"}, "on nfs4, polled every 10 s, since it is not told of what others change (nfs4 at"),
        ("auto", {"{drop}/share": "cifs"}, "watched by inotify, and in part polled every 10 s"),
        ("auto", {"{drop}": "fuse.bindfs"}, "(fuse.bindfs at {drop})"),
        ("auto", {"{drop}": "fuseblk"}, "on fuseblk, watched by inotify"),
        ("poll", {}, "on ext4, polled every 10 s as configured"),
        (
            "inotify",
            {"{drop}": "nfs4"},
            "watched by inotify, which does not tell of what others change (nfs4 at",
        ),
    ],
)
def test_a_drop_is_said_to_be_watched_or_polled_and_why(
    drop_folder: Path, mode: str, mounts: dict[str, str], words: str
) -> None:
    table = [Mount("/", "ext4"), *(Mount(point.format(drop=drop_folder), kind) for point, kind in mounts.items())]
    drops = [Drop(str(drop_folder), "X", watch=WatchMode(mode))]
    [found] = check_drops(drops, count_trees(drops), table, 300.0)
    assert words.format(drop=drop_folder) in found.message
    assert found.result is (Result.WARNING if mode == "inotify" else Result.OK)
    assert mode != "inotify" or "300 s" in str(found.advice)


@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may read everything")
def test_folders_that_cannot_be_read_are_named(drop_folder: Path) -> None:
    closed = drop_folder / "closed"
    closed.mkdir(mode=0)
    try:
        found = drops_found(drop_folder, Mount("/", "ext4"))[-1]
    finally:
        closed.chmod(0o755)
    assert found.result is Result.WARNING
    assert str(closed) in found.message


def test_the_table_of_mounts_is_read_as_the_kernel_writes_it(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "30 22 0:40 / /srv/my\\040share rw - nfs4 server:/x rw\n"
        "31 22 0:41 / /srv/twice rw master:2 - tmpfs tmpfs rw\n"
        "32 31 0:42 / /srv/twice rw - xfs /dev/sdb rw\n"
        "nonsense\n"
    )
    mounts = read_mounts(str(table))
    assert len(mounts) == 4
    assert mount_of("/srv/my share/drop", mounts) == Mount("/srv/my share", "nfs4", os.makedev(0, 40))
    assert mount_of("/srv/my shared", mounts) == Mount("/", "ext4", os.makedev(8, 1))
    assert mount_of("/srv/twice", mounts) == Mount("/srv/twice", "xfs", os.makedev(0, 42))
    assert [mount.kind for mount in mounts_below("/srv", mounts)] == ["nfs4", "tmpfs", "xfs"]
    assert read_mounts(str(tmp_path / "none")) == []
    assert not sys.platform.startswith("linux") or mount_of("/", read_mounts()) is not None


# inotify --------------------------------------------------------------------------------------------------------------


def limits(folder: Path, watches: int = 10_000, instances: int = 100, queue: int = 16_384) -> Path:
    folder.mkdir(exist_ok=True)
    for name, value in (
        ("max_user_watches", watches),
        ("max_user_instances", instances),
        ("max_queued_events", queue),
    ):
        (folder / name).write_text(f"{value}\n")
    return folder


@pytest.mark.parametrize(
    ("low", "advice"),
    [
        ({"watches": 999}, "sudo sysctl fs.inotify.max_user_watches=2048"),
        ({"instances": 2}, "sudo sysctl fs.inotify.max_user_instances=8"),
        ({"queue": 500}, "sudo sysctl fs.inotify.max_queued_events=16384"),
    ],
)
def test_a_limit_that_is_too_low_is_a_warning_with_what_to_set(
    tmp_path: Path, low: dict[str, int], advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher.doctor.inotify, "PROCESSES", tmp_path / "no processes")
    [fine] = check_inotify(3, 1000, limits(tmp_path / "inotify"))
    assert fine.result is Result.OK
    [found] = check_inotify(3, 1000, limits(tmp_path / "inotify", **low))
    assert found.result is Result.WARNING
    assert str(found.advice).startswith(advice)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="inotify is Linux")
def test_what_other_programs_watch_is_counted_and_what_the_daemon_watches_is_not(
    tmp_path: Path, drop_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = tmp_path / "proc"  # this process alone: what others watch changes at any time
    processes.mkdir()
    (processes / str(os.getpid())).symlink_to(f"/proc/{os.getpid()}")
    monkeypatch.setattr(watcher.doctor.inotify, "PROCESSES", processes)
    for number in range(40):
        (drop_folder / str(number)).mkdir()
    before = watcher.doctor.inotify._usage(None)
    observer = Observer()
    observer.schedule(FileSystemEventHandler(), str(drop_folder), recursive=True)
    observer.start()
    try:
        during = watcher.doctor.inotify._usage(None)
        assert watcher.doctor.inotify._usage(os.getpid()) == Usage(0, 0)
    finally:
        observer.stop()
        observer.join()
    assert during == Usage(before.instances + 1, before.watches + 41)


def test_a_system_without_inotify_is_no_fault(tmp_path: Path) -> None:
    [found] = check_inotify(1, 1, tmp_path / "none")
    assert found.result is Result.OK


# State ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("free", "result"), [(10 << 20, Result.FAILURE), (500 << 20, Result.WARNING), (50 << 30, Result.OK)]
)
def test_the_room_on_the_disk_is_judged(
    patient: Patient, free: int, result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    found = by_check(check_state(patient.load(), [Mount("/", "ext4")]))["state"]
    assert found.result is result


@pytest.mark.parametrize("place", ["file", "file/state", "link"])
def test_a_state_directory_that_is_none_is_a_failure(patient: Patient, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    settings = patient.load().model_copy(update={"state_dir": tmp_path / place})
    found = by_check(check_state(settings, [Mount("/", "ext4")]))["state"]
    assert (found.result, found.message) == (
        Result.FAILURE,
        f"{tmp_path / place.removesuffix('/state')} is not a folder",
    )


def test_a_state_on_the_network_is_a_warning(patient: Patient) -> None:
    found = by_check(check_state(patient.load(), [Mount("/", "nfs4")]))["state"]
    assert (found.result, found.advice) == (Result.WARNING, "set state_dir to a place on a local disk")


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.iterdir()}


def test_a_file_that_was_emptied_is_a_damaged_ledger_and_not_none(patient: Patient) -> None:
    patient.state.mkdir()
    (patient.state / LEDGER).touch()
    _, found = look_at_ledger(patient.load())
    assert (found.result, "is damaged: it holds no ledger" in found.message) == (Result.FAILURE, True)


def test_a_ledger_is_looked_at_without_leaving_a_trace(patient: Patient) -> None:
    with Ledger(patient.state / LEDGER) as ledger:
        ledger.upkeep.remember("server", patient.load().api.base_url)
    before = snapshot(patient.state)
    health, found = look_at_ledger(patient.load())
    assert found.message == f"{patient.state / LEDGER} is sound, schema 1"
    assert health is not None
    assert health.meta["server"] == patient.api["base_url"]
    assert snapshot(patient.state) == before


def test_the_ledger_of_a_daemon_that_was_killed_is_read_with_its_last_words_and_left_alone(patient: Patient) -> None:
    path = patient.state / LEDGER
    program = (
        "import os, sys; from pathlib import Path; from watcher.ledger import Ledger\n"
        "Ledger(Path(sys.argv[1])).upkeep.remember('last', 'words'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)
    before = snapshot(patient.state)
    assert before["ledger.db-wal"][0] > 0
    health, found = look_at_ledger(patient.load())
    assert found.result is Result.OK
    assert health is not None
    assert health.meta["last"] == "words"
    after = snapshot(patient.state)
    assert {name: after[name] for name in (LEDGER, f"{LEDGER}-wal")} == {
        name: before[name] for name in (LEDGER, f"{LEDGER}-wal")
    }
    assert set(after) == set(before)


def test_a_damaged_ledger_is_a_failure(patient: Patient) -> None:
    path = patient.state / LEDGER
    with Ledger(path):
        pass
    content = bytearray(path.read_bytes())
    content[8192:16384] = b"\x5a" * 8192
    path.write_bytes(content)
    _, found = look_at_ledger(patient.load())
    assert found.result is Result.FAILURE
    path.write_bytes(b"This is no database at all. " * 100)
    _, found = look_at_ledger(patient.load())
    assert "file is not a database" in found.message


def test_a_ledger_of_another_server_or_of_a_newer_program_is_a_failure(patient: Patient) -> None:
    path = patient.state / LEDGER
    with Ledger(path) as ledger:
        ledger.upkeep.remember("server", "https://elsewhere.example/app/v1")
    _, found = look_at_ledger(patient.load())
    assert found.result is Result.FAILURE
    assert "belongs to https://elsewhere.example/app/v1, not to http://127.0.0.1" in found.message
    with contextlib.closing(sqlite3.connect(path)) as sql, sql:
        sql.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('ledger', 'later', 'now')"
        )
    _, found = look_at_ledger(patient.load())
    assert "has schema 2, of a newer 3dverse-watcher" in found.message


def test_a_daemon_that_runs_is_told_with_its_trouble(patient: Patient) -> None:
    settings = patient.load()
    assert "does not run" in check_daemon(settings).message
    with StateLock(patient.state) as lock:
        assert check_daemon(settings).message == f"it runs (process {os.getpid()})"
        lock.tell("the API key is refused", {})
        found = check_daemon(settings)
    assert found.result is Result.FAILURE
    assert found.message == f"it runs (process {os.getpid()}), but the API key is refused"
