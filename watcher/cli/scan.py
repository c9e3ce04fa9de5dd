"""``scan``: one pass over the drops, to its end."""

import json
import signal
import threading
from collections.abc import Sequence
from types import FrameType

import click
from rich.text import Text

from watcher import clock
from watcher.cli import Options
from watcher.cli.answers import counted
from watcher.cli.display import Display
from watcher.cli.outcome import ExitCode
from watcher.cli.owed import Remainder
from watcher.cli.settings import load
from watcher.cli.table import errors, in_order, output, print_counts, print_files
from watcher.config import Settings
from watcher.daemon import AT_WORK, Daemon
from watcher.dry_run import dry_run
from watcher.ledger import FileReport
from watcher.logs import LogFormat
from watcher.model import FileState
from watcher.server import connect
from watcher.service import end_at_once
from watcher.state import LEDGER, StateLock
from watcher.status import document

TICK = 0.1
AWAY_SECONDS = 30.0
"""A server that is away for so long during a scan ends it."""


@click.command("scan")
@click.argument("drops", metavar="[DROP]...", nargs=-1)
@click.option("--emulator", is_flag=True, help="Work on an embedded Asset API server; no account is needed.")
@click.option("--dry-run", is_flag=True, help="Show what would be uploaded together; send nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--timeout", metavar="SECONDS", type=click.FloatRange(min=0), help="After which to stop with work left (exit 4)."
)
@click.pass_obj
def command(
    options: Options, drops: tuple[str, ...], emulator: bool, dry_run: bool, as_json: bool, timeout: float | None
) -> int:
    """Upload what is in the drop folders now, follow the conversions to their end, print a table, exit.

    A DROP is LOCAL or LOCAL=REMOTE/PATH and replaces the [[drops]] of the configuration.

    Exit code: 0 every file is done or a duplicate; 1 a file failed; 2 usage or configuration; 3 the API cannot be
    reached or refuses the credentials; 4 the timeout passed; 130 interrupted.
    """
    settings = load(options, drops=drops, emulator=emulator)
    settings.require_drops()
    if dry_run:
        return _plan(settings, as_json)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, interrupt)
    return scan(settings, as_json=as_json, timeout=timeout)


def scan(settings: Settings, *, as_json: bool = False, timeout: float | None = None) -> int:
    """One pass with a display on stderr and the result on stdout; returns the exit code."""
    stop = threading.Event()
    drops = [drop.path for drop in settings.drops]
    with StateLock(settings.state_dir) as lock, connect(settings, stop) as server:
        server.greet(settings.api.auth)
        with Daemon(settings, server, stop, watch=False) as daemon:
            try:
                outcome = _follow(daemon, lock, Display(drops, quiet=settings.log.format is LogFormat.JSON), timeout)
            except KeyboardInterrupt:
                if uploads := len(daemon.progress.snapshot()):
                    grace = f"within {settings.shutdown_grace:g} s; once more to stop at once"
                    _say(f"stopping: {counted(uploads, 'upload')} may end {grace}")
                raise
            if outcome is ExitCode.UNREACHABLE:
                _say(daemon.trouble() or "the server does not answer", "red")
            files = in_order(daemon.ledger.report.files(drops=drops))
            counts = daemon.ledger.report.counts(drops)
            if as_json:
                click.echo(json.dumps(document(settings.state_dir, daemon.ledger, counts, files), indent=2))
            else:
                console = output()
                print_files(console, [file for file in files if file.state is not FileState.GONE])
                console.print()
                print_counts(console, counts)
                Remainder.of(daemon.ledger, drops).show(console)
    return outcome if outcome is not None else judge(files)


def _follow(daemon: Daemon, lock: StateLock, display: Display, timeout: float | None) -> ExitCode | None:
    """Let the daemon work until all is at rest (None), or until there is a reason to end before."""
    deadline = None if timeout is None else clock.now() + timeout
    outcome: ExitCode | None = None

    def tick(daemon: Daemon) -> bool:
        nonlocal outcome
        display.update(daemon)
        lock.tell(daemon.trouble(), daemon.progress.snapshot())
        if daemon.at_rest():
            return False
        if deadline is not None and clock.now() > deadline:
            outcome = ExitCode.TIMEOUT
        elif daemon.gate.refused or daemon.away_for(clock.now()) > AWAY_SECONDS:
            outcome = ExitCode.UNREACHABLE
        return outcome is None

    with display:
        daemon.run(tick, TICK)
        display.update(daemon, last=True)
    return outcome


def _say(text: str, style: str = "dim") -> None:
    errors().print(Text(text, style), soft_wrap=True)


def judge(files: Sequence[FileReport]) -> ExitCode:
    """The exit code for where these files stand."""
    states = {file.state for file in files}
    if states & set(AT_WORK):
        return ExitCode.TIMEOUT
    return ExitCode.FAILED if FileState.FAILED in states else ExitCode.GOOD


def _plan(settings: Settings, as_json: bool) -> int:
    with dry_run(settings.drops, settings.state_dir / LEDGER) as plan:
        if as_json:
            click.echo(json.dumps(document(settings.state_dir, plan.ledger, plan.counts, plan.files), indent=2))
        else:
            console = output()
            print_files(console, in_order(plan.files))
            console.print()
            print_counts(console, plan.counts)
    return ExitCode.GOOD


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """A signal handler: the first signal lets running uploads end, the second one means: at once."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end_at_once)
    raise KeyboardInterrupt
