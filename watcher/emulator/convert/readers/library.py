"""What readers that stand on a library share: whatever it raises over a file is told as that file's damage."""

from collections.abc import Iterator
from contextlib import contextmanager

from watcher.emulator.convert.job import ConversionFailed


@contextmanager
def damaged(what: str) -> Iterator[None]:
    """Errors of a library become a ConversionFailed that begins with ``what``, such as "this LAS point cloud"."""
    try:
        yield
    except (ConversionFailed, MemoryError, RecursionError, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001
        # Not only Exception: a library in Rust that panics raises past it.
        words = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise ConversionFailed(f"{what} is damaged, or of a kind that cannot be read: {words}") from None
