"""``run``: the daemon, in the foreground."""

import click

from watcher.cli import Options
from watcher.cli.display import Display
from watcher.cli.settings import load
from watcher.service import Service


@click.command("run")
@click.argument("drops", metavar="[DROP]...", nargs=-1)
@click.option("--emulator", is_flag=True, help="Work on an embedded Asset API server; no account is needed.")
@click.pass_obj
def command(options: Options, drops: tuple[str, ...], emulator: bool) -> int:
    """Watch the drop folders until it is told to stop.

    A DROP is LOCAL or LOCAL=REMOTE/PATH and replaces the [[drops]] of the configuration. SIGTERM and SIGINT stop it
    cleanly, SIGHUP reads the configuration anew.
    """
    with Display() as display:
        return Service(lambda: load(options, drops=drops, emulator=emulator), on_tick=display.follow).run()
