"""Is a file that is not where it was deleted, or is only its disk away?

An unmounted disk leaves an empty folder, a replaced folder lacks everything that the one before it held: neither means
that somebody deleted these files. So an absence is believed only in the folder, and on the device, in which the file
was seen. The same folder may be empty for real: then its files are deleted, be it the last one.

Where the folder or the device is another one, the absence stays in doubt, and is said, until a known file is found
there unchanged (the disk merely has a new number), all are back, or the user lets the ledger forget them.
"""

import os

from watcher.ledger import IntakeLedger, Known
from watcher.ledger.intake import Home as Identity
from watcher.model import Signature


class Home:
    """The folder of one drop, and the devices on which its files lie."""

    def __init__(self, drop: str, ledger: IntakeLedger) -> None:
        self._drop = drop
        self._ledger = ledger
        self._known: Identity | None = None
        self._here: Identity | None = None
        self._renumbered: dict[int, int] = {}
        self._recognised = False

    @property
    def here(self) -> Identity | None:
        """The drop's folder as it was last seen."""
        return self._here

    @property
    def is_another(self) -> bool:
        """Whether the drop's folder is another one than that in which its files were seen."""
        return self._here != self._known

    def arrive(self) -> None:
        """Look at which folder the drop is now. Raises OSError when it cannot be reached."""
        status = os.stat(self._drop)
        self._here = status.st_dev, status.st_ino
        if self._here != self._known:
            self._known = self._ledger.home(self._drop)
        if self._here != self._known and (self._known is None or not self._ledger.directories(self._drop)):
            self._settle_in()

    def is_deleted(self, known: Known, device: int) -> bool:
        """Whether a file is deleted that is not there.

        Args:
            device: ``st_dev`` of its folder now, or of the nearest folder above that is there.
        """
        return not self.is_another and known.folder_device in (None, device)

    def found(self, known: Known, signature: Signature, device: int) -> None:
        """A known file is there; is it the one that it was?"""
        if (known.signature.size, known.signature.mtime_ns) != (signature.size, signature.mtime_ns):
            return
        self._recognised |= self.is_another
        if known.folder_device is not None and known.folder_device != device:
            self._renumbered[known.folder_device] = device

    def confirm(self) -> bool:
        """After a full scan: was a file recognised where there was doubt? From now on this is the files' home."""
        if not self._recognised and not self._renumbered:
            return False
        self._settle_in()
        return True

    def _settle_in(self) -> None:
        assert self._here is not None
        self._ledger.at_home(self._drop, self._here, self._renumbered)
        self._known, self._recognised, self._renumbered = self._here, False, {}


def device_at(path: str) -> int:
    """``st_dev`` of this folder, or of the nearest above it that is there."""
    while True:
        try:
            return os.stat(path).st_dev
        except (FileNotFoundError, NotADirectoryError):
            path = os.path.dirname(path)
