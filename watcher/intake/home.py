"""Is a file that is not where it was deleted, or is only its disk away?

An unmounted disk leaves an empty folder, a replaced folder lacks everything that the one before it held: neither means
that somebody deleted these files. So an absence is believed only in the drop folder, and on the device, in which the
file was seen. That folder may be empty for real: then its files are deleted, be it the last one.

Where the folder or the device is another one, the absence stays in doubt, and is said, until a file that was seen with
it is found there unchanged (the disk merely has a new number), or the user lets the ledger forget it.
"""

import os

from watcher.ledger import IntakeLedger, Known, SeenIn
from watcher.model import Signature


class Home:
    """The folder of one drop, and the devices on which its files lie."""

    def __init__(self, drop: str, ledger: IntakeLedger) -> None:
        self._drop = drop
        self._ledger = ledger
        self._here = (0, 0)
        self._renamed: dict[SeenIn, SeenIn] = {}

    @property
    def here(self) -> tuple[int, int]:
        """``st_dev`` and ``st_ino`` of the drop folder as it was last looked at."""
        return self._here

    def arrive(self) -> None:
        """Look at which folder the drop is now. Raises OSError when it cannot be reached."""
        status = os.stat(self._drop)
        self._here = status.st_dev, status.st_ino

    def place(self, device: int) -> SeenIn:
        """Where a file is seen whose folder lies on this device."""
        return device, self._here[1]

    def is_deleted(self, known: Known, device: int) -> bool:
        """Whether a file is deleted that is not there.

        Args:
            device: ``st_dev`` of its folder now, or of the nearest folder above that is there.
        """
        return known.seen_in in (None, self.place(device))

    def found(self, known: Known, signature: Signature, device: int) -> None:
        """A known file is there. Is it the one that was seen elsewhere?"""
        place = self.place(device)
        if known.seen_in is None or known.seen_in == place:
            return
        if (known.signature.size, known.signature.mtime_ns) == (signature.size, signature.mtime_ns):
            self._renamed[known.seen_in] = place

    def confirm(self) -> bool:
        """After a full scan: were files recognised that had been seen elsewhere? Then the others with them are, too."""
        if not self._renamed:
            return False
        self._ledger.moved_in(self._drop, self._renamed)
        self._renamed = {}
        return True


def device_at(path: str) -> int:
    """``st_dev`` of this folder, or of the nearest above it that is there."""
    while True:
        try:
            return os.stat(path).st_dev
        except (FileNotFoundError, NotADirectoryError):
            path = os.path.dirname(path)
