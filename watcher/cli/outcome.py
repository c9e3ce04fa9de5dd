"""Exit codes, and which error means which."""

import sqlite3
from enum import IntEnum


class ExitCode(IntEnum):
    """Of every command."""

    GOOD = 0
    FAILED = 1
    """A file failed, or the API refuses what was asked."""
    USAGE = 2
    """The command line or the configuration is wrong."""
    UNREACHABLE = 3
    """The API cannot be reached, or refuses the credentials."""
    TIMEOUT = 4
    """The time was up with work left."""
    INTERRUPTED = 130


class Refused(Exception):
    """What a command was to do cannot be done; the text says why."""


class Unclear(Exception):
    """What a command was to do is not clear, or must be said more clearly; the text says why."""


def exit_code_of(error: Exception) -> ExitCode | None:
    """The exit code for an error that a person can act on; None for one that is a fault of the program."""
    # Imported here: a command that goes well needs none of them.
    from watcher.api import ApiError
    from watcher.config import ConfigError
    from watcher.emulator import MissingExtra, StoreError
    from watcher.ledger import LedgerError
    from watcher.ledger.damage import is_damage
    from watcher.state import StateInUse, UnusableState, WrongServer

    if isinstance(error, ApiError):
        return ExitCode.UNREACHABLE
    # A ledger that is locked or a disk that is full may be well the next time.
    if isinstance(error, Refused | sqlite3.OperationalError):
        return ExitCode.FAILED
    # An OSError that comes so far is of a place that the command line or the configuration names.
    if isinstance(
        error,
        Unclear
        | ConfigError
        | StateInUse
        | UnusableState
        | WrongServer
        | LedgerError
        | MissingExtra
        | StoreError
        | OSError,
    ) or (isinstance(error, sqlite3.DatabaseError) and is_damage(error)):
        return ExitCode.USAGE
    return None


def sentence(error: Exception) -> str:
    """The error as a line for a person; of a configuration, a line for each problem."""
    from watcher.config import ConfigError
    from watcher.ledger.damage import is_damage

    if isinstance(error, ConfigError):
        return "\nerror: ".join(map(str, error.problems))
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, sqlite3.Error):
        advice = "; stop the daemon and let `3dverse-watcher adopt` rebuild it" if is_damage(error) else ""
        return f"the ledger cannot be used: {error}{advice}"
    return str(error)
