"""How changes come to be known when the kernel's events are lost, late, or not to be had."""

import json
import os
import resource
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from watcher import clock
from watcher.intake import coverage, inotify, loop, scan
from watcher.intake.inotify import InotifyWatch
from watcher.intake.mounts import read_mounts
from watcher.intake.observe import WatchFailed
from watcher.intake.observer import ObserverWatch
from watcher.model import Drop, WatchMode

Make = Callable[..., Any]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux")


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds in a daemon takes a moment here."""
    monkeypatch.setattr(coverage, "HEALTH_INTERVAL", 0.05)
    monkeypatch.setattr(coverage, "WATCH_AGAIN", 0.2)
    monkeypatch.setattr(inotify, "PING_INTERVAL", 0.1)
    monkeypatch.setattr(inotify, "PING_TIMEOUT", 0.5)
    monkeypatch.setattr(inotify, "STOP_SECONDS", 0.2)


@pytest.fixture
def held_reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """While this event is not set, the thread that reads the kernel's queue hangs at whatever it reads."""
    go_on = threading.Event()
    go_on.set()
    real = inotify._Listener.on_event

    def on_event(self: Any, event: Any) -> None:
        go_on.wait()
        real(self, event)

    monkeypatch.setattr(inotify._Listener, "on_event", on_event)
    yield go_on
    go_on.set()


def overflow(folders: list[Path], held: threading.Event) -> set[str]:
    """Make more events than the kernel keeps, while nobody reads them; returns the names of the files."""
    kept = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    held.clear()
    names = set()
    for number in range(kept // 2 + 1000):  # a creation and a close each
        path = folders[number % len(folders)] / f"{number}.obj"
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
        names.add(path.name)
    held.set()
    return names


@pytest.mark.parametrize("folders", [100, 15_000])
def test_an_overflow_of_the_kernels_queue_leads_to_a_scan_that_misses_nothing_and_then_to_rest(
    folders: int,
    hand_driven: Make,
    drop_folder: Path,
    held_reader: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With 15,000 folders the repair of watchdog's own observer causes the next overflow, for ever."""
    monkeypatch.setattr(inotify, "PING_TIMEOUT", 10.0)  # it is the overflow that is to be noticed
    tree = [drop_folder / str(number // 500) / str(number) for number in range(folders)]
    for folder in tree:
        folder.mkdir(parents=True)
    driven = hand_driven(settle_seconds=0.1)
    driven.until_idle(seconds=60)
    names = overflow(tree[::7], held_reader)
    with capture_logs() as log:
        driven.until(lambda: driven.settled_count() >= len(names), "all files", seconds=60)
    assert [line["reason"] for line in log if "reason" in line] == ["the queue of events overflowed"]
    assert {os.path.basename(path) for path in driven.files()} == names
    assert driven.trouble is None

    used = time.process_time()
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        driven.step()
        time.sleep(0.1)
    assert time.process_time() - used < 0.25, "the processor comes to rest"
    (tree[0] / "after.obj").write_text("o after\n")
    driven.until(lambda: driven.settled_count() == len(names) + 1, "a file dropped afterwards", seconds=5)


def test_more_events_than_memory_is_for_lead_to_a_scan_too(
    hand_driven: Make, drop_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the intake is held up, by a slow disk for example, the reader goes on."""
    driven = hand_driven(settle_seconds=0.0)
    driven.until_idle()
    monkeypatch.setattr(inotify, "MOST_EVENTS", 10)
    names = {f"{number}.obj" for number in range(50)}
    for name in names:
        (drop_folder / name).write_text("o o\n")
    with capture_logs() as log:
        driven.until(lambda: driven.settled_count() == len(names), "all files", seconds=10)
    assert "the queue of events overflowed" in [line.get("reason") for line in log]


def test_overflow_upon_overflow_does_not_keep_a_scan_from_its_end(
    hand_driven: Make, drop_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coverage, "HEALTH_INTERVAL", 0.0)
    monkeypatch.setattr(loop, "SLICE", 0.0)  # a folder a step
    names = set()
    for number in range(30):
        (drop_folder / str(number)).mkdir()
        (drop_folder / str(number) / "a.obj").write_text("o a\n")
        names.add(f"{number}/a.obj")
    driven = hand_driven(settle_seconds=0.0)

    def overflows() -> bool:
        driven.coverage._watch._listener.overflowed = True
        return bool(driven.settled() == names)

    driven.until(overflows, "all files", seconds=10)


def test_that_everything_is_scanned_anew_and_why_is_told_until_it_is(
    hand_driven: Make, drop_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        (drop_folder / str(number)).mkdir()
    driven = hand_driven(settle_seconds=0.0)
    driven.until_idle()
    monkeypatch.setattr(loop, "SLICE", 0.0)  # a folder a step
    driven.coverage._watch._listener.overflowed = True
    told = "everything is scanned, because the queue of events overflowed"
    driven.until(lambda: driven.trouble == told, "telling")
    assert not driven.intake.idle
    driven.until_idle()
    assert driven.trouble is None


# -- deaf and dead readers ---------------------------------------------------------------------------------------------


def reader_of(driven: Any) -> Any:
    return driven.coverage._watch._reader


def kill_by_an_error(driven: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("watch")

    with monkeypatch.context() as patch:
        patch.setattr(inotify._Listener, "on_event", fail)
        Path(driven.drop.path, "deadly.obj").write_text("o x\n")
        reader_of(driven).join(5)


def close_its_descriptor(driven: Any, _monkeypatch: pytest.MonkeyPatch) -> None:
    os.close(reader_of(driven)._inotify_fd)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("deafen", [kill_by_an_error, close_its_descriptor])
def test_a_reader_that_died_or_went_deaf_is_noticed_and_replaced(
    deafen: Callable[..., None], hand_driven: Make, drop_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driven = hand_driven()
    driven.until_idle()
    before = reader_of(driven)
    deafen(driven, monkeypatch)
    (drop_folder / "unheard.obj").write_text("o unheard\n")
    driven.until(lambda: driven.coverage._watch is not None and reader_of(driven) is not before, "a new reader")
    driven.until(lambda: "unheard.obj" in driven.settled(), "the file that nobody heard of")
    assert driven.trouble is None
    (drop_folder / "after.obj").write_text("o after\n")
    driven.until(lambda: "after.obj" in driven.settled(), "a file for the new reader", seconds=5)


def test_a_reader_that_hangs_is_noticed_by_an_event_that_does_not_arrive(
    hand_driven: Make, drop_folder: Path, held_reader: threading.Event
) -> None:
    driven = hand_driven()
    driven.until_idle()
    hanging = reader_of(driven)
    held_reader.clear()
    (drop_folder / "unheard.obj").write_text("o unheard\n")
    with capture_logs() as log:
        driven.until_settled({"unheard.obj"})
    assert [line["reason"] for line in log] == ["the kernel's events do not arrive any more"]
    assert hanging.is_alive(), "alive it is"
    held_reader.set()
    hanging.join(5)
    assert not hanging.is_alive(), "and nothing is left of it"


def test_events_that_arrive_are_the_proof_that_a_watch_is_well(hand_driven: Make) -> None:
    driven = hand_driven()
    driven.until_idle()
    before, answers = reader_of(driven), driven.coverage._watch._listener.answers
    driven.until(lambda: driven.coverage._watch._listener.answers >= answers + 5, "five proofs")
    assert reader_of(driven) is before


# -- a system that has no more watches ---------------------------------------------------------------------------------

IN_A_NAMESPACE = """
    import json, sys, time
    from pathlib import Path
    from watcher import clock
    from watcher.intake import Intake, coverage
    from watcher.ledger import Ledger
    from watcher.model import Drop

    drop, ledger, limit, enough = sys.argv[1:]
    limit = Path("/proc/sys/user") / limit
    coverage.HEALTH_INTERVAL, coverage.WATCH_AGAIN = 0.05, 0.2
    settled = set()
    with Ledger(Path(ledger)) as ledger:
        intake = Intake([Drop(drop, "R", settle_seconds=0.1, poll_interval=0.3)], ledger, watch=True)

        def step_until(condition):
            end = time.monotonic() + 20
            while not condition():
                assert time.monotonic() < end
                intake.step(clock.now())
                time.sleep(0.02)

        def is_settled(path):
            known = ledger.intake.known_file(str(path))
            return known is not None and known.settled

        step_until(lambda: intake.idle)
        late = [folder / "late.obj" for folder in sorted(Path(drop).iterdir())]
        before = dict(intake.unwatched())
        for path in late:
            path.write_text("o late")
        step_until(lambda: all(map(is_settled, late)))
        limit.write_text(enough)
        step_until(lambda: not intake.unwatched())
        print(json.dumps(before))
        intake.close()
"""


@pytest.mark.parametrize(
    ("limit", "few", "words"),
    [
        ("max_inotify_watches", 9, "13 folders are not watched but polled every 0.3 s: the system has no inotify wat"),
        ("max_inotify_instances", 0, "21 folders are not watched but polled every 0.3 s: the system has no inotify in"),
    ],
)
def test_what_cannot_be_watched_is_polled_until_it_can(
    limit: str, few: int, words: str, drop_folder: Path, tmp_path: Path
) -> None:
    """In a user namespace, which has limits of its own: 21 folders, and watches for 8 of them and the probe."""
    for number in range(20):
        (drop_folder / f"{number:02}").mkdir()
    code = textwrap.dedent(IN_A_NAMESPACE)
    arguments = [sys.executable, "-c", code, str(drop_folder.resolve()), str(tmp_path / "l.db"), limit, "1000"]
    setup = f'echo {few} >/proc/sys/user/{limit} && exec "$@"'
    enter = ["unshare", "-Ur", "sh", "-c", setup, "sh"]
    if subprocess.run([*enter, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no user namespace is to be had here")
    done = subprocess.run([*enter, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [trouble] = json.loads(done.stdout.splitlines()[-1]).values()
    assert trouble.startswith(words)
    assert f"raise sysctl fs.inotify.{limit.replace('inotify', 'user')}" in trouble
    assert done.stdout.count("folders are polled") + done.stderr.count("folders are polled") == 1, "said once"


def test_a_process_without_descriptors_is_told_which_limit_it_is(drop_folder: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        with pytest.raises(WatchFailed, match="LimitNOFILE"):
            InotifyWatch(Drop(str(drop_folder), "R"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# -- file systems that do not tell -------------------------------------------------------------------------------------


def mount_table(path: Path, folder: Path, kind: str) -> Path:
    device = folder.stat().st_dev
    path.write_text(f"30 22 {os.major(device)}:{os.minor(device)} / {folder} rw - {kind} server:/x rw\n")
    return path


@pytest.mark.parametrize(
    ("kind", "polled"),
    [
        *(("nfs4", True), ("cifs", True), ("9p", True), ("fuse.sshfs", True), ("fuse.bindfs", True)),
        *(("overlay", False), ("fuseblk", False), ("btrfs", False)),
    ],
)
def test_a_file_system_that_others_change_is_polled(
    kind: str, polled: bool, hand_driven: Make, drop_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watcher.intake.mounts.MOUNTINFO", str(mount_table(tmp_path / "mounts", drop_folder, kind)))
    driven = hand_driven(poll_interval=0.2)
    driven.until_idle()
    assert driven.coverage.to_poll() == ([driven.drop.path] if polled else [])
    assert driven.coverage.polls_all == polled
    assert driven.trouble is None, "that is how it is meant to be"
    (drop_folder / "a.obj").write_text("o a\n")
    driven.until_settled({"a.obj"}, seconds=5)
    assert driven.coverage._watch.heard == (not polled)


def test_inotify_can_be_demanded_and_polling_too(
    hand_driven: Make, drop_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watcher.intake.mounts.MOUNTINFO", str(mount_table(tmp_path / "mounts", drop_folder, "nfs4")))
    watching = hand_driven(mode=WatchMode.INOTIFY)
    watching.until_idle()
    assert watching.coverage.to_poll() == []
    polling = hand_driven(mode=WatchMode.POLL, poll_interval=0.2)
    polling.until_idle()
    assert polling.coverage.to_poll() == [polling.drop.path]
    assert polling.coverage._watch is None
    (drop_folder / "a.obj").write_text("o a\n")
    polling.until_settled({"a.obj"}, seconds=5)


def test_a_file_system_of_unknown_kind_that_never_tells_is_found_out(
    hand_driven: Make, drop_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coverage, "DEAF_AFTER", 0.3)
    monkeypatch.setattr(inotify, "_CHANGES", inotify.InotifyConstants.IN_ATTRIB | inotify.InotifyConstants.IN_ONLYDIR)
    driven = hand_driven(poll_interval=0.2)
    driven.until_idle()
    (drop_folder / "unheard.obj").write_text("o x\n")
    time.sleep(0.4)
    driven.intake.request_scan()
    driven.until_settled({"unheard.obj"})
    driven.until(lambda: driven.trouble is not None, "noticing")
    assert "does not tell of changes" in driven.trouble
    (drop_folder / "polled.obj").write_text("o y\n")
    driven.until_settled({"unheard.obj", "polled.obj"}, seconds=5)


def test_a_quiet_drop_is_not_taken_for_a_deaf_one(
    hand_driven: Make, drop_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coverage, "DEAF_AFTER", 0.1)
    (drop_folder / "old.obj").write_text("o x\n")
    driven = hand_driven()
    driven.until_idle()
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        driven.intake.request_scan()
        driven.until_idle()
    assert driven.trouble is None


def test_the_mounts_of_this_machine_name_the_device_of_the_root() -> None:
    devices = {mount.device for mount in read_mounts() if mount.point == "/"}
    assert not devices or os.stat("/").st_dev in devices


# -- systems without inotify -------------------------------------------------------------------------------------------


def test_watchdogs_observer_serves_where_there_is_no_inotify(
    hand_driven: Make, drop_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driven = hand_driven()
    driven.coverage._open = ObserverWatch
    driven.until_idle()
    (drop_folder / "job").mkdir()
    (drop_folder / "job" / "a.obj").write_text("o a\n")
    driven.until_settled({"job/a.obj"})
    driven.coverage._watch._observer.stop()
    (drop_folder / "b.obj").write_text("o b\n")
    with capture_logs() as log:
        driven.until_settled({"job/a.obj", "b.obj"})
    assert [line["reason"] for line in log] == ["a watching thread ended"]


def test_a_folder_with_very_many_files_is_looked_at_in_parts(
    hand_driven: Callable[..., Any], drop_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SLICE", 0.0)
    monkeypatch.setattr(scan, "PART", 10)
    for number in range(100):
        (drop_folder / f"{number}.png").touch()
    driven = hand_driven(settle_seconds=0.0)
    driven.until(driven.files, "the first part")
    assert len(driven.files()) == 10
    late = [path for path in sorted(drop_folder.iterdir()) if path.name not in driven.files()][50:60]
    driven.step()
    for path in late:  # events tell of them before the scan comes to them
        path.write_bytes(b"changed")
    (drop_folder / "zz.png").touch()  # what the scan listed is of a while ago
    driven.until(lambda: {path.name for path in late} | {"zz.png"} <= driven.settled(), "events")
    planned = generations(driven)
    driven.until_idle()
    assert len(driven.settled()) == 101
    assert {name: generations(driven)[name] for name in planned} == planned


def generations(driven: Any) -> dict[str, int]:
    """How often each settled file was seen anew."""
    candidates = driven.ledger.plan.candidates([driven.drop.path], clock.now(), 1000)
    return {candidate.path: candidate.generation for candidate in candidates}
