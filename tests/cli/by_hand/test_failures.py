"""What goes wrong is one sentence and an exit code: 1 the API refuses, 2 usage, 3 nobody there or not welcome."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest


def test_what_the_api_refuses_makes_exit_1_and_one_sentence(types, home):
    answer = types("folders", "show", "00000000-0000-0000-0000-000000000000", code=1)
    assert answer.out == ""
    assert answer.err.count("\n") == 1
    assert answer.err.startswith("error: cannot get folder info: not found (HTTP 404")


def test_nobody_there_makes_exit_3(types, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("WATCHER_API__BASE_URL", f"http://127.0.0.1:{free.getsockname()[1]}/app/v1")
    assert "cannot be reached" in types("folders", "ls", code=3).err


def test_a_key_that_is_not_known_makes_exit_3_and_is_not_repeated(types, monkeypatch):
    monkeypatch.setenv("WATCHER_API__API_KEY", "no-such-key-at-all")
    answer = types("assets", "ls", code=3)
    assert "credentials were refused" in answer.err
    assert "no-such-key-at-all" not in answer.err


def test_no_credentials_make_exit_2_and_say_both_ways_out(types, monkeypatch):
    monkeypatch.delenv("WATCHER_API__API_KEY")
    answer = types("folders", "ls", code=2)
    assert "--emulator" in answer.err
    assert "API_KEY" in answer.err


@pytest.mark.parametrize(
    "words",
    [
        ["folders", "mv", "a"],
        ["folders", "grant", "a", "own", "--user", "b"],
        ["sources", "upload", "not-there.obj", "--to", "a"],
        ["assets", "create", "spaceship", "x", "--to", "a"],
        ["tasks", "ls", "--user", "a", "--folder", "b"],
    ],
)
def test_usage_makes_exit_2(types, words):
    assert types(*words, code=2).err


def test_a_place_that_cannot_be_written_to_makes_exit_1_and_is_named(types, home, tmp_path):
    types("assets", "create", "scene", "stage", "--to", home)
    (tmp_path / "file").write_text("mine")
    for words in (["download", f"{home}/stage", "--to", "file"], ["package", f"{home}/stage", "--to", "no/such/x.zip"]):
        answer = types("assets", *words, code=1)
        assert answer.err.startswith(("error: file: ", "error: no/such/"))
        assert answer.err.count("\n") == 1


@pytest.mark.parametrize("words", [["show", ".."], ["wait", "."], ["metadata", "", "log.txt"]])
def test_what_can_be_no_id_is_usage(types, words):
    assert "is no id" in types("tasks", *words, code=2).err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_download_leaves_nothing_and_makes_exit_130(home, types, cube, tmp_path, number):
    """A server that sends the beginning only: the command waits for the rest when the signal comes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        env = {
            **os.environ,
            "WATCHER_API__BASE_URL": f"http://127.0.0.1:{server.getsockname()[1]}/app/v1",
            "WATCHER_API__API_KEY": "key",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "watcher", "tasks", "metadata", "task", "log.txt", "--to", "log.txt"],
            cwd=tmp_path,
            env=env,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nbeginning")
                deadline = time.monotonic() + 10
                while not list(tmp_path.glob(".download-*")) and time.monotonic() < deadline:
                    time.sleep(0.01)
                assert list(tmp_path.glob(".download-*"))
                process.send_signal(number)
                _, err = process.communicate(timeout=20)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 130
    assert err.strip() == "interrupted"
    assert not list(tmp_path.glob("*log*"))
    assert not list(tmp_path.glob(".download-*"))
