"""3dverse-watcher: a file dropped into a folder becomes an asset id, exactly once."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("3dverse-watcher")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"
