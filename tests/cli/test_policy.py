"""What `scan`, `status`, `retry` and `forget` say and do about what is owed on the server."""

import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from watcher.cli import cli
from watcher.ledger import KeptAsset, Ledger, Observation
from watcher.ledger.report import ReportLedger
from watcher.model import Asset, Drop, OnChange, Signature

CONFIG = """
[api]
emulator = true
[[drops]]
path = "drop"
settle_seconds = 0.1
delete_wait_seconds = 0.2
on_delete = "delete"
on_change = "replace"
"""


def triangle(number: int) -> str:
    return f"v {number} 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"


def test_many_deletions_wait_for_a_person_who_may_say_yes_or_no(person: Any) -> None:
    person.configures(CONFIG)
    for folder in ("yes", "no"):
        (person.drop / folder).mkdir()
        for number in range(12):
            (person.drop / folder / f"{number}.obj").write_text(triangle(number + (100 if folder == "no" else 0)))
    assert person.runs("scan").code == 0
    for folder in ("yes", "no"):
        shutil.rmtree(person.drop / folder)
    scanned = person.runs("scan")
    assert scanned.code == 0
    sentence = f"24 files of {person.drop} went away at once, so what they made stays on the server"
    assert sentence in scanned.out
    assert "12 files forgotten" in person.runs("forget", "--yes", "drop/no").out
    assert "what 12 files have left on the server is seen to" in person.runs("retry", "drop/yes").out
    assert person.runs("scan", "--json").json["owed"] == []
    with sqlite3.connect(person.state / "emulator" / "emulator.db") as server:
        assert server.execute("SELECT count(*) FROM source_file").fetchone() == (12,)


def older_and_newer(ledger: Ledger, path: Path) -> int:
    """A file with two versions on the server; the older one, whose removal is owed."""
    ledger.owed.policies([Drop(str(path.parent), "Remote", on_change=OnChange.REPLACE)], 0.0)
    uploads = []
    for number in (1, 2):
        signature = Signature(1, 1, number, number, number)
        ledger.intake.observed(str(path.parent), [Observation(str(path), signature)], number)
        ledger.intake.settled(str(path.parent), [(str(path), signature)], number)
        (candidate,) = ledger.plan.candidates([str(path.parent)], number, 10)
        ledger.plan.ready(candidate, number)
        job = ledger.uploads.take(number)
        assert job is not None
        upload_id = ledger.uploads.claim(job, "folder", f"content-{number}", [f"content-{number}"], number).upload_id
        ledger.uploads.sent(upload_id, f"task-{number}", number)
        ledger.conversions.succeeded(upload_id, [], None, [Asset(f"asset-{number}", "mesh", "body")], number)
        uploads.append(upload_id)
    return uploads[0]


def test_status_names_an_older_version_and_why_it_is_still_there(person: Any) -> None:
    path = person.drop / "a.obj"
    with Ledger(person.state / "ledger.db") as ledger:
        older = older_and_newer(ledger, path)
        ledger.owed.put_off(older, 1e10, "hands off", counts=True)
    assert f"older version still on the server: {path}: hands off" in person.runs("status").out
    assert "what 1 file has left on the server is seen to" in person.runs("retry", "--failed").out
    with Ledger(person.state / "ledger.db") as ledger:
        (owed,) = ledger.report.owed()
        assert owed.error is None
        assert owed.due_at <= time.time()
        ledger.owed.removed(older, [KeptAsset("asset-1", "mesh", "body", "scene Garage")], 3.0)
    status = person.runs("status").out
    assert f"kept on the server: mesh body (asset-1), made of {path}: needed by scene Garage" in status


@pytest.mark.parametrize("flags", [(), ("--json",), ("--check",)])
def test_status_asks_once_what_is_owed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...]) -> None:
    """It may be a hundred thousand files."""
    asked: list[Any] = []
    ask = ReportLedger.owed
    monkeypatch.setattr(ReportLedger, "owed", lambda *of: asked.append(of) or ask(*of))
    monkeypatch.setenv("WATCHER_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with Ledger(tmp_path / "ledger.db") as ledger:
        older_and_newer(ledger, tmp_path / "drop" / "a.obj")
    said = CliRunner().invoke(cli, ["status", *flags]).output
    assert ("a.obj" in said) is (flags != ("--check",))
    assert len(asked) == 1
