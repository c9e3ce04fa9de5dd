import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

import pytest

from watcher.intake import writer
from watcher.intake.writer import has_writer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "a.obj"
    path.write_text("v 0 0 0\n")
    if has_writer(str(path)) is None:
        pytest.skip("the kernel does not tell on this file system")
    return path


def leases():
    """The leases that this process holds, as the kernel lists them."""
    with open("/proc/locks") as file:
        return [line for line in file if "LEASE" in line and f" {os.getpid()} " in line]


def test_a_file_that_nobody_writes_has_no_writer(model):
    assert has_writer(str(model)) is False
    with open(model, "rb"):
        assert has_writer(str(model)) is False


@pytest.mark.parametrize("mode", ["ab", "r+b", "wb"])
def test_a_file_that_is_open_for_writing_has_a_writer(model, mode):
    with open(model, mode):
        assert has_writer(str(model)) is True
    assert has_writer(str(model)) is False


def test_another_process_counts_until_it_closes_the_file(model):
    program = "import sys\nfile = open(sys.argv[1], 'ab')\nprint('open', flush=True)\nsys.stdin.read()\n"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(model)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"open\n"
        assert has_writer(str(model)) is True
        process.stdin.close()
        process.wait()
        assert has_writer(str(model)) is False


def test_a_shared_mapping_that_can_be_written_counts(model):
    import mmap

    with open(model, "r+b") as file:
        mapping = mmap.mmap(file.fileno(), 0)
    assert has_writer(str(model)) is True
    mapping.close()
    assert has_writer(str(model)) is False


def test_no_lease_is_left_behind(model):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(100):
        has_writer(str(model))
        assert leases() == []
    with open(model, "ab"):
        has_writer(str(model))
    assert leases() == []
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_lease_is_seen_by_the_list_that_these_tests_look_at(model):
    import fcntl

    with open(model, "rb") as file:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        assert len(leases()) == 1


def test_what_is_no_regular_file_cannot_be_told(tmp_path, model):
    (tmp_path / "link.obj").symlink_to(model)
    os.mkfifo(tmp_path / "pipe.obj")
    (tmp_path / "folder.obj").mkdir()
    for path in ("link.obj", "pipe.obj", "folder.obj", "missing.obj", "a\0b"):
        assert has_writer(str(tmp_path / path)) is None, path
    assert has_writer("/dev/null") is None


def test_a_network_file_system_cannot_tell(model, monkeypatch):
    # None can be had here: the type of the file system at hand is put on the list.
    descriptor = os.open(model, os.O_RDONLY)
    here = writer._file_system(descriptor)
    os.close(descriptor)
    monkeypatch.setattr(writer, "_SHARED_FILE_SYSTEMS", frozenset({here}))
    assert has_writer(str(model)) is None


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="no tmpfs here")
def test_the_type_of_the_file_system_is_read_from_the_right_place():
    descriptor = os.open("/proc/self/stat", os.O_RDONLY)
    assert writer._file_system(descriptor) == 0x9FA0  # PROC_SUPER_MAGIC
    os.close(descriptor)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
def test_another_users_file_cannot_be_told():
    program = (
        "import os, sys\nfrom watcher.intake.writer import has_writer\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "print(open(sys.argv[1]).read(), has_writer(sys.argv[1]))\n"
    )
    with tempfile.TemporaryDirectory() as folder:  # the folders that pytest makes are closed to other users
        os.chmod(folder, 0o755)
        path = os.path.join(folder, "a.obj")
        with open(path, "w") as file:
            file.write("content")
        os.chmod(path, 0o644)
        command = [sys.executable, "-c", program, path]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.stdout.split() == ["content", "None"], done.stderr


def test_a_writer_that_comes_while_the_lease_exists_does_not_end_the_process(model):
    # Without the precautions the signal ends the process within the first few hundred rounds.
    program = (
        "import signal, sys\nfrom watcher.intake import writer\n"
        "assert signal.getsignal(signal.SIGIO) is signal.SIG_DFL\n"
        "print('ready', flush=True)\n"
        "answers = [writer.has_writer(sys.argv[1]) for _ in range(40_000)]\n"
        "print(answers.count(True), answers.count(False), answers.count(None))\n"
    )
    stop = threading.Event()

    def write():
        while not stop.is_set():
            with open(model, "ab"):
                pass

    thread = threading.Thread(target=write)
    with subprocess.Popen([sys.executable, "-c", program, str(model)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        thread.start()
        try:
            line = process.stdout.readline()
            assert process.wait(60) == 0
        finally:
            stop.set()
            thread.join()
    writers, others, unknown = map(int, line.split())
    assert writers > 0
    assert others > 0
    assert unknown == 0


def test_a_broken_lease_sends_a_harmless_signal_and_the_writer_gets_its_file_at_once(model, monkeypatch):
    # The lease is held on purpose while another process opens the file for writing.
    import fcntl

    real = fcntl.fcntl
    held = threading.Event()
    go_on = threading.Event()

    def slow(descriptor, command, argument=0):
        if command == fcntl.F_SETLEASE and argument == fcntl.F_UNLCK:
            held.set()
            assert go_on.wait(10)
        return real(descriptor, command, argument)

    monkeypatch.setattr(writer.fcntl, "fcntl", slow)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(has_writer(str(model))))
    asking.start()
    assert held.wait(10)
    assert len(leases()) == 1
    with pytest.raises(BlockingIOError):  # which breaks the lease: the kernel sends its signal to this process
        os.open(model, os.O_WRONLY | os.O_NONBLOCK)
    go_on.set()
    asking.join()
    assert answers == [False]
    assert leases() == []
    started = time.monotonic()
    with open(model, "ab"):
        assert time.monotonic() - started < 10, "the kernel would wait for 45 s for the lease"


def test_sigio_is_ignored_on_request():
    before = signal.getsignal(signal.SIGIO)
    try:
        writer.ignore_lease_signals()
        assert signal.getsignal(signal.SIGIO) is signal.SIG_IGN
        os.kill(os.getpid(), signal.SIGIO)
    finally:
        signal.signal(signal.SIGIO, before)


def test_outside_of_the_main_thread_the_request_has_no_effect():
    before = signal.getsignal(signal.SIGIO)
    thread = threading.Thread(target=writer.ignore_lease_signals)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGIO) is before
