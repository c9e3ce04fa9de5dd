"""An Asset API server of our own, for offline use and for tests. It knows nothing of the daemon.

Importing this package needs none of the packages of the extra ``emulator``; starting an emulator does.
"""

from watcher.emulator.server import DataInUse, Emulator, MissingExtra, running_at
from watcher.emulator.store import StoreError

__all__ = ["DataInUse", "Emulator", "MissingExtra", "StoreError", "running_at"]
