"""One warm pool for the tests of conversions, and a short way to convert files given by name and content."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from watcher.emulator.convert import ConversionFailed, ConversionJob, ConversionResult, ConverterPool
from watcher.samples import write_samples

Convert = Callable[..., ConversionResult]
Refuse = Callable[..., ConversionFailed]


@pytest.fixture(scope="session")
def pool() -> Iterator[ConverterPool]:
    pool = ConverterPool(workers=2)
    yield pool
    pool.close()


@pytest.fixture
def convert(pool: ConverterPool, tmp_path: Path) -> Convert:
    """``convert("a.obj", {"a.obj": b"...", ...})``: contents are bytes, text, or the path of a file."""
    return _converting(pool, tmp_path)


@pytest.fixture(scope="session")
def convert_once(pool: ConverterPool, tmp_path_factory: pytest.TempPathFactory) -> Convert:
    """``convert`` for fixtures that several tests share."""
    return _converting(pool, tmp_path_factory.mktemp("shared"))


def _converting(pool: ConverterPool, folder: Path) -> Convert:
    numbers = itertools.count()

    def run(main: str, files: dict[str, bytes | str | Path]) -> ConversionResult:
        number = next(numbers)
        blobs = folder / f"blobs-{number}"
        out = folder / f"out-{number}"
        blobs.mkdir()
        out.mkdir()
        paths = {}
        for place, (name, content) in enumerate(files.items()):
            if isinstance(content, Path):
                paths[name] = content
                continue
            paths[name] = blobs / str(place)
            paths[name].write_bytes(content.encode() if isinstance(content, str) else content)
        return pool.convert(ConversionJob(main, paths, out), lambda _: None)

    return run


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files of the demo, by name."""
    return {path.name: path for path in write_samples(tmp_path_factory.mktemp("samples"))}


@pytest.fixture
def refuse(convert: Convert) -> Refuse:
    """Like ``convert``, for files that must fail: returns the failure."""

    def run(main: str, files: dict[str, bytes | str | Path]) -> ConversionFailed:
        with pytest.raises(ConversionFailed) as caught:
            convert(main, files)
        failure = caught.value
        assert "could not be converted" not in failure.reason, "an error that nobody foresaw"
        return failure

    return run
