"""The intake on real folders and real inotify: what is dropped is seen, once it is complete."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from watcher import clock
from watcher.intake import loop, scan
from watcher.model import FileState

Make = Callable[..., Any]
Until = Callable[..., None]


def drive(driven: Any, until: Until, condition: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    """Step until the condition holds."""

    def step_and_look() -> object:
        driven.step()
        return condition()

    until(step_and_look, seconds, what)


def make_tree(root: Path, files: int = 3) -> set[str]:
    names = set()
    for index in range(files):
        folder = root / f"job{index}" / "textures"
        folder.mkdir(parents=True)
        (folder.parent / "model.obj").write_text(f"o {index}\n")
        (folder / "wood.png").write_bytes(b"png" * (index + 1))
        names |= {f"job{index}/model.obj", f"job{index}/textures/wood.png"}
    return names


def test_a_created_file_settles(hand_driven: Make, drop_folder: Path, until: Until) -> None:
    driven = hand_driven()
    driven.step()
    (drop_folder / "a.obj").write_text("o a\n")
    drive(driven, until, lambda: driven.settled() == {"a.obj"}, "settling")


def test_a_file_that_is_passed_over_is_counted_soon_and_asks_for_one_scan_only(
    hand_driven: Make, drop_folder: Path, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "STRAY_SECONDS", 0.0)
    driven = hand_driven()
    driven.until_idle()

    def counted() -> dict[str, int]:
        passed_over: dict[str, int] = driven.ledger.report.counts().passed_over
        return passed_over

    (drop_folder / "cars.zip").write_bytes(b"PK")
    drive(driven, until, lambda: counted() == {".zip": 1}, "the count")
    scans = driven.ledger.report.meta("last_scan_at")
    with (drop_folder / "cars.zip").open("ab") as archive:
        archive.write(b"more")
    (drop_folder / "a.obj").write_text("o a\n")
    drive(driven, until, lambda: driven.settled() == {"a.obj"}, "what came after it")
    assert driven.ledger.report.meta("last_scan_at") == scans


def test_files_from_before_the_start_are_caught_up_with(hand_driven: Make, drop_folder: Path, until: Until) -> None:
    names = make_tree(drop_folder)
    driven = hand_driven()
    drive(driven, until, lambda: driven.settled() == names, "the catch-up")


def test_a_slowly_written_file_settles_only_after_its_last_byte(
    hand_driven: Make, drop_folder: Path, until: Until
) -> None:
    driven = hand_driven(settle_seconds=1.0)
    driven.step()
    ended = threading.Event()

    def write() -> None:
        # Opened and closed for each piece; the pauses are much shorter than the settle time, all of it is longer.
        for _ in range(15):
            with (drop_folder / "slow.obj").open("ab") as file:
                file.write(b"v 0 0 0\n")
            time.sleep(0.1)
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not ended.is_set():
        driven.step()
        assert driven.settled() == set()
        time.sleep(0.02)
    writer.join()
    drive(driven, until, lambda: driven.settled() == {"slow.obj"}, "settling")


def test_a_file_that_is_held_open_for_writing_waits_for_its_writer(
    hand_driven: Make, drop_folder: Path, until: Until
) -> None:
    driven = hand_driven(settle_seconds=0.1)
    driven.step()
    with (drop_folder / "open.obj").open("wb") as file:
        file.write(b"v 0 0 0\n")
        file.flush()
        end = clock.now() + 1.0
        while clock.now() < end:
            driven.step()
            assert driven.settled() == set()
            time.sleep(0.02)
    drive(driven, until, lambda: driven.settled() == {"open.obj"}, "settling")


@pytest.mark.parametrize("way", ["mv", "cp -r", "rsync -a", "tar x"])
def test_a_folder_tree_is_taken_whole_however_it_comes(
    way: str, hand_driven: Make, drop_folder: Path, tmp_path: Path, until: Until
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    names = make_tree(source, 30)
    driven = hand_driven()
    driven.step()
    if way == "mv":
        for child in source.iterdir():
            child.rename(drop_folder / child.name)
    elif way == "cp -r":
        subprocess.run(["cp", "-r", f"{source}/.", str(drop_folder)], check=True)
    elif way == "rsync -a":
        if shutil.which("rsync") is None:
            pytest.skip("rsync is not installed")
        subprocess.run(["rsync", "-a", f"{source}/", f"{drop_folder}/"], check=True)
    else:
        archive = tmp_path / "tree.tar"
        subprocess.run(["tar", "cf", archive, "-C", source, "."], check=True)
        subprocess.run(["tar", "xf", archive, "-C", drop_folder], check=True)
    drive(driven, until, lambda: driven.settled() == names, f"all files after {way}")
    assert set(driven.files()) == names, "temporary names left no trace"


def test_nested_folders_made_faster_than_watches_lose_nothing(
    hand_driven: Make, drop_folder: Path, until: Until
) -> None:
    driven = hand_driven()
    driven.step()
    names = set()
    for index in range(200):
        deep = drop_folder / f"{index}" / "a" / "b" / "c"
        deep.mkdir(parents=True)
        (deep / "x.stl").write_bytes(b"solid")
        names.add(f"{index}/a/b/c/x.stl")
    drive(driven, until, lambda: driven.settled() == names, "all of the nested files")


def test_a_rewritten_file_becomes_pending_again(hand_driven: Make, drop_folder: Path, until: Until) -> None:
    driven = hand_driven()
    path = drop_folder / "a.obj"
    path.write_text("o a\n")
    drive(driven, until, lambda: driven.settled() == {"a.obj"}, "settling")
    before = driven.ledger.intake.known_file(str(path.resolve()))
    path.write_text("o a, and more\n")
    drive(driven, until, lambda: driven.ledger.intake.known_file(str(path.resolve())) != before, "the change")
    drive(driven, until, lambda: driven.settled() == {"a.obj"}, "settling anew")


def test_a_deleted_file_is_gone_and_a_deleted_folder_with_all_it_held(
    hand_driven: Make, drop_folder: Path, until: Until
) -> None:
    names = make_tree(drop_folder)
    driven = hand_driven()
    drive(driven, until, lambda: driven.settled() == names, "settling")
    (drop_folder / "job0" / "model.obj").unlink()
    shutil.rmtree(drop_folder / "job1")
    gone = {"job0/model.obj", "job1/model.obj", "job1/textures/wood.png"}
    drive(
        driven,
        until,
        lambda: {name for name, state in driven.files().items() if state is FileState.GONE} == gone,
        "the deletions",
    )


def test_a_renamed_file_is_gone_under_the_old_name_and_there_under_the_new(
    hand_driven: Make, drop_folder: Path, until: Until
) -> None:
    (drop_folder / "old.obj").write_text("o a\n")
    driven = hand_driven()
    drive(driven, until, lambda: driven.settled() == {"old.obj"}, "settling")
    (drop_folder / "old.obj").rename(drop_folder / "new.obj")
    drive(driven, until, lambda: driven.settled() == {"new.obj"}, "the new name")
    assert driven.files() == {"old.obj": FileState.GONE, "new.obj": FileState.PENDING}


def test_a_folder_moved_away_takes_its_files_with_it(
    hand_driven: Make, drop_folder: Path, tmp_path: Path, until: Until
) -> None:
    make_tree(drop_folder, 1)
    driven = hand_driven()
    drive(driven, until, lambda: len(driven.settled()) == 2, "settling")
    (drop_folder / "job0").rename(tmp_path / "archive")
    drive(driven, until, lambda: set(driven.files().values()) == {FileState.GONE}, "the move")


def test_a_name_that_is_archived_and_used_again_loses_nothing(
    hand_driven: Make, drop_folder: Path, tmp_path: Path, until: Until
) -> None:
    """This sequence ends the reader of watchdog's own observer, while everything looks alive."""
    driven = hand_driven()
    (drop_folder / "job").mkdir()
    driven.until_idle()
    job, archive = drop_folder / "job", tmp_path / "archive"
    archive.mkdir()
    with capture_logs() as log:
        for number in range(5):
            job.rename(archive / "job")
            job.mkdir()
            job.rmdir()
            (archive / "job").rename(archive / str(number))
            job.mkdir()
            (job / f"{number}.obj").write_text("o job\n")
            driven.until(lambda n=number: f"job/{n}.obj" in driven.settled(), "a file in the new folder", 5)
    assert log == [], "nothing had to be mended"


def test_a_renamed_folder_is_followed_and_a_folder_that_leaves_is_not(
    hand_driven: Make, drop_folder: Path, tmp_path: Path
) -> None:
    (drop_folder / "a" / "textures").mkdir(parents=True)
    driven = hand_driven()
    driven.until_idle()
    (drop_folder / "a").rename(drop_folder / "b")
    (drop_folder / "b" / "one.obj").write_text("o one\n")
    (drop_folder / "b" / "textures" / "two.png").write_bytes(b"two")
    driven.until_settled({"b/one.obj", "b/textures/two.png"}, seconds=5)
    (drop_folder / "b").rename(tmp_path / "b")
    driven.until(lambda: len(driven.gone()) == 2, "the leaving", seconds=5)
    (tmp_path / "b" / "three.obj").write_text("o three\n")
    (drop_folder / "b").mkdir()
    (drop_folder / "b" / "four.obj").write_text("o four\n")
    driven.until_settled({"b/four.obj"}, seconds=5)
    (tmp_path / "b").rename(drop_folder / "c")
    driven.until_settled({"b/four.obj", "c/one.obj", "c/textures/two.png", "c/three.obj"}, "the return", seconds=5)
    (drop_folder / "c" / "textures" / "five.png").write_bytes(b"five")
    driven.until(lambda: "c/textures/five.png" in driven.settled(), "a file in what returned", seconds=5)


def test_ten_thousand_files_are_settled_soon_after_the_last_rename(hand_driven: Make, drop_folder: Path) -> None:
    """The measure is a bare look at the same files, so that a slow machine is no failure."""
    folders = [drop_folder / str(number) for number in range(100)]
    for folder in folders:
        folder.mkdir()
    driven = hand_driven(settle_seconds=0.1)
    driven.until_idle()
    stop = threading.Event()

    def step() -> None:
        while not stop.is_set():
            stop.wait(driven.intake.step(clock.now()))

    stepping = threading.Thread(target=step)
    stepping.start()
    code = """
import os
for number in range(10_000):
    path = f"{number % 100}/{number}.obj"
    with open(path + ".part", "w") as file:
        file.write("o")
    os.rename(path + ".part", path)
"""
    try:
        subprocess.run([sys.executable, "-c", code], check=True, cwd=drop_folder)
        written = time.monotonic()
        while driven.settled_count() < 10_000:
            assert time.monotonic() - written < 60
            time.sleep(0.02)
        took = time.monotonic() - written - 0.1
    finally:
        stop.set()
        stepping.join()
    start = time.monotonic()
    for folder in folders:
        with os.scandir(folder) as entries:
            assert sum(entry.stat().st_size for entry in entries) == 100
    floor = time.monotonic() - start
    assert took < max(3.0, 60 * floor), f"settled {took:.2f} s after the last rename; a bare look takes {floor:.2f} s"


def test_folders_and_files_made_in_a_race_cause_no_flood_of_warnings(
    hand_driven: Make, drop_folder: Path, recwarn: pytest.WarningsRecorder
) -> None:
    driven = hand_driven()
    driven.until_idle()
    code = """
import os
for number in range(2000):
    os.makedirs(f"{number % 40}/{number}/x")
    open(f"{number % 40}/{number}/x/a.stl", "w").close()
"""
    making = subprocess.Popen([sys.executable, "-c", code], cwd=drop_folder)
    driven.until(lambda: driven.settled_count() == 2000, "all files")
    assert making.wait() == 0
    assert not [str(warning.message)[:200] for warning in recwarn]


def test_only_what_counts_is_taken_and_the_rest_is_counted(hand_driven: Make, drop_folder: Path, until: Until) -> None:
    for name in ["a.obj", "b.PNG", "notes.txt", "more.txt", "Makefile", "x.png.part", ".hidden.obj", "old.stl"]:
        (drop_folder / name).write_text("x")
    (drop_folder / "loose.mtl").write_text("newmtl m\n")
    (drop_folder / "link.obj").symlink_to(drop_folder / "a.obj")
    os.mkfifo(drop_folder / "fifo.obj")
    driven = hand_driven(ignore=("old.*",))
    drive(driven, until, lambda: driven.settled() == {"a.obj", "b.PNG"}, "settling")
    counts = driven.ledger.report.counts()
    assert counts.passed_over == {".txt": 2, "": 1, ".stl": 1, ".mtl": 1, ".obj": 2}


def test_an_unreadable_folder_is_a_problem_and_its_files_are_not_gone(
    hand_driven: Make, drop_folder: Path, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tree(drop_folder, 1)
    driven = hand_driven(watch=False)
    drive(driven, until, lambda: len(driven.settled()) == 2, "settling")
    real = os.scandir
    closed = str((drop_folder / "job0").resolve())

    def scandir(path: str) -> Any:  # root may read everything: permission is taken away here
        if path == closed:
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    again = hand_driven(watch=False)
    drive(again, until, lambda: again.intake.idle, "the scan")
    assert FileState.GONE not in again.files().values()
    assert again.ledger.report.counts().problems == {closed: "cannot be read: Permission denied"}


def test_a_missing_drop_folder_does_not_mean_that_everything_was_deleted(
    hand_driven: Make, drop_folder: Path, until: Until
) -> None:
    names = make_tree(drop_folder, 1)
    driven = hand_driven()
    drive(driven, until, lambda: driven.settled() == names, "settling")
    drop_folder.rename(drop_folder.with_name("unplugged"))
    drive(driven, until, lambda: driven.intake.unwatched() != {}, "noticing")
    driven.intake.request_scan()
    drive(driven, until, lambda: driven.intake.idle, "a scan")
    assert FileState.GONE not in driven.files().values()


def test_a_drop_folder_that_comes_back_is_watched_again(
    hand_driven: Make, drop_folder: Path, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watcher.intake.coverage.HEALTH_INTERVAL", 0.05)
    driven = hand_driven()
    drive(driven, until, lambda: driven.intake.idle, "the first scan")
    drop_folder.rename(drop_folder.with_name("unplugged"))
    drive(driven, until, lambda: driven.intake.unwatched() != {}, "noticing")
    drop_folder.mkdir()
    drive(driven, until, lambda: driven.intake.unwatched() == {}, "watching again")
    (drop_folder / "a.obj").write_text("o a\n")
    drive(driven, until, lambda: driven.settled() == {"a.obj"}, "settling")


def test_names_that_are_no_text_are_taken(hand_driven: Make, drop_folder: Path, until: Until) -> None:
    name = b"caf\xe9 \xff\n.obj"
    with open(os.path.join(os.fsencode(drop_folder), name), "wb") as file:
        file.write(b"o x\n")
    driven = hand_driven()
    drive(driven, until, lambda: driven.settled() == {os.fsdecode(name)}, "settling")


def test_a_second_scan_of_an_unchanged_folder_changes_nothing(
    hand_driven: Make, drop_folder: Path, until: Until
) -> None:
    names = make_tree(drop_folder)
    first = hand_driven(watch=False)
    drive(first, until, lambda: first.settled() == names, "settling")
    before = [(file.path, file.updated_at) for file in first.ledger.report.files()]
    second = hand_driven(watch=False)
    drive(second, until, lambda: second.intake.idle, "the second scan")
    assert [(file.path, file.updated_at) for file in second.ledger.report.files()] == before


def test_what_a_scan_finds_does_not_pile_up_before_a_file_that_comes_meanwhile(
    hand_driven: Make, drop_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "BATCH", 20)
    monkeypatch.setattr(scan, "PART", 10)
    for number in range(300):
        (drop_folder / f"{number:03}.png").write_bytes(b"png")
    driven = hand_driven(watch=False, settle_seconds=0.0)
    settler = driven.intake._loops[driven.drop.path].settler
    ahead = []
    driven.until(lambda: ahead.append(len(settler)) or driven.intake.idle, "the scan")
    assert driven.settled_count() == 300
    assert max(ahead) <= 2 * 20
