"""``status``: what became of everything, or of the named files."""

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from watcher.cli import Options
from watcher.cli.outcome import ExitCode, sentence
from watcher.cli.owed import Remainder
from watcher.cli.places import resolve
from watcher.cli.settings import load
from watcher.cli.table import in_order, output, print_counts, print_files
from watcher.config import Settings
from watcher.config.folders import answered
from watcher.ledger import Counts, FileReport, Ledger, LedgerError, NoLedger
from watcher.model import Drop, FileState
from watcher.spelling import shown
from watcher.state import LEDGER
from watcher.status import daemon_facts, document, passed_over, why_unknown, with_progress

NOT_AT_REST = [
    FileState.PENDING,
    FileState.WAITING,
    FileState.UPLOADING,
    FileState.CONVERTING,
    FileState.FAILED,
]
WATCH_INTERVAL = 1.0
_URGENCY = {
    state: rank
    for rank, state in enumerate(
        (FileState.UPLOADING, FileState.CONVERTING, FileState.PENDING, FileState.WAITING, FileState.FAILED)
    )
}
"""In which order a screen shows what it has room for."""


@click.command("status")
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All files, not just those at work and those that failed.")
@click.option("--failed", is_flag=True, help="Only files that failed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--watch", is_flag=True, help="Keep showing, until Ctrl-C.")
@click.option(
    "--check",
    is_flag=True,
    help="For monitors: exit 0 well, 1 a file failed or work is held up, 2 the daemon does not run or the ledger cannot"
    " be read.",
)
@click.pass_obj
def command(
    options: Options, paths: tuple[str, ...], everything: bool, failed: bool, as_json: bool, watch: bool, check: bool
) -> int:
    """Say where files stand. A PATH is a file or a folder; without, what is at work and what failed."""
    settings = load(options, folders_must_exist=False)
    if check:
        return _check(settings)
    selected = [FileState.FAILED] if failed else (None if everything or paths else NOT_AT_REST)
    while True:
        answer = _Answer(settings, resolve(paths), selected, as_json=as_json, with_lacking=not as_json)
        if as_json:
            click.echo(json.dumps(answer.document(), indent=None if watch else 2))
        elif watch and output().is_terminal:
            _live(settings, resolve(paths), selected)
            return ExitCode.GOOD
        else:
            answer.show(output())
        if not watch:
            return ExitCode.GOOD
        time.sleep(WATCH_INTERVAL)


class _Answer:
    """One look at the ledger."""

    def __init__(
        self,
        settings: Settings,
        paths: Sequence[str],
        states: Sequence[FileState] | None,
        *,
        as_json: bool = False,
        with_lacking: bool = False,
    ) -> None:
        """
        Args:
            as_json: for :meth:`document`; without, for the others. What is owed may be much, and is asked for once.
            with_lacking: besides the files in these states, models that went without files that they name.
        """
        self._state_dir = state_dir = settings.state_dir
        self.counts = Counts(states=dict.fromkeys(FileState, 0))
        self.files: Sequence[FileReport] = []
        self._paths = paths
        configured = {drop.path: drop for drop in settings.drops}
        self.unknown: dict[str, str] = {}
        """The paths of which nothing is known, and why."""
        self._document: dict[str, object] | None = None
        self.remainder = Remainder()
        try:
            ledger = Ledger(state_dir / LEDGER, read_only=True)
        except NoLedger:
            self.unknown = {path: why_unknown(list(configured), None, path) for path in paths}
            self.daemon = daemon_facts(None, state_dir)
            return
        with ledger:
            self.counts = ledger.report.counts()
            files = list(ledger.report.files(paths, states=states, lacking=with_lacking and states == NOT_AT_REST))
            unknown = [p for p in paths if not any(f.path == p or f.path.startswith(p + "/") for f in files)]
            drops = sorted(ledger.intake.drops() | configured.keys())
            # A folder that was named as DROP, and is not configured, has the default rules.
            ruled = [configured.get(path) or Drop(path, "") for path in drops]
            skipped = []
            with contextlib.suppress(TimeoutError):
                skipped = list(filter(None, answered(lambda: [passed_over(ruled, path) for path in unknown])))
            self.files = in_order(with_progress(files, state_dir) + skipped)
            taken = {file.path for file in skipped}
            self.unknown = {path: why_unknown(drops, ledger, path) for path in unknown if path not in taken}
            self.daemon = daemon_facts(ledger, state_dir)
            if as_json:
                self._document = document(state_dir, ledger, self.counts, self.files)
            else:
                self.remainder = Remainder.of(ledger)

    def document(self) -> dict[str, object]:
        known = self._document or document(self._state_dir, None, self.counts, [])
        return {**known, "unknown": [{"path": path, "reason": reason} for path, reason in self.unknown.items()]}

    def show(self, console: Console) -> None:
        self._show_files(console, self.files)
        if self.files or self.unknown:
            console.print()
        self._show_summary(console)

    def show_at_a_glance(self, console: Console) -> None:
        """With what a screen must not cut off at the top."""
        self._show_summary(console)
        console.print()
        self._show_files(console, sorted(self.files, key=lambda file: _URGENCY.get(file.state, len(_URGENCY))))

    def _show_files(self, console: Console, files: Sequence[FileReport]) -> None:
        print_files(console, files)
        for path, reason in self.unknown.items():
            console.print(Text(f"{shown(path)}: {shown(reason)}", "yellow"), soft_wrap=True)

    def _show_summary(self, console: Console) -> None:
        trouble = self.daemon["trouble"] or ""  # names drops that are away, too
        problems = {path: error for path, error in self.counts.problems.items() if f"{path}: {error}" not in trouble}
        print_counts(console, replace(self.counts, problems=problems), "all files: " if self._paths else "")
        self.remainder.show(console)
        console.print(self.daemon_line(), soft_wrap=True)

    def warnings(self) -> Iterator[str]:
        """What a person has to look at. All of it: an old failure must not hide that nothing goes on."""
        if failed := self.counts.states[FileState.FAILED]:
            yield f"{failed} file{'s' if failed > 1 else ''} failed: see `3dverse-watcher status --failed`"
        if waiting := self.remainder.needs_a_person():
            yield waiting
        if trouble := self.daemon["trouble"]:
            yield trouble
        elif problems := len(self.counts.problems):
            places = "a place in a drop" if problems == 1 else f"{problems} places in drops"
            yield f"{places} cannot be read: see `3dverse-watcher status`"

    def daemon_line(self) -> Text:
        facts = self.daemon
        if facts["trouble"]:
            return Text(f"the daemon runs (process {facts['pid']}), but {facts['trouble']}", "red")
        if facts["running"]:
            return Text(f"the daemon runs (process {facts['pid']}, since {facts['started_at']})", "dim")
        return Text("the daemon does not run", "dim")


def _live(settings: Settings, paths: Sequence[str], states: Sequence[FileState] | None) -> None:
    """The same, kept up to date on a terminal."""
    console, page = output(), output()  # what is printed on a console that is live comes with the live display
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            with page.capture() as captured:
                _Answer(settings, paths, states, with_lacking=True).show_at_a_glance(page)
            lines = list(Text.from_ansi(captured.get()).split("\n"))
            if len(lines) > (room := max(2, console.height - 1)):
                lines = [*lines[: room - 1], Text("... and more than fits here: see `3dverse-watcher status`", "dim")]
            live.update(Group(*lines), refresh=True)
            time.sleep(WATCH_INTERVAL)


def _check(settings: Settings) -> int:
    try:
        answer = _Answer(settings, (), [FileState.FAILED])
    except (LedgerError, sqlite3.Error) as error:
        click.echo(f"CRITICAL: {sentence(error)}")
        return ExitCode.USAGE
    if not answer.daemon["running"]:
        click.echo("CRITICAL: the daemon does not run")
        return ExitCode.USAGE
    if warnings := list(answer.warnings()):
        click.echo(f"WARNING: {'; '.join(warnings)}")
        return ExitCode.FAILED
    click.echo("OK: all is well")
    return ExitCode.GOOD
