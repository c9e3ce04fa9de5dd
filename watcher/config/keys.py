"""All keys that there are, by their place: ``("state_dir",)``, ``("upload", "workers")``, ``("drops", "path")``."""

from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from watcher.config.lines import Location
from watcher.config.settings import DropSettings, Settings


def _walk(model: type[BaseModel]) -> Iterator[tuple[Location, FieldInfo]]:
    for name, field in model.model_fields.items():
        yield (name,), field
        inner = DropSettings if name == "drops" else field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from (((name, *rest), key) for rest, key in _walk(inner))


KEYS = dict(_walk(Settings))
"""Sections stand before their keys."""


def is_section(location: Location) -> bool:
    """Whether the key holds other keys."""
    return any(len(key) > len(location) and key[: len(location)] == location for key in KEYS)
