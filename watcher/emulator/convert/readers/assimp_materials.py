"""Materials and pictures of a scene of the Open Asset Import Library."""

import ctypes
import html
import math
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from watcher.emulator.convert import picture
from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.model import Image, Material, TextureSlot
from watcher.emulator.convert.readers import assimp_library as library
from watcher.emulator.convert.readers.assimp_files import base_name
from watcher.formats import extension_of

_TEXTURE_FILE = "$tex.file"
_UV_SET = "$tex.uvwsrc"
_MADE_UP = ("$texture", "Procedural,")
"""So begin the names of textures that are no files: the library writes them where a file names or needs none."""
_GUESSED_ENDS = ("_local.tga", "_s.tga", "_h.tga")
"""A shader of an MD5 model is looked for as a picture of its colours (_d.tga) and of these, which few models have."""
_STRING = 3
_NUMBERS = {1: "<f4", 2: "<f8", 4: "<i4"}
"""By aiPropertyTypeInfo."""
_SLOTS: dict[tuple[int, int], TextureSlot] = {
    (1, 0): TextureSlot.ALBEDO,  # diffuse
    (2, 0): TextureSlot.SPECULAR,
    (4, 0): TextureSlot.EMISSION,
    (5, 0): TextureSlot.NORMAL,  # height
    (6, 0): TextureSlot.NORMAL,
    (8, 0): TextureSlot.OPACITY,
    (10, 0): TextureSlot.OCCLUSION,  # light map
    (12, 0): TextureSlot.ALBEDO,  # base colour
    (13, 0): TextureSlot.NORMAL,  # normal camera
    (14, 0): TextureSlot.EMISSION,
    (15, 0): TextureSlot.METALLIC,
    (16, 0): TextureSlot.ROUGHNESS,
    (17, 0): TextureSlot.OCCLUSION,
    (20, 0): TextureSlot.CLEARCOAT,
    (20, 1): TextureSlot.CLEARCOAT_ROUGHNESS,
    (20, 2): TextureSlot.CLEARCOAT_NORMAL,
    (27, 0): TextureSlot.METALLIC_ROUGHNESS,
}
"""By aiTextureType and index; what is not here has no place in our materials."""
_MOST_TEXELS = 100_000_000
_PIECE = rb'"(?:[^"\\]|\\.){0,500}+"'
_OGEX_ESCAPE = re.compile(r'\\(?:(["\\])|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{6}))')


def _ogex_name(pieces: bytes) -> str:
    """OpenDDL writes a text in one piece or in several, with escapes."""
    text = library.text_of(b"".join(piece[1:-1] for piece in re.findall(_PIECE, pieces)))
    return _OGEX_ESCAPE.sub(_ogex_character, text)


def _ogex_character(escape: re.Match[str]) -> str:
    itself, *numbers = escape.groups()
    number = int(next(filter(None, numbers), "0"), 16)
    return itself or (chr(number) if number <= sys.maxunicode else "")


def _irr_name(value: bytes) -> str:
    return html.unescape(library.text_of(value))


_TEXTURES_IN_TEXT = {
    "irr": (re.compile(rb'<texture\b[^<>]{0,300}?\bvalue\s*+=\s*+"([^"]{1,500})"'), _irr_name),
    "ogex": (
        re.compile(
            rb'\bTexture\b[^{"]{0,60}+(?:"[^"]{0,60}+"[^{"]{0,60}+)?\{\s*+string\s*+\{\s*+'
            rb"(" + _PIECE + rb"(?:\s*+" + _PIECE + rb"){0,20}+)"
        ),
        _ogex_name,
    ),
}
"""How a texture stands in formats of which the library passes over some, and what its name is."""
_MOST_TEXT = 16 << 20
"""Bytes in which textures are looked for."""


class Materials:
    """``materials`` and ``images`` of a scene; ``uv_sets``: which of a mesh's sets a material's colours are laid out
    with."""

    def __init__(self, scene: library.Scene, conversion: Conversion) -> None:
        self._conversion = conversion
        self._guesses = extension_of(conversion.main_name).startswith("md5")
        self.images: list[Image] = []
        self._known: dict[str, int | None] = {}
        self.uv_sets: list[int] = []
        self._add_embedded(scene)
        sources = library.items(scene.materials, scene.material_count)
        self.materials = [self._material(source, at) for at, source in enumerate(sources)]

    def tell_passed_over(self, extension: str, main: Path) -> None:
        """Warn of the textures that the file ``main`` names and the library does not hand over."""
        if extension not in _TEXTURES_IN_TEXT:
            return
        pattern, name_of = _TEXTURES_IN_TEXT[extension]
        with main.open("rb") as file:
            named = dict.fromkeys(map(name_of, pattern.findall(file.read(_MOST_TEXT))))
        for name in named:
            if name and name not in self._known and self._image(name) is not None:
                self._conversion.warn(f"the texture {name!r} was left out: its material could not be read")

    def _material(self, source: library.Material, at: int) -> Material:
        values: dict[str, Any] = {}
        textures: list[tuple[int, int, str]] = []
        uv_set = 0
        for found in library.items(source.properties, source.count):
            value = _value(found)
            if str(found.key) == _TEXTURE_FILE:
                if isinstance(value, str) and value and not value.startswith(_MADE_UP):
                    textures.append((found.semantic, found.index, value))
            elif str(found.key) == _UV_SET and _SLOTS.get((found.semantic, found.index)) is TextureSlot.ALBEDO:
                uv_set = int(_number(value) or 0)
            elif value is not None:
                values.setdefault(str(found.key), value)
        self.uv_sets.append(uv_set if 0 <= uv_set < library.UV_SETS else 0)
        name = values.get("?mat.name")
        material = Material(name if isinstance(name, str) and name else f"material {at}")
        _set_surface(material, values)
        for semantic, index, reference in textures:
            image = self._image(reference)
            slot = _SLOTS.get((semantic, index))
            if image is not None and slot is not None:
                material.textures.setdefault(slot, image)
        if TextureSlot.ALBEDO in material.textures:
            # The texture stands in the place of the colour.
            material.albedo = (1.0, 1.0, 1.0)
        return material

    def _image(self, reference: str) -> int | None:
        """The index of the picture that a reference names; None, with a warning, when it is not there."""
        if reference not in self._known:
            found = self._file(reference)
            embedded = self._known.get(base_name(reference))
            if found is not None:
                key = f"file {found}"
                if key not in self._known:
                    self._known[key] = len(self.images)
                    self.images.append(Image(base_name(found), self._conversion.files.path(found)))
                self._known[reference] = self._known[key]
            elif embedded is not None:
                self._known[reference] = embedded
            else:
                self._known[reference] = None
                if not (self._guesses and reference.endswith(_GUESSED_ENDS)):
                    self._conversion.warn(f"the texture {reference!r} is not among the uploaded files")
        return self._known[reference]

    def _file(self, reference: str) -> str | None:
        """The file that is meant; an X3D texture may name several in quotes, of which the first that exists counts."""
        for name in filter(str.strip, (reference, *reference.split('"'))):
            found = self._conversion.files.resolve(name, self._conversion.main_name)
            if found is not None:
                return found
        return None

    def _add_embedded(self, scene: library.Scene) -> None:
        """The pictures inside the model: materials name them by ``*`` and their number, or by file name."""
        for at, texture in enumerate(library.items(scene.textures, scene.texture_count)):
            name = base_name(str(texture.file_name)) or f"image {at}"
            data = self._embedded(texture, name)
            if data is not None:
                self._known[f"*{at}"] = len(self.images)
                self._known.setdefault(name, len(self.images))
                # Raw pixels have become a PNG, whatever the name says.
                self.images.append(Image(f"{name.rsplit('.', 1)[0]}.png" if texture.height else name, data))

    def _embedded(self, texture: library.Texture, name: str) -> bytes | None:
        if not texture.data or not texture.width:
            self._conversion.warn(f"the texture {name} inside the model is empty")
            return None
        if texture.height == 0:
            return ctypes.string_at(texture.data, texture.width)
        if texture.width * texture.height > _MOST_TEXELS:
            self._conversion.warn(f"the texture {name} inside the model has too many pixels and was left out")
            return None
        texels = np.ndarray(
            (texture.height, texture.width, 4),
            np.uint8,
            (ctypes.c_char * (texture.width * texture.height * 4)).from_address(texture.data),
        )
        return picture.encode(Pillow.fromarray(texels[:, :, (2, 1, 0, 3)]))


def _set_surface(material: Material, values: dict[str, Any]) -> None:
    base = _color(values.get("$clr.base")) or _color(values.get("$clr.diffuse"))
    if base is not None:
        material.albedo = base
    material.emission = _color(values.get("$clr.emissive")) or material.emission
    material.opacity = _share(values.get("$mat.opacity"), 1.0)
    material.metallic = _share(values.get("$mat.metallicFactor"), 0.0)
    shininess = _number(values.get("$mat.shininess"))
    if shininess is not None and shininess > 0:
        # The exponent of a Phong highlight as the roughness of a microfacet lobe of equal width.
        material.roughness = min(1.0, math.sqrt(2.0 / (shininess + 2.0)))
    material.roughness = _share(values.get("$mat.roughnessFactor"), material.roughness)
    material.double_sided = bool(_number(values.get("$mat.twosided")))


def _value(found: library.MaterialProperty) -> Any:
    """Text, or a list of numbers; None for what is neither, or broken."""
    data = ctypes.string_at(found.data, found.size) if found.data else b""
    if found.kind == _STRING:
        # A length of four bytes, the text, a zero.
        return library.text_of(data[4:].split(b"\0", 1)[0])
    if found.kind not in _NUMBERS:
        return None
    kind = np.dtype(_NUMBERS[found.kind])
    return np.frombuffer(data[: len(data) // kind.itemsize * kind.itemsize], kind).tolist()


def _number(value: Any) -> float | None:
    if isinstance(value, list) and value and math.isfinite(value[0]):
        return float(value[0])
    return None


def _share(value: Any, default: float) -> float:
    number = _number(value)
    return default if number is None else min(1.0, max(0.0, number))


def _color(value: Any) -> tuple[float, float, float] | None:
    if not isinstance(value, list) or len(value) < 3 or not all(map(math.isfinite, value[:3])):
        return None
    red, green, blue = (min(1.0, max(0.0, float(part))) for part in value[:3])
    return red, green, blue
