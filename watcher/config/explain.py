"""Validation faults in the words of someone who edits a configuration file."""

import difflib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from watcher.config.lines import Location
from watcher.config.settings import DropSettings

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_MESSAGES = {
    "missing": "is missing",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": 'must be text in "quotes"',
    "string_unicode": "is not valid Unicode text",
    "string_too_short": "is empty",
    "string_too_long": "is longer than {max_length} characters",
    "is_instance_of": 'must be a path in "quotes"',
    "tuple_type": "must be a list in [brackets]",
    "model_type": "must be a table",
    "enum": "must be one of {expected}",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "value_error": "{error}",
}
"""By pydantic's error type; the names in braces come from the error's context."""


def spelled(location: Location) -> str:
    """A location as a person would write it: ``state_dir``, ``[upload] workers``, ``[[drops]] path``."""
    names = [part for part in location if isinstance(part, str)]
    if len(names) < 2:
        return "[[drops]]" if names == ["drops"] else "".join(names)
    table = "[[drops]]" if names[0] == "drops" else f"[{names[0]}]"
    return f"{table} {'.'.join(names[1:])}"


def explain(fault: "ErrorDetails", model: type[BaseModel], spell: Callable[[Location], str]) -> str:
    """What is wrong and what to do about it. Never shows a value, which may be a secret."""
    kind = fault["type"]
    location: Location = tuple(fault["loc"])
    if kind == "extra_forbidden":
        return _unknown(location, model, spell)
    if kind == "tuple_type" and location == ("drops",):
        return "is a list of tables: write [[drops]] with two brackets, in a file"
    template = _MESSAGES.get(kind)
    return template.format(**fault.get("ctx", {})) if template else fault["msg"]


def _unknown(location: Location, model: type[BaseModel], spell: Callable[[Location], str]) -> str:
    names = tuple(str(part) for part in location if isinstance(part, str))
    known = list(_keys(model))
    here = [key for key in known if key[:-1] == names[:-1]]
    near = difflib.get_close_matches(names[-1], [key[-1] for key in here], n=1)
    better = [key for key in here if key[-1] in near] or [key for key in known if key[-1] == names[-1]]
    if not better:  # perhaps the section is misspelled, or the variable's name as a whole
        spellings = {"".join(key): key for key in known}
        better = [spellings[text] for text in difflib.get_close_matches("".join(names), spellings, n=1)]
    if better:
        return f"is not a known key; did you mean {spell(better[0])}?"
    return f"is not a known key; known are {', '.join(key[-1] for key in here)}" if here else "is not a known key"


def _keys(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        yield (name,)
        inner: Any = DropSettings if name == "drops" else field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from ((name, *rest) for rest in _keys(inner))
