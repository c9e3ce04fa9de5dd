"""``WATCHER_*`` environment variables as settings: ``WATCHER_STATE_DIR``, ``WATCHER_<SECTION>__<KEY>``."""

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from watcher.config.lines import Location

PREFIX = "WATCHER_"
NOT_SETTINGS = frozenset({"WATCHER_CONFIG"})
"""Variables with the prefix that are read elsewhere."""


def read_environment(environ: Mapping[str, str], model: type[BaseModel]) -> tuple[dict[str, Any], dict[Location, str]]:
    """The values as nested dicts and, for each, its variable. An empty variable counts as not set.

    Unknown names come along, so that validation rejects them. Text that is no number where ``model`` wants one stays
    text, for the same reason.
    """
    values: dict[str, Any] = {}
    names: dict[Location, str] = {}
    for name, text in environ.items():
        if not name.startswith(PREFIX) or name in NOT_SETTINGS or not text:
            continue
        location = tuple(name.removeprefix(PREFIX).lower().split("__"))
        field = _field(model, location)
        table = values
        for part in location[:-1]:
            inner = table.setdefault(part, {})
            table = inner if isinstance(inner, dict) else {}
        table[location[-1]] = _typed(text, field)
        # A list of tables has no form here: whatever is set below drops, drops is what will be rejected.
        names[location[:1] if location[0] == "drops" else location] = name
    return values, names


def variable(location: Location) -> str:
    """The name of the variable for a key."""
    return PREFIX + "__".join(str(part).upper() for part in location)


def _field(model: type[BaseModel], location: Location) -> FieldInfo | None:
    field: FieldInfo | None = None
    inner: object = model
    for part in location:
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return None
        field = inner.model_fields.get(str(part))
        inner = field.annotation if field else None
    return field


def _typed(text: str, field: FieldInfo | None) -> object:
    wanted = field.annotation if field else None
    kind = next((kind for kind in (bool, int, float) if wanted is kind or kind in get_args(wanted)), None)
    if kind is None:
        return text
    try:
        return TypeAdapter[object](kind).validate_python(text.strip())
    except ValidationError:
        return text
