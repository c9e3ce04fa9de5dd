"""What can go wrong when the Asset API is asked, as a small tree.

``str(error)`` is one sentence for a person: what was asked for, what happened, the status. It never holds a credential.
"""

import re
from enum import StrEnum
from typing import ClassVar


class ApiError(Exception):
    """An operation of the Asset API failed.

    operation: the operation's name in the contract, such as ``getFolderInfo``.
    status: the HTTP status; None when there was no answer.
    error_code: the ``errorCode`` of the answer.
    message: the server's words, or ours when it gave none; may be empty.
    retry_after: seconds that the server asks to wait before the next try.
    body_sent: of an upload: whether the whole body, closing boundary included, had been handed to the transport. When
        it is False the server cannot have taken the upload; when it is True it may have, whatever the error.
    """

    what: ClassVar[str] = "the request failed"

    def __init__(
        self,
        operation: str,
        message: str = "",
        *,
        status: int | None = None,
        error_code: int | None = None,
        retry_after: float | None = None,
        body_sent: bool = False,
    ) -> None:
        super().__init__(operation, message)
        self.operation = operation
        self.message = message
        self.status = status
        self.error_code = error_code
        self.retry_after = retry_after
        self.body_sent = body_sent

    def __str__(self) -> str:
        facts = [f"HTTP {self.status}"] if self.status is not None else []
        if self.error_code not in (None, self.status):
            facts.append(f"error {self.error_code}")
        if self.retry_after is not None:
            facts.append(f"try again in {self.retry_after:.0f} s")
        sentence = f"cannot {_in_words(self.operation)}: {self.what}"
        if facts:
            sentence += f" ({', '.join(facts)})"
        return f"{sentence}: {self.message}" if self.message else sentence


def _in_words(operation: str) -> str:
    """``getFolderInfo`` as "get folder info": the sentence reaches people who never saw the contract."""
    return re.sub("(?<=[a-z])[A-Z]+", lambda head: f" {head[0].lower() if len(head[0]) == 1 else head[0]}", operation)


class Cause(StrEnum):
    """Why there was no answer."""

    REFUSED = "refused"
    NAME = "name"
    """The host's name has no address."""
    NO_ROUTE = "no-route"
    CONNECT_TIMEOUT = "connect-timeout"
    POOL_TIMEOUT = "pool-timeout"
    """All connections of the client were in use for too long."""
    CERTIFICATE = "certificate"
    TLS = "tls"
    TIMEOUT = "timeout"
    """Connected, then nothing happened for too long."""
    CLOSED = "closed"
    """Connected, then the connection broke."""
    OTHER = "other"


NEVER_SENT = frozenset(
    {
        Cause.REFUSED,
        Cause.NAME,
        Cause.NO_ROUTE,
        Cause.CONNECT_TIMEOUT,
        Cause.POOL_TIMEOUT,
        Cause.CERTIFICATE,
    }
)
"""With these causes no byte of the request has left."""


class Unreachable(ApiError):
    """There was no (whole) answer: network, name lookup, TLS or time. :attr:`cause` says which."""

    what = "the server cannot be reached"

    def __init__(
        self, operation: str, message: str = "", *, cause: Cause = Cause.OTHER, body_sent: bool = False
    ) -> None:
        super().__init__(operation, message, body_sent=body_sent)
        self.cause = cause


class Unauthorized(ApiError):
    """401: the credential is missing, wrong or expired."""

    what = "the credentials were refused"
    renewed = False
    """Of an upload: whether there is another credential by now, with which it may be made again at once."""


class Forbidden(ApiError):
    """403: the credential is good but has no right to this, or not yet."""

    what = "no right to do this"


class NotFound(ApiError):
    """404: there is no such thing, or not yet, or this credential may not see it."""

    what = "not found"


class Rejected(ApiError):
    """Another 4xx, such as 400, 409, 413, 422: the same request will fail again."""

    what = "the request was rejected"


class RateLimited(ApiError):
    """429, 408 or 425: nothing was done, and the same request may succeed later."""

    what = "the server asks to try again later"


class ServerFault(ApiError):
    """5xx: the server, or something in front of it, failed."""

    what = "the server failed"


class UnexpectedAnswer(ApiError):
    """The answer is not what the contract promises: no JSON, a page, a redirect, or a field that is missing.

    Also a 404 whose body is not the API's JSON: then it is most likely the address that is wrong, not the id.
    """

    what = "the answer is not that of the Asset API"


class SizeMismatch(ValueError):
    """A part of an upload had more or fewer bytes than it was said to have: it changed while it was sent.

    It is no :class:`ApiError`: the server did nothing wrong and has not taken the upload.
    """

    def __init__(self, name: str, expected: int, sent: int) -> None:
        amount = f"more than the {expected} bytes" if sent > expected else f"{sent} of the {expected} bytes"
        super().__init__(f"{name!r} gave {amount} that it was said to have")
        self.name = name
        self.expected = expected
        self.sent = sent
