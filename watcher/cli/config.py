"""``config``: the effective settings."""

import json

import click

from watcher.cli import Options
from watcher.cli.settings import load
from watcher.spelling import shown


@click.command("config")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(options: Options, as_json: bool) -> None:
    """Show the effective settings and where each comes from. Secrets are masked."""
    settings = load(options, folders_must_exist=False)
    values = settings.masked()
    if as_json:
        click.echo(json.dumps(values, indent=2))
        return
    click.echo(f"# {settings.source or 'no configuration file was found'}")
    for key, value in _flat(values):
        origin = settings.origins.get(key)
        click.echo(f"{key} = {shown(json.dumps(value, ensure_ascii=False))}" + (f"   # {origin}" if origin else ""))


def _flat(value: object, key: str = "") -> list[tuple[str, object]]:
    """Nested values as dotted keys."""
    if isinstance(value, dict):
        return [pair for name, inner in value.items() for pair in _flat(inner, f"{key}.{name}" if key else name)]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [pair for index, inner in enumerate(value) for pair in _flat(inner, f"{key}[{index}]")]
    return [(key, value)]
