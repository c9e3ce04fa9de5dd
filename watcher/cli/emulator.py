"""``emulator``: an Asset API server of our own, in the foreground."""

import signal
import tempfile
import threading
from pathlib import Path
from types import FrameType

import click

from watcher import logs
from watcher.cli import Options
from watcher.emulator import Emulator
from watcher.emulator.convert.libraries import install_command, not_installed, told


@click.command("emulator")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    help="The port to listen on; 0 takes a free one.",
)
@click.option("--data", type=click.Path(path_type=Path), help="Where it keeps its data; without, it forgets all.")
@click.option(
    "--api-key", envvar="EMULATOR_API_KEY", help="The key that clients use; without, one is made and printed."
)
@click.pass_obj
def command(options: Options, host: str, port: int, data: Path | None, api_key: str | None) -> None:
    """Serve the Asset API from this machine: it takes uploads and converts them for real.

    Prints where it listens once it accepts connections.
    """
    logs.configure(options.log_level or "warning", options.log_format or "auto")
    if data is None:
        with tempfile.TemporaryDirectory(prefix="3dverse-emulator-") as folder:
            _serve(Emulator(Path(folder), api_key=api_key, host=host, port=port), show_key=api_key is None)
    else:
        _serve(Emulator(data, api_key=api_key, host=host, port=port), show_key=api_key is None)


def _serve(emulator: Emulator, *, show_key: bool) -> None:
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        # Not stop.set(): a lock that the interrupted main thread may hold is not to be taken here.
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    with emulator:
        click.echo(f"listening on {emulator.base_url}")
        if show_key:
            click.echo(f"api_key: {emulator.api_key}")
        if missing := not_installed():
            click.echo(
                f"some formats end as an error here, without {told(missing)}: {install_command('formats')}",
                err=True,
            )
        try:
            stop.wait()
        except KeyboardInterrupt:
            click.echo("stopping", err=True)
