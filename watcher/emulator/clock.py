"""Time as the API writes it."""

from datetime import UTC, datetime


def now() -> str:
    """The present moment, ISO 8601 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
