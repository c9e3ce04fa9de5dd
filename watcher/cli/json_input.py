"""JSON that is given on the command line."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from watcher.cli.local_files import from_disk


def json_argument(text: str) -> Any:
    """The JSON value of an argument: itself, or the content of a file (``@FILE``) or of stdin (``-``).

    Raises UsageError.
    """
    try:
        if text == "-":
            return json.loads(sys.stdin.read())
        if text.startswith("@"):
            return json.loads(from_disk(text[1:], Path(text[1:]).read_text))
        return json.loads(text)
    except OSError as error:
        raise click.UsageError(f"{text[1:]} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise click.UsageError(f"this is not JSON: {error}") from error


def object_argument(text: str) -> dict[str, Any]:
    """The JSON object of an argument; see :func:`json_argument`."""
    value = json_argument(text)
    if not isinstance(value, dict):
        raise click.UsageError("a JSON object is wanted, such as '{\"name\": 1}'")
    return value
