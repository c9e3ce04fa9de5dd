"""``completion``: what a shell needs to complete our commands and options."""

import click
from click.shell_completion import get_completion_class

from watcher.cli import cli

SHELLS = ("bash", "zsh", "fish")
PROGRAM = "3dverse-watcher"
VARIABLE = "_3DVERSE_WATCHER_COMPLETE"
"""By which a shell asks the program; click derives it from the program's name."""


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print what makes SHELL complete our commands and options.

    \b
    bash:  eval "$(3dverse-watcher completion bash)"            in ~/.bashrc
    zsh:   eval "$(3dverse-watcher completion zsh)"             in ~/.zshrc, after compinit
    fish:  3dverse-watcher completion fish > ~/.config/fish/completions/3dverse-watcher.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(cli, {}, PROGRAM, VARIABLE).source())
