"""``forget``: lose all memory of files."""

import sys
from collections.abc import Sequence

import click

from watcher.cli import Options
from watcher.cli.outcome import Refused, Unclear
from watcher.cli.places import ledger_for_writing, lies_at, resolve
from watcher.cli.settings import load
from watcher.ledger import Ledger
from watcher.spelling import shown


@click.command("forget")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option(
    "--halves", is_flag=True, help="Only what `status` says may be half of an upload of theirs: it is somebody's."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def command(options: Options, paths: tuple[str, ...], halves: bool, yes: bool) -> None:
    """Lose all memory of files. What they made on the server stays there.

    A forgotten file that still lies in a drop folder is new to the next scan, and is uploaded once more.
    """
    settings = load(options, folders_must_exist=False)
    with ledger_for_writing(settings) as ledger:
        if halves:
            _forget_halves(ledger, resolve(paths))
            return
        reports = list(ledger.report.files(resolve(paths)))
        if not reports:
            click.echo("the ledger knows no such file")
            return
        if not yes:
            named = "\n".join(f"  {shown(report.path)}" for report in reports[:20])
            more = f"\n  and {len(reports) - 20} more" if len(reports) > 20 else ""
            _ask(f"Forget these files?\n{named}{more}\n")
        forgotten = ledger.upkeep.forget([report.path for report in reports])
    click.echo(f"{forgotten} file{'s' if forgotten != 1 else ''} forgotten")


def _forget_halves(ledger: Ledger, paths: Sequence[str]) -> None:
    found = [half for half in ledger.report.halves() if lies_at(half.path, paths)]
    for half in found:
        ledger.doubts.half_is_gone(half.source_file_id)
    click.echo(f"{len(found)} source file{'s' if len(found) != 1 else ''} forgotten, which stay on the server")


def _ask(question: str) -> None:
    """Raises Unclear when nobody answers, Refused when the answer is no."""
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        raise Unclear("nobody answers: give --yes to go ahead") from None
    if not agreed:
        raise Refused("nothing was done")
