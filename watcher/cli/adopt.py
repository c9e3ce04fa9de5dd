"""``adopt``: after a lost ledger, link local files to what the server holds already."""

import contextlib
import json
import signal
import threading
from collections.abc import Iterator

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from watcher.adopt import Adopted, Adoption, OnLook
from watcher.cli import Options
from watcher.cli.outcome import ExitCode
from watcher.cli.scan import interrupt, judge
from watcher.cli.settings import load
from watcher.cli.table import errors, in_order, output, print_counts, print_files
from watcher.config import Settings
from watcher.dry_run import scratch_copy
from watcher.ledger import Ledger, is_there
from watcher.model import FileState
from watcher.server import connect
from watcher.spelling import shown
from watcher.state import LEDGER, StateLock, claim_for_server, open_ledger_to_adopt, rebuilt
from watcher.status import document

NAMED = 20
"""Spare files on the server that are named one by one."""


@click.command("adopt")
@click.argument("drops", metavar="[DROP]...", nargs=-1)
@click.option("--emulator", is_flag=True, help="Work on an embedded Asset API server; no account is needed.")
@click.option("--dry-run", is_flag=True, help="Show what would be linked; leave the ledger as it is.")
@click.option("--no-proof", is_flag=True, help="Compare names and sizes only; download nothing.")
@click.option("--give-up", is_flag=True, help="Link nothing more: what the ledger does not know counts as new.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(
    options: Options,
    drops: tuple[str, ...],
    emulator: bool,
    dry_run: bool,
    no_proof: bool,
    give_up: bool,
    as_json: bool,
) -> int:
    """Link local files to what the server holds already, when the ledger that knew it was lost. Uploads nothing.

    A DROP is LOCAL or LOCAL=REMOTE/PATH and replaces the [[drops]] of the configuration. A file is linked when the
    remote folder that it goes to holds its content; that is proven by downloading it. What is not there stays pending,
    and the next `run` or `scan` uploads it.

    Exit code: 0 every file is done or a duplicate; 1 a file failed; 2 usage or configuration; 3 the API cannot be
    reached or refuses the credentials; 4 some files are not on the server, or still converted there; 130 interrupted.
    """
    if give_up:
        settings = load(options, folders_must_exist=False)
        with _ledger(settings, dry_run=False) as ledger:
            rebuilt(ledger)
        return ExitCode.GOOD
    settings = load(options, drops=drops, emulator=emulator)
    settings.require_drops()
    signal.signal(signal.SIGTERM, interrupt)
    stop = threading.Event()
    proof = settings.upload.proof and not no_proof
    with (
        _ledger(settings, dry_run) as ledger,
        connect(settings, stop, in_passing=dry_run) as server,
        _progress() as on_look,
    ):
        server.greet(settings.api.auth)
        claim_for_server(ledger, server.identity)
        outcome = Adoption(settings.drops, ledger, server.api, stop, proof=proof, on_look=on_look).run()
        rebuilt(ledger)
        return _tell(settings, ledger, outcome, as_json=as_json)


@contextlib.contextmanager
def _ledger(settings: Settings, dry_run: bool) -> Iterator[Ledger]:
    if dry_run:
        path = settings.state_dir / LEDGER
        with scratch_copy(path if is_there(path) else None) as ledger:
            yield ledger
    else:
        with StateLock(settings.state_dir), open_ledger_to_adopt(settings.state_dir) as ledger:
            yield ledger


@contextlib.contextmanager
def _progress() -> Iterator[OnLook]:
    """A bar on a terminal; elsewhere a line for each file that is linked. Both on stderr."""
    console = errors()
    with Progress(
        TextColumn("looking on the server"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("", total=None)

        def on_look(path: str, found: bool, looked: int, total: int) -> None:
            bar.update(task, completed=looked, total=total)
            if found and not console.is_terminal:
                console.out(f"{'linked':<10}{shown(path)}", highlight=False)

        yield on_look


def _tell(settings: Settings, ledger: Ledger, outcome: Adopted, *, as_json: bool) -> int:
    drops = [drop.path for drop in settings.drops]
    files = in_order(ledger.report.files(drops=drops))
    counts = ledger.report.counts(drops)
    if as_json:
        told = {"linked": outcome.found, "not_on_server": outcome.absent, "spare": outcome.spare}
        click.echo(json.dumps(document(settings.state_dir, ledger, counts, files) | {"adopted": told}, indent=2))
    else:
        console = output()
        print_files(console, [file for file in files if file.state is not FileState.GONE])
        console.print()
        print_counts(console, counts)
        _print_outcome(console, outcome)
    return judge(files) if files else ExitCode.GOOD


def _print_outcome(console: Console, outcome: Adopted) -> None:
    if outcome.absent:
        console.print(
            Text(f"{outcome.found} linked, {len(outcome.absent)} not on the server: the next run or scan uploads them")
        )
    spare = [(path, source_file_id) for path, ids in outcome.spare.items() for source_file_id in ids]
    for path, source_file_id in spare[:NAMED]:
        text = f"{shown(path)} is on the server more than once: source file {source_file_id} is equal and not needed"
        console.print(Text(text, "yellow"), soft_wrap=True)
    if len(spare) > NAMED:
        console.print(Text(f"and {len(spare) - NAMED} more such source files (--json names all)", "yellow"))
