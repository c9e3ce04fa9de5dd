"""Following uploads to the end of their conversions, and what came of them."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from watcher import clock
from watcher.api import AssetApi, RetryPolicy
from watcher.api.models import AssetEntry, ConversionStatus, UploadStatus, UploadTask
from watcher.cli.answers import Answers, Cell, plain
from watcher.cli.by_hand import Hand
from watcher.cli.outcome import ExitCode
from watcher.cli.table import errors
from watcher.spelling import shown

timeout_option = click.option(
    "--timeout", metavar="SECONDS", type=click.FloatRange(min=0), help="After which to wait no longer (exit 4)."
)

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0
"""Seconds between two looks at a conversion; they stretch while nothing moves."""


def follow(api: AssetApi, task_ids: Sequence[str], timeout: float | None) -> list[UploadTask]:
    """The upload tasks when all have ended, or when ``timeout`` seconds have passed. Raises ApiError."""
    # A task that was just made may not be visible at once.
    api = api.with_options(retry=RetryPolicy.official())
    deadline = None if timeout is None else clock.now() + timeout
    pause = _FIRST_PAUSE
    before: list[UploadTask] = []
    with _bars() as bars:
        lines = {task_id: bars.add_task(task_id, total=1.0) for task_id in task_ids}
        while True:
            tasks = [api.upload_tasks.get(task_id) for task_id in task_ids]
            for task in tasks:
                bars.update(lines[task.upload_task_id], completed=task.fraction, description=_describe(task))
            if all(task.ended for task in tasks) or (deadline is not None and clock.now() >= deadline):
                return tasks
            pause = _FIRST_PAUSE if tasks != before else min(_LONGEST_PAUSE, pause * 1.5)
            before = tasks
            time.sleep(pause)


def report(hand: Hand, task_ids: Sequence[str], timeout: float | None) -> ExitCode:
    """Follow uploads, and say what came of them: the assets of each, and what went wrong.

    As JSON: the upload tasks, each with its ``assets``.
    """
    tasks = follow(hand.api, task_ids, timeout)
    made = {task.upload_task_id: assets_of(hand.api, task) for task in tasks}
    if hand.answers.as_json:
        hand.answers.json([{**plain(task), "assets": plain(made[task.upload_task_id])} for task in tasks])
    else:
        entries = [entry for task in tasks for entry in made[task.upload_task_id]]
        if entries:
            print_entries(hand.answers, entries)
    for task in tasks:
        for complaint in complaints(task):
            hand.answers.warn(complaint)
    if not all(task.ended for task in tasks):
        return ExitCode.TIMEOUT
    well = all(task.status == UploadStatus.SUCCESS for task in tasks)
    return ExitCode.GOOD if well else ExitCode.FAILED


def assets_of(api: AssetApi, task: UploadTask) -> list[AssetEntry]:
    """The assets that an upload has become so far."""
    files = [each.source_file_id for each in task.conversion_tasks if each.source_file_id]
    found = [
        entry for source_file_id in dict.fromkeys(files) for entry in api.source_files.assets(source_file_id).refs()
    ]
    return list({entry.asset_id: entry for entry in found}.values())


def complaints(task: UploadTask) -> list[str]:
    """What is wrong with an upload, a line a file; nothing when all is well."""
    if not task.ended:
        return [f"{task.upload_task_id}: it is still {task.status}, {task.fraction:.0%} done"]
    failed = [
        f"{shown(each.source_file_name)}: {reason_of(each.model_extra) or 'the conversion failed'}"
        for each in task.conversion_tasks
        if each.status == ConversionStatus.ERROR
    ]
    if failed or task.status == UploadStatus.SUCCESS:
        return failed
    return [f"{task.upload_task_id}: {reason_of(task.model_extra) or f'the upload ended as {task.status}'}"]


def reason_of(extra: dict[str, Any] | None) -> str:
    """A server's words on a failure, where it gives some; the contract has no field for them."""
    words = (extra or {}).get("message")
    return words if isinstance(words, str) else ""


def print_entries(answers: Answers, entries: Sequence[AssetEntry]) -> None:
    """Assets as a list."""
    answers.many(entries, ["Id", "Type", "Name"], entry_cells)


def entry_cells(entry: AssetEntry) -> list[Cell]:
    return [entry.asset_id, entry.asset_type, entry.name]


def _describe(task: UploadTask) -> str:
    names = [shown(each.source_file_name) for each in task.conversion_tasks if each.source_file_name]
    more = f" +{len(names) - 1}" if len(names) > 1 else ""
    return f"{names[0] if names else task.upload_task_id}{more}  {task.status}"


@contextmanager
def _bars() -> Iterator[Progress]:
    console = errors()
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bars:
        yield bars
