"""What readers that stand on a library share: it is loaded when the first file needs it, and whatever it raises over a
file is told as that file's damage."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.libraries import install_command
from watcher.emulator.convert.sandbox import loading_libraries


def load(module: str, what: str) -> Any:
    """The module, which is a library of the extra ``formats`` or imports one.

    Raises ConversionFailed when it is not installed; ``what`` needs it, such as "converting .dxf files".
    """
    try:
        with loading_libraries():
            return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ConversionFailed(
            f"{what} needs the package {error.name}, which is not installed here: " + install_command("formats")
        ) from None


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
