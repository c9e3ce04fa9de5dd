"""What a person sees while files are on their way: a live display on a terminal, a line a file elsewhere."""

import os
from functools import partial
from types import TracebackType
from typing import Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.table import Column
from rich.text import Text

from watcher import clock
from watcher.cli.table import STYLES, errors, relative, remark
from watcher.daemon import AT_WORK, Daemon
from watcher.model import AT_REST, FileState, Role, Sending
from watcher.spelling import shown

SHOWN_UPLOADS = 8
_whole = partial(Column, no_wrap=True)
"""A column whose cells stay on their line; a long name gives way to the rest."""
LOOK_INTERVAL = 0.2
"""Seconds between two looks at the ledger."""


class Display:
    """Follows a daemon. Files that come to rest are printed as they do; above is what happens now."""

    def __init__(self, drops: list[str] | None = None, *, quiet: bool = False) -> None:
        """
        Args:
            drops: the drops that are followed; all without.
            quiet: show nothing: the log beside it is for programs, and tells the same.
        """
        self._quiet = quiet
        self._console = errors()
        self._drops = drops
        self._told: dict[str, FileState] = {}
        self._since = clock.now()
        self._next_look = 0.0
        self._live: Live | None = None
        self._bars = Progress(
            TextColumn("{task.description}", markup=False, table_column=_whole(ratio=1, overflow="ellipsis")),
            BarColumn(bar_width=24, table_column=_whole(min_width=24)),
            DownloadColumn(table_column=_whole(min_width=14, justify="right")),
            TransferSpeedColumn(table_column=_whole(min_width=10, justify="right")),
            console=self._console,
            expand=True,
        )
        self._uploads: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._quiet:
            self._live = Live(console=self._console, transient=True, refresh_per_second=4)
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def follow(self, daemon: Daemon) -> None:
        """Show what is under way (where there is a terminal)."""
        if self._live is not None and (begun := clock.now()) >= self._next_look:
            self._live.update(self._now(daemon))
            self._rest_after(begun)

    def update(self, daemon: Daemon, *, last: bool = False) -> None:
        """Print what came to rest since the last time, and show what is under way.

        Args:
            last: look once more, however short ago the look before was.
        """
        begun = clock.now()
        if self._quiet or (begun < self._next_look and not last):
            return
        for file in daemon.ledger.report.files(drops=self._drops, states=list(AT_REST), updated_since=self._since):
            if self._told.get(file.path) is not file.state:
                self._told[file.path] = file.state
                self._since = max(self._since, file.updated_at)
                if file.role is Role.MAIN and file.state is not FileState.GONE:
                    line = Text(f"{file.state:<10}", STYLES[file.state]) + Text(relative(file.path, file.drop))
                    for text, style in remark(file):
                        line.append(f"  {text}", style or "dim")
                    self._console.print(line, soft_wrap=True)
        if self._live is not None:
            self._live.update(self._now(daemon))
        self._rest_after(begun)

    def _rest_after(self, begun: float) -> None:
        """Looks are to take a tenth of the time at most, however many files there are."""
        now = clock.now()
        self._next_look = now + max(LOOK_INTERVAL, 10 * (now - begun))

    def _now(self, daemon: Daemon) -> RenderableType:
        states = daemon.ledger.report.counts(self._drops).states
        at_work = ", ".join(f"{states[state]} {state}" for state in AT_WORK if states[state])
        rest = sum(states[state] for state in AT_REST)
        total = rest + sum(states[state] for state in AT_WORK)
        line = Text(f"{rest} of {total} files at rest", "bold")
        line.append(f"  {at_work or 'nothing under way'}", "yellow")
        if trouble := daemon.trouble():
            line.append(f"\n{trouble}", "red")
        self._show_uploads(daemon.progress.snapshot())
        return Group(line, self._bars)

    def _show_uploads(self, under_way: dict[str, Sending]) -> None:
        for path in [path for path in self._uploads if path not in under_way]:
            self._bars.remove_task(self._uploads.pop(path))
        for path, sending in list(under_way.items())[:SHOWN_UPLOADS]:
            if path not in self._uploads:
                self._uploads[path] = self._bars.add_task(shown(os.path.basename(path)), total=sending.total)
            self._bars.update(self._uploads[path], completed=sending.sent)
