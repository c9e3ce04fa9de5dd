"""The whole way of small textures against bare httpx: ``python -m tests.bench_upload [FILES [WORKERS]]``.

By default 5,000 files and 4 workers. Both send the same number of new files to the same emulator on this machine, which
converts them meanwhile; measured is the time from the first upload to the last. What `scan` does besides (scan, plan,
hash twice, ask whether the server has it, record each step, follow the conversions) is in its time.
"""
# ruff: noqa: T201

import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from watcher.ledger import Ledger

COMMAND = [sys.executable, "-m", "watcher"]


def make_textures(folder: Path, number: int, colour: int) -> None:
    """Pictures of four pixels, all of them different ones."""
    folder.mkdir()
    for at in range(number):
        pixels = (colour << 24 | at).to_bytes(4, "big") * 3
        (folder / f"t{at}.tga").write_bytes(bytes((0, 0, 2, *[0] * 9, 2, 0, 2, 0, 24, 0)) + pixels)


def bare(folder: Path, base_url: str, api_key: str, workers: int) -> tuple[float, float]:
    """Send them with one client and as many threads. Returns the seconds that it took, and of the processor."""
    limits = httpx.Limits(max_connections=workers, max_keepalive_connections=workers)
    with httpx.Client(headers={"api_key": api_key}, limits=limits, timeout=60) as client:
        created = client.post(f"{base_url}/folders", json={"name": "Bare"}).raise_for_status().json()
        url = f"{base_url}/folders/{created['folder_id']}/source-files"

        def send(path: Path) -> None:
            with path.open("rb") as file:
                client.post(url, files={"file": (path.name, file)}).raise_for_status()

        began, used = time.monotonic(), time.process_time()
        with ThreadPoolExecutor(workers) as threads:
            list(threads.map(send, sorted(folder.iterdir())))
        return time.monotonic() - began, time.process_time() - used


def scan(folder: Path, base_url: str, api_key: str, workers: int) -> tuple[float, float]:
    """Let `scan` bring them. Returns the seconds from the beginning of the first upload to the end of the last, and
    those of the processor from the start of the program to its end."""
    state = folder.with_name("state")
    state.mkdir()
    config = state / "config.toml"
    config.write_text(f'[upload]\nworkers = {workers}\n[[drops]]\npath = "{folder}"\nsettle_seconds = 0\n')
    env = {
        **os.environ,
        "WATCHER_STATE_DIR": str(state),
        "WATCHER_API__BASE_URL": base_url,
        "WATCHER_API__API_KEY": api_key,
    }
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [*COMMAND, "--config", config, "--log-level", "warning", "scan"], env=env, capture_output=True, check=True
    )
    with Ledger(state / "ledger.db", read_only=True) as ledger:
        row = ledger._connection.row(
            "SELECT min(started_at) AS first, max(sent_at) AS last, count(*) AS uploads FROM uploads"
        )
    assert row is not None
    assert row["uploads"] == len(list(folder.iterdir()))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return row["last"] - row["first"], used.ru_utime + used.ru_stime - ended.ru_utime - ended.ru_stime


@contextlib.contextmanager
def emulator(data: Path) -> Iterator[tuple[str, str]]:
    """Its address and key. One for each run: no conversions of the run before go on."""
    command = [*COMMAND, "emulator", "--data", data]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().split()[-1], server.stdout.readline().split()[-1]
        finally:
            server.terminate()


def main(files: int = 5_000, workers: int = 4) -> None:
    took: list[float] = []
    for number, run in enumerate((bare, scan)):
        with tempfile.TemporaryDirectory() as folder, emulator(Path(folder, "data")) as (base_url, api_key):
            drop = Path(folder, "drop")
            make_textures(drop, files, number)
            seconds, used = run(drop, base_url, api_key, workers)
        took.append(seconds)
        per_file = 1000 / files
        print(f"{run.__name__:5} {seconds:8.2f} s {seconds * per_file:8.2f} ms and {used * per_file:.2f} ms cpu a file")
    print(f"ratio {took[1] / took[0]:8.2f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
