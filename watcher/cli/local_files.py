"""Files of this machine that a command reads. Their disk may take its time, or never answer: that is said, and Ctrl-C
ends the waiting, which it would not if the command itself were held in the kernel."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import RawIOBase
from typing import Any, TypeVar

import click
from rich.text import Text

from watcher.cli.table import errors
from watcher.config.folders import answered
from watcher.spelling import shown

Answer = TypeVar("Answer")

GIVE_UP_SECONDS = 60.0
"""So long a disk may take for a single answer."""
_CHUNK = 512 * 1024


def from_disk(path: str | os.PathLike[str], question: Callable[[], Answer], seconds: float | None = None) -> Answer:
    """What comes of reading something; says after a moment that it takes long.

    Raises:
        TimeoutError: it took longer than ``seconds``; without, it may take as long as it does.
    """
    name = shown(os.fspath(path))

    def say() -> None:
        errors().print(
            Text(f"reading {name} takes long: is its disk there? Ctrl-C ends this", "yellow"), soft_wrap=True
        )

    try:
        return answered(question, seconds, say)
    except TimeoutError as error:
        error.filename = os.fspath(path)
        raise


class LocalPath(click.Path):
    """An argument that is a path of this machine."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Raises BadParameter when it is not there."""
        there = super().convert
        return from_disk(value, lambda: there(value, param, ctx), GIVE_UP_SECONDS)


def chunks(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """The content of a file. Raises OSError."""
    file = from_disk(path, lambda: open(path, "rb", buffering=0), GIVE_UP_SECONDS)  # noqa: SIM115 - closed below
    try:
        while chunk := from_disk(path, lambda: file.read(_CHUNK), GIVE_UP_SECONDS):
            yield chunk
    finally:
        threading.Thread(target=_close, args=(file,), daemon=True).start()  # this, too, may never come back


def _close(file: RawIOBase) -> None:
    with suppress(OSError):  # the disk is gone
        file.close()
