"""Bytes that come and go by hand: where downloads are put, and a bar for those that take their time."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from watcher.api import Download, safe_file_name
from watcher.cli.answers import Answers, Size
from watcher.cli.outcome import Unclear
from watcher.cli.table import errors
from watcher.spelling import shown

STDOUT = "-"

Report = Callable[[int, int | None], None]
"""Called with the bytes so far and those in total, if known."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A file that was written."""

    path: Path
    size: int


@contextmanager
def bar(words: str, total: int | None = None) -> Iterator[Report]:
    """A progress bar on stderr while something is transferred, gone when it is over; none when it is no terminal."""
    console = errors()
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with progress:
        task = progress.add_task(shown(words), total=total)

        def report(so_far: int, of: int | None) -> None:
            progress.update(task, completed=so_far, total=of)

        yield report


def place(to: str | None, name: str, *, otherwise: str, force: bool) -> Path:
    """Where a download goes: into the folder ``to`` (else the current one) under its own name, or to the file ``to``.

    otherwise: the name when the server's is none that a file can have.
    Raises Unclear when something is there already, unless ``force``.
    """
    folder = to is None or to.endswith(os.sep) or os.path.isdir(to)
    target = Path(to or ".")
    if folder:
        target.mkdir(parents=True, exist_ok=True)
        target /= file_name(name, otherwise)
    if os.path.lexists(target) and not force:
        raise Unclear(f"{target} is there already: --force replaces it, --to puts it elsewhere")
    return target


def file_name(name: str, otherwise: str) -> str:
    """A name that a server gave, as a file's in a folder of ours."""
    try:
        return safe_file_name(name)
    except ValueError:
        return otherwise


def save(download: AbstractContextManager[Download], target: Path) -> Saved:
    """Write a download to a file, which is there only when it is whole."""
    with bar(target.name) as report, download as content:
        content.save(target, report)
    return Saved(target, target.stat().st_size)


def fetch(
    answers: Answers,
    download: AbstractContextManager[Download],
    *,
    to: str | None,
    name: str,
    otherwise: str,
    force: bool,
) -> None:
    """A single download: into a file, or to stdout when ``to`` is ``-``; says where it went."""
    if to == STDOUT:
        with download as content:
            for chunk in content:
                sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        return
    target = place(to, name, otherwise=otherwise, force=force)
    tell(answers, [save(download, target)])


def tell(answers: Answers, saved: list[Saved]) -> None:
    """Say which files were written."""
    facts = [{"path": str(file.path), "size": file.size} for file in saved]
    if answers.as_json:
        answers.json(facts)
    else:
        answers.many(saved, ["File", "Size"], lambda file: [str(file.path), Size(file.size)])


@contextmanager
def all_or_none(folder: Path, *, force: bool) -> Iterator[Path]:
    """A hidden folder to download several files into; when all are there they move into ``folder`` together.

    Raises Unclear when a file of one of the names is there already, unless ``force``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    hidden = Path(tempfile.mkdtemp(prefix=".download-", dir=folder))
    try:
        yield hidden
        names = sorted(os.listdir(hidden))
        taken = [name for name in names if os.path.lexists(folder / name)]
        if taken and not force:
            raise Unclear(f"{folder / taken[0]} is there already: --force replaces it, --to puts it elsewhere")
        for name in names:
            os.replace(hidden / name, folder / name)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
