"""Links, FIFOs, devices, names and clocks: what a drop may hold besides plain files, and what may happen to those."""

import errno
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from watcher import clock
from watcher.intake import coverage, scan
from watcher.ledger import JobMember
from watcher.model import FileState, Signature
from watcher.plan import read_references
from watcher.source import Changed, SourceFile

Make = Callable[..., Any]


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "HEALTH_INTERVAL", 0.05)


# -- symbolic links ----------------------------------------------------------------------------------------------------


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A folder outside the drop."""
    folder = tmp_path / "library"
    (folder / "car").mkdir(parents=True)
    (folder / "car" / "car.obj").write_text("o car\n")
    (folder / "loose.obj").write_text("o loose\n")
    return folder


def test_links_are_not_followed_unless_it_is_allowed(hand_driven: Make, drop_folder: Path, library: Path) -> None:
    (drop_folder / "folder").symlink_to(library)
    (drop_folder / "file.obj").symlink_to(library / "loose.obj")
    driven = hand_driven()
    driven.until_idle()
    assert driven.files() == {}


def test_links_that_lead_out_of_the_drop_are_followed_when_it_is_allowed(
    hand_driven: Make, drop_folder: Path, library: Path
) -> None:
    (drop_folder / "folder").symlink_to(library / "car")
    driven = hand_driven(follow_symlinks=True)
    driven.until_settled({"folder/car.obj"})
    (library / "car" / "later.obj").write_text("o later\n")
    driven.until_settled({"folder/car.obj", "folder/later.obj"}, "a file behind the link", seconds=5)
    (drop_folder / "file.obj").symlink_to(library / "loose.obj")
    driven.until_settled({"folder/car.obj", "folder/later.obj", "file.obj"}, "a new link to a file", seconds=5)
    (drop_folder / "other").symlink_to(library)
    driven.until(lambda: "other/loose.obj" in driven.settled(), "a new link to a folder", seconds=5)
    (drop_folder / "folder").unlink()
    driven.until(lambda: {"folder/car.obj", "folder/later.obj"} <= driven.gone(), "a link that goes", seconds=5)


def test_links_within_the_drop_take_nothing_twice_and_loops_end(
    hand_driven: Make, drop_folder: Path, library: Path
) -> None:
    job = drop_folder / "job"
    job.mkdir()
    (job / "a.obj").write_text("o a\n")
    (drop_folder / "same").symlink_to(job)
    (drop_folder / "same.obj").symlink_to(job / "a.obj")
    (job / "up").symlink_to(drop_folder)
    (job / "self").symlink_to("self")
    (job / "nothing.obj").symlink_to("nowhere.obj")
    (library / "car" / "back").symlink_to(library)
    (library / "car" / "drop").symlink_to(drop_folder)
    (library / "car" / "parent").symlink_to(drop_folder.parent)
    (drop_folder / "out").symlink_to(library)
    driven = hand_driven(follow_symlinks=True)
    driven.until_idle()
    names = {"job/a.obj", "out/car/car.obj", "out/loose.obj"}
    inner = "out/car/parent/library"  # the same folder by another way, which is no loop; and there it ends
    assert driven.settled() <= names | {f"{inner}/loose.obj", f"{inner}/car/car.obj"}
    assert driven.settled() >= names


def test_a_linked_file_is_read_and_sent_like_any_other(hand_driven: Make, drop_folder: Path, library: Path) -> None:
    (library / "car" / "car.obj").write_text("mtllib car.mtl\n")
    link = drop_folder / "car.obj"
    link.symlink_to(library / "car" / "car.obj")
    driven = hand_driven(follow_symlinks=True)
    driven.until_settled({"car.obj"})
    [candidate] = driven.ledger.plan.candidates([driven.drop.path], clock.now(), 10)
    signature = scan.signature_of(link.stat())
    source = SourceFile(JobMember(candidate.file_id, 1, candidate.path, "car.obj", signature), lambda: False)
    assert source.hash()
    assert b"".join(source.chunks()) == b"mtllib car.mtl\n"
    link.unlink()
    link.symlink_to(library / "loose.obj")
    with pytest.raises(Changed):
        source.check()
    source.close()


# -- what is no regular file -------------------------------------------------------------------------------------------


def test_fifos_sockets_and_devices_are_never_opened(
    hand_driven: Make, drop_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(drop_folder / "car.obj")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(drop_folder / "socket.stl"))
        if os.geteuid() == 0:
            os.mknod(drop_folder / "device.obj", 0o20600, os.makedev(1, 3))
        (drop_folder / "good.obj").write_text("mtllib good.mtl\n")
        opened: list[object] = []
        real = os.open

        def note(path: Any, *arguments: Any, **more: Any) -> int:
            opened.append(path)
            return real(path, *arguments, **more)

        monkeypatch.setattr(os, "open", note)
        driven = hand_driven()
        driven.until_settled({"good.obj"})
        monkeypatch.undo()
    odd = {str(drop_folder.resolve() / name) for name in ("car.obj", "socket.stl", "device.obj")}
    assert str(drop_folder.resolve() / "good.obj") in opened
    assert not odd & set(opened)


def test_a_file_that_becomes_a_fifo_while_it_settles_is_gone_and_holds_nobody(
    hand_driven: Make, drop_folder: Path
) -> None:
    driven = hand_driven(settle_seconds=0.3)
    driven.until_idle()
    path = drop_folder / "a.obj"
    path.write_text("o a\n")
    driven.until(lambda: driven.files() == {"a.obj": FileState.PENDING}, "the file")
    path.unlink()
    os.mkfifo(path)
    driven.until(lambda: driven.gone() == {"a.obj"}, "its end", seconds=5)
    driven.until_idle(seconds=5)


def in_time(work: Callable[[], object]) -> None:
    """Whether it comes back at all; a FIFO without a writer holds whoever opens it plainly."""
    ended: list[BaseException | None] = []

    def run() -> None:
        try:
            work()
            ended.append(None)
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            ended.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(5)
    assert ended == [None]


def test_a_fifo_in_the_place_of_a_planned_file_holds_neither_reading_nor_sending(
    drop_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = drop_folder / "car.obj"
    path.write_text("mtllib car.mtl\n")
    member = JobMember(1, 1, str(path), "car.obj", scan.signature_of(path.stat()))
    path.unlink()
    os.mkfifo(path)

    def read() -> None:
        with pytest.raises(OSError, match="not a regular file"):
            read_references(str(path))
        with monkeypatch.context() as patch, pytest.raises(Changed):
            patch.setattr(os, "open", lambda *_: pytest.fail("it is opened"))
            SourceFile(member, lambda: False)

    in_time(read)


# -- names and contents ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [b"caf\xe9 \xff.obj", b"line\nbreak.obj", "é.obj".encode(), "e\u0301.obj".encode(), b"x" * 251 + b".obj", b" .obj"],
)
def test_every_name_that_linux_allows_is_taken(name: bytes, hand_driven: Make, drop_folder: Path) -> None:
    with open(os.path.join(os.fsencode(drop_folder), name), "wb") as file:
        file.write(b"o x\n")
    driven = hand_driven()
    driven.until_settled({os.fsdecode(name)})


def test_both_unicode_forms_of_one_name_are_two_files(hand_driven: Make, drop_folder: Path) -> None:
    names = {"\u00e9.obj", "e\u0301.obj"}
    for name in names:
        (drop_folder / name).write_text("o x\n")
    if len(os.listdir(drop_folder)) == 1:
        pytest.skip("this file system takes both forms for one")
    driven = hand_driven()
    driven.until_settled(names)


def test_a_tree_too_deep_for_a_path_is_a_problem_and_no_end(hand_driven: Make, drop_folder: Path) -> None:
    (drop_folder / "a.obj").write_text("o a\n")
    here = os.open(drop_folder, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=here)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    driven = hand_driven()
    driven.until_settled({"a.obj"})
    driven.until_idle()
    [problem] = driven.ledger.report.counts().problems.values()
    assert "name too long" in problem


def test_an_empty_file_settles_as_it_is_and_again_when_it_has_grown(hand_driven: Make, drop_folder: Path) -> None:
    path = drop_folder / "a.obj"
    path.touch()
    driven = hand_driven()
    driven.until_settled({"a.obj"})
    path.write_text("o a\n")
    known = driven.ledger.intake
    real = str(path.resolve())
    driven.until(lambda: known.known_file(real).settled and known.known_file(real).signature.size == 4, "the content")


def test_a_sparse_file_of_five_gigabytes_costs_no_more_than_a_small_one(hand_driven: Make, drop_folder: Path) -> None:
    with (drop_folder / "big.stl").open("wb") as file:
        try:
            file.truncate(5 << 30)
        except OSError as error:
            pytest.skip(f"no such file is to be had: {error.strerror}")
    driven = hand_driven()
    driven.until_settled({"big.stl"}, seconds=5)


def test_a_hard_link_is_a_file_of_its_own_and_a_write_through_another_is_found_by_the_scan(
    hand_driven: Make, drop_folder: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.obj"
    outside.write_text("o one\n")
    driven = hand_driven()
    driven.until_idle()
    os.link(outside, drop_folder / "a.obj")
    driven.until_settled({"a.obj"})
    outside.write_text("o other\n")
    driven.intake.request_scan()
    real = str(drop_folder.resolve() / "a.obj")
    driven.until(lambda: driven.ledger.intake.known_file(real).signature.size == 8, "the new content")


def test_a_truncated_file_is_found_by_the_scan(hand_driven: Make, drop_folder: Path) -> None:
    path = drop_folder / "a.obj"
    path.write_text("o one\n")
    driven = hand_driven()
    driven.until_settled({"a.obj"})
    os.truncate(path, 2)
    driven.intake.request_scan()
    driven.until(lambda: driven.ledger.intake.known_file(str(path.resolve())).signature.size == 2, "the cut")


# -- faults of reading -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [errno.EIO, errno.EACCES, errno.ESTALE])
def test_a_folder_that_cannot_be_listed_is_a_problem_until_it_can(
    fault: int, hand_driven: Make, drop_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = drop_folder.resolve() / "job"
    job.mkdir()
    (job / "a.obj").write_text("o a\n")
    driven = hand_driven(poll_interval=0.2)
    driven.until_settled({"job/a.obj"})
    real = os.open

    def fail(path: Any, *arguments: Any, **more: Any) -> int:
        if path == str(job):
            raise OSError(fault, os.strerror(fault), path)
        return real(path, *arguments, **more)

    monkeypatch.setattr(os, "open", fail)
    driven.intake.request_scan()
    driven.until_idle()
    assert driven.ledger.report.counts().problems == {str(job): f"cannot be read: {os.strerror(fault)}"}
    assert driven.gone() == set()
    (job / "b.obj").write_text("o b\n")
    monkeypatch.undo()
    driven.until_settled({"job/a.obj", "job/b.obj"}, seconds=5)


def test_a_scan_without_descriptors_fails_as_a_whole_and_blames_no_folder(
    hand_driven: Make, drop_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (drop_folder / "a.obj").write_text("o a\n")
    driven = hand_driven(watch=False)

    def fail(*_: object, **__: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="open files"):
        patch.setattr(os, "open", fail)
        driven.step()
    assert not driven.intake.idle
    driven.until_settled({"a.obj"})
    assert driven.ledger.report.counts().problems == {}


# -- clocks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [-24, 24])
def test_a_system_clock_that_is_set_neither_hastens_nor_delays_what_settles(
    hours: int, hand_driven: Make, drop_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driven = hand_driven(settle_seconds=0.5)
    driven.until_idle()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + hours * 3600)
    (drop_folder / "a.obj").write_text("o a\n")
    written = time.monotonic()
    driven.until_settled({"a.obj"}, seconds=20)
    assert 0.4 < time.monotonic() - written < 15


def test_an_age_is_never_more_than_the_time_that_surely_went_by(monkeypatch: pytest.MonkeyPatch) -> None:
    stamp = time.time() - 10
    assert clock.age(stamp) == pytest.approx(10, abs=1)
    assert clock.age(time.time() + 3600) == 0
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3600)  # set forward
    assert clock.age(stamp) == pytest.approx(10, abs=1)
    monkeypatch.setattr(time, "time", lambda: real() - 3600)  # set back
    assert clock.age(stamp) == pytest.approx(10, abs=1)
    assert clock.age(real() - 3610) == pytest.approx(10, abs=1), "stamped after it was set back"


def test_a_signature_tells_a_rewrite_that_restores_the_time(drop_folder: Path) -> None:
    path = drop_folder / "a.obj"
    path.write_text("one")
    before = path.stat()
    signature: Signature = scan.signature_of(before)
    time.sleep(0.02)
    path.write_text("two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert scan.signature_of(path.stat()) != signature
