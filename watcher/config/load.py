"""Reads the settings from file, environment and command line, and says all that is wrong with them at once."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

from watcher import logs
from watcher.config.arguments import read_arguments
from watcher.config.document import Document, read_document
from watcher.config.environment import read_environment
from watcher.config.errors import ConfigError, Problem
from watcher.config.explain import explain, spelled
from watcher.config.folders import check_folders
from watcher.config.lines import Location
from watcher.config.settings import Settings, default_state_dir

CREDENTIALS = ("api_key", "api_key_file", "user_token")
"""Keys of ``[api]`` of which one place may set one."""


def load_settings(
    config: Path | None,
    *,
    drops: Sequence[str] = (),
    emulator: bool | None = None,
    log_level: str | None = None,
    log_format: str | None = None,
    environ: Mapping[str, str] | None = None,
    folders_must_exist: bool = True,
    may_be_away: Callable[[Settings], Collection[str]] = lambda _settings: (),
) -> Settings:
    """The settings of the file (``config``, or the first one found), under the environment, under the arguments.

    ``folders_must_exist=False`` is for commands that only read the ledger: a drop on an unplugged disk does not matter
    to them. ``may_be_away`` tells which drops are known, so that it is no typo when their folder cannot be reached.
    Raises :class:`ConfigError` with every problem found.
    """
    environ = os.environ if environ is None else environ
    document = read_document(config, environ)
    variables = read_environment(environ)
    flags = _flags(emulator, log_level, log_format)

    origins: dict[Location, str] = {key: f"{document.path}:{line}" for key, line in document.lines.items()}
    origins |= variables.origins
    origins |= {key: origin for key, (_, origin) in flags.items()}
    problems = variables.problems + [
        _problem(location, message, origins, document)
        for place in (document.values, variables.values)
        for location, message in _exclusive(place)
    ]
    values = _anchored(document.values, document.path.parent if document.path else Path())
    _overlay(values, _anchored(variables.values, Path.cwd()))
    for (section, key), (value, _) in flags.items():
        _overlay(values, {section: {key: value}})
    if drops:
        values["drops"] = read_arguments(drops, values.get("drops"))
        origins = {key: origin for key, origin in origins.items() if key[0] != "drops"}
        origins |= {("drops", index): f"DROP {argument!r}" for index, argument in enumerate(drops)}
    values.setdefault("state_dir", default_state_dir(environ))

    settings = _validated(values, origins, document, problems)
    if folders_must_exist:
        away = may_be_away(settings) if settings is not None else ()
        problems += [_problem(location, text, origins, document) for location, text in check_folders(values, away)]
    if problems or settings is None:
        raise ConfigError(*dict.fromkeys(problems))
    _remember(settings, document, origins, environ)
    return settings


def _flags(
    emulator: bool | None, log_level: str | None, log_format: str | None
) -> dict[tuple[str, str], tuple[object, str]]:
    given: dict[tuple[str, str], tuple[object, str]] = {
        ("api", "emulator"): (emulator, "option --emulator"),
        ("log", "level"): (log_level, "option --log-level"),
        ("log", "format"): (log_format, "option --log-format"),
    }
    return {location: flag for location, flag in given.items() if flag[0] is not None}


def _exclusive(values: Mapping[str, Any]) -> Iterator[tuple[Location, str]]:
    api = values.get("api")
    given = [key for key in CREDENTIALS if isinstance(api, dict) and key in api]
    for key in given[1:]:
        location = ("api", key)
        message = f"cannot be used together with {given[0]}; keep one of them"
        yield location, message


def _anchored(values: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """A copy in which the texts that name local paths are absolute paths."""
    anchored = {key: dict(value) if isinstance(value, dict) else value for key, value in values.items()}
    _anchor(anchored, "state_dir", base)
    _anchor(anchored.get("api"), "api_key_file", base)
    if isinstance(tables := anchored.get("drops"), list):
        anchored["drops"] = [dict(table) if isinstance(table, dict) else table for table in tables]
        for table in anchored["drops"]:
            _anchor(table, "path", base)
    return anchored


def _anchor(table: object, key: str, base: Path) -> None:
    if isinstance(table, dict) and isinstance(text := table.get(key), str) and text and "\0" not in text:
        table[key] = Path(base, os.path.expanduser(text))


def _overlay(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    """Lay ``above`` over ``below``. A credential replaces all credentials below it."""
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(table := below.get(key), dict):
            if key == "api" and any(name in value for name in CREDENTIALS):
                for name in CREDENTIALS:
                    table.pop(name, None)
            table.update(value)
        else:
            below[key] = value


def _validated(
    values: dict[str, Any], origins: Mapping[Location, str], document: Document, problems: list[Problem]
) -> Settings | None:
    try:
        return Settings(**values)
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            problems.append(_problem(tuple(fault["loc"]), explain(fault), origins, document))
        return None


def _problem(location: Location, message: str, origins: Mapping[Location, str], document: Document) -> Problem:
    # Where the key stands, or the table around it when it is missing.
    known = (origins[location[:n]] for n in range(len(location), 0, -1) if location[:n] in origins)
    return Problem(next(known, str(document.path or "")), spelled(location), message)


def _remember(
    settings: Settings, document: Document, origins: Mapping[Location, str], environ: Mapping[str, str]
) -> None:
    settings._source = document.path
    settings._origins = {
        ".".join(map(str, location)): origin
        for location, origin in origins.items()
        if location != ("drops",) and not isinstance(_at(settings, location), BaseModel | None)
    }
    if directory := environ.get("CREDENTIALS_DIRECTORY"):
        settings.api._systemd_directory = Path(directory)
    for secret in (settings.api.api_key, settings.api.user_token):
        if isinstance(secret, SecretStr):
            logs.add_secret(secret.get_secret_value())


def _at(settings: Settings, location: Location) -> object:
    value: object = settings
    for part in location:
        if isinstance(part, int):
            value = value[part] if isinstance(value, tuple) and part < len(value) else None
        else:
            value = getattr(value, part, None)
    return value
