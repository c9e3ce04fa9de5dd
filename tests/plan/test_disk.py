import os
import unicodedata

import pytest

from watcher.plan import DiskLook, assemble
from watcher.plan.disk import Listings


@pytest.fixture
def drop(tmp_path):
    """A drop folder beside a folder with a secret."""
    (tmp_path / "drop" / "Tex").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.png").write_text("secret")
    (tmp_path / "drop" / "Tex" / "Wood.PNG").write_text("wood")
    return tmp_path / "drop"


def find(drop, relative):
    found = DiskLook(str(drop)).find(os.path.join(str(drop), relative))
    return None if found is None else os.path.relpath(found, drop)


def test_a_file_is_found_as_it_is_spelled_and_in_other_case(drop):
    for spelling in ("Tex/Wood.PNG", "tex/wood.png", "TEX/WOOD.png", "Tex/wood.PNG"):
        assert find(drop, spelling) == "Tex/Wood.PNG"
    assert find(drop, "Tex/Wood.jpg") is None
    assert find(drop, "Text/Wood.PNG") is None


def test_the_exact_spelling_comes_first_then_the_first_in_order(drop):
    (drop / "Tex" / "wood.png").write_text("other")
    assert find(drop, "Tex/wood.png") == "Tex/wood.png"
    assert find(drop, "Tex/Wood.PNG") == "Tex/Wood.PNG"
    assert find(drop, "Tex/WOOD.png") == "Tex/Wood.PNG"


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
@pytest.mark.parametrize("asked", ["NFC", "NFD"])
def test_both_unicode_forms_are_one_name(drop, on_disk, asked):
    (drop / unicodedata.normalize(on_disk, "Été.png")).write_text("x")
    assert find(drop, unicodedata.normalize(asked, "été.PNG")) == unicodedata.normalize(on_disk, "Été.png")


def test_a_letter_without_a_composed_capital_is_found_in_other_case(drop):
    (drop / "\u01f0.png").write_text("x")
    assert find(drop, "J\u030c.png") == "\u01f0.png"


def test_a_name_in_an_old_encoding_is_found_by_its_letters(drop):
    old = os.fsdecode("été.png".encode("latin-1"))
    (drop / old).write_text("x")
    assert find(drop, "été.png") == old
    assert find(drop, old) == old


def test_folders_are_no_files(drop):
    assert find(drop, "Tex") is None
    assert find(drop, "Tex/Wood.PNG/x") is None
    assert find(drop, "") is None


def test_nothing_hidden_is_found(drop):
    (drop / ".hidden").mkdir()
    (drop / ".hidden" / "a.png").write_text("x")
    (drop / ".a.png").write_text("x")
    assert find(drop, ".hidden/a.png") is None
    assert find(drop, ".a.png") is None


def test_no_symbolic_link_is_followed(drop):
    (drop / "link.png").symlink_to(drop.parent / "outside" / "secret.png")
    (drop / "folder").symlink_to(drop.parent / "outside")
    (drop / "inner.png").symlink_to(drop / "Tex" / "Wood.PNG")
    (drop / "inner").symlink_to(drop / "Tex")
    for path in ("link.png", "LINK.png", "folder/secret.png", "Folder/Secret.png", "inner.png", "inner/Wood.PNG"):
        assert find(drop, path) is None, path


def test_a_link_does_not_hide_a_file_in_other_case(drop):
    (drop / "Tex" / "wood.png").symlink_to(drop.parent / "outside" / "secret.png")
    assert find(drop, "Tex/wood.png") == "Tex/Wood.PNG"


def test_only_regular_files_are_found(drop):
    os.mkfifo(drop / "pipe.png")
    assert find(drop, "pipe.png") is None


def test_nothing_outside_is_found_however_it_is_asked_for(drop):
    look = DiskLook(str(drop))
    for path in ("/etc/passwd", str(drop), str(drop.parent / "outside" / "secret.png"), f"{drop}2/x", "", "x.png"):
        assert look.find(path) is None
    # A path that is as long as the drop's.
    (drop.parent / "evil" / "Tex").mkdir(parents=True)
    (drop.parent / "evil" / "Tex" / "Wood.PNG").write_text("other")
    assert look.find(f"{drop.parent}/evil/Tex/Wood.PNG") is None
    assert look.find(f"{drop}/../outside/secret.png") is None
    assert look.find(f"{drop}/Tex/../../outside/secret.png") is None


def test_what_cannot_be_a_name_is_not_there(drop):
    for name in ("a\0b", "x" * 5000, "\ud800.png"):
        assert find(drop, name) is None


def test_a_folder_that_cannot_be_listed_holds_nothing(drop, monkeypatch):
    def refused(path):
        raise PermissionError(13, "denied", path)

    monkeypatch.setattr(os, "listdir", refused)  # root, who runs some tests, is refused nothing
    assert find(drop, "tex/wood.png") is None
    assert find(drop, "Tex/Wood.PNG") == "Tex/Wood.PNG"


def test_files_of_one_extension_are_told_in_order(drop):
    for name in ("b.dcm", "A.DCM", "c.txt", ".d.dcm"):
        (drop / name).write_text("x")
    (drop / "e.dcm").symlink_to(drop / "b.dcm")
    (drop / "f.dcm").mkdir()
    assert list(DiskLook(str(drop)).alike(f"{drop}/b.dcm")) == [f"{drop}/A.DCM", f"{drop}/b.dcm"]


def test_each_folder_is_listed_once(drop, monkeypatch):
    listed = []
    real = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: listed.append(path) or real(path))
    look = DiskLook(str(drop))
    for number in range(100):
        assert look.find(f"{drop}/Tex/missing{number}.png") is None
        assert look.find(f"{drop}/Tex/WOOD.png") is not None
    assert listed == [str(drop / "Tex")]


def test_a_hostile_model_uploads_nothing_but_itself(drop):
    secret = drop.parent / "outside" / "secret.png"
    (drop / "link.png").symlink_to(secret)
    (drop / "folder").symlink_to(drop.parent / "outside")
    texts = [
        str(secret), "../outside/secret.png", "..\\outside\\secret.png", "Tex/../../outside/secret.png", "/etc/passwd",
        "../../../../../../../../etc/passwd", "C:\\etc\\passwd", "..", "/", "\\\\x\\y", "link.png", "folder/secret.png",
    ]  # fmt: skip
    (drop / "evil.mtl").write_text("".join(f"map_Kd {text}\n" for text in texts))
    (drop / "evil.obj").write_text(f"mtllib evil.mtl\nmtllib {secret}\nmtllib ../../etc/passwd\n")
    assembly = assemble(str(drop / "evil.obj"), str(drop), DiskLook(str(drop)))
    assert [member.name for member in assembly.members] == ["evil.obj", "evil.mtl"]
    assert {one.text for one in assembly.refused} == {"..", "/"}
    assert {one.text for one in assembly.lacking} == {*texts, "../../etc/passwd"}


def test_a_great_folder_is_listed_anew_only_when_it_changed(drop, monkeypatch):
    monkeypatch.setattr("watcher.plan.disk.GREAT", 1)
    folder, listed, age = drop / "Tex", [], 60.0
    real = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: listed.append(path) or real(path))
    listings = Listings(lambda _time: age)

    def find(name):
        return DiskLook(str(drop), listings=listings).find(f"{folder}/{name}")

    for _ in range(10):
        assert find("missing.png") is None
        assert find("WOOD.png") == str(folder / "Wood.PNG")
    assert len(listed) == 1
    (folder / "Missing.PNG").write_text("it came")
    assert find("missing.png") == str(folder / "Missing.PNG")
    assert len(listed) == 2
    # Just changed: a further change may bear the same time.
    age = 0.0
    os.utime(folder, ns=(0, 1))
    assert find("late.png") is None
    (folder / "Late.png").write_text("it came, too")
    os.utime(folder, ns=(0, 1))
    assert find("late.png") == str(folder / "Late.png")


def test_a_great_folder_that_a_copy_gives_its_old_time_again_is_listed_anew(drop, monkeypatch):
    monkeypatch.setattr("watcher.plan.disk.GREAT", 1)
    asked = []
    listings = Listings(lambda time: asked.append(time) or 60.0)
    folder = drop / "Tex"
    os.utime(folder, (1e9, 1e9))
    assert DiskLook(str(drop), listings=listings).find(f"{folder}/missing.png") is None
    (folder / "Missing.PNG").write_text("it came")
    before = folder.stat().st_ctime_ns
    while folder.stat().st_ctime_ns == before:  # the clock of a file system ticks some hundred times in a second
        os.utime(folder, (1e9, 1e9))
    assert DiskLook(str(drop), listings=listings).find(f"{folder}/missing.png") == str(folder / "Missing.PNG")
    assert min(asked) > 1e9, "nor is it taken for one that has long been as it is"
