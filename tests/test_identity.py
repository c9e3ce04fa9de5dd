"""The daemon under a user of its own: what the key is used for, and what a lost key, token or right means."""

import contextlib
import http.client
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import watcher.identity
from watcher import clock
from watcher.api import AssetApi, RetryPolicy
from watcher.api.models import Access, MemberType
from watcher.config import ConfigError, Settings, load_settings
from watcher.credential import ConfiguredCredential
from watcher.daemon import Daemon
from watcher.emulator import Emulator
from watcher.identity import Identity, KeyRefused
from watcher.ledger import FileReport, Ledger
from watcher.model import FileState
from watcher.server import Server
from watcher.state import LEDGER

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)
NAME = "daemon@test"


@dataclass(frozen=True)
class Seen:
    """A request as it passed."""

    method: str
    path: str
    credential: str
    """The header's name."""
    value: str
    status: int

    @property
    def route(self) -> str:
        """Method and path, ids taken out."""
        return f"{self.method} {re.sub(r'[0-9a-f]{8}-[0-9a-f-]{27}', '*', self.path)}"


class Recorder(ThreadingHTTPServer):
    """A proxy in front of the emulator that notes who asks for what, and refuses credentials on demand."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Relay)
        self.target = target
        self.seen: list[Seen] = []
        self.key_is_good = True
        self.refused_tokens: set[str] = set()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def requests(self, credential: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.credential == credential]

    def uploads(self) -> list[Seen]:
        return [seen for seen in self.seen if seen.route == "POST /folders/*/source-files"]


class _Relay(BaseHTTPRequestHandler):
    server: Recorder
    protocol_version = "HTTP/1.1"

    def _relay(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        credential = "api_key" if "api_key" in self.headers else "user_token"
        value = self.headers[credential]
        refused = not self.server.key_is_good if credential == "api_key" else value in self.server.refused_tokens
        if refused:
            status, kind, answer = 401, "application/json", b'{"errorCode": 401, "message": "No such credential."}'
        else:
            upstream = http.client.HTTPConnection(self.server.target, timeout=20)
            passed = {name: each for name, each in self.headers.items() if name.lower() not in ("host", "connection")}
            upstream.request(self.command, self.path, body or None, passed)
            response = upstream.getresponse()
            status, kind, answer = response.status, response.headers.get("content-type", ""), response.read()
            upstream.close()
        path = self.path.removeprefix("/app/v1").split("?")[0]
        self.server.seen.append(Seen(self.command, path, credential, value, status))
        self.send_response(status)
        self.send_header("content-type", kind)
        if status != 204:
            self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _relay

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def recorder(emulator: Emulator) -> Iterator[Recorder]:
    recorder = Recorder(emulator.base_url.split("/")[2])
    yield recorder
    recorder.close()


@pytest.fixture
def key_client(recorder: Recorder, emulator: Emulator) -> Iterator[AssetApi]:
    """The client with the API key, by way of the recorder."""
    address = f"http://127.0.0.1:{recorder.server_port}/app/v1"
    with AssetApi(address, api_key=emulator.api_key, retry=RetryPolicy.none(), timeout=10) as api:
        yield api


class Office:
    """Drop folders with a state directory, and daemons that work under a user of their own."""

    def __init__(self, home: Path, key_client: AssetApi, remote: str) -> None:
        self.home = home
        self.state = home / "state"
        self.key_client = key_client
        self.remote = remote
        self.mirror = False
        self.ttl = "1h"
        self.max_attempts = 1
        self.drops = {"drop": f"{remote}/Incoming"}

    def drop(self, name: str = "drop") -> Path:
        folder = self.home / name
        folder.mkdir(exist_ok=True)
        return folder.resolve()

    def settings(self) -> Settings:
        config = self.home / "config.toml"
        tables = "".join(
            f'[[drops]]\npath = "{self.drop(name)}"\nfolder = "{folder}"\nsettle_seconds = 0.05\n'
            f"companion_wait_seconds = 0.2\nmirror = {str(self.mirror).lower()}\n"
            for name, folder in self.drops.items()
        )
        config.write_text(
            f'state_dir = "{self.state}"\n[api]\nauth = "user"\nuser_name = "{NAME} {self.remote}"\n'
            f'token_ttl = "{self.ttl}"\n[upload]\nmax_attempts = {self.max_attempts}\nbackoff_base = 0.05\n'
            f"[track]\ninterval_min = 0.05\ninterval_max = 0.5\n{tables}"
        )
        return load_settings(config, environ={})

    @contextlib.contextmanager
    def daemon(self, *, watch: bool = True) -> Iterator[Daemon]:
        stop = threading.Event()
        with Daemon(self.settings(), Server(self.key_client, "test"), stop, watch=watch) as daemon:
            daemon.start()
            yield daemon

    def scan(self, until: Callable[..., None]) -> None:
        with self.daemon(watch=False) as daemon:
            until(daemon.at_rest)

    def reports(self) -> dict[str, FileReport]:
        with Ledger(self.state / LEDGER, read_only=True) as ledger:
            return {Path(file.path).name: file for file in ledger.report.files()}

    def states(self) -> dict[str, FileState]:
        return {name: file.state for name, file in self.reports().items()}

    def folder(self, api: AssetApi, name: str = "Incoming") -> str:
        top = next(f.folder_id for f in api.folders.iterate() if f.name == self.remote and not f.parent_folder_id)
        return next(f.folder_id for f in api.folders.subfolders(top) if f.name == name)

    def user(self, api: AssetApi) -> str:
        return next(user.user_id for user in api.users.iterate() if user.username == f"{NAME} {self.remote}")


@pytest.fixture
def office(tmp_path: Path, key_client: AssetApi) -> Office:
    return Office(tmp_path, key_client, f"Office-{time.time_ns()}")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "own" / LEDGER) as ledger:
        yield ledger


def picture(number: int) -> bytes:
    """A picture with a content of its own."""
    return PIXEL + number.to_bytes(4, "big")


# What the key is for --------------------------------------------------------------------------------------------------


def test_the_key_sets_up_the_user_and_its_folders_and_does_no_other_work(
    office: Office, recorder: Recorder, api: AssetApi, until: Callable[..., None]
) -> None:
    office.mirror = True
    (office.drop() / "cars").mkdir()
    (office.drop() / "cars" / "red.png").write_bytes(picture(1))
    (office.drop() / "blue.png").write_bytes(picture(2))
    (office.drop() / "bad.off").write_bytes(b"OFF\nnothing of the kind\n")
    office.scan(until)
    assert office.states() == {"red.png": FileState.DONE, "blue.png": FileState.DONE, "bad.off": FileState.FAILED}
    assert {seen.route for seen in recorder.requests("api_key")} == {
        "GET /users",
        "POST /users",
        "POST /users/*/tokens",
        "GET /folders",
        "POST /folders",
        "GET /folders/*/folders",
        "POST /folders/*/folders",
        "PUT /folders/*/access/users/*",
    }
    assert [seen.credential for seen in recorder.uploads()] == ["user_token"] * 3
    # It made the sub-folder of the mirror by itself, and was let into the mapped folder only.
    incoming = office.folder(api)
    cars = next(folder for folder in api.folders.subfolders(incoming) if folder.name == "cars")
    assert cars.created_by is not None
    assert cars.created_by.user_id == office.user(api)
    top = api.folders.get(incoming).parent_folder_id
    assert top is not None
    granted = {name: api.folders.accesses(each).users for name, each in (("top", top), ("cars", cars.folder_id))}
    assert granted == {"top": (), "cars": ()}
    assert [(each.user_id, each.access) for each in api.folders.accesses(incoming).users] == [
        (office.user(api), Access.WRITE)
    ]


def test_the_user_is_registered_once_and_remembered(
    office: Office, recorder: Recorder, until: Callable[..., None]
) -> None:
    for number in range(3):
        (office.drop() / f"{number}.png").write_bytes(picture(number))
        office.scan(until)
    assert set(office.states().values()) == {FileState.DONE}
    routes = [seen.route for seen in recorder.requests("api_key")]
    # (Looking for the name takes as many pages as there are users on the server.)
    assert "GET /users" not in routes[routes.index("POST /users") :]
    for once in ("POST /users", "PUT /folders/*/access/users/*"):
        assert routes.count(once) == 1
    assert routes.count("POST /users/*/tokens") == 3


def test_a_user_that_is_there_already_is_found_by_its_name(
    office: Office, recorder: Recorder, api: AssetApi, until: Callable[..., None]
) -> None:
    user = api.users.register(f"{NAME} {office.remote}")
    (office.drop() / "a.png").write_bytes(PIXEL)
    office.scan(until)
    assert office.states() == {"a.png": FileState.DONE}
    assert "POST /users" not in [seen.route for seen in recorder.seen]
    assert [task.upload_task_id for task in api.users.upload_tasks(user.user_id)] == [
        office.reports()["a.png"].upload_task_id
    ]


def test_folders_that_were_found_under_the_key_are_granted_when_the_mode_changes(
    office: Office, api: AssetApi, until: Callable[..., None]
) -> None:
    (office.drop() / "a.png").write_bytes(picture(1))
    with_key = load_settings(office.settings().source, environ={"WATCHER_API__AUTH": "key"})
    with Daemon(with_key, Server(api, "test"), threading.Event(), watch=False) as daemon:
        daemon.start()
        until(daemon.at_rest)
    assert api.folders.accesses(office.folder(api)).users == ()
    (office.drop() / "b.png").write_bytes(picture(2))
    office.scan(until)
    assert office.states() == {"a.png": FileState.DONE, "b.png": FileState.DONE}


def test_a_user_token_cannot_set_up_a_user() -> None:
    with pytest.raises(ConfigError, match="needs the API key, not a user_token"):
        load_settings(None, environ={"WATCHER_API__AUTH": "user", "WATCHER_API__USER_TOKEN": "t", "HOME": "/none"})


# What is lost and comes back ------------------------------------------------------------------------------------------


def test_through_token_life_times_with_the_key_invalid_in_between_no_file_fails(
    office: Office, recorder: Recorder, until: Callable[..., None]
) -> None:
    life = 2.0
    office.ttl = "2s"
    troubles: set[str | None] = set()
    with office.daemon() as daemon:
        began = time.monotonic()
        number = 0
        while (age := time.monotonic() - began) < 4 * life:
            (office.drop() / f"{number}.png").write_bytes(picture(number))
            number += 1
            recorder.key_is_good = not life < age < 2.6 * life
            troubles.add(daemon.trouble())
            time.sleep(0.1)
        until(lambda: len(office.reports()) == number and set(office.states().values()) == {FileState.DONE}, 60, "all")
        assert daemon.trouble() is None
    assert any(trouble and "the API key is refused" in trouble for trouble in troubles)
    assert {seen.credential for seen in recorder.uploads()} == {"user_token"}
    assert len({seen.value for seen in recorder.uploads()}) >= 3  # tokens
    assert all(report.attempts <= 1 and report.error is None for report in office.reports().values())
    # Renewed before they expired: the server never saw one that was too old.
    assert not [seen for seen in recorder.requests("user_token") if seen.status == 401]


def test_a_revoked_right_stops_its_drop_only_and_is_told_with_what_gives_it_back(
    office: Office, recorder: Recorder, api: AssetApi, until: Callable[..., None]
) -> None:
    office.drops["other"] = f"{office.remote}/Other"
    (office.drop() / "a.png").write_bytes(picture(0))
    with office.daemon() as daemon:
        until(lambda: office.states() == {"a.png": FileState.DONE})
        incoming, user = office.folder(api), office.user(api)
        api.folders.revoke(incoming, MemberType.USERS, user)
        for number in range(1, 6):
            (office.drop() / f"{number}.png").write_bytes(picture(number))
        until(lambda: daemon.trouble() is not None, 30, "noticing")
        folder, name = f"{office.remote}/Incoming", f"{NAME} {office.remote}"
        assert daemon.trouble() == (
            f"the daemon's user {name} has no write access to the remote folder {folder}: grant it again"
            f" (3dverse-watcher folders grant {folder} write --user '{name}')"
        )
        (office.drop("other") / "b.png").write_bytes(picture(10))
        until(lambda: office.states().get("b.png") is FileState.DONE, 30, "the other drop")
        waiting = {name: state for name, state in office.states().items() if name[0] in "12345"}
        assert set(waiting.values()) == {FileState.PENDING}
        assert len(recorder.uploads()) <= 2 + 4  # each worker tried once at most
        api.folders.grant(incoming, MemberType.USERS, user, Access.WRITE)
        until(lambda: set(office.states().values()) == {FileState.DONE}, 20, "going on")
        assert daemon.trouble() is None
    assert len(office.states()) == 7


def test_a_right_that_was_taken_is_not_taken_back_by_the_daemon(
    office: Office, recorder: Recorder, api: AssetApi, until: Callable[..., None]
) -> None:
    (office.drop() / "a.png").write_bytes(picture(0))
    office.scan(until)
    api.folders.grant(office.folder(api), MemberType.USERS, office.user(api), Access.READ)
    (office.drop() / "b.png").write_bytes(picture(1))
    with office.daemon() as daemon:
        until(lambda: "no write access" in (daemon.trouble() or ""), 30, "noticing")
        until(lambda: office.states()["b.png"] is FileState.PENDING)
        time.sleep(1.2)  # the folder is looked at again meanwhile
        # It may be on a try at this moment; that ends as the ones before.
        until(lambda: office.states()["b.png"] is FileState.PENDING)
        assert daemon.trouble() is not None
    assert [each.access for each in api.folders.accesses(office.folder(api)).users] == [Access.READ]


def test_a_lost_right_is_told_before_a_file_suffers_it(
    office: Office, api: AssetApi, until: Callable[..., None]
) -> None:
    (office.drop() / "a.png").write_bytes(picture(0))
    office.scan(until)
    api.folders.revoke(office.folder(api), MemberType.USERS, office.user(api))
    with office.daemon() as daemon:
        until(lambda: "no write access" in (daemon.trouble() or ""), 30, "noticing")


def test_a_folder_that_was_deleted_is_made_and_granted_anew(
    office: Office, api: AssetApi, until: Callable[..., None]
) -> None:
    office.max_attempts = 2
    with office.daemon():
        (office.drop() / "bad.off").write_bytes(b"OFF\nnothing of the kind\n")
        until(lambda: office.states() == {"bad.off": FileState.FAILED})
        first = office.folder(api)
        api.source_files.delete([file.source_file_id for file in api.folders.source_files(first)])
        api.folders.delete(first)
        (office.drop() / "b.png").write_bytes(picture(1))
        until(lambda: office.states().get("b.png") in (FileState.DONE, FileState.FAILED))
    assert office.states()["b.png"] is FileState.DONE
    assert office.folder(api) != first
    assert [each.user_id for each in api.folders.accesses(office.folder(api)).users] == [office.user(api)]


def test_a_user_that_was_deleted_is_set_up_anew(
    office: Office, recorder: Recorder, api: AssetApi, ledger: Ledger, key_client: AssetApi
) -> None:
    identity = Identity(key_client, ledger, office.settings().api)
    identity.header()
    api.users.delete(office.user(api))
    identity._token = None
    identity.header()
    assert ledger.report.meta("user_id") == office.user(api)
    assert [seen.route for seen in recorder.seen].count("POST /users") == 2


def test_a_token_that_the_server_does_not_know_any_more_is_replaced_at_once(
    office: Office, recorder: Recorder, until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher.identity, "FRESH_SECONDS", 0.0)
    with office.daemon() as daemon:
        (office.drop() / "a.png").write_bytes(picture(0))
        until(lambda: office.states() == {"a.png": FileState.DONE})
        recorder.refused_tokens.add(recorder.uploads()[0].value)
        (office.drop() / "b.png").write_bytes(picture(1))

        def is_done() -> bool:
            assert daemon.gate.reason is None, "nobody had to wait"
            return office.states().get("b.png") is FileState.DONE

        until(is_done, 30, "the second upload")
    assert [seen.status for seen in recorder.uploads()] == [200, 401, 200]
    assert office.reports()["b.png"].attempts == 1


def test_a_server_that_refuses_every_token_is_not_asked_for_ever_more(
    office: Office, recorder: Recorder, ledger: Ledger, key_client: AssetApi
) -> None:
    identity = Identity(key_client, ledger, office.settings().api)
    _, token = identity.header()
    recorder.refused_tokens.add(token)
    assert not identity.refused(token)
    assert [seen.route for seen in recorder.seen].count("POST /users/*/tokens") == 1


# Tokens ---------------------------------------------------------------------------------------------------------------


def test_threads_that_need_a_token_at_once_share_one_renewal(
    office: Office, recorder: Recorder, ledger: Ledger, key_client: AssetApi
) -> None:
    identity = Identity(key_client, ledger, office.settings().api)
    with ThreadPoolExecutor(16) as threads:
        headers = list(threads.map(lambda _: identity.header(), range(16)))
    assert len(set(headers)) == 1
    assert [seen.route for seen in recorder.seen].count("POST /users/*/tokens") == 1


def test_threads_that_wait_for_a_token_in_vain_share_one_refusal(
    office: Office, recorder: Recorder, ledger: Ledger, key_client: AssetApi
) -> None:
    identity = Identity(key_client, ledger, office.settings().api)
    recorder.key_is_good = False
    gate = threading.Barrier(8)

    def ask(_: int) -> str:
        gate.wait()
        with pytest.raises(KeyRefused) as caught:
            identity.header()
        return str(caught.value)

    with ThreadPoolExecutor(8) as threads:
        answers = set(threads.map(ask, range(8)))
    assert answers == {"cannot list users: the API key is refused (HTTP 401): No such credential."}
    assert len(recorder.seen) < 8
    recorder.key_is_good = True
    assert identity.header()[0] == "user_token"
    assert identity.trouble() is None


def test_a_token_is_renewed_at_half_of_its_life_and_serves_on_when_that_fails(
    office: Office, recorder: Recorder, ledger: Ledger, key_client: AssetApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.ttl = "1000s"
    passed, real = [0.0], clock._elapsed
    monkeypatch.setattr(clock, "_elapsed", lambda: real() + passed[0])
    identity = Identity(key_client, ledger, office.settings().api)
    first = identity.header()
    recorder.key_is_good = False
    passed[0] = 300.0
    assert identity.header() == first
    assert identity.trouble() is None, "nobody asked for another"
    passed[0] = 501.0
    assert identity.header() == first
    assert "the API key is refused" in str(identity.trouble())
    recorder.key_is_good = True
    passed[0] = 550.0
    assert identity.header() != first
    assert identity.trouble() is None


def test_no_error_and_no_repr_shows_a_token(office: Office, ledger: Ledger, key_client: AssetApi) -> None:
    identity = Identity(key_client, ledger, office.settings().api)
    _, token = identity.header()
    assert token not in repr(identity)
    assert token not in repr(identity._token)


def test_a_key_that_was_replaced_in_its_file_is_found_when_the_old_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("old")
    settings = load_settings(None, environ={"WATCHER_API__API_KEY_FILE": str(file), "HOME": str(tmp_path)})
    credential = ConfiguredCredential(settings.api)
    assert credential.header() == ("api_key", "old")
    assert not credential.refused("old")
    file.write_text("new")
    assert credential.header() == ("api_key", "old")
    assert credential.refused("old")
    assert credential.header() == ("api_key", "new")
    assert credential.refused("old")  # another thread, late
    file.unlink()
    assert not credential.refused("new")
    assert credential.header() == ("api_key", "new")
