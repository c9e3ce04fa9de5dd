"""``DROP`` arguments of the command line: ``LOCAL`` or ``LOCAL=REMOTE/PATH``."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def read_arguments(arguments: Sequence[str], configured: object) -> list[dict[str, Any]]:
    """The ``[[drops]]`` that the arguments stand for; they replace the ``configured`` ones.

    A local folder that is configured keeps its other settings, and without ``=`` its remote folder too. A name that
    holds ``=`` itself is taken whole when such a folder exists.
    """
    known = {
        os.path.realpath(table["path"]): table
        for table in (configured if isinstance(configured, list) else [])
        if isinstance(table, dict) and isinstance(table.get("path"), Path)
    }
    return [_read(argument, known) for argument in arguments]


def _read(argument: str, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    local, equals, remote = argument.rpartition("=")
    # Remote folders hold "=" less often than local ones, but a local folder that exists is certain.
    while equals and local and not os.path.isdir(_absolute(local)) and "=" in local:
        local, _, rest = local.rpartition("=")
        remote = f"{rest}={remote}"
    if not equals or os.path.isdir(_absolute(argument)):
        local, remote = argument, ""
        equals = ""
    path = _absolute(local)
    table = dict(known.get(os.path.realpath(path), {}))
    return table | {"path": path} | ({"folder": remote} if equals else {})


def _absolute(path: str) -> Path:
    return Path(os.path.abspath(os.path.expanduser(path)))
