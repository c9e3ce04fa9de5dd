"""``retry``: try failed files again."""

import click

from watcher import clock
from watcher.cli import Options
from watcher.cli.places import ledger_for_writing, resolve
from watcher.cli.settings import load
from watcher.model import FileState, Role


@click.command("retry")
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.option("--failed", is_flag=True, help="All files that failed.")
@click.pass_obj
def command(options: Options, paths: tuple[str, ...], failed: bool) -> None:
    """Try failed files again: a running daemon does so at once, else the next `run` or `scan`.

    A PATH is a file or a folder. What a failed conversion left on the server is removed before.
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
    if not tried:
        click.echo("no file failed" + (" there" if paths else ""))
        return
    click.echo(f"{tried} file{'s' if tried > 1 else ''} will be tried again")
