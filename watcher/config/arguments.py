"""``DROP`` arguments of the command line: ``LOCAL`` or ``LOCAL=REMOTE/PATH``."""

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from watcher.config.folders import answered, real_path


def read_arguments(arguments: Sequence[str], configured: object) -> list[dict[str, Any]]:
    """The ``[[drops]]`` tables that the arguments stand for; they replace the ``configured`` ones.

    A local folder that is configured keeps its other settings; its remote folder is what the argument says, or the
    local name.
    """
    known = {
        real_path(table["path"]): table
        for table in (configured if isinstance(configured, list) else [])
        if isinstance(table, dict) and isinstance(table.get("path"), Path)
    }
    return [_table(*_split(argument), known) for argument in arguments]


def _table(local: str, remote: str | None, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    if not local:
        return {"path": ""}  # rejected by validation, like an empty path in a file
    path = _absolute(local)
    configured = {key: value for key, value in known.get(real_path(path), {}).items() if key != "folder"}
    return configured | {"path": path} | ({} if remote is None else {"folder": remote})


def _split(argument: str) -> tuple[str, str | None]:
    """Local and remote part. Names may hold ``=`` themselves: the longest local folder that exists is meant."""
    splits = [(argument, None), *_splits(argument)]
    existing = (split for split in splits if split[0] and answered(partial(os.path.isdir, _absolute(split[0]))))
    try:
        return next(existing, splits[-1])
    except TimeoutError:  # its disk does not answer
        return splits[-1]


def _splits(argument: str) -> Iterator[tuple[str, str | None]]:
    for at in range(len(argument) - 1, -1, -1):
        if argument[at] == "=":
            yield argument[:at], argument[at + 1 :]


def _absolute(path: str) -> Path:
    return Path(os.path.abspath(os.path.expanduser(path)))
