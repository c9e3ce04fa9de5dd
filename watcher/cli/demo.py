"""``demo``: the main job in one command."""

from dataclasses import replace
from pathlib import Path

import click
from rich.text import Text

from watcher.cli import Options
from watcher.cli.scan import scan
from watcher.cli.settings import load
from watcher.cli.table import errors
from watcher.samples import write_samples


@click.command("demo")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("3dverse-demo"),
    show_default=True,
    help="Where the samples and the demo's state go.",
)
@click.pass_obj
def command(options: Options, folder: Path) -> int:
    """Drop real sample models into a folder and see them become assets, on an embedded Asset API server."""
    folder = folder.absolute()
    drop = folder / "drop"
    state = folder / "state"
    drop.mkdir(parents=True, exist_ok=True)
    samples = write_samples(drop)
    console = errors()
    console.print(f"{len(samples)} sample files lie in [bold]{drop}[/bold]; they go to the embedded Asset API server.")
    options = replace(options, log_level=options.log_level or "error")
    settings = load(options, drops=[f"{drop}=Demo"], emulator=True)
    settings = settings.model_copy(update={"state_dir": state})
    code = scan(settings)
    console.print()
    console.print(Text("Where to look next:", "bold"))
    prefix = f"WATCHER_STATE_DIR={state}"
    for words, meaning in (
        (f"{prefix} 3dverse-watcher status --all", "the same table, from the ledger"),
        (f"{prefix} 3dverse-watcher run --emulator {drop}=Demo", "keep watching: copy a model of yours into it"),
        (f"{prefix} 3dverse-watcher status --json {drop}", "for scripts"),
        ("3dverse-watcher --help", "and README.md: configuration, service, the real 3dverse"),
    ):
        console.print(Text(f"  {words}\n", "cyan") + Text(f"      {meaning}", "dim"), soft_wrap=True)
    return code
