"""Materials and pictures of Model 3D files."""

import math
import struct
from enum import IntEnum

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Bytes, Image, Material, TextureSlot


class Number(IntEnum):
    """Properties that are numbers of their own."""

    SHININESS = 3
    DISSOLVE = 7
    ROUGHNESS = 64
    METALLIC = 65


_DIFFUSE, _GLOW, _LIGHTING = 0, 4, 8
_COLORS = frozenset((0, 1, 2, 4, 5))
_MAPS_FROM = 128
_SLOTS = {
    128: TextureSlot.ALBEDO, 129: TextureSlot.OCCLUSION, 130: TextureSlot.SPECULAR, 132: TextureSlot.EMISSION,
    134: TextureSlot.NORMAL, 135: TextureSlot.OPACITY, 136: TextureSlot.NORMAL, 192: TextureSlot.ROUGHNESS,
    193: TextureSlot.METALLIC,
}  # fmt: skip
"""By the number of a property."""


class Materials:
    """``colored``: for each material whether it has a colour of its own, which counts before those of vertices."""

    def __init__(
        self, texts: bytes, text_width: int, color_width: int, colors: Bytes | None, conversion: Conversion
    ) -> None:
        """Bytes of a place in ``texts``, and of a colour: a number among ``colors`` (n, 4), or without these itself."""
        self.materials: list[Material] = []
        self.images: list[Image] = []
        self.colored: list[bool] = []
        self._texts = texts
        self._text_width = text_width
        self._color_width = color_width
        self._colors = colors
        self._conversion = conversion
        self._places: dict[int, int] = {}
        self._pictures: dict[str, int | None] = {}

    def at(self, place: int) -> int | None:
        """The number of the material whose name stands at a place of the texts."""
        if place and place not in self._places:
            self._conversion.warn(f"the material {self._text(place)!r} is not defined in this file")
            self._places[place] = len(self.materials)
            self.materials.append(Material(self._text(place)))
            self.colored.append(False)
        return self._places.get(place)

    def add_picture(self, content: bytes) -> None:
        """Add one that is packed into the file."""
        name = self._text(int.from_bytes(content[: self._text_width], "little"))
        self._pictures[name] = len(self.images)
        self.images.append(Image(name, content[self._text_width :]))

    def add(self, content: bytes) -> None:
        """Add a material. Raises ConversionFailed when it is damaged."""
        place = int.from_bytes(content[: self._text_width], "little")
        material = Material(self._text(place) or f"material {len(self.materials)}")
        colored = False
        at = self._text_width
        while at < len(content):
            kind = content[at]
            width = self._color_width if kind in _COLORS else 1 if kind == _LIGHTING else 4
            width = self._text_width if kind >= _MAPS_FROM else width
            value = content[at + 1 : at + 1 + width]
            if len(value) < width:
                raise ConversionFailed("this Model 3D file is damaged: a material is not complete")
            at += 1 + width
            if kind >= _MAPS_FROM:
                image = self._picture(self._text(int.from_bytes(value, "little")))
                if image is not None and kind in _SLOTS:
                    material.textures[_SLOTS[kind]] = image
            elif kind in (_DIFFUSE, _GLOW):
                red, green, blue, alpha = self._color(value)
                if kind == _GLOW:
                    material.emission = (red, green, blue)
                else:
                    material.albedo, material.opacity, colored = (red, green, blue), alpha, True
            elif kind not in _COLORS and kind != _LIGHTING:
                _set_number(material, kind, struct.unpack("<f", value)[0])
        if TextureSlot.ALBEDO in material.textures:
            material.albedo = (1.0, 1.0, 1.0)
        self._places[place] = len(self.materials)
        self.materials.append(material)
        self.colored.append(colored or TextureSlot.ALBEDO in material.textures)

    def _text(self, place: int) -> str:
        return self._texts[place:].partition(b"\0")[0].decode("utf-8", "replace")

    def _color(self, value: bytes) -> tuple[float, float, float, float]:
        number = int.from_bytes(value, "little")
        if self._colors is None:
            parts = list(value)
        elif number < len(self._colors):
            parts = self._colors[number].tolist()
        else:
            raise ConversionFailed(f"this Model 3D file is damaged: it has no colour {number}")
        red, green, blue, alpha = (part / 255 for part in parts)
        return red, green, blue, alpha

    def _picture(self, name: str) -> int | None:
        if name not in self._pictures:
            main = self._conversion.main_name
            # A name without an extension is that of a PNG.
            names = [name] if "." in name[-5:] else [f"{name}.png", name]
            found = next((one for one in (self._conversion.files.resolve(n, main) for n in names) if one), None)
            self._pictures[name] = None if found is None else len(self.images)
            if found is None:
                self._conversion.warn(f"the texture {names[0]!r} is not among the uploaded files")
            else:
                self.images.append(Image(found.rsplit("/", 1)[-1], self._conversion.files.path(found)))
        return self._pictures[name]


def _set_number(material: Material, kind: int, value: float) -> None:
    if not math.isfinite(value):
        return
    share = min(1.0, max(0.0, value))
    match kind:
        case Number.SHININESS:
            # The exponent of a Phong highlight as the roughness of a microfacet lobe of equal width.
            material.roughness = min(1.0, math.sqrt(2.0 / (max(value, 0.0) + 2.0)))
        case Number.DISSOLVE:
            material.opacity = share
        case Number.ROUGHNESS:
            material.roughness = share
        case Number.METALLIC:
            material.metallic = share
