"""What an examination finds."""

from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    """How one check went; each is worse than the one before."""

    OK = "ok"
    WARNING = "warning"
    """It works, or will, but not as well as it could, or not for long."""
    FAILURE = "failure"
    """It does not work."""

    @property
    def rank(self) -> int:
        return list(Result).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the answer."""

    check: str
    """What was looked at: one of a fixed set of names."""
    result: Result
    message: str
    advice: str | None = None
    """What to do about it."""


def ok(check: str, message: str) -> Finding:
    return Finding(check, Result.OK, message)


def warning(check: str, message: str, advice: str) -> Finding:
    return Finding(check, Result.WARNING, message, advice)


def failure(check: str, message: str, advice: str) -> Finding:
    return Finding(check, Result.FAILURE, message, advice)
