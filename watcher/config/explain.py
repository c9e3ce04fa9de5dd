"""Validation faults in the words of someone who edits a configuration file."""

import difflib
from typing import TYPE_CHECKING

from watcher.config.keys import KEYS, is_section
from watcher.config.lines import Location

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
    "string_pattern_mismatch": "holds characters other than letters, digits and . - _ [ ]",
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
    if names == ["drops"]:
        return "[[drops]]"
    if len(names) == 1:
        return f"[{names[0]}]" if is_section(location) else names[0]
    table = "[[drops]]" if names[0] == "drops" else f"[{names[0]}]"
    return f"{table} {'.'.join(names[1:])}"


def explain(fault: "ErrorDetails") -> str:
    """What is wrong and what to do about it. Never shows a value, which may be a secret."""
    kind = fault["type"]
    location: Location = tuple(fault["loc"])
    if kind == "extra_forbidden":
        return _unknown(location)
    if kind == "tuple_type" and location == ("drops",):
        return "is a list of tables: write [[drops]] with two brackets"
    template = _MESSAGES.get(kind)
    return template.format(**fault.get("ctx", {})) if template else fault["msg"]


def _unknown(location: Location) -> str:
    names = tuple(str(part) for part in location if isinstance(part, str))
    here = [str(key[-1]) for key in KEYS if key[:-1] == names[:-1]]
    if elsewhere := [key for key in KEYS if key[-1] == names[-1]]:
        place = " at the top of the file" if len(elsewhere[0]) == 1 else ""
        return f"is not a known key; did you mean {spelled(elsewhere[0])}{place}?"
    if near := difflib.get_close_matches(names[-1], here, n=1):
        return f"is not a known key; did you mean {spelled((*names[:-1], near[0]))}?"
    return f"is not a known key; known are {', '.join(here)}"
