"""An empty, replaced or unmounted drop folder does not mean that everything was deleted."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from watcher import clock
from watcher.intake import coverage

Make = Callable[..., Any]
Mount = Callable[[Path], None]


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "HEALTH_INTERVAL", 0.05)


@pytest.fixture
def disk() -> Iterator[Mount]:
    """Mounts an empty disk (a tmpfs) on a folder."""
    mounted: list[Path] = []

    def mount(folder: Path, *options: str) -> None:
        arguments = options or ("-t", "tmpfs", "tmpfs")
        done = subprocess.run(["mount", *arguments, str(folder)], check=False, capture_output=True)
        if done.returncode != 0:
            pytest.skip("nothing can be mounted here")
        mounted.append(folder)

    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root may mount")
    yield mount
    for folder in reversed(mounted):
        subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)


def unmount(folder: Path) -> None:
    # Lazily, as a disk that is pulled out: that somebody has it open does not keep it.
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> set[str]:
    (folder / "job").mkdir()
    (folder / "a.obj").write_text("o a\n")
    (folder / "job" / "b.obj").write_text("o b\n")
    return {"a.obj", "job/b.obj"}


def scan_again(driven: Any) -> None:
    driven.intake.request_scan()
    driven.until_idle()


def test_a_disk_that_is_unmounted_and_mounted_again_was_not_emptied(
    hand_driven: Make, drop_folder: Path, disk: Mount, tmp_path: Path
) -> None:
    medium = tmp_path / "medium"
    medium.mkdir()
    disk(medium)
    names = fill(medium)
    disk(drop_folder, "--bind", str(medium))
    driven = hand_driven()
    driven.until_settled(names)

    unmount(drop_folder)
    driven.until(lambda: driven.trouble is not None, "noticing")
    scan_again(driven)
    assert driven.gone() == set()
    assert "2 known files" in driven.trouble
    assert driven.drop.path in driven.ledger.report.counts().problems
    (drop_folder / "below.obj").write_text("o below the mount\n")
    driven.until(lambda: "below.obj" in driven.settled(), "a file in the bare folder")

    (medium / "a.obj").unlink()
    (medium / "c.obj").write_text("o c\n")
    disk(drop_folder, "--bind", str(medium))
    driven.until(lambda: "c.obj" in driven.settled(), "the disk's return")
    driven.until(lambda: driven.gone() == {"a.obj"}, "what was deleted for real")
    assert "job/b.obj" in driven.settled()
    (drop_folder / "d.obj").write_text("o d\n")
    driven.until(lambda: "d.obj" in driven.settled(), "a new file on it", seconds=5)


def test_a_disk_mounted_over_the_drop_hides_its_files_and_deletes_none(
    hand_driven: Make, drop_folder: Path, disk: Mount
) -> None:
    names = fill(drop_folder)
    driven = hand_driven()
    driven.until_settled(names)
    disk(drop_folder)
    driven.until(lambda: driven.trouble is not None, "noticing")
    scan_again(driven)
    assert driven.gone() == set()
    (drop_folder / "new.obj").write_text("o new\n")
    driven.until(lambda: "new.obj" in driven.settled(), "a file on the new disk")
    unmount(drop_folder)
    driven.until(lambda: "1 known file," in (driven.trouble or ""), "the files' return, and the other disk's going")
    assert names <= driven.settled()
    assert driven.gone() == set()


@pytest.mark.parametrize("event", ["mounted", "unmounted"])
def test_a_disk_below_the_drop_that_comes_or_goes_deletes_nothing(
    event: str, hand_driven: Make, drop_folder: Path, disk: Mount
) -> None:
    job = drop_folder / "job"
    job.mkdir()
    if event == "unmounted":
        disk(job)
    (job / "a.obj").write_text("o a\n")
    (drop_folder / "b.obj").write_text("o b\n")
    driven = hand_driven()
    driven.until_settled({"job/a.obj", "b.obj"})
    if event == "mounted":
        disk(job)
    else:
        unmount(job)
        (job / "c.obj").write_text("o c\n")
        driven.until(lambda: "job/c.obj" in driven.settled(), "a file in the bare folder", seconds=5)
    scan_again(driven)
    assert driven.gone() == set()
    assert "'job/a.obj'" in driven.trouble
    # And elsewhere a deletion is one.
    (drop_folder / "b.obj").unlink()
    driven.until(lambda: driven.gone() == {"b.obj"}, "a deletion")
    (job / "d.obj").write_text("o d\n")
    driven.until(lambda: "job/d.obj" in driven.settled(), "a file in the other folder", seconds=5)


def test_a_hint_at_a_file_of_an_unmounted_disk_does_not_delete_it(
    hand_driven: Make, drop_folder: Path, disk: Mount
) -> None:
    disk(drop_folder)
    names = fill(drop_folder)
    driven = hand_driven()
    driven.until_settled(names)
    scanner = driven.intake._loops[driven.drop.path].scanner
    unmount(drop_folder)
    look = scanner.look(str(drop_folder.resolve() / "a.obj"))
    assert (look.vanished, len(look.doubtful)) == ([], 1)


def test_a_folder_in_the_drops_place_does_not_delete_what_the_other_held(
    hand_driven: Make, drop_folder: Path, tmp_path: Path
) -> None:
    names = fill(drop_folder)
    driven = hand_driven()
    driven.until_settled(names)
    away = drop_folder.rename(tmp_path / "away")
    drop_folder.mkdir()
    driven.until(lambda: driven.trouble is not None, "noticing")
    scan_again(driven)
    assert driven.gone() == set()
    assert "3dverse-watcher forget" in driven.trouble
    (drop_folder / "new.obj").write_text("o new\n")
    driven.until(lambda: "new.obj" in driven.settled(), "a file in the new folder")
    scan_again(driven)
    scan_again(driven)
    assert driven.gone() == set(), "a file that came later proves nothing"
    (drop_folder / "new.obj").unlink()
    driven.until(lambda: driven.gone() == {"new.obj"}, "its deletion, which is one")
    drop_folder.rmdir()
    away.rename(drop_folder)
    driven.until(lambda: driven.trouble is None, "the folder's return")
    assert driven.settled() == names


def test_files_put_back_into_a_new_folder_are_recognised_and_the_others_are_deleted(
    hand_driven: Make, drop_folder: Path, tmp_path: Path
) -> None:
    names = fill(drop_folder)
    driven = hand_driven()
    driven.until_settled(names)
    away = drop_folder.rename(tmp_path / "away")
    shutil.copytree(away / "job", drop_folder / "job")  # with its times
    driven.until(lambda: driven.gone() == {"a.obj"}, "what was not put back")
    driven.until_settled({"job/b.obj"})
    assert driven.trouble is None


@pytest.mark.parametrize("watch", [True, False])
def test_the_same_folder_emptied_for_real_is_believed_be_it_the_last_file(
    watch: bool, hand_driven: Make, drop_folder: Path
) -> None:
    (drop_folder / "last.obj").write_text("o a\n")
    driven = hand_driven()
    driven.until_settled({"last.obj"})
    (drop_folder / "last.obj").unlink()
    if not watch:  # it happens while nobody looks
        driven.intake.close()
        driven = hand_driven()
    driven.until(lambda: driven.gone() == {"last.obj"}, "the deletion")
    assert driven.trouble is None


def test_a_device_under_another_number_is_recognised_by_its_files(hand_driven: Make, drop_folder: Path) -> None:
    """As a network share after the next boot: then an absence is a deletion again."""
    names = fill(drop_folder)
    first = hand_driven()
    first.until_settled(names)
    first.intake.close()
    with first.ledger._connection.transaction() as sql:
        sql.execute("UPDATE files SET dev = 12345, folder_dev = 12345")
    (drop_folder / "a.obj").unlink()
    second = hand_driven()
    second.until(lambda: second.gone() == {"a.obj"}, "the deletion")
    second.until_settled({"job/b.obj"})
    (drop_folder / "job" / "b.obj").unlink()
    second.until(lambda: second.gone() == names, "the deletion of the last")


def test_what_the_user_forgets_is_in_doubt_no_more(hand_driven: Make, drop_folder: Path, tmp_path: Path) -> None:
    names = fill(drop_folder)
    driven = hand_driven()
    driven.until_settled(names)
    drop_folder.rename(tmp_path / "away")
    drop_folder.mkdir()
    driven.until(lambda: "known files" in (driven.trouble or ""), "noticing")
    driven.ledger.upkeep.forget([str(drop_folder / name) for name in names])
    scan_again(driven)
    assert driven.trouble is None
    (drop_folder / "new.obj").write_text("o new\n")
    driven.until_settled({"new.obj"})
    (drop_folder / "new.obj").unlink()
    driven.until(lambda: driven.gone() == {"new.obj"}, "a deletion in the new folder")


def test_a_folder_that_comes_back_is_watched_again(hand_driven: Make, drop_folder: Path) -> None:
    shutil.rmtree(drop_folder)
    driven = hand_driven()
    driven.until(lambda: driven.trouble == "the drop folder is not there", "a missing folder")
    drop_folder.mkdir()
    driven.until(lambda: driven.trouble is None, "its return")
    for number in range(3):
        (drop_folder / f"{number}.obj").write_text("o a\n")
        driven.until(lambda n=number: f"{n}.obj" in driven.settled(), "a file in it", seconds=5)
        if number == 1:
            shutil.rmtree(drop_folder)
            driven.until(lambda: driven.trouble is not None, "its end")
            drop_folder.mkdir()


def test_a_drop_that_moved_to_another_disk_is_found_by_the_link_in_its_place(
    hand_driven: Make, drop_folder: Path, tmp_path: Path
) -> None:
    (drop_folder / "a.obj").write_text("o a\n")
    driven = hand_driven()
    driven.until_settled({"a.obj"})
    drop_folder.rename(tmp_path / "moved")
    drop_folder.symlink_to(tmp_path / "moved")
    driven.intake.request_scan()
    driven.until_idle()
    assert driven.ledger.report.counts().problems == {}
    (tmp_path / "moved" / "b.obj").write_text("o b\n")
    driven.until_settled({"a.obj", "b.obj"}, seconds=5)
    drop_folder.unlink()
    (tmp_path / "empty").mkdir()
    drop_folder.symlink_to(tmp_path / "empty")
    driven.until(lambda: "another folder" in (driven.trouble or ""), "its doubts", seconds=5)
    (tmp_path / "empty" / "c.obj").write_text("o c\n")
    driven.until(lambda: "c.obj" in driven.settled(), "a file in the other folder", seconds=5)
    assert driven.coverage.to_poll() == [], "the other one is watched"
    assert driven.gone() == set()


def test_a_drop_deleted_and_made_again_between_two_looks_is_watched_again(
    hand_driven: Make, drop_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Often it has the same inode number: then only the scan that did not find it knows."""
    driven = hand_driven()
    driven.until_idle()
    monkeypatch.setattr(coverage, "HEALTH_INTERVAL", 1.0)
    driven.until(lambda: driven.coverage._next_check > clock.now() + 0.8, "a look at the health")
    drop_folder.rmdir()
    driven.until(lambda: driven.trouble is not None, "a scan that finds nothing", seconds=0.7)
    drop_folder.mkdir()
    driven.until(lambda: driven.trouble is None, "its return", seconds=5)
    (drop_folder / "a.obj").write_text("o a\n")
    driven.until_settled({"a.obj"}, seconds=5)
