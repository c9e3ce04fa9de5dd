"""Paths and queries of requests, written as the official client (axios) writes them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import quote

_LONE_SURROGATES = re.compile("[\ud800-\udfff]")


def scalar_text(text: str) -> str:
    """Text that UTF-8 can carry: each lone surrogate (a byte of a file name that is not UTF-8) becomes U+FFFD.

    That is what a browser sends; the raw byte would make a server answer 400 or keep a name that JSON cannot hold.
    """
    return _LONE_SURROGATES.sub("\ufffd", text)


def path_of(template: str, ids: Mapping[str, str]) -> str:
    """A path with its ``{names}`` filled in, each percent-encoded as one segment.

    Raises ValueError for an empty id and for ``.`` and ``..``: they would name something else than was meant.
    """
    filled = {}
    for name, value in ids.items():
        if value in ("", ".", ".."):
            raise ValueError(f"{name} is {value!r}, which names nothing")
        filled[name] = quote(scalar_text(value), safe="")
    return template.format_map(filled)


def query_of(parameters: Mapping[str, Any]) -> str:
    """A query string; members that are None are left out.

    A nested object is written as ``a[b]=c``, an array as ``a[]=b`` and, within an object, as ``a[b][0]=c&a[b][1]=d``.
    Source: what axios 1.21 makes of such parameters; the contract's ``a[b][]=c`` is not what it sends.
    """
    pairs: list[tuple[str, str]] = []
    for key, value in parameters.items():
        if isinstance(value, _ARRAYS):
            pairs += [pair for member in value for pair in _flat(f"{key}[]", member)]
        else:
            pairs += _flat(key, value)
    return "&".join(f"{_component(key)}={_component(value)}" for key, value in pairs)


_ARRAYS = (list, tuple)


def _flat(key: str, value: Any) -> Iterator[tuple[str, str]]:
    members: Iterable[tuple[object, Any]]
    if value is None:
        return
    if isinstance(value, Mapping):
        members = value.items()
    elif isinstance(value, _ARRAYS):
        members = enumerate(value)
    else:
        yield key, _text(value)
        return
    for name, member in members:
        yield from _flat(f"{key}[{name}]", member)


def _text(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return _number(value)
        case _:
            return scalar_text(str(value))


def _number(value: float) -> str:
    """A float as JavaScript prints it: ``1`` for 1.0, no exponent between 1e-6 and 1e21."""
    if abs(value) < 1e21 and value == int(value):
        return str(int(value))
    if 1e-6 <= abs(value) < 1e21:
        return format(Decimal(repr(value)), "f")
    return re.sub(r"e([+-])0+", r"e\1", repr(value))


def _component(text: str) -> str:
    """``encodeURIComponent``, but colon, dollar and comma stay and a space becomes a plus, as axios has it."""
    return quote(text, safe="!~*'():$, ").replace(" ", "+")
