"""The contract, and the official client as its judge."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from watcher.emulator.app import all_operations

SHARED = Path(__file__).resolve().parents[3] / "shared" / "asset-api" / "openapi.yaml"


@pytest.fixture(scope="module")
def contract() -> dict[tuple[str, str], str]:
    """The contract's operation ids by method and path, the names of path parameters left out."""
    if not SHARED.exists():
        pytest.skip("the contract is not beside the repository")
    paths = yaml.load(SHARED.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["paths"]
    return {
        (method.upper(), re.sub(r"{\w+}", "{}", path)): operation["operationId"]
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


def snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def test_every_operation_of_the_contract_is_served_under_its_name(contract) -> None:
    served = {(o.method, re.sub(r"{\w+}", "{}", o.path)): o.run.__name__ for o in all_operations()}
    assert set(served) == set(contract)
    refused = {place for place, name in served.items() if name == "_refuse"}
    assert len(refused) == 10 and all("sessions" in path for _, path in refused)
    wrong = {place: (served[place], name) for place, name in contract.items() if served[place] != snake_case(name)}
    assert set(wrong) == refused


def client_folder() -> Path | None:
    """Where the official client is installed: beside the repository, or where NODE_PATH says."""
    places = [
        Path(__file__).parents[2] / "node_modules",
        *map(Path, filter(None, os.environ.get("NODE_PATH", "").split(":"))),
    ]
    return next((place.parent for place in places if (place / "@3dverse" / "api").is_dir()), None)


def test_the_official_client_gets_what_its_types_promise(fresh) -> None:
    folder = client_folder()
    if folder is None or shutil.which("node") is None:
        pytest.skip("the official client is not installed (npm install @3dverse/api)")
    api = fresh()
    script = Path(__file__).with_name("official_client.mjs")
    command = ["node", str(script), api.emulator.base_url, api.emulator.api_key]
    done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert {name: result for name, result in results.items() if result != "ok"} == {}
    assert len(results) == 70
