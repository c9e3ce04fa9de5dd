"""``doctor``: is everything as it should be, and what to do where it is not?"""

import json
from dataclasses import asdict, replace

import click
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from watcher.cli import Options
from watcher.cli.outcome import ExitCode
from watcher.cli.settings import load
from watcher.cli.table import output
from watcher.doctor import Finding, Result, examine

_STYLES = {Result.OK: "green", Result.WARNING: "yellow", Result.FAILURE: "bold red"}
_WIDTH = 15
"""Of the names of checks."""


@click.command("doctor")
@click.argument("drops", metavar="[DROP]...", nargs=-1)
@click.option("--emulator", is_flag=True, help="Look at the embedded Asset API server.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(options: Options, drops: tuple[str, ...], emulator: bool, as_json: bool) -> int:
    """Look at everything the daemon depends on, and say what to do. Changes nothing.

    Exit code: 0 all is well, or well enough; 1 there is a failure.
    """
    # What the log would warn of is among the findings.
    quiet = replace(options, log_level=options.log_level or "error")
    console = output()
    worst = Result.OK
    findings: list[Finding] = []
    for finding in examine(lambda strict: load(quiet, drops=drops, emulator=emulator, folders_must_exist=strict)):
        findings.append(finding)
        worst = max(worst, finding.result, key=lambda result: result.rank)
        if not as_json:
            _show(console, finding)
    if as_json:
        click.echo(json.dumps({"result": worst, "checks": [asdict(finding) for finding in findings]}, indent=2))
    return ExitCode.FAILED if worst is Result.FAILURE else ExitCode.GOOD


def _show(console: Console, finding: Finding) -> None:
    if not console.is_terminal:
        advice = f" -> {finding.advice}" if finding.advice else ""
        console.out(f"{finding.result:<8} {finding.check:<{_WIDTH}} {finding.message}{advice}", highlight=False)
        return
    told = Text(finding.message)
    if finding.advice:
        told.append(f"\n→ {finding.advice}", "cyan")
    line = Table.grid(padding=(0, 1))
    line.add_column(width=8)
    line.add_column(width=_WIDTH)
    line.add_column(overflow="fold")
    line.add_row(Text(finding.result, _STYLES[finding.result]), Text(finding.check, "dim"), told)
    console.print(Padding(line, 0))
