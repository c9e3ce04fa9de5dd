"""`adopt` as a user runs it."""

import shutil
from pathlib import Path
from typing import Any

TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"


def lose_ledger(person: Any) -> None:
    for path in person.state.glob("ledger.db*"):
        path.unlink()


def facts(files: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Files by path, without what depends on how soon something was noticed."""
    passing = {"updated_at", "progress", "attempts"}
    return {file["path"]: {key: value for key, value in file.items() if key not in passing} for file in files}


def test_the_whole_corpus_is_linked_again_and_the_next_scan_sends_nothing(person: Any, corpus: Path) -> None:
    shutil.copytree(corpus, person.drop, dirs_exist_ok=True)
    for path in person.drop.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    shutil.copy(person.drop / "glb-box" / "BoxTextured.glb", person.drop / "copy.glb")
    before = person.runs("scan", "--emulator", "drop=Corpus", "--json").json["files"]
    lose_ledger(person)
    adopted = person.runs("adopt", "--emulator", "drop=Corpus", "--json")
    assert adopted.code == 1, "some files of the corpus are broken on purpose"
    assert adopted.json["adopted"]["not_on_server"] == []
    assert adopted.json["adopted"]["spare"] == {}
    assert facts(adopted.json["files"]) == facts(before)
    again = person.runs("--log-level", "info", "scan", "--emulator", "drop=Corpus", "--json")
    assert '"event": "uploaded"' not in again.err
    assert facts(again.json["files"]) == facts(before)


def test_a_dry_run_says_what_would_be_linked_and_leaves_no_ledger(person: Any) -> None:
    (person.drop / "a.obj").write_text(TRIANGLE)
    assert person.runs("scan", "--emulator", "drop").code == 0
    lose_ledger(person)
    (person.drop / "b.obj").write_text(TRIANGLE + "f 3 2 1\n")
    done = person.runs("adopt", "--dry-run", "--emulator", "drop", "--json")
    assert done.code == 4
    states = {name: file["state"] for name, file in done.by_name().items()}
    assert states == {"a.obj": "done", "b.obj": "pending"}
    assert not (person.state / "ledger.db").exists()


def test_what_is_linked_is_told_as_it_goes_and_as_a_table(person: Any) -> None:
    (person.drop / "a.obj").write_text(TRIANGLE)
    assert person.runs("scan", "--emulator", "drop").code == 0
    lose_ledger(person)
    done = person.runs("adopt", "--emulator", "drop")
    assert done.code == 0
    assert f"linked    {person.drop / 'a.obj'}\n" in done.err
    assert done.out.startswith("done\t")


def test_without_a_server_it_is_exit_3(person: Any) -> None:
    (person.drop / "a.obj").write_text(TRIANGLE)
    person.env |= {"WATCHER_API__BASE_URL": "http://127.0.0.1:9/app/v1", "WATCHER_API__API_KEY": "any-key-at-all"}
    assert person.runs("adopt", "drop").code == 3


def test_a_damaged_ledger_stops_everything_until_adopt_has_rebuilt_it(person: Any) -> None:
    (person.drop / "a.obj").write_text(TRIANGLE)
    assert person.runs("scan", "--emulator", "drop").code == 0
    ledger = person.state / "ledger.db"
    ledger.write_bytes(b"no database" * 1000)
    for question in (["status"], ["status", "--check"], ["retry", "--failed"], ["forget", "--yes", "drop"]):
        asked = person.runs(*question)
        assert (asked.code, "damaged" in asked.out + asked.err, "Traceback" in asked.err) == (2, True, False), question
    assert ledger.exists(), "a question changes nothing"
    refused = person.runs("scan", "--emulator", "drop")
    assert refused.code == 2
    assert "3dverse-watcher adopt" in refused.err
    (aside,) = person.state.glob("ledger.db.damaged-*")
    assert str(aside) in refused.err
    for command in (["scan", "--emulator", "drop"], ["run", "--emulator", "drop"], ["status"], ["status", "--check"]):
        again = person.runs(*command)
        assert again.code == 2
        assert aside.name in again.out + again.err
    done = person.runs("adopt", "--emulator", "drop")
    assert done.code == 0
    scanned = person.runs("--log-level", "info", "scan", "--emulator", "drop")
    assert scanned.code == 0
    assert '"event": "uploaded"' not in scanned.err
    assert aside.read_bytes() == b"no database" * 1000


def test_an_adoption_that_did_not_end_is_ended_or_given_up(person: Any) -> None:
    (person.drop / "a.obj").write_text(TRIANGLE)
    assert person.runs("scan", "--emulator", "drop").code == 0
    lose_ledger(person)
    person.env |= {"WATCHER_API__BASE_URL": "http://127.0.0.1:9/app/v1", "WATCHER_API__API_KEY": "any-key-at-all"}
    assert person.runs("adopt", "drop").code == 3
    refused = person.runs("scan", "--emulator", "drop")
    assert refused.code == 2
    assert "rebuilt only in part" in refused.err
    assert person.runs("adopt", "--give-up").code == 0
    assert person.runs("scan", "--emulator", "drop").code == 0


def test_a_running_daemon_is_not_disturbed(person: Any, daemon: Any) -> None:
    daemon("--emulator", "drop")
    refused = person.runs("adopt", "--emulator", "drop")
    assert refused.code == 2
    assert "at work" in refused.err
