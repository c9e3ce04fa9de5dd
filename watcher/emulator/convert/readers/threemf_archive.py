"""The ZIP archive of a 3MF file, read within limits."""

import io
import posixpath
import zipfile

from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.readers.text import describe_content
from watcher.emulator.convert.readers.xml import tree

_LARGEST_PART = 1 << 29
_MOST_PARTS = 10_000
_MODEL_RELATION = "http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"


class Archive:
    """Parts by name. Nothing is unpacked to disk; a part that swells beyond the limit is refused while it is read."""

    def __init__(self, data: bytes) -> None:
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
            names = self._zip.namelist()
        except Exception as error:  # noqa: BLE001 - a damaged archive makes zipfile raise all kinds of errors
            content = describe_content(data)
            found = f": it is {content}" if content is not None and not data.startswith(b"PK") else f": {error}"
            raise ConversionFailed(f"this is not a 3MF model, or it is damaged{found}") from None
        if len(names) > _MOST_PARTS:
            raise ConversionFailed(f"the 3MF archive has {len(names)} parts; up to {_MOST_PARTS} are taken")
        self._names = {_key(name): name for name in names}

    def read(self, name: str) -> bytes | None:
        """The content of a part, None when there is no such part. Raises ConversionFailed."""
        stored = self._names.get(_key(name))
        if stored is None:
            return None
        # No more than this is ever read: beyond it, zipfile raises by itself.
        if self._zip.getinfo(stored).file_size > _LARGEST_PART:
            raise ConversionFailed(
                f"the part {stored} of the 3MF archive unpacks to more than {_LARGEST_PART >> 20} MiB"
            )
        try:
            content = self._zip.read(stored)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            raise ConversionFailed(f"the part {stored} of the 3MF archive is damaged: {error}") from None
        return content

    def main_part(self) -> str:
        """The name of the part that holds the model. Raises ConversionFailed."""
        relations = self.read("_rels/.rels")
        if relations is not None:
            for element in tree(relations, "a 3MF model").iter("Relationship"):
                if element.get("Type") == _MODEL_RELATION:
                    return element.get("Target", "")
        if "3d/3dmodel.model" in self._names:
            return "3D/3dmodel.model"
        raise ConversionFailed("this is not a 3MF model: the archive has no 3D model part")


def _key(name: str) -> str:
    return posixpath.normpath(name.replace("\\", "/")).lstrip("/").lower()
