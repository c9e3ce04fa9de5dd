"""What a person sees while files are on their way: a live display on a terminal, a line a file elsewhere."""

import os
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.text import Text

from watcher.cli.table import STYLES, errors, relative, remark, shown
from watcher.daemon import AT_WORK, Daemon
from watcher.model import AT_REST, FileState, Role

SHOWN_UPLOADS = 8


class Display:
    """Follows a daemon. Files that come to rest are printed as they do; above is what happens now."""

    def __init__(self, drops: list[str], console: Console | None = None) -> None:
        self._console = console or errors()
        self._drops = drops
        self._told: dict[str, FileState] = {}
        self._since = 0.0
        self._live: Live | None = None
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=self._console,
        )
        self._uploads: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, transient=True, refresh_per_second=8)
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def update(self, daemon: Daemon) -> None:
        """Print what came to rest since the last time, and show what is under way."""
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

    def _now(self, daemon: Daemon) -> RenderableType:
        states = daemon.ledger.report.counts(self._drops).states
        at_work = ", ".join(f"{states[state]} {state}" for state in AT_WORK if states[state])
        rest = sum(states[state] for state in AT_REST)
        total = rest + sum(states[state] for state in AT_WORK)
        line = Text(f"{rest} of {total} files at rest", "bold")
        line.append(f"  {at_work or 'looking at the folders'}", "yellow")
        if trouble := daemon.trouble():
            line.append(f"\n{trouble}", "red")
        self._show_uploads(daemon.progress.snapshot())
        return Group(line, self._bars)

    def _show_uploads(self, under_way: dict[str, tuple[int, int]]) -> None:
        for path in [path for path in self._uploads if path not in under_way]:
            self._bars.remove_task(self._uploads.pop(path))
        for path, (sent, total) in list(under_way.items())[:SHOWN_UPLOADS]:
            if path not in self._uploads:
                self._uploads[path] = self._bars.add_task(shown(os.path.basename(path)), total=total)
            self._bars.update(self._uploads[path], completed=sent)
