"""`scan` as a user runs it."""

import csv
import json
import os
import shutil
import socket
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest


def copy_corpus(corpus: Path, drop: Path) -> None:
    shutil.copytree(corpus, drop, dirs_exist_ok=True)
    for path in drop.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def test_the_corpus_ends_as_its_manifest_says_and_a_second_scan_sends_nothing(person: Any, corpus: Path) -> None:
    copy_corpus(corpus, person.drop)
    first = person.runs("scan", "--emulator", "drop=Corpus", "--json")
    assert first.code == 1, "some files of the corpus are broken on purpose"
    files = {os.path.relpath(file["path"], person.drop): file for file in first.json["files"]}
    groups: dict[str, list[dict[str, str]]] = defaultdict(list)
    with (corpus / "MANIFEST.tsv").open() as manifest:
        for row in csv.DictReader(manifest, delimiter="\t"):
            groups[row["group"]].append(row)
    for rows in groups.values():
        (main,) = [row for row in rows if row["role"] == "main"]
        extension = main["path"].rsplit(".", 1)[1].lower()
        file = files[main["path"]]
        assert file["role"] == "main"
        if main["expect"] == "ok":
            assert (file["state"], file["error"]) == ("done", None), main["path"]
            assert file["assets"], main["path"]
        elif main["expect"] == "missing":
            assert file["missing"], main["path"]
        else:
            assert file["state"] == "failed", main["path"]
            assert len(file["error"]) > 20, main["path"]
        if extension in {"obj", "gltf"}:
            for row in rows:
                if row["role"] == "companion":
                    companion = files[row["path"]]
                    assert (companion["role"], companion["state"]) == ("companion", file["state"])
                    assert companion["mains"] == [file["path"]]
    assert len(groups) >= 40
    second = person.runs("--log-level", "info", "scan", "--emulator", "drop=Corpus", "--json")
    assert second.code == 1
    assert '"event": "uploaded"' not in second.err
    assert [(f["path"], f["state"], f["assets"]) for f in second.json["files"]] == [
        (f["path"], f["state"], f["assets"]) for f in first.json["files"]
    ]


def test_a_good_folder_is_exit_0_with_a_table(person: Any, corpus: Path) -> None:
    copy_corpus(corpus / "glb-box", person.drop)
    done = person.runs("scan", "--emulator", "drop")
    assert done.code == 0
    assert "done" in done.out
    assert "BoxTextured.glb" in done.out
    assert "scene" in done.out
    status = person.runs("status", "drop/BoxTextured.glb", "--json").json
    asset_id = status["files"][0]["assets"][0]["asset_id"]
    assert asset_id in done.out


def test_the_remote_folder_bears_the_local_name_unless_one_is_given(person: Any, corpus: Path) -> None:
    copy_corpus(corpus / "glb-box", person.drop)
    (person.home / "more").mkdir()
    (person.home / "more" / "a.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    assert person.runs("scan", "--emulator", "drop", "more=Cars/Incoming").code == 0
    files = person.runs("status", "--all", "--json").by_name()
    assert files["BoxTextured.glb"]["folder_id"] != files["a.obj"]["folder_id"]


def test_a_dry_run_plans_without_a_server_and_leaves_nothing_behind(person: Any, corpus: Path) -> None:
    for group in ("obj-spider", "obj-missing-mtl", "gltf-box"):
        copy_corpus(corpus / group, person.drop / group)
    (person.drop / "notes.txt").write_text("x")
    (person.drop / "loose.mtl").write_text("newmtl a\n")
    done = person.runs("scan", "drop", "--dry-run", "--json")
    assert done.code == 0
    files = done.by_name()
    assert files["spider.obj"]["state"] == "pending"
    assert (files["SpiderTex.jpg"]["role"], files["SpiderTex.jpg"]["mains"]) == (
        "companion",
        [str(person.drop / "obj-spider" / "spider.obj")],
    )
    assert files["cube_mtllib_after_g.obj"]["missing"] == ["cube_mtllib_after_g.mat"]
    assert (files["notes.txt"]["state"], files["loose.mtl"]["state"]) == ("skipped", "skipped")
    assert "txt" in files["notes.txt"]["error"]
    assert not person.state.exists() or list(person.state.iterdir()) == []


def test_a_dry_run_after_a_scan_says_what_would_change(person: Any, corpus: Path) -> None:
    copy_corpus(corpus / "glb-box", person.drop)
    assert person.runs("scan", "--emulator", "drop").code == 0
    (person.drop / "new.stl").write_text("solid\nendsolid\n")
    files = person.runs("scan", "--emulator", "drop", "--dry-run", "--json").by_name()
    assert (files["BoxTextured.glb"]["state"], files["new.stl"]["state"]) == ("done", "pending")
    assert "new.stl" not in person.runs("status", "--all", "--json").by_name()


def test_without_credentials_the_error_says_both_ways_out(person: Any) -> None:
    done = person.runs("scan", "drop")
    assert done.code == 2
    assert "WATCHER_API__API_KEY" in done.err
    assert "--emulator" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("key_is_good", [True, False])
def test_a_server_that_is_away_or_refuses_the_key_is_exit_3(person: Any, emulator: Any, key_is_good: bool) -> None:
    (person.drop / "a.png").write_bytes(b"x")
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    person.env["WATCHER_API__BASE_URL"] = f"http://127.0.0.1:{port}/app/v1" if key_is_good else emulator.base_url
    person.env["WATCHER_API__API_KEY"] = "not-the-key-of-anybody"
    done = person.runs("scan", "drop")
    assert done.code == 3
    assert ("refused" in done.err) and "Traceback" not in done.err
    assert "not-the-key-of-anybody" not in done.err + done.out


def test_a_base_url_without_an_api_behind_it_is_named(person: Any, emulator: Any) -> None:
    person.env |= {"WATCHER_API__BASE_URL": emulator.base_url + "/more", "WATCHER_API__API_KEY": emulator.api_key}
    done = person.runs("scan", "drop")
    assert (done.code, "is base_url right?" in done.err) == (3, True)


def test_a_log_for_programs_is_nothing_but_json(person: Any, corpus: Path) -> None:
    copy_corpus(corpus / "glb-box", person.drop)
    done = person.runs("--log-format", "json", "scan", "--emulator", "drop")
    events = [json.loads(line)["event"] for line in done.err.splitlines()]
    assert (done.code, "converted" in events) == (0, True)


def test_a_timeout_with_work_left_is_exit_4_and_the_next_scan_goes_on(person: Any, corpus: Path) -> None:
    copy_corpus(corpus / "obj-spider", person.drop)
    assert person.runs("scan", "--emulator", "drop", "--timeout", "0").code == 4
    assert person.runs("scan", "--emulator", "drop").code == 0


def test_wrong_usage_is_exit_2_and_names_the_problem(person: Any) -> None:
    assert person.runs("scan", "--nonsense").code == 2
    missing = person.runs("scan", "--emulator", "nowhere")
    assert missing.code == 2
    assert "nowhere" in missing.err
    nothing = person.runs("scan", "--emulator")
    assert nothing.code == 2
    assert "[[drops]]" in nothing.err


def test_a_file_that_is_still_fresh_is_waited_for(person: Any) -> None:
    (person.drop / "a.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    begun = time.monotonic()
    done = person.runs("scan", "--emulator", "drop", "--json")
    assert done.by_name()["a.obj"]["state"] == "done"
    assert time.monotonic() - begun > 2.0, "the settle time of two seconds was kept"


def test_an_interrupted_scan_is_exit_130_and_loses_nothing(person: Any, corpus: Path, until: Any) -> None:
    import signal

    for number in range(300):
        (person.drop / f"{number}.obj").write_text(f"v 0 0 {number}\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    process = person.starts("scan", "--emulator", "drop")
    until((person.state / "ledger.db").exists, 20)
    until(lambda: person.counts()["done"] > 0, 40)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=40)
    assert process.returncode == 130
    done = person.runs("scan", "--emulator", "drop", "--json")
    assert done.code == 0
    assert done.json["counts"]["done"] == 300


def test_a_ledger_of_the_emulator_is_not_used_for_another_server(person: Any, emulator: Any) -> None:
    (person.drop / "a.png").write_bytes(b"x")
    person.runs("scan", "--emulator", "drop")
    person.env["WATCHER_API__BASE_URL"] = emulator.base_url
    person.env["WATCHER_API__API_KEY"] = emulator.api_key
    done = person.runs("scan", "drop")
    assert done.code == 2
    assert "another state_dir" in done.err
