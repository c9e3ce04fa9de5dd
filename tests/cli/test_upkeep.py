"""`retry`, `forget`, `config`, `emulator` and `demo` as a user runs them."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"


def test_retry_tries_failed_files_again_without_leaving_the_first_behind(person: Any) -> None:
    (person.drop / "broken.off").write_text("OFF\nnothing\n")
    assert person.runs("scan", "--emulator", "drop").code == 1
    assert "1 file will be tried again" in person.runs("retry", "drop/broken.off").out
    done = person.runs("scan", "--emulator", "drop", "--json")
    assert done.code == 1
    assert done.by_name()["broken.off"]["attempts"] == 1
    assert "no file failed" in person.runs("retry", "drop/nothing.off").out
    assert person.runs("retry").code == 2


def test_a_forgotten_file_is_new_again(person: Any) -> None:
    (person.drop / "a.obj").write_text(TRIANGLE)
    assert person.runs("scan", "--emulator", "drop").code == 0
    first = person.runs("status", "drop", "--json").by_name()["a.obj"]
    assert "1 file forgotten" in person.runs("forget", "--yes", "drop/a.obj").out
    assert person.runs("status", "--all", "--json").json["files"] == []
    assert person.runs("scan", "--emulator", "drop").code == 0
    again = person.runs("status", "drop", "--json").by_name()["a.obj"]
    assert again["upload_task_id"] != first["upload_task_id"]


def test_forget_asks_first(person: Any) -> None:
    (person.drop / "a.obj").write_text(TRIANGLE)
    assert person.runs("scan", "--emulator", "drop").code == 0
    asked = person.runs("forget", "drop/a.obj")
    assert (asked.code, "give --yes" in asked.err) == (2, True), "nobody is there to answer"
    assert "a.obj" in person.runs("status", "--all", "--json").by_name()


def test_config_shows_what_is_in_force_and_masks_the_key(person: Any) -> None:
    person.configures('[api]\napi_key = "very-secret-key"\n[[drops]]\npath = "drop"\nfolder = "Cars/Incoming"\n')
    shown = person.runs("config")
    assert shown.code == 0
    assert "Cars/Incoming" in shown.out
    assert "very-secret-key" not in shown.out
    assert "config.toml:2" in shown.out
    assert json.loads(person.runs("config", "--json").out)["drops"][0]["folder"] == "Cars/Incoming"


def test_a_wrong_configuration_names_file_line_and_key(person: Any) -> None:
    person.configures("[upload]\nworkers = 4\nworkesr = 5\n")
    done = person.runs("config")
    assert done.code == 2
    assert "config.toml:3" in done.err
    assert "workesr" in done.err
    assert "did you mean" in done.err


def test_the_emulator_says_where_it_listens_and_what_its_key_is(person: Any) -> None:
    process = person.starts("emulator")
    try:
        assert process.stdout is not None
        listening = process.stdout.readline()
        assert listening.startswith("listening on http://127.0.0.1:")
        assert listening.endswith("/app/v1\n")
        url = listening.split()[-1]
        name, key = process.stdout.readline().split()
        assert name == "api_key:"
        assert httpx.get(f"{url}/folders", headers={"api_key": key}).json() == []
        assert httpx.get(f"{url}/folders", headers={"api_key": "another"}).status_code == 401
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_the_emulator_remembers_its_data(person: Any) -> None:
    for expected in ([], ["Kept"]):
        process = person.starts("emulator", "--data", person.home / "data", "--api-key", "mine")
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            with httpx.Client(base_url=url, headers={"api_key": "mine"}) as client:
                assert [folder["name"] for folder in client.get("/folders").json()] == expected
                if not expected:
                    client.post("/folders", json={"name": "Kept"}).raise_for_status()
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)


def test_the_demo_does_the_main_job_and_says_where_to_look_next(person: Any) -> None:
    done = person.runs("demo")
    assert done.code == 0
    for name in ("crate.obj", "knot.glb", "marble.png", "chime.wav"):
        assert name in done.out
    assert done.out.count("done") >= 6
    assert "status --all" in done.err
    document = person.runs("--config", "3dverse-demo/config.toml", "status", "--all", "--json")
    # The state directory of the environment stands above the one of the demo's file.
    assert document.code == 0
    again = person.runs("demo")
    assert again.code == 0


def test_what_needs_an_extra_says_which(person: Any, tmp_path: Path) -> None:
    blocker = tmp_path / "blocker"
    blocker.mkdir()
    (blocker / "uvicorn.py").write_text("raise ModuleNotFoundError('not installed', name='uvicorn')\n")
    person.env["PYTHONPATH"] = str(blocker)
    done = subprocess.run(
        [sys.executable, "-m", "watcher", "scan", "--emulator", str(person.drop)],
        cwd=person.home,
        env=person.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "3dverse-watcher[emulator]" in done.stderr
    assert "Traceback" not in done.stderr
