"""What a killed emulator had confirmed is there again, and nothing else."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx

_SERVE = """
import sys
from watcher.emulator import Emulator
emulator = Emulator(sys.argv[1], api_key="key")
emulator.start()
print(emulator.base_url, flush=True)
sys.stdin.read()
"""


def test_a_kill_in_the_middle_of_uploads_loses_nothing_that_was_confirmed(fresh, tmp_path: Path, on_disk) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    base_url = process.stdout.readline().strip()
    client = httpx.Client(base_url=base_url, headers={"api_key": "key"})
    folder = client.post("/folders", json={"name": "f"}).json()["folder_id"]
    confirmed: list[str] = []

    def send(worker: int) -> None:
        try:
            for number in range(10_000):
                content = f"{worker} {number}".encode() + os.urandom(30_000)
                answer = client.post(f"/folders/{folder}/source-files", files={"f": ("a.txt", content)})
                confirmed.append(answer.json()["upload_task_id"])
        except httpx.TransportError:
            pass  # killed

    threads = [threading.Thread(target=send, args=[worker]) for worker in range(4)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 30
    while len(confirmed) < 40 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    for thread in threads:
        thread.join()
    process.stdin.close()  # type: ignore[union-attr]
    process.stdout.close()

    api = fresh(tmp_path, api_key="key")
    tasks = api.get("/upload-tasks", params={"limit": 10_000}).json()
    assert len(confirmed) >= 40
    assert set(confirmed) <= {task["upload_task_id"] for task in tasks}
    files = api.get("/source-files", params={"limit": 10_000}).json()
    assert len(files) == len(tasks)
    for file in files:
        assert len(api.get(f"/source-files/{file['source_file_id']}").content) == file["size"]
    for task in tasks:
        assert api.finished(task["upload_task_id"])["status"] == "error"  # text is no model
    assert len(on_disk(api.emulator)) == len(files)
