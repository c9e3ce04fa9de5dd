"""What the ledger promises: one transition one transaction, one content one upload, no name lost."""

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from watcher.ledger import (
    ConversionRecord,
    FileReport,
    Job,
    Judgement,
    KeptAsset,
    LackingFile,
    Ledger,
    LedgerError,
    LinkedFile,
    Observation,
    OwedWork,
    There,
    Verdict,
)
from watcher.ledger.versions import owe
from watcher.model import Asset, Drop, FileState, OnDelete, Role, SentFile, Signature

DROP = "/drop"
FOLDER = "folder-1"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.db") as ledger:
        yield ledger


def signature(number: int = 1) -> Signature:
    return Signature(dev=1, ino=number, size=100 + number, mtime_ns=number, ctime_ns=number)


def settle(ledger: Ledger, name: str, number: int = 1, now: float = 10.0, *, refers: bool = False) -> str:
    path = f"{DROP}/{name}"
    ledger.intake.observed(DROP, [Observation(path, signature(number), refers)], now)
    ledger.intake.settled(DROP, [(path, signature(number))], now)
    return path


def ready(ledger: Ledger, name: str, now: float = 10.0) -> None:
    for candidate in ledger.plan.candidates([DROP], now, 100):
        if candidate.path == f"{DROP}/{name}":
            ledger.plan.ready(candidate, now)
            return
    raise AssertionError(f"{name} is not to be planned")


def take(ledger: Ledger, now: float = 10.0) -> Job:
    job = ledger.uploads.take(now)
    assert job is not None
    return job


def send(ledger: Ledger, name: str, content: str, task: str, number: int = 1) -> int:
    """Bring a file as far as its conversion."""
    settle(ledger, name, number)
    ready(ledger, name)
    claim = ledger.uploads.claim(take(ledger), FOLDER, content, [content], 11.0)
    assert claim.verdict is Verdict.SEND
    ledger.uploads.sent(claim.upload_id, task, 12.0)
    return claim.upload_id


def send_textured(ledger: Ledger) -> tuple[str, str, int]:
    """Bring a model with its texture as far as the conversion. Gives their paths, and the upload."""
    model_path = settle(ledger, "a.obj", 1, refers=True)
    texture = settle(ledger, "wood.png", 2)
    (model,) = [c for c in ledger.plan.candidates([DROP], 10.0, 10) if c.refers]
    ledger.plan.ready(model, 10.0, [LinkedFile(texture, "wood.png", "wood.png")])
    job = take(ledger)
    for member, digest in zip(job.members, ["blake3:a", "blake3:t"], strict=True):
        ledger.uploads.hashed(member, digest, b"")
    claim = ledger.uploads.claim(job, FOLDER, "set", ["blake3:a", "blake3:t"], 11.0)
    ledger.uploads.sent(claim.upload_id, "task-1", 12.0)
    return model_path, texture, claim.upload_id


def report(ledger: Ledger, name: str) -> FileReport:
    (file,) = ledger.report.files([f"{DROP}/{name}"])
    return file


def convert(ledger: Ledger, upload_id: int, *assets: str) -> None:
    record = ConversionRecord("source-1", "a.obj", assets[0], "scene", "success", 1.0)
    ledger.conversions.succeeded(upload_id, [record], "source-1", [Asset(a, "mesh", a) for a in assets], 20.0)


def test_a_file_walks_from_pending_to_done_with_its_assets(ledger: Ledger) -> None:
    path = f"{DROP}/a.obj"
    ledger.intake.observed(DROP, [Observation(path, signature(), refers=True)], 1.0)
    assert report(ledger, "a.obj").state is FileState.PENDING
    assert ledger.plan.candidates([DROP], 2.0, 10) == []
    ledger.intake.settled(DROP, [(path, signature())], 3.0)
    ready(ledger, "a.obj")
    job = take(ledger)
    assert report(ledger, "a.obj").state is FileState.UPLOADING
    claim = ledger.uploads.claim(job, FOLDER, "blake3:a", ["blake3:a"], 11.0)
    ledger.uploads.sent(claim.upload_id, "task-1", 12.0)
    assert report(ledger, "a.obj").state is FileState.CONVERTING
    convert(ledger, claim.upload_id, "asset-1", "asset-2")
    done = report(ledger, "a.obj")
    assert (done.state, done.folder_id, done.upload_task_id) == (FileState.DONE, FOLDER, "task-1")
    assert [asset.asset_id for asset in done.assets] == ["asset-1", "asset-2"]


def test_a_copy_is_a_duplicate_with_the_assets_of_the_first(ledger: Ledger) -> None:
    convert(ledger, send(ledger, "a.obj", "blake3:a", "task-1"), "asset-1")
    settle(ledger, "copy.obj", 2)
    ready(ledger, "copy.obj")
    claim = ledger.uploads.claim(take(ledger), FOLDER, "blake3:a", ["blake3:a"], 30.0)
    assert claim.verdict is Verdict.KNOWN
    copy = report(ledger, "copy.obj")
    assert copy.state is FileState.DUPLICATE
    assert [asset.asset_id for asset in copy.assets] == ["asset-1"]


def test_the_same_content_in_another_folder_is_sent(ledger: Ledger) -> None:
    convert(ledger, send(ledger, "a.obj", "blake3:a", "task-1"), "asset-1")
    settle(ledger, "copy.obj", 2)
    ready(ledger, "copy.obj")
    assert ledger.uploads.claim(take(ledger), "folder-2", "blake3:a", ["blake3:a"], 30.0).verdict is Verdict.SEND


def test_a_copy_waits_for_an_upload_under_way_and_shares_its_end(ledger: Ledger) -> None:
    upload_id = send(ledger, "a.obj", "blake3:a", "task-1")
    settle(ledger, "copy.obj", 2)
    ready(ledger, "copy.obj")
    assert ledger.uploads.claim(take(ledger), FOLDER, "blake3:a", ["blake3:a"], 13.0).verdict is Verdict.KNOWN
    assert report(ledger, "copy.obj").state is FileState.WAITING
    assert ledger.plan.candidates([DROP], 1e9, 10) == [], "a copy that waits for an upload is not planned again"
    convert(ledger, upload_id, "asset-1")
    assert report(ledger, "copy.obj").state is FileState.DUPLICATE


def test_a_copy_of_a_failed_content_fails_with_the_same_reason_and_is_not_sent(ledger: Ledger) -> None:
    upload_id = send(ledger, "a.obj", "blake3:a", "task-1")
    ledger.conversions.failed(upload_id, [], None, "no faces", 20.0)
    settle(ledger, "copy.obj", 2)
    ready(ledger, "copy.obj")
    assert ledger.uploads.claim(take(ledger), FOLDER, "blake3:a", ["blake3:a"], 30.0).verdict is Verdict.KNOWN
    copy = report(ledger, "copy.obj")
    assert copy.state is FileState.FAILED
    assert copy.error is not None and "no faces" in copy.error


def test_a_copy_that_waited_may_send_when_the_first_attempt_is_void(ledger: Ledger) -> None:
    settle(ledger, "a.obj")
    ready(ledger, "a.obj")
    first = take(ledger)
    claim = ledger.uploads.claim(first, FOLDER, "blake3:a", ["blake3:a"], 11.0)
    settle(ledger, "copy.obj", 2)
    ready(ledger, "copy.obj")
    ledger.uploads.claim(take(ledger), FOLDER, "blake3:a", ["blake3:a"], 11.0)
    ledger.uploads.void(claim.upload_id, 12.0)
    ledger.uploads.failed(first, "unreadable", 12.0)
    job = take(ledger, 13.0)
    assert job.main.path == f"{DROP}/copy.obj"
    assert ledger.uploads.claim(job, FOLDER, "blake3:a", ["blake3:a"], 14.0).verdict is Verdict.SEND


def test_a_renamed_file_takes_the_place_of_the_one_that_is_gone(ledger: Ledger) -> None:
    convert(ledger, send(ledger, "old.obj", "blake3:a", "task-1"), "asset-1")
    ledger.intake.vanished(DROP, [f"{DROP}/old.obj"], 30.0)
    settle(ledger, "new.obj", 1, 31.0)
    ready(ledger, "new.obj", 31.0)
    ledger.uploads.claim(take(ledger, 32.0), FOLDER, "blake3:a", ["blake3:a"], 32.0)
    assert report(ledger, "new.obj").state is FileState.DONE
    assert report(ledger, "old.obj").state is FileState.GONE


def test_a_touched_file_is_done_again_without_a_second_upload(ledger: Ledger) -> None:
    convert(ledger, send(ledger, "a.obj", "blake3:a", "task-1"), "asset-1")
    settle(ledger, "a.obj", 7, 30.0)
    ready(ledger, "a.obj", 30.0)
    assert ledger.uploads.claim(take(ledger, 31.0), FOLDER, "blake3:a", ["blake3:a"], 31.0).verdict is Verdict.KNOWN
    assert report(ledger, "a.obj").state is FileState.DONE


def test_a_file_that_changes_while_it_is_sent_is_not_called_converting(ledger: Ledger) -> None:
    settle(ledger, "a.obj")
    ready(ledger, "a.obj")
    claim = ledger.uploads.claim(take(ledger), FOLDER, "blake3:a", ["blake3:a"], 11.0)
    ledger.intake.observed(DROP, [Observation(f"{DROP}/a.obj", signature(2))], 12.0)
    ledger.uploads.sent(claim.upload_id, "task-1", 13.0)
    convert(ledger, claim.upload_id, "asset-1")
    changed = report(ledger, "a.obj")
    assert changed.state is FileState.PENDING
    assert changed.assets == (), "the assets of the older version are not those of this one"


def test_a_claim_for_an_older_version_is_stale(ledger: Ledger) -> None:
    settle(ledger, "a.obj")
    ready(ledger, "a.obj")
    job = take(ledger)
    ledger.intake.observed(DROP, [Observation(f"{DROP}/a.obj", signature(2))], 12.0)
    assert ledger.uploads.claim(job, FOLDER, "blake3:a", ["blake3:a"], 13.0).verdict is Verdict.STALE


def test_after_a_kill_an_upload_in_flight_is_in_doubt_and_is_not_repeated(ledger: Ledger, tmp_path: Path) -> None:
    settle(ledger, "a.obj")
    ready(ledger, "a.obj")
    claim = ledger.uploads.claim(take(ledger), FOLDER, "blake3:a", ["blake3:a"], 11.0)
    settle(ledger, "b.obj", 2)
    ready(ledger, "b.obj")
    take(ledger)  # taken, but killed before its claim
    ledger.close()
    with Ledger(tmp_path / "ledger.db") as reopened:
        assert reopened.doubts.recover(20.0) == 1
        (attempt,) = reopened.doubts.in_doubt()
        assert attempt.upload_id == claim.upload_id
        assert attempt.files == (SentFile("a.obj", "blake3:a", 101),)
        assert report(reopened, "a.obj").state is FileState.WAITING
        assert take(reopened, 21.0).main.path == f"{DROP}/b.obj"
        assert reopened.uploads.take(21.0) is None
        reopened.doubts.adopted(attempt.upload_id, "task-9", 22.0)
        assert report(reopened, "a.obj").state is FileState.CONVERTING


def test_an_attempt_that_did_not_arrive_is_sent_again(ledger: Ledger) -> None:
    settle(ledger, "a.obj")
    ready(ledger, "a.obj")
    claim = ledger.uploads.claim(take(ledger), FOLDER, "blake3:a", ["blake3:a"], 11.0)
    ledger.doubts.unknown(claim.upload_id, "reset", 12.0)
    ledger.uploads.void(claim.upload_id, 13.0)
    assert take(ledger, 14.0).attempts == 1


def test_a_companion_follows_its_models(ledger: Ledger) -> None:
    settle(ledger, "a.obj", 1, refers=True)
    texture = settle(ledger, "wood.png", 2)
    (model,) = [c for c in ledger.plan.candidates([DROP], 10.0, 10) if c.refers]
    ledger.plan.ready(model, 10.0, [LinkedFile(texture, ".\\wood.png", "wood.png")], [LackingFile("gone.png")])
    companion = report(ledger, "wood.png")
    assert (companion.role, companion.mains, companion.state) == (Role.COMPANION, (f"{DROP}/a.obj",), FileState.PENDING)
    assert report(ledger, "a.obj").missing == ("gone.png",)
    job = take(ledger)
    assert [member.name for member in job.members] == ["a.obj", "wood.png"]
    assert report(ledger, "wood.png").state is FileState.UPLOADING
    assert ledger.uploads.take(10.0) is None, "a companion does not go by itself"
    claim = ledger.uploads.claim(job, FOLDER, "blake3:set", ["blake3:a", "blake3:b"], 11.0)
    ledger.uploads.sent(claim.upload_id, "task-1", 12.0)
    convert(ledger, claim.upload_id, "asset-1")
    companion = report(ledger, "wood.png")
    assert (companion.state, companion.upload_task_id) == (FileState.DONE, "task-1")


def test_a_part_of_a_part_follows_the_model_that_takes_both_along(ledger: Ledger) -> None:
    part = settle(ledger, "p.usda", 1, refers=True)
    scene = settle(ledger, "b.usda", 2, refers=True)
    (candidate,) = [c for c in ledger.plan.candidates([DROP], 10.0, 10) if c.path == scene]
    ledger.plan.ready(candidate, 10.0, [LinkedFile(part, "p.usda", "p.usda")])
    claim = ledger.uploads.claim(take(ledger), FOLDER, "blake3:b", ["blake3:b", "blake3:p"], 11.0)
    ledger.uploads.sent(claim.upload_id, "task-1", 12.0)
    convert(ledger, claim.upload_id, "asset-1")
    outer = settle(ledger, "c.usda", 3, 30.0, refers=True)
    (candidate,) = [c for c in ledger.plan.candidates([DROP], 30.0, 10) if c.path == outer]
    ledger.plan.ready(candidate, 30.0, [LinkedFile(scene, "b.usda", "b.usda"), LinkedFile(part, "p.usda", "p.usda")])
    claim = ledger.uploads.claim(take(ledger, 30.0), FOLDER, "blake3:c", ["blake3:c", "blake3:b", "blake3:p"], 31.0)
    ledger.uploads.sent(claim.upload_id, "task-2", 32.0)
    assert report(ledger, "p.usda").state is FileState.CONVERTING
    convert(ledger, claim.upload_id, "asset-2")
    assert [report(ledger, f"{name}.usda").state for name in "cbp"] == [FileState.DONE] * 3
    assert report(ledger, "p.usda").mains == (outer,)


def test_a_companion_that_comes_late_sends_its_model_back_to_the_plan(ledger: Ledger) -> None:
    settle(ledger, "a.obj", 1, refers=True)
    (model,) = ledger.plan.candidates([DROP], 10.0, 10)
    ledger.plan.ready(model, 10.0, [], [LackingFile("Textures\\Wood.PNG")])
    claim = ledger.uploads.claim(take(ledger), FOLDER, "blake3:a", ["blake3:a"], 11.0)
    ledger.uploads.sent(claim.upload_id, "task-1", 12.0)
    convert(ledger, claim.upload_id, "asset-1")
    assert ledger.intake.wanted(DROP, "wood.png")
    assert not ledger.intake.wanted(DROP, "stone.png")
    settle(ledger, "wood.png", 2, 30.0)
    assert f"{DROP}/a.obj" in [candidate.path for candidate in ledger.plan.candidates([DROP], 31.0, 10)]


@pytest.mark.parametrize("after", ["it was planned", "its upload was cut off by a kill"])
def test_a_model_is_not_taken_while_a_companion_is_being_written(ledger: Ledger, after: str) -> None:
    settle(ledger, "a.obj", 1, refers=True)
    texture = settle(ledger, "wood.png", 2)
    (model,) = [c for c in ledger.plan.candidates([DROP], 10.0, 10) if c.refers]
    ledger.plan.ready(model, 10.0, [LinkedFile(texture, "wood.png", "wood.png")])
    if after == "its upload was cut off by a kill":
        take(ledger)
    ledger.intake.observed(DROP, [Observation(texture, signature(3))], 11.0)
    ledger.doubts.recover(12.0)
    assert ledger.uploads.take(12.0) is None
    ledger.intake.settled(DROP, [(texture, signature(3))], 13.0)
    (model,) = [c for c in ledger.plan.candidates([DROP], 14.0, 10) if c.refers]
    ledger.plan.ready(model, 14.0, [LinkedFile(texture, "wood.png", "wood.png")])
    assert [member.signature for member in take(ledger, 14.0).members] == [signature(1), signature(3)]


def test_a_deleted_companion_does_not_disturb_a_model_that_is_done(ledger: Ledger) -> None:
    settle(ledger, "a.obj", 1, refers=True)
    texture = settle(ledger, "wood.png", 2)
    (model,) = [c for c in ledger.plan.candidates([DROP], 10.0, 10) if c.refers]
    ledger.plan.ready(model, 10.0, [LinkedFile(texture, "wood.png", "wood.png")])
    claim = ledger.uploads.claim(take(ledger), FOLDER, "blake3:set", ["blake3:a", "blake3:b"], 11.0)
    ledger.uploads.sent(claim.upload_id, "task-1", 12.0)
    convert(ledger, claim.upload_id, "asset-1")
    ledger.intake.vanished(DROP, [texture], 30.0)
    assert report(ledger, "a.obj").state is FileState.DONE
    assert report(ledger, "wood.png").state is FileState.GONE


@pytest.mark.parametrize("end", ["is planned without it", "is deleted, too"])
def test_what_a_deleted_companion_had_sent_by_itself_goes_once_its_model_needs_it_no_more(
    ledger: Ledger, end: str
) -> None:
    ledger.owed.policies([Drop(DROP, FOLDER, on_delete=OnDelete.DELETE, delete_wait_seconds=0)], 1.0)
    alone = send(ledger, "wood.png", "blake3:t", "task-0", 2)
    convert(ledger, alone, "asset-0")
    model, texture, upload_id = send_textured(ledger)
    convert(ledger, upload_id, "asset-1")
    ledger.intake.vanished(DROP, [texture], 30.0)
    assert ledger.owed.due([DROP], 31.0, 10, []) == [], "the model was sent with it"
    if end == "is deleted, too":
        ledger.intake.vanished(DROP, [model], 40.0)
    else:
        settle(ledger, "a.obj", 3, 40.0, refers=True)
        ready(ledger, "a.obj", 40.0)
    assert (alone, OwedWork.DELETED) in [(o.upload_id, o.work) for o in ledger.owed.due([DROP], 100.0, 10, [])]
    assert ledger.owed.judge(alone, OwedWork.DELETED, [DROP]) is not Judgement.OFF


def test_retry_of_a_failed_conversion_removes_what_it_left_first(ledger: Ledger) -> None:
    upload_id = send(ledger, "a.obj", "blake3:a", "task-1")
    record = ConversionRecord("source-1", "a.obj", "asset-1", "scene", "error", 0.5)
    ledger.conversions.failed(upload_id, [record], "source-1", "no faces", 20.0)
    assert ledger.upkeep.retry([f"{DROP}/a.obj"], 30.0) == 1
    ready(ledger, "a.obj", 30.0)
    job = take(ledger, 31.0)
    claim = ledger.uploads.claim(job, FOLDER, "blake3:a", ["blake3:a"], 31.0)
    assert claim.verdict is Verdict.LOOK_AGAIN
    assert ledger.owed.sent_files(claim.upload_id)[0] == ("source-1",)
    ledger.uploads.removed(claim.upload_id, 32.0)
    assert ledger.uploads.claim(job, FOLDER, "blake3:a", ["blake3:a"], 32.0).verdict is Verdict.SEND


def test_an_attempt_to_be_tried_again_is_an_older_version_once_another_set_is_sent(ledger: Ledger) -> None:
    upload_id = send(ledger, "a.obj", "blake3:a", "task-1")
    ledger.conversions.failed(upload_id, [], "source-1", "no faces", 20.0)
    ledger.upkeep.retry([f"{DROP}/a.obj"], 30.0)
    settle(ledger, "a.obj", 2, 31.0)
    ready(ledger, "a.obj", 31.0)
    claim = ledger.uploads.claim(take(ledger, 31.0), FOLDER, "blake3:b", ["blake3:b"], 31.0)
    assert claim.verdict is Verdict.SEND
    states = ledger._connection.rows("SELECT id, state FROM uploads")
    assert {row["id"]: row["state"] for row in states} == {upload_id: "error", claim.upload_id: "sending"}


def test_forgetting_the_first_of_two_leaves_the_upload_to_the_copy(ledger: Ledger) -> None:
    convert(ledger, send(ledger, "a.obj", "blake3:a", "task-1"), "asset-1")
    settle(ledger, "copy.obj", 2)
    ready(ledger, "copy.obj")
    ledger.uploads.claim(take(ledger), FOLDER, "blake3:a", ["blake3:a"], 30.0)
    assert ledger.upkeep.forget([f"{DROP}/a.obj"]) == 1
    copy = report(ledger, "copy.obj")
    assert (copy.state, [a.asset_id for a in copy.assets]) == (FileState.DONE, ["asset-1"])
    assert list(ledger.report.files([f"{DROP}/a.obj"])) == []


@pytest.mark.parametrize(
    "name", [b"caf\xe9.obj", b"new\nline.obj", "\u00e9.obj".encode(), "e\u0301.obj".encode(), b"%s;'--.obj"]
)
def test_any_name_that_linux_allows_comes_back_as_it_was(ledger: Ledger, name: bytes) -> None:
    path = os.path.join(DROP, os.fsdecode(name))
    ledger.intake.observed(DROP, [Observation(path, signature())], 1.0)
    assert [os.fsencode(file.path) for file in ledger.report.files()] == [os.fsencode(DROP) + b"/" + name]
    assert list(ledger.intake.known(DROP, b"", 10)) == [os.fsdecode(name)]


def test_inode_and_device_numbers_of_64_bits_survive(ledger: Ledger) -> None:
    big = Signature(dev=2**64 - 1, ino=2**63 + 5, size=1, mtime_ns=-5, ctime_ns=2)
    ledger.intake.observed(DROP, [Observation(f"{DROP}/a.obj", big)], 1.0)
    assert ledger.intake.known(DROP, b"", 10)["a.obj"].signature == big


def test_paths_select_files_and_folders_but_not_namesakes(ledger: Ledger) -> None:
    for number, name in enumerate(["a/x.obj", "a/b/y.obj", "ab/z.obj", "a.obj"]):
        ledger.intake.observed(DROP, [Observation(f"{DROP}/{name}", signature(number))], 1.0)
    assert [f.path for f in ledger.report.files([f"{DROP}/a"])] == [f"{DROP}/a/x.obj", f"{DROP}/a/b/y.obj"]
    assert [f.path for f in ledger.report.files([f"{DROP}/ab/z.obj"])] == [f"{DROP}/ab/z.obj"]


def test_the_ledger_is_private_strict_and_in_wal_mode(ledger: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with sqlite3.connect(path) as raw:
        assert raw.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        ours = "name NOT LIKE 'sqlite_%' AND name NOT LIKE '_sqlite_%'"
        tables = dict(raw.execute(f"SELECT name, sql FROM sqlite_master WHERE type = 'table' AND {ours}"))
    assert len(tables) >= 10
    assert all(sql.endswith("STRICT") for sql in tables.values())


def test_a_ledger_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Ledger(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute("INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('ledger', 'later', '')")
    with pytest.raises(LedgerError, match="newer"):
        Ledger(path)


def test_a_ledger_from_before_the_first_release_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Ledger(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE _sqlite_migrations SET name = 'first'")
    for read_only in (False, True):
        with pytest.raises(LedgerError, match="3dverse-watcher adopt"):
            Ledger(path, read_only=read_only)


def test_questions_do_not_import_what_only_migrations_need() -> None:
    code = "import sys, watcher.cli.status, watcher.ledger; sys.exit('sqlite_utils' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_schema_number_is_the_number_of_migrations(tmp_path: Path) -> None:
    from watcher.ledger.connection import VERSION
    from watcher.ledger.schema import migrations

    with Ledger(tmp_path / "ledger.db") as ledger:
        assert ledger.schema == VERSION == len(migrations._migrations)


def test_a_question_creates_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="nothing was scanned"):
        Ledger(tmp_path / "ledger.db", read_only=True)
    assert not (tmp_path / "ledger.db").exists()


def test_a_file_that_is_no_ledger_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(LedgerError, match="damaged"):
        Ledger(path)
    assert path.read_bytes().startswith(b"this is not")


def test_a_late_answer_to_an_older_version_does_not_land_on_the_new_one(ledger: Ledger) -> None:
    settle(ledger, "a.obj")
    ready(ledger, "a.obj")
    first = ledger.uploads.claim(take(ledger), FOLDER, "blake3:a", ["blake3:a"], 11.0)
    settle(ledger, "a.obj", 2, 12.0)
    ready(ledger, "a.obj", 12.0)
    take(ledger, 13.0)  # another worker hashes the new version
    ledger.uploads.sent(first.upload_id, "task-1", 14.0)
    assert report(ledger, "a.obj").state is FileState.UPLOADING
    convert(ledger, first.upload_id, "asset-1")
    assert report(ledger, "a.obj").state is FileState.UPLOADING


@pytest.mark.parametrize("verdict", ["adopted", "void"])
def test_a_version_that_cannot_be_planned_hears_nothing_of_the_attempt_before_it(ledger: Ledger, verdict: str) -> None:
    settle(ledger, "a.obj")
    ready(ledger, "a.obj")
    doubtful = ledger.uploads.claim(take(ledger), FOLDER, "blake3:a", ["blake3:a"], 11.0)
    ledger.doubts.unknown(doubtful.upload_id, "no answer came", 12.0)
    settle(ledger, "a.obj", 2, 13.0)
    (candidate,) = ledger.plan.candidates([DROP], 13.0, 10)
    ledger.plan.failed(candidate, "the file is empty", 14.0)
    ledger.doubts.decided(doubtful.upload_id, 15.0)
    if verdict == "void":
        ledger.uploads.void(doubtful.upload_id, 15.0)
    else:
        ledger.doubts.adopted(doubtful.upload_id, "task-1", 15.0)
        ledger.conversions.failed(doubtful.upload_id, [], "source-1", "no faces", 16.0)
    file = report(ledger, "a.obj")
    assert (file.state, file.error, file.upload_task_id) == (FileState.FAILED, "the file is empty", None)


def test_a_file_that_travels_with_a_model_hears_nothing_of_what_it_sent_by_itself(ledger: Ledger) -> None:
    texture = settle(ledger, "wood.png", 2)
    ready(ledger, "wood.png")
    alone = ledger.uploads.claim(take(ledger), FOLDER, "blake3:t", ["blake3:t"], 11.0)
    ledger.uploads.sent(alone.upload_id, "task-1", 12.0)
    settle(ledger, "a.obj", 1, 13.0, refers=True)
    (model,) = ledger.plan.candidates([DROP], 13.0, 10)
    ledger.plan.ready(model, 13.0, [LinkedFile(texture, "wood.png", "wood.png")])
    whole = ledger.uploads.claim(take(ledger, 14.0), FOLDER, "set", ["blake3:a", "blake3:t"], 14.0)
    ledger.uploads.sent(whole.upload_id, "task-2", 15.0)
    assert report(ledger, "wood.png").state is FileState.CONVERTING
    ledger.conversions.failed(alone.upload_id, [], "source-1", "no picture", 16.0)
    assert report(ledger, "wood.png").state is FileState.CONVERTING


def test_a_shared_companion_follows_the_models_that_still_use_it(ledger: Ledger) -> None:
    for number, name in enumerate(["a.obj", "b.obj"]):
        settle(ledger, name, number + 1, refers=True)
    texture = settle(ledger, "wood.png", 3)
    for candidate in [c for c in ledger.plan.candidates([DROP], 10.0, 10) if c.refers]:
        ledger.plan.ready(candidate, 10.0, [LinkedFile(texture, "wood.png", "wood.png")])
    for number in (1, 2):
        job = take(ledger)
        claim = ledger.uploads.claim(job, FOLDER, f"set-{number}", ["blake3:m", "blake3:t"], 11.0)
        ledger.uploads.sent(claim.upload_id, f"task-{number}", 12.0)
        convert(ledger, claim.upload_id, f"asset-{number}")
    assert report(ledger, "wood.png").state is FileState.DONE
    settle(ledger, "a.obj", 9, 30.0, refers=True)  # a new version, that names no texture
    (model,) = ledger.plan.candidates([DROP], 30.0, 10)
    ledger.plan.ready(model, 30.0)
    assert report(ledger, "wood.png").state is FileState.DONE


def test_a_companion_left_by_its_model_on_the_server_is_at_rest_and_goes_when_it_changes(ledger: Ledger) -> None:
    model_path, texture, _ = send_textured(ledger)
    ledger.intake.vanished(DROP, [model_path], 13.0)
    assert report(ledger, "wood.png").state is FileState.DONE
    settle(ledger, "wood.png", 5, 20.0)
    assert [c.path for c in ledger.plan.candidates([DROP], 20.0, 10)] == [texture]


def test_a_companion_left_by_a_model_that_failed_since_does_not_stay_failed_without_a_reason(ledger: Ledger) -> None:
    model_path, _, upload_id = send_textured(ledger)
    convert(ledger, upload_id, "asset-1")
    settle(ledger, "a.obj", 3, 20.0, refers=True)
    (model,) = ledger.plan.candidates([DROP], 20.0, 10)
    ledger.plan.failed(model, "the file is empty", 21.0)
    assert report(ledger, "wood.png").state is FileState.FAILED
    ledger.intake.vanished(DROP, [model_path], 22.0)
    assert report(ledger, "wood.png").state is FileState.DONE


def test_what_a_file_brought_to_the_server_is_not_forgotten_when_the_rules_pass_over_its_next_version(
    ledger: Ledger, tmp_path: Path
) -> None:
    upload_id = send(ledger, "a.obj", "blake3:a", "task-1")
    convert(ledger, upload_id, "asset-1")
    settle(ledger, "a.obj", 2)
    ready(ledger, "a.obj")
    ledger.uploads.replan(take(ledger), 30.0)  # whose turn had come when the rules changed
    (candidate,) = ledger.plan.candidates([DROP], 40.0, 10)
    ledger.plan.dismissed(candidate)
    with sqlite3.connect(tmp_path / "ledger.db") as raw:
        assert raw.execute("SELECT state, upload_task_id FROM uploads").fetchall() == [("success", "task-1")]


def test_a_drop_inside_or_around_an_earlier_one_takes_over_its_files(ledger: Ledger) -> None:
    path = f"{DROP}/cars/a.obj"
    ledger.intake.observed(DROP, [Observation(path, signature())], 1.0)
    ledger.intake.configured([f"{DROP}/cars"])
    assert ledger.report.at_work([f"{DROP}/cars"])
    assert not ledger.report.at_work([DROP])
    ledger.intake.configured([DROP])
    assert ledger.report.at_work([DROP])


def test_a_companion_that_comes_back_is_wanted(ledger: Ledger) -> None:
    settle(ledger, "a.obj", 1, refers=True)
    library = settle(ledger, "a.mtl", 2)
    (model,) = [c for c in ledger.plan.candidates([DROP], 10.0, 10) if c.refers]
    ledger.plan.ready(model, 10.0, [LinkedFile(library, "a.mtl", "a.mtl")])
    ledger.intake.vanished(DROP, [library], 11.0)
    assert ledger.intake.wanted(DROP, "A.MTL")


def test_after_a_kill_a_companion_does_not_go_by_itself(ledger: Ledger) -> None:
    settle(ledger, "a.obj", 1, refers=True)
    texture = settle(ledger, "wood.png", 2)
    (model,) = [c for c in ledger.plan.candidates([DROP], 10.0, 10) if c.refers]
    ledger.plan.ready(model, 10.0, [LinkedFile(texture, "wood.png", "wood.png")])
    job = take(ledger)
    ledger.doubts.recover(12.0)
    again = take(ledger, 13.0)
    assert again.main == job.main
    ledger.uploads.put_back(again, 1e9, "later", 14.0)
    assert ledger.uploads.take(15.0) is None


def test_times_of_a_clock_that_was_in_the_future_keep_nobody_waiting(ledger: Ledger) -> None:
    settle(ledger, "a.obj", 1, now=1e10)
    ledger.plan.ready(ledger.plan.candidates([DROP], 1e10, 1)[0], 1e10)
    assert ledger.uploads.take(100.0) is None
    ledger.doubts.recover(100.0)
    assert take(ledger, 100.0).main.path == f"{DROP}/a.obj"


def test_what_was_put_off_by_a_clock_that_was_in_the_future_is_due_when_it_was_meant_to_be(ledger: Ledger) -> None:
    future = 1e9
    for number in range(42):
        upload_id = send(ledger, f"{number}.obj", f"blake3:{number}", f"task-{number}", number)
        ledger.conversions.succeeded(upload_id, [], f"source-{number}", [], 20.0)
    settle(ledger, "new.obj", 100)
    ready(ledger, "new.obj")
    claim = ledger.uploads.claim(take(ledger), FOLDER, "blake3:new", ["blake3:new"], 30.0)
    ledger.doubts.unknown(claim.upload_id, "busy", future, not_before=future + 60)
    drop = Drop(DROP, "Cars", on_delete=OnDelete.DELETE, delete_wait_seconds=60.0)
    ledger.owed.policies([drop], future)
    # Few enough that nobody is asked, and so many that their end is waited for.
    ledger.intake.vanished(DROP, [f"{DROP}/{number}.obj" for number in range(21)], future)

    ledger.owed.policies([drop], 100.0)
    ledger.doubts.recover(100.0)
    assert ledger.owed.due([DROP], 159.0, 100, ()) == []
    assert len(ledger.owed.due([DROP], 161.0, 100, ())) == 21
    ledger.uploads.void(claim.upload_id, 105.0, backoff=lambda _attempts: 1.0)
    assert ledger.uploads.next_due() == 106.0


def test_failed_content_under_another_extension_is_tried_as_that(ledger: Ledger) -> None:
    upload_id = send(ledger, "a.stl", "blake3:a", "task-1")
    record = ConversionRecord("source-1", "a.stl", "asset-1", "scene", "error", 0.5)
    ledger.conversions.failed(upload_id, [record], "source-1", "not an STL model", 20.0)
    settle(ledger, "a.obj", 2, 30.0)
    ready(ledger, "a.obj", 30.0)
    claim = ledger.uploads.claim(take(ledger, 31.0), FOLDER, "blake3:a", ["blake3:a"], 31.0)
    assert claim.verdict is Verdict.LOOK_AGAIN
    assert ledger.owed.sent_files(claim.upload_id)[0] == ("source-1",)


def test_an_attempt_that_the_disk_does_not_take_is_void(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    settle(ledger, "a.obj")
    ready(ledger, "a.obj")
    job = take(ledger)
    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)  # a full disk cannot be had here
        with pytest.raises(sqlite3.OperationalError, match="cannot be written"):
            ledger.uploads.claim(job, FOLDER, "blake3:a", ["blake3:a"], 11.0)
    ledger.doubts.abandoned(job, None, 12.0)
    assert ledger.uploads.claim(take(ledger, 13.0), FOLDER, "blake3:a", ["blake3:a"], 13.0).verdict is Verdict.SEND


def test_hundreds_of_paths_are_one_question(ledger: Ledger) -> None:
    paths = [f"{DROP}/{number}.obj" for number in range(1500)]
    ledger.intake.observed(DROP, [Observation(path, signature(n)) for n, path in enumerate(paths)], 1.0)
    assert sorted(file.path for file in ledger.report.files(paths)) == sorted(paths)


def test_a_model_whose_companion_is_forgotten_is_planned_anew(ledger: Ledger) -> None:
    settle(ledger, "a.obj", 1, refers=True)
    texture = settle(ledger, "wood.png", 2)
    (model,) = [c for c in ledger.plan.candidates([DROP], 10.0, 10) if c.refers]
    ledger.plan.ready(model, 10.0, [LinkedFile(texture, "wood.png", "wood.png")])
    ledger.upkeep.forget([texture])
    assert f"{DROP}/a.obj" in [candidate.path for candidate in ledger.plan.candidates([DROP], 11.0, 10)]


def test_what_comes_of_a_forgotten_upload_does_not_land_on_the_next_one(ledger: Ledger) -> None:
    settle(ledger, "a.obj")
    ready(ledger, "a.obj")
    forgotten = ledger.uploads.claim(take(ledger), FOLDER, "blake3:a", ["blake3:a"], 11.0)
    assert ledger.upkeep.forget([f"{DROP}/a.obj"]) == 1
    settle(ledger, "b.obj", 2)
    ready(ledger, "b.obj")
    ledger.uploads.claim(take(ledger), FOLDER, "blake3:b", ["blake3:b"], 12.0)
    ledger.uploads.sent(forgotten.upload_id, "task-a", 13.0)
    assert (report(ledger, "b.obj").state, report(ledger, "b.obj").upload_task_id) == (FileState.UPLOADING, None)


def test_who_waits_for_a_removal_that_is_refused_goes_on(ledger: Ledger) -> None:
    """The file is there again when its removal has just begun, and the server refuses to remove anything."""
    ledger.owed.policies([Drop(DROP, FOLDER, on_delete=OnDelete.DELETE, delete_wait_seconds=0)], 1.0)
    upload_id = send(ledger, "a.obj", "blake3:a", "task-1")
    convert(ledger, upload_id, "asset-1")
    ledger.intake.vanished(DROP, [f"{DROP}/a.obj"], 30.0)
    assert ledger.owed.begin(upload_id, OwedWork.DELETED, [DROP])
    settle(ledger, "a.obj", 2, 40.0)
    ready(ledger, "a.obj", 40.0)
    ledger.uploads.claim(take(ledger, 41.0), FOLDER, "blake3:a", ["blake3:a"], 41.0)
    assert report(ledger, "a.obj").state is FileState.WAITING
    ledger.owed.put_off(upload_id, 42.0, "hands off", untouched=True)
    ledger.uploads.claim(take(ledger, 43.0), FOLDER, "blake3:a", ["blake3:a"], 43.0)
    assert report(ledger, "a.obj").state is FileState.DONE


def test_what_the_server_gave_a_receipt_for_is_not_taken_back(ledger: Ledger) -> None:
    upload_id = send(ledger, "a.obj", "blake3:a", "task-1")
    ledger.uploads.void(upload_id, 13.0)
    ledger.doubts.unknown(upload_id, "something failed on this side afterwards", 13.0)
    assert [each.upload_task_id for each in ledger.conversions.following(FOLDER)] == ["task-1"]


def test_an_upload_that_was_forgotten_meanwhile_can_be_void(ledger: Ledger) -> None:
    path = settle(ledger, "a.obj")
    ready(ledger, "a.obj")
    claim = ledger.uploads.claim(take(ledger), FOLDER, "blake3:a", ["blake3:a"], 11.0)
    ledger.upkeep.forget([path])
    ledger.uploads.void(claim.upload_id, 12.0)
    assert not ledger.uploads.known(FOLDER, "blake3:a")


def test_a_version_that_is_not_read_yet_stands_on_no_upload(ledger: Ledger) -> None:
    """Its row still names the upload of the version before: that neither passes to it, nor stays for its sake."""
    ledger.owed.policies([Drop(DROP, FOLDER, on_delete=OnDelete.DELETE, delete_wait_seconds=0)], 1.0)
    upload_id = send(ledger, "a.obj", "blake3:a", "task-1")
    convert(ledger, upload_id, "asset-1")
    settle(ledger, "copy.obj", 2)
    ready(ledger, "copy.obj")
    ledger.uploads.claim(take(ledger), FOLDER, "blake3:a", ["blake3:a"], 30.0)
    ledger.intake.observed(DROP, [Observation(f"{DROP}/copy.obj", signature(3))], 31.0)
    ledger.intake.vanished(DROP, [f"{DROP}/a.obj"], 32.0)
    (owed,) = ledger.owed.due([DROP], 33.0, 10, ledger.owed.held([DROP]))
    assert (owed.upload_id, owed.work, owed.path) == (upload_id, OwedWork.DELETED, f"{DROP}/a.obj")
    assert ledger.owed.judge(upload_id, OwedWork.DELETED, [DROP]) is Judgement.GO
    assert ledger.owed.begin(upload_id, OwedWork.DELETED, [DROP])


@pytest.mark.parametrize(
    ("folder", "state"), [(FOLDER, FileState.DONE), ("folder-2", FileState.PENDING)], ids=["same", "another"]
)
def test_a_companion_left_alone_is_at_rest_only_when_its_own_remote_folder_has_it(
    ledger: Ledger, folder: str, state: FileState
) -> None:
    for name in ("a", "b"):
        settle(ledger, f"{name}.obj", ord(name), refers=True)
        settle(ledger, f"{name}.png", ord(name) + 10)
    for candidate in [c for c in ledger.plan.candidates([DROP], 10.0, 10) if c.refers]:
        texture = candidate.path.replace(".obj", ".png")
        ledger.plan.ready(candidate, 10.0, [LinkedFile(texture, "wood.png", "wood.png")])
    for place in (folder, FOLDER):
        job = take(ledger)
        for member in job.members:
            ledger.uploads.hashed(member, "blake3:m" if member is job.main else "blake3:t", b"")
        claim = ledger.uploads.claim(job, place, f"set of {job.main.path}", ["blake3:m", "blake3:t"], 11.0)
        if job.main.path == f"{DROP}/a.obj":
            ledger.uploads.sent(claim.upload_id, "task-1", 12.0)
        else:
            ledger.uploads.void(claim.upload_id, 12.0)
    ledger.intake.vanished(DROP, [f"{DROP}/b.obj"], 13.0)
    assert (report(ledger, "b.png").role, report(ledger, "b.png").state) == (
        Role.COMPANION if state is FileState.DONE else Role.MAIN,
        state,
    )


def test_companions_that_others_found_already_are_not_theirs_any_more(ledger: Ledger) -> None:
    """Two uploads with equal companions are relocated; of one it is on record which file it takes."""
    for name in ("a", "b"):
        settle(ledger, f"{name}.obj", ord(name), refers=True)
    texture = settle(ledger, "wood.png", 3)
    for candidate in [c for c in ledger.plan.candidates([DROP], 10.0, 10) if c.refers]:
        ledger.plan.ready(candidate, 10.0, [LinkedFile(texture, "wood.png", "wood.png")])
    uploads = []
    for name in ("a", "b"):
        claim = ledger.uploads.claim(take(ledger), FOLDER, f"set {name}", ["blake3:m", "blake3:t"], 11.0)
        ledger.uploads.sent(claim.upload_id, f"task-{name}", 12.0)
        convert(ledger, claim.upload_id, f"asset-{name}")
        uploads.append(claim.upload_id)
    ledger.owed.policies([Drop(DROP, FOLDER, on_delete=OnDelete.DELETE, delete_wait_seconds=0)], 1.0)
    ledger.intake.vanished(DROP, [f"{DROP}/a.obj", f"{DROP}/b.obj"], 30.0)
    assert [companion.others for companion in ledger.owed.sent_files(uploads[1])[1]] == [("wood.png",)]
    ledger.owed.found(uploads[0], ["source-1", "source-of-wood"])
    assert [companion.others for companion in ledger.owed.sent_files(uploads[1])[1]] == [()]


def test_nothing_is_relocated_while_an_upload_that_may_have_brought_equal_companions_is_in_doubt(
    ledger: Ledger,
) -> None:
    for name in ("a", "b"):
        settle(ledger, f"{name}.obj", ord(name), refers=True)
    texture = settle(ledger, "wood.png", 3)
    for candidate in [c for c in ledger.plan.candidates([DROP], 10.0, 10) if c.refers]:
        ledger.plan.ready(candidate, 10.0, [LinkedFile(texture, "wood.png", "wood.png")])
    first = ledger.uploads.claim(take(ledger), FOLDER, "set 1", ["blake3:m", "blake3:t"], 11.0).upload_id
    ledger.uploads.sent(first, "task-1", 12.0)
    convert(ledger, first, "asset-1")
    job = take(ledger)
    second = ledger.uploads.claim(job, FOLDER, "set 2", ["blake3:n", "blake3:t"], 13.0).upload_id
    with ledger._connection.transaction() as sql:
        owe(sql, first, "relocate", 14.0, 14.0, "folder-2")
    assert ledger.owed.judge(first, OwedWork.RELOCATE, [DROP]) is Judgement.LATER
    ledger.uploads.void(second, 15.0)
    assert ledger.owed.judge(first, OwedWork.RELOCATE, [DROP]) is Judgement.GO


def test_what_the_server_has_already_is_claimed_and_followed_in_one_step(ledger: Ledger) -> None:
    settle(ledger, "a.obj")
    ready(ledger, "a.obj")
    ledger.uploads.claim(take(ledger), FOLDER, "blake3:a", ["blake3:a"], 11.0, there=There("task-1", 5.0))
    assert ledger.doubts.recover(12.0) == 0, "a kill leaves no doubt"
    (followed,) = ledger.conversions.following(FOLDER)
    assert (followed.upload_task_id, followed.sent_at) == ("task-1", 5.0)
    assert report(ledger, "a.obj").state is FileState.CONVERTING


def test_a_texture_that_a_model_took_along_meanwhile_is_not_claimed_for_itself(ledger: Ledger) -> None:
    send(ledger, "copy.png", "blake3:wood", "task-1", 3)
    texture = settle(ledger, "wood.png", 2)
    ready(ledger, "wood.png")
    job = take(ledger)
    settle(ledger, "a.obj", 1, refers=True)
    (model,) = [c for c in ledger.plan.candidates([DROP], 11.0, 10) if c.refers]
    ledger.plan.ready(model, 11.0, [LinkedFile(texture, "wood.png", "wood.png")])
    assert ledger.uploads.claim(job, FOLDER, "blake3:wood", ["blake3:wood"], 12.0).verdict is Verdict.STALE
    assert report(ledger, "wood.png").state is report(ledger, "a.obj").state is FileState.PENDING


def test_an_attempt_that_the_disk_does_not_even_take_back_is_asked_about(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object, **_options: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    settle(ledger, "a.obj")
    ready(ledger, "a.obj")
    job = take(ledger)
    with monkeypatch.context() as disk:
        disk.setattr("watcher.ledger.connection.Connection.sync", full)
        disk.setattr(ledger.uploads, "void", full)
        with pytest.raises(sqlite3.OperationalError):
            ledger.uploads.claim(job, FOLDER, "blake3:a", ["blake3:a"], 11.0)
    ledger.doubts.abandoned(job, None, 12.0)
    assert [attempt.path for attempt in ledger.doubts.in_doubt()] == [f"{DROP}/a.obj"]


def test_what_comes_of_an_upload_that_was_forgotten_meanwhile_is_no_matter(ledger: Ledger) -> None:
    """A person may have the ledger forget a file while a loop works on what it sent."""
    upload_id = send(ledger, "a.obj", "blake3:a", "task-1")
    ledger.upkeep.forget([f"{DROP}/a.obj"])
    records = [ConversionRecord("source-1", "a.obj", "asset-1", "scene", "success", 1.0)]
    asset = Asset("asset-1", "mesh", "a")
    ledger.conversions.progressed(upload_id, 0.5, "converting", records, 20.0)
    ledger.conversions.succeeded(upload_id, records, "source-1", [asset], 20.0)
    ledger.conversions.failed(upload_id, records, "source-1", "no faces", 20.0)
    ledger.owed.removed(upload_id, [KeptAsset("asset-1", "mesh", "a", "a scene")], 20.0)
    for table in ("files", "uploads", "conversions", "assets", "kept"):
        assert ledger._connection.rows(f"SELECT * FROM {table}") == []
