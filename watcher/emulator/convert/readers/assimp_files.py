"""The files of a job as the Open Asset Import Library opens them: those of the job, under any name that means one of
them, and nothing else. The library never gets a path of this machine."""

import ctypes
import itertools
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.readers.assimp_library import (
    CloseFunction,
    File,
    FileSystem,
    FlushFunction,
    OpenFunction,
    ReadFunction,
    SeekFunction,
    SizeFunction,
    text_of,
)
from watcher.formats import extension_of

_LONGEST_STEM = 200
_MOST_OPEN = 24
"""Files at once."""
_LOADERS = frozenset(("irr", "lws", "x3d"))
"""Formats that load other models, themselves among them."""
_MOST_OPENINGS = 40
"""Of one file of these; the library opens one a few times until it knows what it is."""
_SUCCESS, _FAILURE = 0, -1


@dataclass(slots=True)
class _OpenFile:
    interface: Any
    descriptor: int
    size: int
    position: int = 0


class JobFiles:
    """``interface`` goes to the library; ``missing`` then holds what it asked for in vain. Close it afterwards."""

    folder = "/model/"
    """Where the library believes to find the model."""

    def __init__(self, conversion: Conversion, main: Path, extension: str) -> None:
        """``main``: the blob that is the model, which the library is to take for a file with that extension."""
        self._conversion = conversion
        self._main = main
        # The library looks for companions of that name, too; what is no text never has any.
        stem = conversion.title.encode(errors="replace").decode().replace("\0", "")[:_LONGEST_STEM]
        self.main_name = f"{self.folder}{stem}.{extension}"
        self.missing: list[str] = []
        self._numbers = itertools.count(1)
        self._open_files: dict[int, _OpenFile] = {}
        self._openings: Counter[Path] = Counter()
        # The library keeps pointers to these functions: they must live as long as this object.
        self._functions = (
            ReadFunction(self._read),
            ReadFunction(self._write),
            SizeFunction(self._tell),
            SizeFunction(self._size),
            SeekFunction(self._seek),
            FlushFunction(self._flush),
        )
        self.interface = FileSystem(OpenFunction(self._open), CloseFunction(self._close), None)

    def close(self) -> None:
        for file in self._open_files.values():
            os.close(file.descriptor)
        self._open_files.clear()

    def _open(self, _system: Any, name: bytes, mode: bytes) -> int | None:
        number = next(self._numbers)
        path = self._path(text_of(name))
        if path is None or not mode.startswith(b"r") or len(self._open_files) >= _MOST_OPEN:
            return None
        self._openings[path] += 1
        if extension_of(name.decode(errors="replace")) in _LOADERS and self._openings[path] > _MOST_OPENINGS:
            return None
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        file = _OpenFile(File(*self._functions, number), descriptor, os.fstat(descriptor).st_size)
        self._open_files[number] = file
        return ctypes.addressof(file.interface)

    def _path(self, name: str) -> Path | None:
        if name == self.main_name:
            return self._main
        reference = name.removeprefix(self.folder)
        found = self._conversion.files.resolve(reference, self._conversion.main_name)
        if found is None:
            # The library tries several folders; one line for each file is enough.
            if base_name(reference) not in map(base_name, self.missing):
                self.missing.append(reference)
            return None
        return self._conversion.files.path(found)

    def _close(self, _system: Any, interface: Any) -> None:
        os.close(self._open_files.pop(interface.contents.user_data).descriptor)

    def _file(self, interface: Any) -> _OpenFile:
        return self._open_files[interface.contents.user_data]

    def _read(self, interface: Any, target: int | None, size: int, count: int) -> int:
        file = self._file(interface)
        # Whole elements only, as fread does it.
        wanted = min(count, max(0, file.size - file.position) // size) * size if size else 0
        if not wanted or target is None:
            return 0
        memory = memoryview((ctypes.c_char * wanted).from_address(target)).cast("B")
        done = 0
        while done < wanted and (got := os.preadv(file.descriptor, [memory[done:]], file.position + done)):
            done += got
        file.position += done
        return done // size

    def _write(self, _interface: Any, _source: int | None, _size: int, _count: int) -> int:
        return 0

    def _tell(self, interface: Any) -> int:
        return self._file(interface).position

    def _size(self, interface: Any) -> int:
        return self._file(interface).size

    def _seek(self, interface: Any, offset: int, origin: int) -> int:
        file = self._file(interface)
        if origin == os.SEEK_SET:
            position = offset
        else:
            # An unsigned number of the library that means one below zero.
            signed = ctypes.c_ssize_t(offset).value
            position = signed + (file.position if origin == os.SEEK_CUR else file.size)
        if not 0 <= position <= file.size:
            return _FAILURE
        file.position = position
        return _SUCCESS

    def _flush(self, _interface: Any) -> None:
        pass


def base_name(reference: str) -> str:
    """The file's name in a reference that may be a path of any system."""
    return reference.replace("\\", "/").rsplit("/", 1)[-1]
