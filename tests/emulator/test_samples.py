"""Programs written after the vendor's samples run against the emulator: only key and base URL are ours."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

SAMPLES = Path(__file__).parent / "samples"


def modules() -> Path | None:
    """The node_modules that hold the official client: beside the repository, or where NODE_PATH says."""
    places = [Path(__file__).parents[2] / "node_modules"]
    places += map(Path, filter(None, os.environ.get("NODE_PATH", "").split(":")))
    return next((place for place in places if (place / "@3dverse" / "api").is_dir()), None)


def run(api, *command: object, folder: Path) -> dict[str, Any]:
    arguments = [*map(str, command), api.emulator.base_url, api.emulator.api_key]
    done = subprocess.run(arguments, check=False, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


def check(api, answers: dict[str, Any], access: str) -> None:
    """What the sample was told is so."""
    user, token, folder = answers["user"], answers["token"], answers["folder"]
    assert api.get(f"/users/{user['user_id']}").json() == user
    assert user["username"] == "sample-user"
    assert token["expires_in"] == 24 * 3600
    assert abs(token["expires_on"] - time.time() - 24 * 3600) < 60
    assert api.get(f"/folders/{folder['folder_id']}").json()["name"] == "sample-folder"
    assert 200 <= answers["granted"] < 300
    member = {"user_id": user["user_id"], "username": "sample-user", "access": access}
    assert api.get(f"/folders/{folder['folder_id']}/access").json() == {"users": [member], "groups": []}
    [task] = answers["tasks"]
    assert task["upload_task_id"] == answers["upload"]["upload_task_id"]
    assert task["uploaded_by"] == {"user_id": user["user_id"], "username": "sample-user"}
    assert api.finished(task["upload_task_id"])["status"] == "success"


def test_the_typescript_sample_runs_with_the_official_client(fresh, tmp_path: Path) -> None:
    installed = modules()
    if installed is None or shutil.which("node") is None:
        pytest.skip("the official client is not installed (npm install @3dverse/api)")
    (tmp_path / "node_modules").symlink_to(installed)
    sample = shutil.copy(SAMPLES / "first_steps.mjs", tmp_path)
    api = fresh()
    check(api, run(api, "node", sample, folder=tmp_path), access="manage")


def test_the_python_sample_runs_with_forms_as_bodies(fresh, tmp_path: Path) -> None:
    api = fresh()
    check(api, run(api, sys.executable, SAMPLES / "first_steps.py", folder=tmp_path), access="write")
