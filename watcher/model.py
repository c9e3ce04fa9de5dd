"""The words of this house: drops, file states, roles, upload sets. Plain values, no I/O.

Paths are absolute ``str`` with surrogate escapes, as :mod:`os` gives them, so that every name Linux allows survives.
"""

from dataclasses import dataclass
from enum import StrEnum


class FileState(StrEnum):
    """Where a dropped file stands. The first four are on their way, the others are at rest."""

    PENDING = "pending"
    WAITING = "waiting"
    UPLOADING = "uploading"
    CONVERTING = "converting"
    DONE = "done"
    DUPLICATE = "duplicate"
    FAILED = "failed"
    GONE = "gone"
    """Deleted locally."""
    SKIPPED = "skipped"
    """Passed over by the drop's rules; seen in dry runs only, never in the ledger."""


AT_REST = frozenset({FileState.DONE, FileState.DUPLICATE, FileState.FAILED, FileState.GONE})


class Role(StrEnum):
    """Whether a file is uploaded for itself or travels with a model that names it."""

    MAIN = "main"
    COMPANION = "companion"


class OnChange(StrEnum):
    """What a changed file does with what it made before on the server."""

    NEW = "new"
    """The new version is uploaded; the older source file and its assets stay."""
    REPLACE = "replace"
    """Once the new version is done, the older source file and its assets are removed."""


class OnDelete(StrEnum):
    """What a local deletion does on the server."""

    KEEP = "keep"
    DELETE = "delete"
    """The source file and its assets are removed."""


class OnMove(StrEnum):
    """What a local rename or move does on the server."""

    KEEP = "keep"
    FOLLOW = "follow"
    """The source file is renamed, and moved with its assets into the remote folder of its new place."""


class Textures(StrEnum):
    """Which images of a drop become assets of their own. Each travels with every model that names it anyway."""

    ALL = "all"
    """All of them, also those that models name."""
    LOOSE_ONLY = "loose-only"
    """Those that no model names."""
    COMPANIONS_ONLY = "companions-only"
    """None: an image that no model names is passed over."""


class WatchMode(StrEnum):
    """How changes in a drop come to be known, besides by the scans of all drops."""

    AUTO = "auto"
    """By inotify where it tells of all changes, else by polling."""
    INOTIFY = "inotify"
    """By inotify, also on network file systems; polled is what cannot be watched."""
    POLL = "poll"
    """By polling alone."""


@dataclass(frozen=True, slots=True)
class Drop:
    """A watched local folder and the remote folder that its files go to."""

    path: str
    """Real path (no symbolic links) of the folder."""
    folder: str
    """Remote folder: an id, or a path such as ``Cars/Incoming`` that is created when missing."""
    recursive: bool = True
    mirror: bool = False
    """Whether local sub-folders become remote sub-folders."""
    include: tuple[str, ...] = ()
    """Patterns in gitignore syntax; when given, only matching files are taken."""
    ignore: tuple[str, ...] = ()
    """Patterns in gitignore syntax of files that are passed over."""
    settle_seconds: float = 2.0
    """How long a file must stay unchanged before it counts as complete."""
    companion_wait_seconds: float = 10.0
    """How long a model waits for files it names, and a loose texture for a model that names it."""
    writer_wait_seconds: float = 300.0
    """How long an unchanged file that a program still holds open for writing is waited for."""
    textures: Textures = Textures.LOOSE_ONLY
    on_change: OnChange = OnChange.NEW
    on_delete: OnDelete = OnDelete.KEEP
    on_move: OnMove = OnMove.KEEP
    delete_wait_seconds: float = 10.0
    """How long a file must stay away before its deletion counts: programs save by deleting and writing anew."""
    watch: WatchMode = WatchMode.AUTO
    poll_interval: float = 10.0
    """Seconds between two looks at what is polled."""
    follow_symlinks: bool = False
    """Whether symbolic links to files and folders outside the drop are followed."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What tells a changed file from an unchanged one, as ``lstat`` gives it."""

    dev: int
    ino: int
    size: int
    """Bytes."""
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class Asset:
    """An asset that the server confirmed."""

    asset_id: str
    type: str
    name: str


@dataclass(frozen=True, slots=True)
class Sending:
    """How far an upload that is under way has come."""

    sent: int
    """Bytes of the file, or of the model and its companions."""
    total: int
    seconds: float
    """Since its first byte."""
    still: float
    """Seconds since its last byte so far."""


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file as it is, or would be, on the server."""

    name: str
    """The name it travels under, relative to the main file's folder."""
    digest: str
    size: int
    """Bytes."""
    beginnings: bytes = b""
    """Of its digest, see there; empty when they are not known."""
