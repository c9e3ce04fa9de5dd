"""What callers send besides files: query strings and bodies, as JSON or as forms.

Nested values in queries and forms are written the way axios and PHP write them: ``filter[asset_type][]=mesh``.
"""

import json
import math
from collections.abc import AsyncIterable, Iterable
from itertools import pairwise
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from watcher.emulator.faults import BadRequest, TooLarge, Unprocessable

MAX_BODY = 16 << 20
"""Bytes of a JSON or form body."""
FORM = "application/x-www-form-urlencoded"
_MAX_DEPTH = 8

Nested = dict[str, Any]
T = TypeVar("T")


def from_json_text(value: Any) -> Any:
    """Forms carry objects as JSON text."""
    if isinstance(value, str):
        try:
            return parse_json(value)
        except BadRequest:
            return value
    return value


def _integral(value: Any) -> Any:
    """To JSON ``2.0`` is a whole number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_integral)]
Name = Annotated[str, Field(min_length=1, max_length=1024)]
Object = Annotated[dict[str, Any], BeforeValidator(from_json_text)]


def one_or_many(value: Any) -> Any:
    """A single value where a list is meant: queries with one item often come so."""
    return [value] if isinstance(value, str) else value


class Values(BaseModel):
    """A body or query with named fields; unknown fields are ignored, as they may be of a newer client.

    The contract knows no null: what has no value is left out.
    """

    model_config = ConfigDict(extra="ignore", str_strip_whitespace=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_nulls(cls, values: Any) -> Any:
        if isinstance(values, dict):
            for name in cls.model_fields:
                if name in values and values[name] is None:
                    raise ValueError(f"{name} is null; leave it out instead")
        return values


class Page(Values):
    """Which part of a list is asked for."""

    offset: int = Field(0, ge=0, le=2**53)
    limit: int = Field(10, ge=0, le=2**53)


def validate(kind: Any, values: Any, *, strict: bool = False) -> Any:
    """``values`` as ``kind`` (a pydantic model or type). Raises Unprocessable, naming every wrong field.

    Queries and forms carry texts only, of which numbers and the like are made. ``strict`` is for values that came as
    JSON and have types already: there ``"1"`` is no number and ``0`` no boolean.
    """
    try:
        if strict:
            return TypeAdapter(kind).validate_json(json.dumps(values), strict=True)
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        complaints = [
            f"{'.'.join(map(str, e['loc'])) or 'the body'}: {e['msg']}"
            for e in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise Unprocessable("; ".join(complaints[:10])) from None


def parse_query(query: str) -> Nested:
    """A query string with its nested values. Raises BadRequest."""
    try:
        return nest(parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=10_000))
    except ValueError as error:
        raise BadRequest(f"The query cannot be read: {error}.") from None


def parse_body(content_type: str, body: bytes) -> Any:
    """A JSON or form body by its content type; JSON when none is named, None when there is no body.

    A form without fields is empty, but there. Raises BadRequest.
    """
    media_type = media_type_of(content_type)
    if media_type == FORM:
        try:
            return nest(parse_qsl(body.decode(), keep_blank_values=True, errors="strict"))
        except ValueError as error:
            raise BadRequest(f"The form cannot be read: {error}.") from None
    if not body:
        return None
    if media_type in ("", "application/json", "text/json") or media_type.endswith("+json"):
        try:
            return parse_json(body.decode())
        except UnicodeDecodeError:
            raise BadRequest("The body is not UTF-8.") from None
    raise BadRequest(f"Send the body as application/json or {FORM}, not as {media_type}.")


def media_type_of(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def parse_json(text: str) -> Any:
    """JSON as the standard has it: no NaN, no bottomless nesting, no number beyond a double. Raises BadRequest."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_int=_whole, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"The body is not valid JSON: {error}.") from None


def as_list(values: Any) -> Any:
    """A bare array, which a form can only send as its single field."""
    if isinstance(values, dict) and len(values) == 1:
        values = next(iter(values.values()))
        return values if isinstance(values, list) else [values]
    return values


def nest(pairs: Iterable[tuple[str, str]]) -> Nested:
    """Fields such as ``a[b][]`` as nested objects and lists; a repeated plain field becomes a list.

    Raises BadRequest for fields that contradict each other.
    """
    root: Nested = {}
    for field, value in pairs:
        path = _segments(field)
        here = root
        for segment, following in pairwise(path):
            if following == "":
                break
            here = here.setdefault(segment, {})
            if not isinstance(here, dict):
                raise BadRequest(f"The field {field!r} is both a value and an object.")
        _put(here, path, field, value)
    return {key: _indexed_to_list(value) for key, value in root.items()}


async def read_limited(stream: AsyncIterable[bytes], limit: int, announced: str | None) -> bytes:
    """A whole body. Raises TooLarge above ``limit`` bytes, at once when the announced length tells."""
    if announced is not None and announced.isdigit() and int(announced) > limit:
        raise TooLarge(f"The body has {announced} bytes; at most {limit} are taken here.")
    body = bytearray()
    async for chunk in stream:
        body += chunk
        if len(body) > limit:
            raise TooLarge(f"The body has more than {limit} bytes, the most that is taken here.")
    return bytes(body)


def _segments(field: str) -> list[str]:
    head, bracket, rest = field.partition("[")
    if not bracket or not head or not rest.endswith("]"):
        return [field]
    path = [head, *rest[:-1].split("][")]
    if len(path) > _MAX_DEPTH:
        raise BadRequest(f"The field {field[:80]!r} is nested too deep.")
    if "" in path[1:-1]:
        raise BadRequest(f"Give the items of {field!r} an index: {head}[0][...].")
    return path


def _put(here: Nested, path: list[str], field: str, value: str) -> None:
    is_list = path[-1] == "" and len(path) > 1
    key = path[-2] if is_list else path[-1]
    known = here.get(key)
    if isinstance(known, dict):
        raise BadRequest(f"The field {field!r} is both a value and an object.")
    if isinstance(known, list):
        known.append(value)
    elif known is not None:
        here[key] = [known, value]
    else:
        here[key] = [value] if is_list else value


def _indexed_to_list(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    items = {key: _indexed_to_list(item) for key, item in value.items()}
    if items and all(str(index) in items for index in range(len(items))):
        return [items[str(index)] for index in range(len(items))]
    return items


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _whole(text: str) -> int:
    _finite(text)
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {text[:20]}... is too large")
    return value
