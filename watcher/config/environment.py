"""``WATCHER_*`` environment variables as settings: ``WATCHER_STATE_DIR``, ``WATCHER_<SECTION>__<KEY>``."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from watcher.config.errors import Problem
from watcher.config.keys import KEYS, is_section
from watcher.config.lines import Location

NOT_SETTINGS = frozenset({"WATCHER_CONFIG"})
"""Variables with the prefix that are read elsewhere."""
_PREFIX = "WATCHER_"
_BY_NAME: dict[str, Location] = {
    _PREFIX + "__".join(str(part).upper() for part in key): key
    for key in KEYS
    if key[0] != "drops" and not is_section(key)
}


@dataclass(slots=True)
class Environment:
    """What the variables say."""

    values: dict[str, Any] = field(default_factory=dict)
    """Sections as nested dicts. Text that is no number where one is wanted stays text: validation rejects it."""
    origins: dict[Location, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    """Variables that mean nothing."""


def read_environment(environ: Mapping[str, str]) -> Environment:
    """The variables with our prefix. An empty one counts as not set."""
    result = Environment()
    for name, text in environ.items():
        if not name.startswith(_PREFIX) or name in NOT_SETTINGS or not text:
            continue
        origin = f"environment variable {name}"
        location = _BY_NAME.get(name)
        if location is None:
            result.problems.append(Problem(origin, "", _unknown(name)))
            continue
        table = result.values
        for part in location[:-1]:
            table = table.setdefault(str(part), {})
        table[str(location[-1])] = _typed(text, KEYS[location].annotation)
        result.origins[location] = origin
    return result


def _unknown(name: str) -> str:
    if name.removeprefix(_PREFIX).split("__")[0] == "DROPS":
        return "drops have no form as a variable; use [[drops]] tables in a file, or DROP arguments"
    near = difflib.get_close_matches(name, _BY_NAME, n=1, cutoff=0.7)
    return (
        f"sets no known key; did you mean {near[0]}?" if near else f"sets no known key; known are {', '.join(_BY_NAME)}"
    )


def _typed(text: str, wanted: object) -> object:
    kind = next((kind for kind in (bool, int, float) if wanted is kind or kind in get_args(wanted)), None)
    if kind is None:
        return text
    try:
        return TypeAdapter[object](kind).validate_python(text.strip())
    except ValidationError:
        return text
