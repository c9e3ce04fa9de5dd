"""``retry``: try failed files again."""

from collections.abc import Sequence

import click

from watcher import clock
from watcher.cli import Options
from watcher.cli.places import ledger_for_writing, lies_at, resolve
from watcher.cli.settings import load
from watcher.ledger import OwedReport
from watcher.model import FileState, Role


@click.command("retry")
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.option("--failed", is_flag=True, help="All files that failed.")
@click.pass_obj
def command(options: Options, paths: tuple[str, ...], failed: bool) -> None:
    """Try failed files again: a running daemon does so at once, else the next `run` or `scan`.

    A PATH is a file or a folder. What a failed conversion left on the server is removed before. Work on the server
    that failed is tried again too; with a PATH also the removal of deleted files, were they ever so many.
    """
    if bool(paths) == failed:
        raise click.UsageError("name the files or folders to retry, or give --failed for all that failed")
    settings = load(options, folders_must_exist=False)
    with ledger_for_writing(settings) as ledger:
        reports = list(ledger.report.files(resolve(paths), states=[FileState.FAILED]))
        mains = {
            path for report in reports for path in (report.mains if report.role is Role.COMPANION else [report.path])
        }
        tried = ledger.upkeep.retry(sorted(mains), clock.now())
        owed = [each.path for each in ledger.report.owed() if _is_meant(each, resolve(paths))]
        removed = ledger.owed.confirm(owed, clock.now())
    if removed:
        click.echo(f"what {removed} file{'s have' if removed > 1 else ' has'} left on the server is seen to")
    if tried or not removed:
        what = f"{tried} file{'s' if tried > 1 else ''} will be tried again"
        click.echo(what if tried else "no file failed" + (" there" if paths else ""))


def _is_meant(owed: OwedReport, paths: Sequence[str]) -> bool:
    if not paths:
        return owed.error is not None
    return lies_at(owed.path, paths)
