"""Reading what the server answered: a value of the contract, or the error that the answer stands for. No I/O."""

import json
import re
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from watcher.api.errors import (
    ApiError,
    Forbidden,
    NotFound,
    RateLimited,
    Rejected,
    ServerFault,
    Unauthorized,
    UnexpectedAnswer,
)
from watcher.api.retry import retry_after_seconds
from watcher.api.server_clock import date_of

M = TypeVar("M", bound=BaseModel)

LONGEST_RETRY_AFTER = 86_400.0
"""Seconds; a server that asks to wait longer is mistaken, or means harm."""
LONGEST_MESSAGE = 300
"""Characters of the server's words that an error repeats."""

_BY_STATUS: dict[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    408: RateLimited,  # the request did not arrive in time: nothing was done
    425: RateLimited,
    429: RateLimited,
}
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_BLANKS = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]+")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that has been read to its end."""

    operation: str
    status: int
    headers: httpx.Headers
    body: bytes
    """Of an error, its beginning is enough."""
    secret: str = field(default="", repr=False)
    """The credential that was sent: a server may repeat it in its words, we do not."""
    body_sent: bool = False
    """Of an upload: see :class:`ApiError`."""

    def json(self) -> Any:
        """The JSON value of the body. Raises UnexpectedAnswer."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise self._unexpected(f"JSON was expected, {self._seen()} came") from None

    def object(self) -> dict[str, Any]:
        """The JSON object that the body is. Raises UnexpectedAnswer."""
        value = self.json()
        if not isinstance(value, dict):
            raise self._unexpected(f"an object was expected, {_kind(value)} came")
        return value

    def model(self, model: type[M]) -> M:
        """The JSON object of the body as a model. Raises UnexpectedAnswer."""
        return self._fit(model, self.json())

    def models(self, model: type[M]) -> list[M]:
        """The JSON array of the body as models. Raises UnexpectedAnswer."""
        return self._fit_all(model, self.json())

    def open_models(self, model: type[M], id_field: str) -> list[M]:
        """The items of a body whose shape the contract leaves open: a list, one item, or an object that holds them.

        Raises UnexpectedAnswer.
        """
        value = self.json()
        if isinstance(value, dict):
            lists = [member for member in value.values() if isinstance(member, list)]
            if id_field in value:
                value = [value]
            elif len(lists) == 1:
                value = lists[0]
            elif all(isinstance(member, dict) for member in value.values()):
                value = [{id_field: key, **member} for key, member in value.items()]
        return self._fit_all(model, value)

    def text(self) -> str:
        """The body as text; bytes that are not UTF-8 become U+FFFD."""
        return self.body.decode(errors="replace")

    def header(self, name: str) -> Any:
        """The value of a header that holds JSON text; None when it is absent or broken."""
        try:
            return json.loads(self.headers.get(name, "null"))
        except ValueError:
            return None

    def header_model(self, name: str, model: type[M]) -> M | None:
        """The JSON value of a header as a model; None when it is absent, broken or does not fit."""
        try:
            return model.model_validate(self.header(name))
        except ValidationError:
            return None

    def error(self) -> ApiError:
        """The error that this answer stands for; its status is not one of success, or it is a page."""
        if self.status < 300:
            return self._unexpected(f"{self._seen()} came")
        if self.status < 400:
            target = self.headers.get("location")
            return self._unexpected(f"it redirects to {self._say(target)}" if target else "neither success nor error")
        try:
            content = json.loads(self.body)
        except (ValueError, RecursionError):
            content = None
        if isinstance(content, dict):
            message, code = self._words(content), _integer(content.get("errorCode"))
        elif self.status == 404 and self.body.strip():
            return self._unexpected(f"there is no Asset API at this address but {self._seen()}; is base_url right?")
        else:
            message, code = self._seen() if self.body.strip() else "", None
        kind = _BY_STATUS.get(self.status, Rejected if self.status < 500 else ServerFault)
        message = message or _phrase(self.status)
        retry_after = retry_after_seconds(self.headers.get("retry-after"), self._server_time())
        if retry_after is not None and retry_after > LONGEST_RETRY_AFTER:
            message += f" (it asks to wait even {retry_after:.3g} s)"
            retry_after = LONGEST_RETRY_AFTER
        return kind(
            self.operation,
            message,
            status=self.status,
            error_code=code,
            retry_after=retry_after,
            body_sent=self.body_sent,
        )

    def _fit(self, model: type[M], value: Any) -> M:
        try:
            return model.model_validate(value)
        except ValidationError as error:
            # Without the input: it may hold a token.
            faults = [f"{'.'.join(map(str, e['loc'])) or 'it'}: {e['msg']}" for e in error.errors(include_input=False)]
            raise self._unexpected(f"{model.__name__} does not fit, {'; '.join(faults[:3])}") from None

    def _fit_all(self, model: type[M], value: Any) -> list[M]:
        if not isinstance(value, list):
            raise self._unexpected(f"a list was expected, {_kind(value)} came")
        return [self._fit(model, item) for item in value]

    def _unexpected(self, message: str) -> UnexpectedAnswer:
        return UnexpectedAnswer(self.operation, message, status=self.status, body_sent=self.body_sent)

    def _server_time(self) -> float:
        """The server's clock when it tells, else ours: a date that it names counts from its own clock."""
        moment = date_of(self.headers)
        return time.time() if moment is None else moment

    def _words(self, content: dict[str, Any]) -> str:
        found = (content[key] for key in ("message", "error", "detail") if isinstance(content.get(key), str))
        return self._say(next(found, ""))

    def _seen(self) -> str:
        """A body that is not what it should be, in a few words."""
        text = self.body[:8192].decode(errors="replace").strip()
        if not text:
            return "nothing"
        if title := _TITLE.search(text):
            return f"the page {self._say(title[1])!r}"
        if text.startswith("<"):
            return "a page"
        if text.startswith(("{", "[")):
            return f"broken JSON ({len(self.body)} bytes)"  # no more of it: it may hold a token
        return repr(self._say(text, 80))

    def _say(self, text: str, limit: int = LONGEST_MESSAGE) -> str:
        """The server's words on one line, shortened, without the credential."""
        line = _BLANKS.sub(" ", text.replace(self.secret, "***") if self.secret else text).strip()
        return line if len(line) <= limit else f"{line[: limit - 1]}…"


def _integer(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")
