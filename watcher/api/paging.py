"""Going through lists that come in pages."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from watcher.api.errors import UnexpectedAnswer
from watcher.api.models import AssetCount, AssetList, SourceFile

T = TypeVar("T")

DEFAULT_LIMIT = 10
"""Items on a page when the request does not say; no server will give fewer than that to one who asks for more."""
PAGE_SIZE = 100
"""Items that the iterators ask for at once."""


@dataclass(frozen=True, slots=True)
class SourceFilePage:
    items: list[SourceFile]
    total: int | None
    """How many there are in all; None when the server does not tell."""


@dataclass(frozen=True, slots=True)
class AssetPage:
    assets: AssetList
    count: AssetCount | None
    """How many there are in all; None when the server does not tell."""


def total_of(count: Any) -> int | None:
    """The number in the JSON value of a counting header, which may be a number or an object with a ``total``."""
    total = count.get("total") if isinstance(count, dict) else count
    return int(total) if isinstance(total, int | float) and total >= 0 else None


def pages(
    operation: str, page: Callable[[int, int], Sequence[T]], key: Callable[[T], str], page_size: int = PAGE_SIZE
) -> Iterator[T]:
    """All items of a list, each once, though the list may change while it is read.

    A server may give fewer items than were asked for without being at the end, so a short page ends the list only when
    it is shorter than any page that a server would give.

    page: gives the items from an offset on, at most so many.
    key: an item's id.
    Raises what ``page`` raises, and UnexpectedAnswer when the server does not heed the offset.
    """
    if page_size < 1:
        raise ValueError(f"page_size is {page_size}, it must be at least 1")
    seen: set[str] = set()
    before: list[str] = []
    offset = 0
    while True:
        items = page(offset, page_size)
        keys = [key(item) for item in items]
        if not items or (keys == before and len(items) != page_size):
            return
        if keys == before:
            raise UnexpectedAnswer(operation, f"the page at offset {offset} is the same as the one before it")
        for item, item_key in zip(items, keys, strict=True):
            if item_key not in seen:
                seen.add(item_key)
                yield item
        if len(items) < min(page_size, DEFAULT_LIMIT):
            return
        # A list that is grouped by container may give so many of each: then the offset counts in each as well.
        offset += min(len(items), page_size)
        before = keys
