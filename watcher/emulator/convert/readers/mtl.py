"""Wavefront MTL: the materials of an OBJ."""

import math
import re
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
_NUMBERS = {"-boost": 1, "-bm": 1, "-mm": 2, "-o": 3, "-s": 3, "-t": 3}
"""Options before the file name of a map and how many numbers they take at most (-o, -s and -t take one to three)."""
_ONE_WORD = dict.fromkeys(
    ("-blendu", "-blendv", "-clamp", "-cc", "-colorspace", "-filter", "-imfchan", "-texres", "-type"), 1
)
"""Options that take one word of any kind."""
_OPTIONS = _NUMBERS | _ONE_WORD
_WORD = re.compile(r"\S+")
QUOTED = re.compile(r'"([^"]+)"')
_COMMENT = re.compile(r"(\.[a-z]\w{2,3})\s+(?:#|//).*", re.IGNORECASE)
"""A number sign may also be part of a name: it starts a comment only where a name with an extension ended."""
_EXTENSION = re.compile(r"\.[a-z]\w{2,3}'?$", re.IGNORECASE)
_NOT_A_NUMBER = re.compile(r"[-+]?1\.#[a-z]+\d*", re.IGNORECASE)
_UNKNOWN_OPTION = re.compile(r"-[a-z]\w*", re.IGNORECASE)
_NO_IMAGE = frozenset(("none", "(none)", "null", "(null)"))


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

    def image_of(self, names: list[str], written_in: str, conversion: Conversion) -> int | None:
        """The index of the picture under the first of these names that the job has; None, with a warning, when it has
        none of them."""
        found = next(filter(None, (conversion.files.resolve(name, written_in) for name in names)), None)
        if found is None and (found := conversion.files.first_tile(names[0])) is not None:
            conversion.warn(f"of the tiles of the texture {names[0]!r} only one is taken here: {found}")
        if found is None:
            conversion.warn(f"{written_in} names the texture {names[0]!r}, which is not among the uploaded files")
            return None
        if found not in self._image_of_file:
            self._image_of_file[found] = len(self.images)
            self.images.append(Image(found.rsplit("/", 1)[-1], conversion.files.path(found)))
        return self._image_of_file[found]

    def _set(self, material: Material, key: str, value: str, name: str, conversion: Conversion) -> None:
        if key in _MAPS:
            names = map_files(value)
            image = self.image_of(names, name, conversion) if names else None
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


def map_files(value: str) -> list[str]:
    """The names that the value of a map statement may mean, the likeliest first; none where it says that there is no
    image. A name may hold spaces.

    Options belong before the name; programs also write them behind it, and numbers and options of no known meaning on
    either side, which may as well be parts of the name.
    """
    words = list(_WORD.finditer(without_comment(value)))
    texts = [word[0] for word in words]
    start = _after_options(texts)
    if quoted := QUOTED.match(value, words[start].start()):
        return [quoted[1]]
    first = start
    while first < len(words) - 1 and _may_be_option(texts[first]):
        first += 1
    end = first + 1
    while end < len(words) and not (texts[end].lower() in _OPTIONS and _may_end_name(texts[end - 1])):
        end += 1
    last = end - 1
    while first < last and _may_be_option(texts[last]):
        last -= 1
    name, bare = value[words[start].start() : words[end - 1].end()], value[words[first].start() : words[last].end()]
    return [] if bare.lower() in _NO_IMAGE or _is_number(bare) else list(dict.fromkeys((name, bare.strip('"'))))


def without_comment(value: str) -> str:
    """The value of a statement that ends with the name of a file, without the comment behind it."""
    return _COMMENT.sub(r"\1", value)


def _after_options(words: list[str]) -> int:
    """The place of the first word that is neither an option nor a value of one; the last word is neither."""
    at, last = 0, len(words) - 1
    while at < last and (option := words[at].lower()) in _OPTIONS:
        at += 1
        end = min(at + _OPTIONS[option], last)
        while at < end and (option in _ONE_WORD or _is_number(words[at])):
            at += 1
    return at


def _may_be_option(word: str) -> bool:
    return _UNKNOWN_OPTION.fullmatch(word) is not None or _is_number(word)


def _may_end_name(word: str) -> bool:
    return _EXTENSION.search(word) is not None or _may_be_option(word)


def _is_number(word: str) -> bool:
    """Also with a comma where the author's country has one, and what C writes for no number."""
    if _NOT_A_NUMBER.fullmatch(word):
        return True
    try:
        float(word.replace(",", "."))
    except ValueError:
        return False
    return True


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
