"""On what kind of file system a folder lies, and whether the kernel tells of all changes there."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MOUNTINFO = "/proc/self/mountinfo"

NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs2", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4"}
    | {"ocfs2", "orangefs", "prl_fs", "smb3", "smbfs", "vboxsf", "virtiofs"}
    | {"fuse.cephfs", "fuse.davfs2", "fuse.gcsfuse", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"}
    | {"fuse.vmhgfs-fuse"}
)
"""File systems that others change too, of which the local kernel hears nothing."""


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted file system."""

    point: str
    kind: str
    """Its type, such as ``ext4``."""
    device: int | None = None
    """``st_dev`` of what lies on it; None when the table does not say."""

    @property
    def is_network(self) -> bool:
        return self.kind in NETWORK

    @property
    def is_silent(self) -> bool:
        """Whether files can change there without an event: by other machines, or by a program behind FUSE.

        ``fuseblk`` is a disk that only the local FUSE program writes: what comes through the mount is told.
        """
        return self.is_network or self.kind == "fuse" or self.kind.startswith("fuse.")


def read_mounts(table: str | None = None) -> list[Mount]:
    """All mounts, in the order they were made; none where the kernel has no such table."""
    try:
        with open(table or MOUNTINFO, encoding="utf-8", errors="surrogateescape") as lines:
            return list(_parse(lines))
    except OSError:
        return []


def silent_devices(mounts: Sequence[Mount]) -> dict[int, str]:
    """The kind of file system by ``st_dev``, of those on which files change without an event."""
    return {mount.device: mount.kind for mount in mounts if mount.is_silent and mount.device is not None}


def _parse(lines: Iterator[str]) -> Iterator[Mount]:
    # proc(5): id, parent, device, root, mount point, options, any number of optional fields, "-", type, source, ...
    for line in lines:
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if separator and len(fields) > 4:
            yield Mount(_unescaped(fields[4]), after.split(" ")[0], _device(fields[2]))


def _device(text: str) -> int | None:
    major, _, minor = text.partition(":")
    return os.makedev(int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def mount_of(path: str, mounts: Sequence[Mount]) -> Mount | None:
    """The mount that ``path`` (a real path) lies on: the deepest that holds it, and of those the last made."""
    holding = [mount for mount in mounts if _holds(mount.point, path)]
    return max(holding, key=lambda mount: (len(mount.point), mounts.index(mount)), default=None)


def mounts_below(path: str, mounts: Sequence[Mount]) -> list[Mount]:
    """The mounts on folders below ``path``."""
    return [mount for mount in mounts if mount.point != path and _holds(path, mount.point)]


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
