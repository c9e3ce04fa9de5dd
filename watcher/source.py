"""Reading what is uploaded: each file is opened once, and what leaves is proven to be what was hashed."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from watcher.digest import FileDigest, HashingStopped, hash_file
from watcher.intake.scan import signature_of
from watcher.ledger import JobMember

PATIENT_ERRORS = (errno.EMFILE, errno.ENFILE, errno.EIO, errno.ESTALE, errno.ENOMEM)
"""Faults of reading that may pass."""
CHUNK = 512 * 1024
"""Bytes read at once while sending."""


class Changed(Exception):
    """A file is not what was planned any more; it is settled and planned anew."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class Stopped(Exception):
    """The program is to stop."""


class Unreadable(Exception):
    """A file cannot be read, and waiting does not help."""

    def __init__(self, path: str, reason: str | None) -> None:
        super().__init__(f"{path} cannot be read: {reason}")
        self.path = path


class SourceFile:
    """One file of an upload set, open for hashing and sending."""

    def __init__(self, member: JobMember, stop: Callable[[], bool], cut: Callable[[], bool] | None = None) -> None:
        """Open it.

        Args:
            stop: whether hashing is to end.
            cut: whether sending is to end; without, ``stop`` says it.

        Raises:
            Changed: it is not the version that was planned, or gone.
            Unreadable: permission denied.
            OSError: it cannot be read now.
        """
        self.member = member
        self._stop = stop
        self._cut = cut or stop
        flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
        try:
            # A FIFO or a device in its place is not to be opened; and one that comes this moment does not hold us.
            if not self._planned(os.stat(member.path)):
                raise Changed(member.path)
            self._descriptor = os.open(member.path, flags | getattr(os, "O_BINARY", 0))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise Changed(member.path) from error
        except PermissionError as error:
            raise Unreadable(member.path, error.strerror) from error
        self.digest: str | None = None
        self.beginnings = b""
        """Of the content, see :class:`watcher.digest.FileDigest`; known with the digest."""
        try:
            status = os.fstat(self._descriptor)
            if not stat.S_ISREG(status.st_mode) or not self._planned(status):
                raise Changed(member.path)
        except BaseException:
            self.close()
            raise

    def _planned(self, status: os.stat_result) -> bool:
        return signature_of(status) == self.member.signature

    def close(self) -> None:
        with suppress(OSError):
            os.close(self._descriptor)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Lets an error of reading say in which file."""
        try:
            yield
        except OSError as error:
            error.filename = self.member.path
            raise

    def hash(self) -> str:
        """The digest of the whole content.

        Raises:
            Changed: the file changed meanwhile.
            OSError: it cannot be read to its end.
            Stopped: the program is to stop.
        """
        if self.digest is None:
            try:
                with self._named():
                    found = hash_file(self._descriptor, stop=self._stop)
            except HashingStopped as error:
                raise Stopped from error
            self.check()
            self.digest, self.beginnings = found.text, found.beginnings
        return self.digest

    def check(self) -> None:
        """Raises Changed unless the open file, and the one at its path, are the planned version."""
        try:
            same = self._planned(os.fstat(self._descriptor)) and self._planned(os.stat(self.member.path))
        except OSError:
            same = False
        if not same:
            raise Changed(self.member.path)

    def chunks(self) -> Iterator[bytes]:
        """The content, hashed again as it leaves. The last bytes are held back until the digest is proven.

        Raises:
            Changed: what was read is not what was hashed: the upload is broken off before it is complete.
            Stopped: the program is to stop.
        """
        digest = FileDigest(beginnings=False)
        offset, size = 0, self.member.signature.size
        while offset < size:
            if self._cut():
                raise Stopped
            with self._named():
                chunk = os.pread(self._descriptor, min(CHUNK, size - offset), offset)
            if not chunk:
                raise Changed(self.member.path)
            digest.update(chunk)
            offset += len(chunk)
            if offset == size and digest.text != self.digest:
                raise Changed(self.member.path)
            yield chunk


class SourceFiles:
    """The open files of one upload set."""

    def __init__(
        self, members: tuple[JobMember, ...], stop: Callable[[], bool], cut: Callable[[], bool] | None = None
    ) -> None:
        """Open all of them; raises like :class:`SourceFile`."""
        self.files: list[SourceFile] = []
        try:
            for member in members:
                self.files.append(SourceFile(member, stop, cut))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for file in self.files:
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
