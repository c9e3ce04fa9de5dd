"""A file system for tests: shows a folder, read-only, as a network mount of its own would. Run as root:

    python tests/fuse_disk.py FOLDER MOUNT_POINT

It is stopped with SIGSTOP to have a disk that does not answer, and stops itself when a file is read whose name begins
with ``stop-here``. When it is killed, the mount stays behind, as a dead one. Speaks the protocol of ``linux/fuse.h``.
"""

import ctypes
import errno
import os
import signal
import stat
import struct
import sys
from collections.abc import Callable

_LOOKUP, _GETATTR, _OPEN, _READ, _STATFS, _RELEASE = 1, 3, 14, 15, 17, 18
_FLUSH, _INIT, _OPENDIR, _READDIR, _RELEASEDIR, _ACCESS = 25, 26, 27, 28, 29, 34
_UNANSWERED = (2, 36, 42)
"""FORGET, INTERRUPT and BATCH_FORGET."""
_DIRECT = 1


class Disk:
    """The answers; a node is a path, numbered from 1 (the root)."""

    def __init__(self, folder: str) -> None:
        self._paths = [folder]
        self._numbers = {folder: 1}
        self._handlers: dict[int, Callable[[str, bytes], bytes]] = {
            _LOOKUP: self._lookup,
            _GETATTR: lambda path, _: struct.pack("<QII", 0, 0, 0) + self._attributes(path),
            _OPEN: lambda _path, _: struct.pack("<QII", 0, _DIRECT, 0),
            _READ: self._read,
            _STATFS: lambda _path, _: struct.pack("<5Q4I24x", 1000, 500, 500, 1000, 500, 4096, 255, 4096, 0),
            _RELEASE: lambda _path, _: b"",
            _FLUSH: lambda _path, _: b"",
            _INIT: lambda _path, _: struct.pack("<IIIIHHIIHHI28x", 7, 31, 65536, 0, 8, 8, 65536, 1, 0, 0, 0),
            _OPENDIR: lambda _path, _: struct.pack("<QII", 0, 0, 0),
            _READDIR: self._list,
            _RELEASEDIR: lambda _path, _: b"",
            _ACCESS: lambda _path, _: b"",
        }

    def answer(self, opcode: int, node: int, body: bytes) -> tuple[int, bytes]:
        """An error number and what follows it."""
        handler = self._handlers.get(opcode)
        if handler is None:
            return errno.ENOSYS, b""
        try:
            return 0, handler(self._paths[max(node, 1) - 1], body)
        except OSError as error:
            return error.errno or errno.EIO, b""

    def _lookup(self, folder: str, body: bytes) -> bytes:
        path = os.path.join(folder, os.fsdecode(body.rstrip(b"\0")))
        attributes = self._attributes(path)
        if path not in self._numbers:
            self._paths.append(path)
            self._numbers[path] = len(self._paths)
        return struct.pack("<QQQQII", self._numbers[path], 0, 0, 0, 0, 0) + attributes

    def _attributes(self, path: str) -> bytes:
        of = os.lstat(path)
        times = (of.st_atime_ns, of.st_mtime_ns, of.st_ctime_ns)
        return struct.pack(
            "<6Q10I",
            of.st_ino,
            of.st_size,
            of.st_blocks,
            *(time // 10**9 for time in times),
            *(time % 10**9 for time in times),
            *(of.st_mode, of.st_nlink, of.st_uid, of.st_gid, 0, 4096, 0),
        )

    def _read(self, path: str, body: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        if os.path.basename(path).startswith("stop-here"):
            os.kill(os.getpid(), signal.SIGSTOP)
        with open(path, "rb") as file:
            return os.pread(file.fileno(), size, offset)

    def _list(self, path: str, body: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        listed = b""
        names = [b".", b"..", *sorted(os.listdir(os.fsencode(path)))]
        for number, name in enumerate(names[offset:], offset + 1):
            of = os.lstat(os.path.join(os.fsencode(path), name))
            entry = struct.pack("<QQII", of.st_ino, number, len(name), stat.S_IFMT(of.st_mode) >> 12) + name
            entry += b"\0" * (-len(entry) % 8)
            if len(listed) + len(entry) > size:
                break
            listed += entry
        return listed


def main(folder: str, mount_point: str) -> None:
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other,subtype=sshfs".encode()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"far:away", os.fsencode(mount_point), b"fuse", 0, options) != 0:
        sys.exit(f"cannot mount: {os.strerror(ctypes.get_errno())}")
    disk = Disk(folder)
    while True:
        try:
            request = os.read(device, 1024 * 1024)
        except OSError as error:
            if error.errno in (errno.ENODEV, errno.EBADF):  # it was unmounted
                return
            if error.errno in (errno.ENOENT, errno.EINTR):
                continue
            raise
        _, opcode, unique, node = struct.unpack_from("<IIQQ", request)
        if opcode in _UNANSWERED:
            continue
        code, body = disk.answer(opcode, node, request[40:])
        try:
            os.write(device, struct.pack("<IiQ", 16 + len(body), -code, unique) + body)
        except FileNotFoundError:  # whoever asked has gone
            continue


if __name__ == "__main__":
    main(*sys.argv[1:])
