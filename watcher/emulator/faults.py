"""The errors that the API answers with: an HTTP status and the contract's ``{"errorCode", "message"}``.

The service's own error codes are not published; ``errorCode`` repeats the HTTP status.
"""


class Fault(Exception):
    """A request that cannot be served. The message is for the person who sent it."""

    status = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequest(Fault):
    """The request itself is malformed: its body, its encoding, its headers."""

    status = 400


class Unauthorized(Fault):
    """No credentials, wrong ones, or a token that ran out."""

    status = 401


class Forbidden(Fault):
    """The thing is there, the caller may not do this to it."""

    status = 403


class NotFound(Fault):
    """There is no such thing."""

    status = 404


class MethodNotAllowed(Fault):
    """The address is known, the method is not one of its own."""

    status = 405


class Conflict(Fault):
    """The state of the data forbids it: still referenced, not empty, taken."""

    status = 409


class TooLarge(Fault):
    """The body is larger than this operation takes."""

    status = 413


class Unprocessable(Fault):
    """Well-formed, but a value makes no sense."""

    status = 422


class NotEmulated(Fault):
    """An operation that needs the real service."""

    status = 501


class StorageFull(Fault):
    """The disk has no room for it."""

    status = 507
