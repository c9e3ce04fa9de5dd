"""``demo``: the main job in one command."""

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import click
from rich.text import Text

from watcher.cli import Options
from watcher.cli.scan import scan
from watcher.cli.settings import load
from watcher.cli.table import errors
from watcher.samples import write_samples

_CONFIG = """\
# The demo's own world: an embedded Asset API server instead of 3dverse, and one drop folder.
state_dir = "state"

[api]
emulator = true

[[drops]]
path = "drop"
folder = "Demo"
"""


@click.command("demo")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("3dverse-demo"),
    show_default=True,
    help="Where the samples, a configuration and the state go.",
)
@click.pass_obj
def command(options: Options, folder: Path) -> int:
    """Drop real sample models into a folder and see them become assets, on an embedded Asset API server."""
    drop, config = folder / "drop", folder / "config.toml"
    drop.mkdir(parents=True, exist_ok=True)
    samples = write_samples(drop)
    config.write_text(_CONFIG)
    console = errors()
    console.print(f"{len(samples)} sample files lie in [bold]{drop}[/bold] and go to the embedded Asset API server.\n")
    settings = load(replace(options, config=config, log_level=options.log_level or "error"))
    code = scan(settings)
    console.print()
    console.print(Text("Where to look next", "bold"))
    program = f"{_program()} --config {config}"
    for words, meaning in (
        (f"{program} status --all", "the same table, from the ledger; --json for scripts"),
        (f"{program} assets download scene:Demo/crate", "what the server made of the crate, with its picture"),
        (f"{program} run", f"keep watching: then copy a model of yours into {drop}"),
        (f"{_program()} --help", "and README.md: configuration, the service, the real 3dverse"),
    ):
        console.print(Text("  ") + Text(words, "cyan"), soft_wrap=True)
        console.print(Text(f"      {meaning}", "dim"), soft_wrap=True)
    return code


def _program() -> str:
    """How this program is called, so that the line can be copied."""
    name = os.path.basename(sys.argv[0])
    if name == "__main__.py":
        return "python -m watcher"
    return name if shutil.which(name) else sys.argv[0]
