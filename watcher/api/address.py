"""Paths and queries of requests, written as the official client (axios) writes them."""

import re
from collections.abc import Iterator, Mapping
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
    """A query string with nested objects as ``a[b]=c`` and arrays as ``a[]=b``; members that are None are left out.

    Source: buildURL, toFormData and AxiosURLSearchParams of axios 1.
    """
    return "&".join(f"{_component(key)}={_component(value)}" for key, value in _pairs(parameters))


def _pairs(parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in parameters.items():
        yield from _flat(key, value)


def _flat(key: str, value: Any) -> Iterator[tuple[str, str]]:
    match value:
        case None:
            return
        case Mapping():
            for name, member in value.items():
                yield from _flat(f"{key}[{name}]", member)
        case list() | tuple() | set() | frozenset():
            for member in value:
                yield from _flat(f"{key}[]", member)
        case _:
            yield key, _text(value)


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
    if value == int(value) if abs(value) < 1e21 else False:
        return str(int(value))
    if 1e-6 <= abs(value) < 1e21:
        return format(Decimal(repr(value)), "f")
    return re.sub(r"e([+-])0+", r"e\1", repr(value))


def _component(text: str) -> str:
    """``encodeURIComponent``, but colon, dollar and comma stay and a space becomes a plus, as axios has it."""
    return quote(text, safe="!~*'():$, ").replace(" ", "+")
