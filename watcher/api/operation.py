"""The operations of the contract, and how a method declares which one it is."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar

from watcher.api.address import path_of, query_of

Self = TypeVar("Self")
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Call:
    """One request to make: an operation with its arguments."""

    operation: "Operation"
    path: str
    """Percent-encoded, with the query, relative to the base address; begins with a slash."""
    body: Any = None
    """A JSON value, or bytes to be sent as they are."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the contract. Calling it with its arguments gives the request to make."""

    id: str
    """``operationId``, which is the official client's function name."""
    method: str
    template: str

    def __call__(
        self,
        ids: Mapping[str, str] | None = None,
        /,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Call:
        """ids: by their names in the template. Members of query and of an object as body that are None are left out."""
        path = path_of(self.template, ids or {})
        if text := query_of(query or {}):
            path = f"{path}?{text}"
        if isinstance(body, dict):
            body = {key: member for key, member in body.items() if member is not None}
        return Call(self, path, body, headers or {})


def operation(
    id: str, method: str, template: str
) -> Callable[
    [Callable[Concatenate[Self, Operation, Parameters], Result]], Callable[Concatenate[Self, Parameters], Result]
]:
    """Declares which operation of the contract a method is, and hands it to the method as its first argument.

    The method bears it as ``operation``, so that a test can hold all of them against the contract.
    """
    declared = Operation(id, method, template)

    def declare(
        function: Callable[Concatenate[Self, Operation, Parameters], Result],
    ) -> Callable[Concatenate[Self, Parameters], Result]:
        @functools.wraps(function)
        def call(self: Self, /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            return function(self, declared, *args, **kwargs)

        own, _, *rest = inspect.signature(function).parameters.values()
        call.__signature__ = inspect.signature(function).replace(parameters=[own, *rest])  # type: ignore[attr-defined]
        call.operation = declared  # type: ignore[attr-defined]
        return call

    return declare
