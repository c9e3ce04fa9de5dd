import logging
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from watcher.emulator import Emulator, MissingExtra, StoreError


def test_it_serves_from_start_to_stop(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path)
    emulator.start()
    assert emulator.base_url == f"http://127.0.0.1:{emulator.port}/app/v1"
    answer = httpx.get(f"{emulator.base_url}/folders", headers={"api_key": emulator.api_key})
    assert (answer.status_code, answer.json()) == (200, [])
    address = emulator.base_url
    emulator.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address}/folders")
    emulator.stop()  # harmless


def test_no_thread_outlives_it(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with Emulator(tmp_path):
        assert set(threading.enumerate()) > before
    assert set(threading.enumerate()) == before


def test_data_and_key_survive_a_restart(fresh, tmp_path: Path) -> None:
    first = fresh(tmp_path)
    folder_id = first.folder("kept")
    first.emulator.stop()
    second = fresh(tmp_path)
    assert second.emulator.api_key == first.emulator.api_key
    assert second.get(f"/folders/{folder_id}").json()["name"] == "kept"


def test_the_key_is_for_the_owner_only_and_never_shown(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path)
    key = emulator.api_key
    assert len(key) >= 32
    assert stat.S_IMODE((tmp_path / "api_key").stat().st_mode) == 0o600
    assert key not in repr(emulator)


def test_a_given_key_is_taken_and_not_written_down(fresh, tmp_path: Path) -> None:
    api = fresh(tmp_path, api_key="my-own-key")
    assert api.get("/folders").status_code == 200
    assert not (tmp_path / "api_key").exists()


def test_two_emulators_cannot_share_a_data_folder(tmp_path: Path) -> None:
    with Emulator(tmp_path), pytest.raises(StoreError, match="Another emulator"):
        Emulator(tmp_path).start()
    Emulator(tmp_path).__enter__().stop()  # free again


def test_a_port_that_is_taken_is_an_error_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        emulator = Emulator(tmp_path, port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            emulator.start()
    emulator.start()
    emulator.stop()


def test_data_of_another_version_is_refused(fresh, tmp_path: Path) -> None:
    import sqlite3

    fresh(tmp_path).emulator.stop()
    with sqlite3.connect(tmp_path / "emulator.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="another version"):
        Emulator(tmp_path).start()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "emulator.db").write_bytes(b"no database at all, but long enough to be read as one" * 20)
    with pytest.raises(StoreError, match="cannot be opened"):
        Emulator(tmp_path).start()


def test_signals_and_logging_stay_as_the_program_has_them(tmp_path: Path, capfd) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    root = (logging.root.level, list(logging.root.handlers))
    server_log = logging.getLogger("uvicorn")
    with Emulator(tmp_path) as emulator:
        httpx.get(f"{emulator.base_url}/folders")
        assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == handlers
    assert (logging.root.level, list(logging.root.handlers)) == root
    assert server_log.handlers == [] and server_log.propagate
    assert capfd.readouterr() == ("", "")


def test_without_the_extra_the_import_works_and_the_start_says_what_to_install(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('starlette', 'uvicorn', 'python_multipart', 'PIL', 'numpy'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "from watcher.emulator import Emulator, MissingExtra\n"
        f"emulator = Emulator({str(tmp_path)!r})\n"
        "try:\n"
        "    emulator.start()\n"
        "except MissingExtra as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert "pip install '3dverse-watcher[emulator]'" in done.stdout
    assert MissingExtra("x").args


def test_it_starts_fast(tmp_path: Path) -> None:
    with Emulator(tmp_path / "warm"):
        pass  # imports are paid for
    begin = time.process_time()
    with Emulator(tmp_path / "measured"):
        pass
    assert time.process_time() - begin < 1.5


def test_what_a_killed_emulator_left_unfinished_is_removed(fresh, tmp_path: Path, on_disk) -> None:
    api = fresh(tmp_path)
    api.send(api.folder(), ("a.txt", b"kept"))
    api.emulator.stop()
    (tmp_path / "incoming").mkdir(exist_ok=True)
    (tmp_path / "incoming" / "torn").write_bytes(b"x")
    (tmp_path / "blobs" / ("f" * 64)).write_bytes(b"renamed, but never committed")
    again = fresh(tmp_path)
    assert len(on_disk(again.emulator)) == 1
    assert again.get("/source-files").json()[0]["size"] == 4


def test_a_broken_request_is_a_json_error(api) -> None:
    for method, path, status in (
        ("GET", "/nowhere", 404),
        ("GET", "/folders/", 404),
        ("PUT", "/users", 405),
        ("DELETE", "/assets/dragons/1", 404),
    ):
        answer = api.request(method, path)
        assert answer.status_code == status
        assert answer.json()["errorCode"] == status
        assert answer.json()["message"]


def test_a_fault_of_the_emulator_itself_is_a_json_error_and_is_logged(fresh, monkeypatch, caplog) -> None:
    from watcher.emulator.resources import folders

    def explode(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    api = fresh()
    api.folder()
    monkeypatch.setattr(folders, "folder_json", explode)
    answer = api.get("/folders")
    assert answer.status_code == 500
    assert answer.json()["errorCode"] == 500
    assert "secret detail" not in answer.text
    assert "GET /folders failed" in caplog.text


def test_small_answers_are_not_held_back(api) -> None:
    def seconds() -> float:
        begin = time.perf_counter()
        api.get("/users", params={"limit": 1})
        return time.perf_counter() - begin

    # A fresh connection is acknowledged at once; the delay shows on one that is in use for a while.
    assert sorted(seconds() for _ in range(60))[30] < 0.03, "each takes 0.04 s when TCP waits for more to send"
