"""The pool: warm workers, limits that hold, nothing left behind."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from watcher.emulator.convert import ConversionFailed, ConversionJob, ConversionResult, ConverterPool

TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"


def children(parent: int | None = None) -> set[int]:
    """The worker processes of this process, or of another."""
    found = set()
    for task in Path(f"/proc/{parent or os.getpid()}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread, or a process, that ended meanwhile
            for child in (task / "children").read_text().split():
                if b"convert.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.add(int(child))
    return found


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture
def own_pool(request: pytest.FixtureRequest) -> Iterator[ConverterPool]:
    """A pool of this test's own; its arguments come as the parameter."""
    pool = ConverterPool(**getattr(request, "param", {"workers": 1}))
    yield pool
    pool.close()


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., ConversionJob]:
    def make(content: str | bytes = TRIANGLE, name: str = "a.obj") -> ConversionJob:
        number = len(list(tmp_path.iterdir()))
        blob = tmp_path / f"{number}-blob"
        blob.write_bytes(content.encode() if isinstance(content, str) else content)
        out = tmp_path / f"{number}-out"
        out.mkdir()
        return ConversionJob(name, {name: blob}, out)

    return make


def slow_obj() -> str:
    """Ten seconds of work and more: very many polygons that have to be cut."""
    return stars_obj(40_000)


def stars_obj(count: int) -> str:
    star = "".join(f"v {(1 + i % 2) * (i - 30)} {(i * 7919) % 61} 0\n" for i in range(60))
    return star + ("f " + " ".join(map(str, range(1, 61))) + "\n") * count


def test_importing_the_package_loads_no_heavy_library() -> None:
    code = (
        "import sys, watcher.emulator.convert as _; "
        "print(sorted({'numpy', 'PIL', 'soundfile', 'lxml', 'trimesh'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_worker_is_started_when_needed_and_stays_warm(
    own_pool: ConverterPool, job: Callable[..., ConversionJob]
) -> None:
    before = children()
    assert children() == before
    own_pool.convert(job(), lambda _: None)
    [first] = children() - before
    own_pool.convert(job(), lambda _: None)
    assert children() - before == {first}


def test_a_warm_worker_is_much_faster_than_one_that_has_to_start(
    own_pool: ConverterPool, job: Callable[..., ConversionJob]
) -> None:
    cold, *warm = (timed(own_pool, job()) for _ in range(11))
    assert min(warm) * 3 < cold


def timed(pool: ConverterPool, job: ConversionJob) -> float:
    """Seconds that a conversion takes."""
    start = time.perf_counter()
    pool.convert(job, lambda _: None)
    return time.perf_counter() - start


def test_progress_rises_from_nought_to_one(own_pool: ConverterPool, job: Callable[..., ConversionJob]) -> None:
    told: list[float] = []
    own_pool.convert(job("".join(f"g part{i}\n{TRIANGLE}" for i in range(100))), told.append)
    assert told == sorted(told)
    assert len(told) > 2
    assert 0.0 <= told[0] < told[-1] <= 1.0


def test_many_threads_share_the_workers(job: Callable[..., ConversionJob]) -> None:
    pool = ConverterPool(workers=2)
    before = children()
    jobs = [job() for _ in range(24)]
    try:
        with ThreadPoolExecutor(8) as threads:
            results: list[ConversionResult] = list(threads.map(lambda one: pool.convert(one, lambda _: None), jobs))
        assert len(children() - before) <= 2
    finally:
        pool.close()
    for one, result in zip(jobs, results, strict=True):
        assert all(asset.thumbnail and asset.thumbnail.parent == one.out_dir for asset in result.assets)


@pytest.mark.parametrize("own_pool", [{"workers": 1, "time_limit": 1.5}], indirect=True)
def test_a_conversion_that_takes_too_long_is_stopped(
    own_pool: ConverterPool, job: Callable[..., ConversionJob]
) -> None:
    own_pool.convert(job(), lambda _: None)
    start = time.monotonic()
    with pytest.raises(ConversionFailed, match=r"longer than 1\.5 seconds and was stopped"):
        own_pool.convert(job(slow_obj()), lambda _: None)
    assert time.monotonic() - start < 20
    assert own_pool.convert(job(), lambda _: None).assets, "the next job works"


@pytest.mark.parametrize("own_pool", [{"workers": 1, "memory_limit": 700 << 20}], indirect=True)
def test_a_conversion_that_needs_too_much_memory_fails_and_its_worker_is_replaced(
    own_pool: ConverterPool, job: Callable[..., ConversionJob]
) -> None:
    before = children()
    own_pool.convert(job(), lambda _: None)
    [first] = children() - before
    with pytest.raises(ConversionFailed, match="needs more than the 700 MiB of memory"):
        own_pool.convert(job("v 0 0 0\n" * 4_000_000 + "f 1 2 3\n"), lambda _: None)
    assert own_pool.convert(job(), lambda _: None).assets
    assert first not in children()


def test_a_worker_that_dies_fails_its_job_and_is_replaced(
    own_pool: ConverterPool, job: Callable[..., ConversionJob]
) -> None:
    before = children()

    def kill(_: float) -> None:
        for pid in children() - before:
            os.kill(pid, signal.SIGSEGV)

    with pytest.raises(ConversionFailed, match=r"crashed on this file \(SIGSEGV\)"):
        own_pool.convert(job(slow_obj()), kill)
    assert own_pool.convert(job(), lambda _: None).assets


def test_a_file_is_not_blamed_for_a_crash_in_a_worker_that_files_before_it_may_have_damaged(
    own_pool: ConverterPool, job: Callable[..., ConversionJob]
) -> None:
    before = children()
    own_pool.convert(job(), lambda _: None)
    [used] = children() - before
    stars = job(stars_obj(20))
    left = stars.out_dir / "left"

    def crash(_: float) -> None:
        if used in children():
            left.touch()
            os.kill(used, signal.SIGSEGV)

    assert own_pool.convert(stars, crash).assets
    assert used not in children()
    assert not left.exists(), "the second attempt begins anew"


def test_a_worker_that_dies_between_two_jobs_is_replaced(
    own_pool: ConverterPool, job: Callable[..., ConversionJob]
) -> None:
    before = children()
    own_pool.convert(job(), lambda _: None)
    [pid] = children() - before
    os.kill(pid, signal.SIGKILL)
    # A process is dead for its owner only after all of its threads.
    assert eventually(lambda: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None)
    assert own_pool.convert(job(), lambda _: None).assets


def test_a_listener_that_fails_does_not_mix_up_the_next_job(
    own_pool: ConverterPool, job: Callable[..., ConversionJob]
) -> None:
    def fail(_: float) -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        own_pool.convert(job(TRIANGLE * 1000), fail)
    assert own_pool.convert(job(name="b.obj"), lambda _: None).assets[0].name == "b"


def test_closing_ends_running_and_waiting_conversions_and_all_workers(
    own_pool: ConverterPool, job: Callable[..., ConversionJob]
) -> None:
    before = children()
    began = threading.Event()
    jobs = [job(slow_obj()), job()]
    with ThreadPoolExecutor(2) as threads:
        running = threads.submit(own_pool.convert, jobs[0], lambda _: began.set())
        assert began.wait(20)
        waiting = threads.submit(own_pool.convert, jobs[1], lambda _: None)
        workers = children() - before
        own_pool.close()
        for future in (running, waiting):
            with pytest.raises(ConversionFailed, match="the converter was stopped"):
                future.result(5)
    assert len(workers) == 1
    assert eventually(lambda: not any(alive(pid) for pid in workers))
    with pytest.raises(ConversionFailed, match="the converter was stopped"):
        own_pool.convert(jobs[1], lambda _: None)


@pytest.mark.parametrize("content", [slow_obj(), TRIANGLE], ids=["at work", "idle"])
def test_a_worker_ends_when_its_owner_is_killed(content: str, tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_text(content)
    (tmp_path / "out").mkdir()
    script = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from watcher.emulator.convert import ConversionJob, ConverterPool
        folder = Path(sys.argv[1])
        job = ConversionJob("a.obj", {"a.obj": folder / "a.obj"}, folder / "out")
        ConverterPool().convert(job, lambda value: print(value, flush=True))
        print("done", flush=True)
        time.sleep(60)
        """
    )
    owner = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    with owner.stdout:
        line = owner.stdout.readline()
        while content == TRIANGLE and line != "done\n":
            line = owner.stdout.readline()
        workers = children(owner.pid)
        owner.kill()
        owner.wait()
    assert len(workers) == 1
    assert eventually(lambda: not any(alive(pid) for pid in workers))


def test_a_worker_is_nice_limited_and_knows_no_secret(
    own_pool: ConverterPool, job: Callable[..., ConversionJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHER_API__API_KEY", "hush")
    before = children()
    own_pool.convert(job(), lambda _: None)
    [pid] = children() - before
    limits = Path(f"/proc/{pid}/limits").read_text()
    assert f"Max address space         {2 << 30}" in limits
    assert "Max core file size        0 " in limits
    assert "Max open files            64 " in limits
    assert b"hush" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert os.getpriority(os.PRIO_PROCESS, pid) > os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpgid(pid) == pid


def test_a_missing_library_is_named_with_the_extra_that_brings_it(
    own_pool: ConverterPool, job: Callable[..., ConversionJob], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("raise ModuleNotFoundError('none', name='numpy')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ConversionFailed, match=r"numpy is missing: pip install '3dverse-watcher\[emulator\]'"):
        own_pool.convert(job(), lambda _: None)


def test_the_folder_in_which_the_owner_runs_lends_no_modules(
    own_pool: ConverterPool, job: Callable[..., ConversionJob], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('a dropped file was run')")
    monkeypatch.chdir(tmp_path)
    assert own_pool.convert(job(), lambda _: None).assets


def test_paths_may_be_relative_to_where_the_owner_runs(
    own_pool: ConverterPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("blob").write_text(TRIANGLE)
    Path("out").mkdir()
    job = ConversionJob("a.obj", {"a.obj": Path("blob")}, Path("out"))
    assert own_pool.convert(job, lambda _: None).assets[0].thumbnail == tmp_path / "out" / "scene.png"


def test_names_that_are_no_unicode_travel(own_pool: ConverterPool, job: Callable[..., ConversionJob]) -> None:
    name = os.fsdecode(b"stra\xdfe.obj")
    assert own_pool.convert(job(name=name), lambda _: None).assets[0].name == os.fsdecode(b"stra\xdfe")


def test_libraries_that_a_worker_has_loaded_leave_its_conversions_their_memory(
    own_pool: ConverterPool, job: Callable[..., ConversionJob]
) -> None:
    before = children()
    own_pool.convert(job(), lambda _: None)
    [pid] = children() - before
    cube = '#usda 1.0\ndef Cube "A" {\n}\n'
    small = own_pool.convert(job(cube, "a.usda"), lambda _: None)
    assert children() - before == {pid}
    limits = Path(f"/proc/{pid}/limits").read_text()
    [limit] = [int(line.split()[3]) for line in limits.splitlines() if line.startswith("Max address space")]
    assert (2 << 30) + (200 << 20) < limit < (3 << 30)
    assert small.assets


def test_a_converter_that_is_not_installed_is_named_with_the_extra_that_brings_it(
    own_pool: ConverterPool, job: Callable[..., ConversionJob], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ezdxf.py").write_text("raise ModuleNotFoundError('none', name='ezdxf')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ConversionFailed, match=r"needs the package ezdxf.*pip install '3dverse-watcher\[formats\]'"):
        own_pool.convert(job(name="a.dxf"), lambda _: None)
    assert own_pool.convert(job(), lambda _: None).assets, "the worker lives on"
