"""Wavefront MTL: the materials of an OBJ."""

import math
from dataclasses import dataclass, field

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.model import Image, Material, TextureSlot
from watcher.emulator.convert.readers.text import decode_text

_MAPS = {
    "map_kd": TextureSlot.ALBEDO,
    "map_d": TextureSlot.OPACITY,
    "map_ks": TextureSlot.SPECULAR,
    "map_bump": TextureSlot.NORMAL,
    "bump": TextureSlot.NORMAL,
    "map_kn": TextureSlot.NORMAL,
    "norm": TextureSlot.NORMAL,
    "map_pr": TextureSlot.ROUGHNESS,
    "map_pm": TextureSlot.METALLIC,
    "map_ke": TextureSlot.EMISSION,
    "map_ao": TextureSlot.OCCLUSION,
}
_OPTION_VALUES = {
    "-blendu": 1, "-blendv": 1, "-boost": 1, "-mm": 2, "-o": 3, "-s": 3, "-t": 3, "-texres": 1, "-clamp": 1,
    "-bm": 1, "-imfchan": 1, "-type": 1, "-cc": 1, "-colorspace": 1,
}  # fmt: skip
"""Options before the file name of a map and how many values they take at most (-o, -s and -t take one to three)."""


@dataclass(slots=True)
class Library:
    """The materials found so far, by name, and the pictures they use."""

    materials: dict[str, Material] = field(default_factory=dict)
    images: list[Image] = field(default_factory=list)
    _image_of_file: dict[str, int] = field(default_factory=dict)

    def read(self, name: str, conversion: Conversion) -> None:
        """Add the materials of one MTL file of the job; a later material of the same name replaces the earlier."""
        material: Material | None = None
        for line in decode_text(conversion.files.read(name), "an MTL file").splitlines():
            words = line.split(None, 1)
            if not words:
                continue
            key, value = words[0], words[1].strip() if len(words) > 1 else ""
            if key.lower() == "newmtl":
                material = self.materials[value] = Material(value)
            elif material is not None and value:
                self._set(material, key.lower(), value, name, conversion)

    def image_of(self, reference: str, written_in: str, conversion: Conversion) -> int | None:
        """The index of the picture that a reference names; None, with a warning, when the job has no such file."""
        found = conversion.files.resolve(reference, written_in)
        if found is None:
            conversion.warn(f"{written_in} names the texture {reference!r}, which is not among the uploaded files")
            return None
        if found not in self._image_of_file:
            self._image_of_file[found] = len(self.images)
            self.images.append(Image(found.rsplit("/", 1)[-1], conversion.files.path(found)))
        return self._image_of_file[found]

    def _set(self, material: Material, key: str, value: str, name: str, conversion: Conversion) -> None:
        if key in _MAPS:
            reference = map_file(value)
            image = self.image_of(reference, name, conversion) if reference else None
            if image is not None:
                material.textures[_MAPS[key]] = image
            return
        figures = _figures(value)
        if not figures:
            return
        first = figures[0]
        match key:
            case "kd":
                material.albedo = _color(figures)
            case "ke":
                material.emission = _color(figures)
            case "d":
                material.opacity = _clamp(first)
            case "tr":
                material.opacity = _clamp(1.0 - first)
            case "ns":
                # The exponent of a Phong highlight as the roughness of a microfacet lobe of equal width.
                material.roughness = _clamp(math.sqrt(2.0 / (max(first, 0.0) + 2.0)))
            case "pr":
                material.roughness = _clamp(first)
            case "pm":
                material.metallic = _clamp(first)


def map_file(value: str) -> str:
    """The file name in the value of a map statement, after its options; it may hold spaces."""
    words = value.split(" ")
    at = 0
    while at < len(words):
        if not words[at]:
            at += 1
            continue
        takes = _OPTION_VALUES.get(words[at].lower())
        if takes is None:
            break
        at += 1
        first = True
        while takes and at < len(words) - 1:
            if not words[at]:
                at += 1
                continue
            # One to three numbers, or exactly one word of another kind.
            if not _is_figure(words[at]) and not (first and takes == 1):
                break
            first = False
            takes -= 1
            at += 1
    return " ".join(words[at:]).strip().strip('"')


def _figures(value: str) -> list[float]:
    figures = []
    for word in value.split():
        if not _is_figure(word):
            break
        figures.append(float(word))
    return figures


def _is_figure(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


def _color(figures: list[float]) -> tuple[float, float, float]:
    red = _clamp(figures[0])
    # One number alone means grey.
    return (red, _clamp(figures[1]), _clamp(figures[2])) if len(figures) >= 3 else (red, red, red)


def _clamp(value: float) -> float:
    return min(1.0, max(0.0, value))
