"""What the commands that work the Asset API by hand have in common: a connection, names, answers, and errors."""

import functools
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from types import FrameType
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from watcher.api import ApiError, AssetApi, Unauthorized, Unreachable
from watcher.cli import Options
from watcher.cli.answers import Answers
from watcher.cli.names import Names
from watcher.cli.outcome import Refused
from watcher.cli.settings import load
from watcher.server import connect
from watcher.spelling import shown

_EMULATOR = "watcher.emulator"

Parameters = ParamSpec("Parameters")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Hand:
    """What a command works with."""

    api: AssetApi
    names: Names
    answers: Answers
    emulator: bool
    """Whether ``--emulator`` was given."""

    def line(self, words: str) -> str:
        """A command line for the same server."""
        return f"3dverse-watcher {words}" + (" --emulator" if self.emulator else "")


class Commands(click.Group):
    """A group whose help shows the first sentence of each command's help, all of it."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, found.get_short_help_str(1000)) for name, found in commands if found])


def resource(name: str, text: str) -> click.Group:
    """A group of commands for one resource of the API."""

    @click.group(name, cls=Commands, help=text)
    @click.option("--emulator", is_flag=True, help="Work on the embedded server's data; no account is needed.")
    @click.pass_context
    def group(context: click.Context, emulator: bool) -> None:
        context.meta[_EMULATOR] = emulator

    return group


def one_of(words: type[StrEnum]) -> click.Choice[str]:
    """A word of the API, as the API spells it: click would take the name of an enum's member."""
    return click.Choice([word.value for word in words])


def by_hand(function: Callable[Concatenate[Hand, Parameters], int | None]) -> Callable[..., int | None]:
    """Makes a function a command's: adds ``--json`` and ``--emulator``, and calls it with a connection to the API.

    What the API or the disk refuses becomes :class:`Refused` (exit 1); that the API cannot be reached, or does not know
    the credentials, stays what it is (exit 3).
    """

    @click.option("--emulator", is_flag=True, help="Work on the embedded server's data; no account is needed.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @click.pass_context
    @functools.wraps(function)
    def command(context: click.Context, /, *args: Any, emulator: bool, as_json: bool, **kwargs: Any) -> int | None:
        options = context.find_object(Options)
        assert options is not None
        emulator = emulator or context.meta.get(_EMULATOR, False)
        settings = load(options, emulator=emulator, folders_must_exist=False)
        signal.signal(signal.SIGTERM, _interrupt)  # so that nothing half done is left behind
        try:
            with connect(settings, threading.Event(), in_passing=True) as server:
                hand = Hand(server.api, Names(server.api), Answers(as_json), emulator)
                return function(hand, *args, **kwargs)
        except (Unreachable, Unauthorized):
            raise
        except ApiError as error:
            raise Refused(str(error)) from error
        except BrokenPipeError:
            raise
        except OSError as error:
            where = f"{shown(str(error.filename))}: " if error.filename else ""
            raise Refused(f"{where}{error.strerror or error}") from error

    return command


def an_id(_context: click.Context, _parameter: click.Parameter, value: T) -> T:
    """Refuses, as an argument's callback, what cannot be an id in an address."""
    for text in [value] if isinstance(value, str) else value if isinstance(value, tuple) else []:
        if text in ("", ".", ".."):
            raise click.BadParameter(f"{text!r} is no id")
    return value


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
