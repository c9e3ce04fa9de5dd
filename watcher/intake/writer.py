"""Does a program hold a file open for writing, right now?

Linux grants a read lease on a file only while nobody has it open for writing: asking for one, and giving it back
at once, is the cheapest sure answer (some microseconds). Source: fcntl(2), "Leases". Where the kernel cannot tell,
we do not guess.
"""

import ctypes
import errno
import os
import signal
import stat
import sys
import threading

if sys.platform == "linux":
    import fcntl

# Writers on other machines are unknown to our kernel on these; some refuse every lease, as if there was a writer.
# Values of f_type: statfs(2) and linux/magic.h.
_SHARED_FILE_SYSTEMS = frozenset(
    {
        0x6969,  # NFS
        0x517B,  # SMB
        0xFF534D42,  # CIFS
        0xFE534D42,  # SMB 2
        0x65735546,  # FUSE: sshfs, s3fs, GlusterFS, ...
        0x01021997,  # 9P
        0x00C36400,  # Ceph
        0x5346414F,  # AFS
        0x6B414653,  # kAFS
        0x73757245,  # Coda
        0x7461636F,  # OCFS2
        0x01161970,  # GFS2
        0x0BD00BD0,  # Lustre
        0x47504653,  # GPFS
        0x786F4256,  # VirtualBox shared folders
        0xBACBACBC,  # VMware shared folders
    }
)


def ignore_lease_signals() -> None:
    """Lets SIGIO pass without effect in this process. Call it in the main thread, once, at start.

    A program that opens the file in the microseconds in which the lease exists makes the kernel send a signal to us.
    :func:`has_writer` asks for SIGURG, which does nothing by itself, in place of SIGIO, which would end the process;
    this is the second fence. Does nothing where there is no SIGIO.
    """
    if sys.platform == "linux" and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGIO, signal.SIG_IGN)


def has_writer(path: str) -> bool | None:
    """Whether any process has the file at `path` open for writing; it does not wait, and leaves no lease behind.

    None where it cannot be told: not on Linux, another user's file (without CAP_LEASE), a network or FUSE file system,
    no regular file (a symbolic link is none), or no such file. False means "no writer now", not "finished".
    A program that starts to write in the same moment may see its open delayed by some microseconds, or fail with
    EWOULDBLOCK if it opens without blocking.
    """
    if sys.platform != "linux":
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode) or _file_system(descriptor) in _SHARED_FILE_SYSTEMS:
            return None
        return _ask(descriptor)
    except OSError:
        return None
    finally:
        os.close(descriptor)  # would end a lease too


if sys.platform == "linux":
    _libc = ctypes.CDLL(None, use_errno=True)

    def _ask(descriptor: int) -> bool | None:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            return True if error.errno == errno.EAGAIN else None
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return False

    def _file_system(descriptor: int) -> int:
        """The type of the file system that the open file is on, as statfs(2) numbers them."""
        answer = ctypes.create_string_buffer(512)  # struct statfs is smaller and begins with f_type
        if _libc.fstatfs(descriptor, answer) != 0:
            raise OSError(ctypes.get_errno(), "fstatfs failed")
        return int.from_bytes(answer.raw[:4], sys.byteorder)
