"""``run``: the daemon, in the foreground."""

import contextlib

import click

from watcher.cli import Options
from watcher.cli.display import Display
from watcher.cli.settings import load
from watcher.config import Settings
from watcher.ledger import Ledger, LedgerError
from watcher.service import Service
from watcher.state import LEDGER


@click.command("run")
@click.argument("drops", metavar="[DROP]...", nargs=-1)
@click.option("--emulator", is_flag=True, help="Work on an embedded Asset API server; no account is needed.")
@click.pass_obj
def command(options: Options, drops: tuple[str, ...], emulator: bool) -> int:
    """Watch the drop folders until it is told to stop.

    A DROP is LOCAL or LOCAL=REMOTE/PATH and replaces the [[drops]] of the configuration. SIGTERM and SIGINT stop it
    cleanly, SIGHUP reads the configuration anew.

    A folder that does not exist is an error, unless it was watched before: then its disk may be away, and it is waited
    for.
    """

    def read() -> Settings:
        return load(options, drops=drops, emulator=emulator, may_be_away=_watched_before)

    with Display() as display:
        return Service(read, on_tick=display.follow).run()


def _watched_before(settings: Settings) -> set[str]:
    with contextlib.suppress(LedgerError), Ledger(settings.state_dir / LEDGER, read_only=True) as ledger:
        return ledger.intake.drops()
    return set()
