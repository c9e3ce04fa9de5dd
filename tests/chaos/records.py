"""What was on disk, and when: the truth that the judge compares with."""

import os
import stat
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field

from blake3 import blake3

MOST_REMEMBERED = 60
"""Events of one path."""


def digest_of(content: bytes) -> str:
    """As the ledger writes it."""
    return f"blake3:{blake3(content).hexdigest()}"


@dataclass
class Records:
    """Contents that were on disk as complete files, and the story of each path."""

    complete: set[str] = field(default_factory=set)
    """Digests of all that ever was a whole file."""
    sound: set[str] = field(default_factory=set)
    """Digests of contents that were made well; no converter needs to understand the others."""
    places: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """The local folders in which a content lay, by digest."""
    story: defaultdict[str, deque[str]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=MOST_REMEMBERED))
    )

    def tell(self, path: str, event: str) -> None:
        """Add to a path's story."""
        moment = time.time()
        clock = time.strftime("%H:%M:%S", time.gmtime(moment))
        self.story[path].append(f"{clock}.{int(moment % 1 * 1000):03d} {event}")

    def made(self, content: bytes) -> bytes:
        """Remember a content that was made well."""
        self.sound.add(digest_of(content))
        return content

    def at_rest(self, path: str) -> None:
        """The file at this path is whole now (or is no file)."""
        content = read_regular(path)
        if content is None:
            return
        digest = digest_of(content)
        self.complete.add(digest)
        self.places[digest].add(os.path.dirname(path))


def read_regular(path: str) -> bytes | None:
    """The content of a regular file; None for everything else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with open(descriptor, "rb") as file:
        return file.read() if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
