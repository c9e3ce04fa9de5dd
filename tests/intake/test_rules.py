import os
import random
import shutil
import subprocess
import time

import pytest

from watcher.formats import KIND_BY_EXTENSION, Kind
from watcher.intake.rules import PassedOver, Reason, Rules, Taken
from watcher.model import Drop


def rules(**drop):
    return Rules(Drop("/drop", "remote", **drop))


def reason(verdict):
    return None if isinstance(verdict, Taken) else verdict.reason


def test_every_format_of_the_api_is_taken_whatever_the_case_and_the_folder():
    for extension, kind in KIND_BY_EXTENSION.items():
        expected = Reason.COMPANION if kind is Kind.COMPANION else None
        for path in (f"a.{extension}", f"A b.{extension.upper()}", f"x/y z/a.b.{extension}"):
            assert reason(rules().verdict(path)) is expected, path
    assert rules().verdict("a.obj") == Taken(Kind.MESH)
    assert rules().verdict("a.wav") == Taken(Kind.SOUND)


def test_other_formats_are_passed_over_and_counted():
    for path in ("a.txt", "a.psd", "README", "a.obj.zip", "obj", "folder.obj/a.txt", "a."):
        verdict = rules().verdict(path)
        assert reason(verdict) is Reason.UNSUPPORTED, path
        assert verdict.counted
    assert "'.psd'" in rules().verdict("a.PSD").detail
    assert "without an extension" in rules().verdict("README").detail


def test_a_companion_waits_for_its_model_and_is_no_loss():
    verdict = rules().verdict("a.MTL")
    assert reason(verdict) is Reason.COMPANION
    assert not verdict.counted


@pytest.mark.parametrize(
    "path", [".a.obj", ".a.obj.Xy12ab", "x/.git/a.obj", ".hidden/x/a.obj", ".~lock.a.obj#", "._a.obj"]
)
def test_hidden_files_and_folders_never_count(path):
    verdict = rules().verdict(path)
    assert reason(verdict) is Reason.HIDDEN
    assert not verdict.counted


DOWNLOADS = (
    "a.obj.part a.obj.crdownload a.obj.tmp a.obj.filepart a.obj.partial a.obj.download a.obj.aria2 a.obj.opdownload"
    " a.obj.!ut a.obj.!qB a.obj.bc! ~syncthing~a.obj.tmp"
)
EDITORS = (
    "a.obj~ #a.obj# ~$a.obj a.obj.swp ~WRL0001.tmp a.blend@ a.blend1 a.blend12 a.obj.kate-swp a.obj.bak 4913"
    " a.obj.sb-1a2b3c4d-AbCdEf"
)
SYSTEMS = (
    "Thumbs.db THUMBS.DB ehthumbs.db desktop.ini Desktop.ini a.png:Zone.Identifier @eaDir/a.obj x/@eaDir/a.png/SYNO.png"
    " lost+found/a.obj $RECYCLE.BIN/S-1/a.obj #recycle/a.obj #snapshot/a.obj @Recycle/a.obj __MACOSX/a.obj"
    " ~snapshot/a.obj a.download/a.obj"
)
TEMPORARY = f"{DOWNLOADS} {EDITORS} {SYSTEMS}".split()


@pytest.mark.parametrize(
    "path", [*TEMPORARY, "System Volume Information/a.obj", "Network Trash Folder/a.obj", "Icon\r"]
)
def test_working_files_of_programs_never_count(path):
    verdict = rules().verdict(path)
    assert reason(verdict) is Reason.TEMPORARY
    assert not verdict.counted


@pytest.mark.parametrize(
    "path",
    [
        "part.obj",
        "tmp/a.obj",
        "tmp.obj",
        "a.part.obj",
        "#1.obj",
        "a#.obj",
        "~a.obj",
        "download/a.obj",
        "x.tmp.png",
        "$a.obj",
        "a~.obj",
    ],
)
def test_names_that_only_look_like_working_files_are_taken(path):
    assert isinstance(rules().verdict(path), Taken)


def test_a_file_called_like_an_extension_is_not_temporary():
    assert reason(rules().verdict("part")) is Reason.UNSUPPORTED
    assert reason(rules().verdict("tmp")) is Reason.UNSUPPORTED


def test_names_of_any_bytes_get_a_verdict():
    bare = rules()
    patterned = rules(ignore=("*.tmp", "b[ä]d/", "**/x/**"), include=("*.obj", "!ö"))
    randomness = random.Random(1)
    for _ in range(3000):
        raw = bytes(
            randomness.choice(b"\xff\xc3\xa4\n\r\t ./~#$ab\x01\\*[]!?") for _ in range(randomness.randint(1, 12))
        )
        path = os.fsdecode(raw)
        for one in (bare, patterned):
            assert isinstance(one.verdict(path), Taken | PassedOver)
            assert isinstance(one.enters(path), bool)
    assert isinstance(bare.verdict(os.fsdecode(b"\xff\xfe.obj")), Taken)


def test_paths_may_be_as_deep_as_linux_allows():
    deep = "/".join(["d"] * 2000)
    assert isinstance(rules().verdict(f"{deep}/a.obj"), Taken)
    assert rules(ignore=("*.txt",)).enters(deep)
    assert not rules(ignore=("/d/d/d/",)).enters(deep)


# -- patterns ------------------------------------------------------------------------------------------------


def test_a_pattern_ignores_and_the_verdict_names_it():
    verdict = rules(ignore=("*.png", "old_*")).verdict("x/old_car.obj")
    assert reason(verdict) is Reason.IGNORED
    assert verdict.counted
    assert "'old_*'" in verdict.detail


def test_the_last_pattern_that_matches_decides():
    one = rules(ignore=("*.obj", "!keep.obj", "keep.obj.obj"))
    assert reason(one.verdict("a.obj")) is Reason.IGNORED
    assert isinstance(one.verdict("x/keep.obj"), Taken)
    assert reason(one.verdict("keep.obj.obj")) is Reason.IGNORED


def test_what_is_below_an_ignored_folder_cannot_be_taken_back():
    one = rules(ignore=("backup/", "!backup/a.obj"))
    verdict = one.verdict("x/backup/a.obj")
    assert reason(verdict) is Reason.IGNORED
    assert "'x/backup'" in verdict.detail
    assert "'backup/'" in verdict.detail
    assert not one.enters("x/backup")
    assert not one.enters("x/backup/deep/er")
    assert isinstance(one.verdict("backup.obj"), Taken)


def test_a_folder_that_is_taken_back_is_entered():
    one = rules(ignore=("*", "!*/", "!*.obj"))
    assert one.enters("a/b")
    assert isinstance(one.verdict("a/b/c.obj"), Taken)
    assert reason(one.verdict("a/b/c.png")) is Reason.IGNORED


def test_a_pattern_for_what_is_in_a_folder_is_none_for_the_folder():
    one = rules(ignore=("a/**", "!a/b.obj"))
    assert one.enters("a")
    assert isinstance(one.verdict("a/b.obj"), Taken)
    assert reason(one.verdict("a/c.obj")) is Reason.IGNORED
    assert not one.enters("a/d")


def test_only_what_is_included_is_taken():
    one = rules(include=("*.obj", "cars/", "!*.wav"))
    assert isinstance(one.verdict("x/a.obj"), Taken)
    assert isinstance(one.verdict("cars/deep/a.png"), Taken)
    verdict = one.verdict("x/a.png")
    assert reason(verdict) is Reason.NOT_INCLUDED
    assert verdict.counted
    assert reason(one.verdict("cars/a.wav")) is Reason.NOT_INCLUDED
    assert one.enters("x")


def test_ignored_comes_before_included():
    one = rules(include=("*.obj",), ignore=("a*",))
    assert reason(one.verdict("a.obj")) is Reason.IGNORED
    assert isinstance(one.verdict("b.obj"), Taken)


def test_hidden_and_temporary_files_cannot_be_included():
    one = rules(include=("*",), ignore=("!*",))
    assert reason(one.verdict(".a.obj")) is Reason.HIDDEN
    assert reason(one.verdict("a.obj.part")) is Reason.TEMPORARY


@pytest.mark.parametrize("pattern", ["!", "\\", "[z-a].obj", "a\nb"])
@pytest.mark.parametrize("purpose", ["ignore", "include"])
def test_a_bad_pattern_is_named(pattern, purpose):
    with pytest.raises(ValueError, match="gitignore") as error:
        rules(**{purpose: ("*.png", pattern)})
    assert repr(pattern) in str(error.value)
    assert purpose in str(error.value)


def test_comments_and_empty_patterns_have_no_effect():
    one = rules(ignore=("# all", "", "  "), include=("# all",))
    assert isinstance(one.verdict("a.obj"), Taken)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.parametrize("seed", range(3))
def test_git_is_of_the_same_opinion(tmp_path, seed):
    randomness = random.Random(seed)
    names = ["a", "b", "ab", "c.obj", "d.png", "x y.obj", "A"]
    parts = [*names, "*", "**", "*.obj", "?", "[ab]", "a*", "*b", "[!a]"]
    paths = sorted(
        {
            "/".join(
                [*randomness.choices(["a", "b", "ab", "A"], k=randomness.randint(0, 3)), randomness.choice(names[3:6])]
            )
            for _ in range(60)
        }
    )
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    for _ in range(40):
        patterns = tuple(
            randomness.choice(["", "!", ""])
            + randomness.choice(["", "/", ""])
            + "/".join(randomness.choices(parts, k=randomness.randint(1, 3)))
            + randomness.choice(["", "/", "/**", ""])
            for _ in range(randomness.randint(1, 5))
        )
        (tmp_path / ".gitignore").write_text("\n".join(patterns) + "\n")
        command = ["git", "-C", tmp_path, "-c", "core.ignorecase=false", "check-ignore", "--no-index", "--stdin", "-z"]
        answer = subprocess.run(command, check=False, input="\0".join(paths).encode(), stdout=subprocess.PIPE)
        ignored = set(answer.stdout.decode().split("\0")) - {""}
        one = rules(ignore=patterns)
        assert {path for path in paths if reason(one.verdict(path)) is Reason.IGNORED} == ignored, patterns


# -- folders -------------------------------------------------------------------------------------------------


def test_a_scan_enters_ordinary_folders_only():
    one = rules(ignore=("old/",))
    for folder in ("", "a", "a/b c", "a/"):
        assert one.enters(folder), folder
    for folder in (".git", "a/.cache/b", "@eaDir", "a/lost+found", "old", "a/old/b"):
        assert not one.enters(folder), folder


def test_a_drop_that_is_not_recursive_ends_at_its_top():
    one = rules(recursive=False)
    assert one.enters("")
    assert not one.enters("a")
    assert isinstance(one.verdict("a.obj"), Taken)
    verdict = one.verdict("a/b.obj")
    assert reason(verdict) is Reason.SUB_FOLDER
    assert not verdict.counted


# -- speed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "drop", [{}, {"ignore": ("*.txt", "backup/", "!keep/*"), "include": ("*.obj", "*.png", "*.mtl")}]
)
def test_a_verdict_takes_microseconds(drop):
    one = rules(**drop)
    paths = [f"car{number % 500}/part{number}.{('obj', 'mtl', 'png', 'txt')[number % 4]}" for number in range(50_000)]
    started = time.process_time()
    for path in paths:
        one.verdict(path)
    # 0.08 and 0.2 seconds where this was written.
    assert time.process_time() - started < 2


def test_memory_is_bounded_whatever_names_come():
    one = rules()
    for number in range(100_000):
        one.verdict(f"folder{number}/a.{number}")
    assert len(one._of_folder) < 30_000
    assert len(one._of_extension) < 30_000
