"""The configuration file: which one is read, and what stands on which line."""

import errno
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from watcher.config.errors import ConfigError, Problem
from watcher.config.lines import Location, key_lines

SYSTEM_FILE = Path("/etc/3dverse-watcher/config.toml")


@dataclass(frozen=True, slots=True)
class Document:
    """A file that was read, or the absence of one."""

    path: Path | None = None
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[Location, int] = field(default_factory=dict)


def read_document(config: Path | None, environ: Mapping[str, str]) -> Document:
    """The first file found of ``config``, ``$WATCHER_CONFIG``, ``./config.toml``, the user's and the system's.

    The first two have to exist when given. Raises :class:`ConfigError` when a file is missing, unreadable or not TOML.
    """
    if config is not None:
        return _read(_absolute(config), "option --config")
    if named := environ.get("WATCHER_CONFIG"):
        return _read(_absolute(Path(named)), "environment variable WATCHER_CONFIG")
    home = environ.get("XDG_CONFIG_HOME", "")
    user = Path(home if os.path.isabs(home) else os.path.expanduser("~/.config"), "3dverse-watcher", "config.toml")
    for path in (_absolute(Path("config.toml")), user, SYSTEM_FILE):
        try:
            return _read(path, "")
        except ConfigError as error:
            if not isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                raise
    return Document()


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(os.path.expanduser(path)))


def _read(path: Path, asked_by: str) -> Document:
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        hint = "; the file has to exist" if error.errno == errno.ENOENT and asked_by else ""
        raise ConfigError(Problem(asked_by, str(path), f"cannot be read: {reason}{hint}")) from error
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(Problem(f"{path}:{line}", "", "is not UTF-8 text")) from error
    try:
        return Document(path, tomllib.loads(text), key_lines(text))
    except tomllib.TOMLDecodeError as error:
        found = re.search(r" \(at line (\d+), column (\d+)\)$", str(error))
        # Without a position the end of the document was reached too early.
        line = int(found[1]) if found else text.count("\n") + 1
        message = str(error)[: found.start()] if found else str(error)
        raise ConfigError(Problem(f"{path}:{line}", "", f"is not valid TOML: {message}")) from error
