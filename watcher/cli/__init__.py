"""The command line: each command in a file of its own, imported when it is called."""

import difflib
import importlib
import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from watcher import __version__

_COMMANDS = {
    "run": "the daemon, in the foreground",
    "scan": "one pass over the drops, to its end",
    "status": "what became of everything, or of the named files",
    "retry": "try failed files again",
    "adopt": "link files to what the server holds, after a lost ledger",
    "forget": "lose all memory of files",
    "doctor": "is everything as it should be, and what to do",
    "config": "the effective settings, secrets masked",
    "emulator": "an Asset API server of our own",
    "demo": "see the main job done, on samples",
    "folders": "the Asset API by hand: folders, and who may do what in them",
    "sources": "source files: upload, list, download, move, delete",
    "assets": "assets: list, download, package, create, move, delete",
    "users": "users of the application, and their tokens",
    "groups": "groups of users",
    "tasks": "what becomes of uploads",
    "completion": "have the shell complete commands and options",
}


@dataclass(frozen=True, slots=True)
class Options:
    """What stands before the command."""

    config: Path | None
    log_level: str | None
    log_format: str | None


class _NobodyReads(Exception):
    """Whoever read our output has had enough (``| head``)."""


class _Commands(click.Group):
    """Commands that are imported when they are needed, so that ``status`` answers at once."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:  # of which click would make exit code 1
            raise _NobodyReads from error

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            if near := difflib.get_close_matches(cmd_name, _COMMANDS, n=1):
                ctx.fail(f"no such command {cmd_name!r}; did you mean {near[0]!r}?")
            return None
        module = importlib.import_module(f"watcher.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [CompletionItem(name, help=text) for name, text in _COMMANDS.items() if name.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", type=click.Path(path_type=Path), help="The configuration file.")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    help="How much is logged.",
)
@click.option(
    "--log-format",
    type=click.Choice(["auto", "console", "json"]),
    help="How it is logged; auto is console on a terminal and JSON otherwise.",
)
@click.version_option(__version__, prog_name="3dverse-watcher")
@click.pass_context
def cli(ctx: click.Context, config: Path | None, log_level: str | None, log_format: str | None) -> None:
    """A drop folder for 3dverse: files dropped into a local folder become assets, exactly once.

    Try it without an account: 3dverse-watcher demo
    """
    ctx.obj = Options(config, log_level, log_format)


def main() -> None:
    """The command ``3dverse-watcher``."""
    from watcher.cli.outcome import exit_code_of, sentence
    from watcher.spelling import harmless

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal or a pipe may not take every letter
            stream.reconfigure(errors="backslashreplace")
    try:
        code = cli.main(prog_name="3dverse-watcher", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.Abort:
        click.echo("interrupted", err=True)
        code = 130
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        code = 130
    except _NobodyReads:
        # What is left to be written goes nowhere, without an error at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        code = exit_code_of(error)
        if code is None:
            raise
        click.echo(harmless(f"error: {sentence(error)}"), err=True)
    sys.exit(code if isinstance(code, int) else 0)
