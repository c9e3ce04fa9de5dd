"""The layers of a USD stage, opened one by one and bound to the files of the job.

OpenUSD opens what layers name by path, whatever the path. So each layer is opened by itself, which follows nothing, and
every asset path in it is replaced before anything is composed: by the path of the file that it means among those of the
job, or, when there is none, by nothing. A package (usdz) is unpacked as if it were a folder that bears its name.
"""

import itertools
import os
import re
import zipfile
from pathlib import Path

# Threads each reserve memory; one is enough for a stage.
os.environ.setdefault("PXR_WORK_THREAD_LIMIT", "1")

from pxr import Sdf, Tf, UsdUtils

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.readers.text import describe_content
from watcher.emulator.convert.readers.usd_size import require_composable
from watcher.emulator.convert.sources import SourceFiles
from watcher.formats import Kind, extension_of, kind_of

_LAYERS = ("usd", "usda", "usdc")
_MOST_PARTS = 10_000
_LARGEST_PACKAGE = 1 << 30
"""Bytes of all that is unpacked."""
_MOST_LAYERS = 2_000
_IN_PACKAGE = re.compile(r"(.*)\[(.*)\]", re.DOTALL)
_ARGUMENTS = re.compile(r":SDF_FORMAT_ARGS:.*", re.DOTALL)


class Layers:
    """A root layer that is ready to be composed, and what the asset paths in its layers mean."""

    def __init__(self, conversion: Conversion) -> None:
        """Raises ConversionFailed when the root layer is damaged."""
        self._conversion = conversion
        self._folder = conversion.out_dir / "stage"
        """Takes links to layers and what is unpacked, all under names of ours."""
        self._folder.mkdir()
        self._roots: dict[str, str] = {}
        """The first layer of each package, by the package's name."""
        self._unpacked = 0
        self._files = self._gather()
        self._numbers = itertools.count()
        self._layers: dict[str, Sdf.Layer] = {}
        """The opened ones, by name; a layer that nobody holds is opened anew, from the disk."""
        self._by_path: dict[str, str] = {}
        """Names of the files that are no layers, by the asset paths that stand for them now."""
        self.missing: list[str] = []
        """Asset paths that mean no file of the job."""
        main = conversion.main_name
        root = self._roots.get(main, main)
        self.root = self._open(root)
        waiting = [root]
        while waiting:
            waiting += self._bind(waiting.pop())
        require_composable(self.root, {str(layer.realPath): layer for layer in self._layers.values()})

    def name_of(self, asset_path: str) -> str | None:
        """The name of the file that a replaced asset path means."""
        return self._by_path.get(asset_path)

    def file(self, name: str) -> Path:
        return self._files.path(name)

    def _gather(self) -> SourceFiles:
        """The files of the job, and the parts of the packages among them."""
        files = {name: self._conversion.files.path(name) for name in self._conversion.files.names()}
        main = self._conversion.main_name
        for package in [name for name in files if extension_of(name) == "usdz"]:
            try:
                files |= self._unpack(package, files[package])
            except ConversionFailed as failure:
                if package == main:
                    raise
                self._conversion.warn(failure.reason)
        return SourceFiles(files, main)

    def _unpack(self, package: str, path: Path) -> dict[str, Path]:
        parts: dict[str, Path] = {}
        try:
            with zipfile.ZipFile(path) as archive:
                infos = [info for info in archive.infolist() if not info.is_dir()]
                if len(infos) > _MOST_PARTS:
                    raise ConversionFailed(
                        f"the package {package} has {len(infos)} parts; up to {_MOST_PARTS} are taken"
                    )
                self._unpacked += sum(info.file_size for info in infos)
                if self._unpacked > _LARGEST_PACKAGE:
                    raise ConversionFailed(f"{package} unpacks to more than {_LARGEST_PACKAGE >> 20} MiB")
                for info in infos:
                    target = self._folder / f"part-{len(parts)}-{len(self._roots)}"
                    with archive.open(info) as source, target.open("wb") as copy:
                        # No more than it says: beyond that, zipfile raises by itself.
                        while block := source.read(1 << 20):
                            copy.write(block)
                    parts[f"{package}/{info.filename}"] = target
        except (ConversionFailed, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - a damaged archive makes zipfile raise all kinds of errors
            why = f": {error}" if isinstance(error, zipfile.BadZipFile) else ""
            raise ConversionFailed(f"{package} is not a USD package, or it is damaged{why}") from None
        root = next((name for name in parts if extension_of(name) in _LAYERS), None)
        if root is None:
            raise ConversionFailed(f"the package {package} holds no USD layer")
        self._roots[package] = root
        return parts

    def _open(self, name: str) -> Sdf.Layer:
        """Open a layer without following what it names. Raises ConversionFailed."""
        with self._files.path(name).open("rb") as file:
            head = file.read(16)
        is_binary = head.startswith(b"PXR-USDC")
        if not is_binary and not head.startswith(b"#usda"):
            content = describe_content(head)
            raise ConversionFailed(f"{name} is not a USD layer" + (f" but {content}" if content else ""))
        link = self._folder / f"{next(self._numbers)}.{'usdc' if is_binary else 'usda'}"
        link.symlink_to(self._files.path(name))
        try:
            layer = Sdf.Layer.FindOrOpen(str(link))
        except Tf.ErrorException as error:
            raise ConversionFailed(f"the USD layer {name} is damaged: {fault(error)}") from None
        if layer is None:
            raise ConversionFailed(f"the USD layer {name} is damaged")
        layer.SetPermissionToEdit(True)
        self._layers[name] = layer
        if len(self._layers) > _MOST_LAYERS:
            raise ConversionFailed(f"the stage has more than {_MOST_LAYERS} layers")
        return layer

    def _bind(self, name: str) -> list[str]:
        """Replace the asset paths of a layer; returns the layers that were opened for it."""
        layer = self._layers[name]
        opened: list[str] = []

        def meant(asset_path: str) -> str:
            found = self._resolve(asset_path, name)
            if found is None:
                self._miss(asset_path)
                return ""
            if extension_of(found) not in _LAYERS:
                path = str(self._folder / f"file-{len(self._by_path)}")
                self._by_path[path] = found
                return path
            if found not in self._layers:
                try:
                    self._open(found)
                except ConversionFailed as failure:
                    self._conversion.warn(f"{failure.reason}; it is left out")
                    return ""
                opened.append(found)
            return str(self._layers[found].realPath)

        UsdUtils.ModifyAssetPaths(layer, meant)
        return opened

    def _resolve(self, asset_path: str, written_in: str) -> str | None:
        path = _ARGUMENTS.sub("", asset_path)
        if (inner := _IN_PACKAGE.fullmatch(path)) is not None:
            path = f"{inner[1]}/{inner[2]}"
        # Of a texture in tiles, the first is taken.
        found = self._files.resolve(path.replace("<UDIM>", "1001"), written_in)
        return None if found is None else self._roots.get(found, found)

    def _miss(self, asset_path: str) -> None:
        if asset_path not in self.missing:
            self.missing.append(asset_path)
            kinds = {Kind.TEXTURE: "texture", Kind.CUBEMAP: "texture", Kind.MESH: "layer"}
            what = kinds.get(kind_of(asset_path) or Kind.COMPANION, "file")
            self._conversion.warn(f"the {what} {asset_path!r} is not among the uploaded files")


def fault(error: Exception) -> str:
    """What a person makes of OpenUSD's words: the place in a text layer, or what it says itself."""
    words = str(error)
    if (place := re.search(r":(\d+):\d+: (.{1,60}?)( matching | at '| in <|'?\Z)", words)) is not None:
        return f"line {place[1]}: {place[2]}"
    said = re.search(r" : '(.*)'\s*\Z", words, re.DOTALL)
    first = (said[1] if said is not None else words).strip().split("\n")[0]
    return re.sub(r" ?[<@]?/\S*/stage/\S*", "", first)[:200]  # where it lies here means nothing elsewhere
