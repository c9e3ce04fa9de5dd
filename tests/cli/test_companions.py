"""What a user sees of models, their companions and what is missing."""

from pathlib import Path
from typing import Any

import pytest

TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


@pytest.fixture
def drop(person: Any) -> Path:
    """Two crates; one names a texture that is not there, the other a library that is called otherwise."""
    folder: Path = person.drop
    (folder / "a.obj").write_text("mtllib a.mtl\n" + TRIANGLE)
    (folder / "a.mtl").write_text("newmtl a\nmap_Kd wood.png\nmap_Ks C:\\art\\shine.png\n")
    (folder / "b.obj").write_text("mtllib b_1.mat\n" + TRIANGLE + "v 1 1 1\n")
    (folder / "b_1.mtl").write_text("newmtl b\nmap_Kd wood.png\n")
    (folder / "wood.png").write_bytes(PIXEL)
    return folder.resolve()


def test_what_a_model_goes_without_is_a_warning_with_the_ways_to_mend_it(person: Any, drop: Path) -> None:
    done = person.runs("scan", "--emulator", "drop")
    plain = person.runs("status")
    one = person.runs("status", "drop/b.obj")
    for out in (done.out, plain.out):
        assert f"missing: C:\\art\\shine.png (named in a.mtl): put it at {drop}/shine.png, or correct the name" in out
    for out in (done.out, plain.out, one.out):
        assert f"missing: b_1.mat (named in b.obj): put it at {drop}/b_1.mat, or correct the name in b.obj" in out
        assert "(b_1.mtl lies there)" in out
    assert "warning: 2 models went without files that they name" in plain.out
    assert "travels with a.obj" in person.runs("status", "drop/wood.png").out
    assert "takes along a.mtl, wood.png" in person.runs("status", "drop/a.obj").out

    document = person.runs("status", "--json").json
    assert document["files"] == [], "for programs, what is done is at rest"
    assert document["go_without"] == 2
    files = person.runs("status", "--all", "--json").by_name()
    (lacking,) = files["a.obj"]["lacking"]
    assert files["a.obj"]["missing"] == [lacking["name"]] == ["C:\\art\\shine.png"]
    assert (lacking["named_by"], lacking["expected"]) == (str(drop / "a.mtl"), str(drop / "shine.png"))
    assert len(lacking["ways_to_mend"]) == 2
    assert [use["uploaded_as"] for use in files["a.obj"]["companions"]] == ["a.mtl", "wood.png"]
    assert [use["path"] for use in files["wood.png"]["used_by"]] == files["wood.png"]["mains"] == [str(drop / "a.obj")]

    (drop / "shine.png").write_bytes(PIXEL + b"\0")
    (drop / "b.obj").write_text("mtllib b_1.mtl\n" + TRIANGLE)
    assert person.runs("scan", "--emulator", "drop").code == 0
    mended = person.runs("status").out
    assert "missing" not in mended
    assert "warning" not in mended


def test_a_dry_run_shows_the_sets_with_what_is_missing_and_why_others_are_passed_over(person: Any, drop: Path) -> None:
    (drop / "loose.png").write_bytes(PIXEL + b"\0")
    configuration = f'state_dir = "{person.state}"\n[[drops]]\npath = "{drop}"\nfolder = "X"\n'
    person.configures(configuration + 'textures = "all"\n')
    assert "also travels with a.obj" in person.runs("scan", "--dry-run").out
    person.configures(configuration + 'textures = "companions-only"\n')
    shown = person.runs("scan", "--dry-run").out
    assert f"missing: b_1.mat (named in b.obj): put it at {drop}/b_1.mat" in shown
    assert "takes along a.mtl, wood.png" in shown
    assert "also travels" not in shown
    files = person.runs("scan", "--dry-run", "--json").by_name()
    assert {name: (file["state"], file["role"]) for name, file in files.items()} == {
        "a.obj": ("pending", "main"),
        "b.obj": ("pending", "main"),
        "a.mtl": ("pending", "companion"),
        "wood.png": ("pending", "companion"),
        "b_1.mtl": ("skipped", "main"),
        "loose.png": ("skipped", "main"),
    }
    assert "companions-only" in files["loose.png"]["error"]
    assert person.runs("scan", "--emulator").code == 0
    status = person.runs("status", "drop/loose.png")
    assert "skipped" in status.out
    assert "companions-only" in status.out
    assert "passed over: 2 (.mtl 1, .png 1)" in status.out or "passed over: 2 (.png 1, .mtl 1)" in status.out
