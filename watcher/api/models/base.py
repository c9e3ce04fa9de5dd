"""What all models of the Asset API share: unknown fields are kept, unknown words are taken as they come."""

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict


class Model(BaseModel):
    """A part of an answer, with field names as on the wire.

    Fields that this version does not know are kept (``model_extra``). Only what a caller cannot do without
    (ids, names, states) is required; the rest may be missing.
    """

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True, protected_namespaces=())


def _number_or_none(value: object) -> object:
    """A number that is written oddly counts; one that cannot be read is no reason to refuse the whole answer."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return value


def _nothing_is_empty(value: object) -> object:
    return () if value is None else value


T = TypeVar("T")

Number = Annotated[float | None, BeforeValidator(_number_or_none)]
"""A count, size or progress that may come as an integer, a float or text."""

Count = Annotated[int | None, BeforeValidator(_number_or_none)]
"""A whole number that may come as an integer, a float or text."""

Items = Annotated[tuple[T, ...], BeforeValidator(_nothing_is_empty)]
"""A list; ``null`` is an empty one."""

Object = dict[str, Any]
"""A JSON object whose content the contract leaves open."""
