"""COLLADA materials: common-profile effects and the pictures they use."""

import math
from xml.etree.ElementTree import Element

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.model import Image, Material, Model, TextureSlot
from watcher.emulator.convert.readers.dae_document import Document, figures

_SHADINGS = ("phong", "blinn", "lambert", "constant")


class Materials:
    """Adds the materials of a document to a model, each once."""

    def __init__(self, document: Document, model: Model, conversion: Conversion) -> None:
        self._document = document
        self._model = model
        self._conversion = conversion
        self._known: dict[str, int | None] = {}
        self._images: dict[str, int] = {}

    def get(self, url: str | None) -> int | None:
        """The model's material for ``#id``; None when there is no such material."""
        if url is None:
            return None
        if url not in self._known:
            element = self._document.target(url, "material")
            if element is None:
                self._conversion.warn(f"the material {url} is not defined; it is grey here")
                self._known[url] = None
            else:
                self._known[url] = len(self._model.materials)
                self._model.materials.append(self._read(element))
        return self._known[url]

    def add_unbound(self) -> None:
        """Add the materials that the scene does not bind."""
        for element in self._document.root.iterfind("library_materials/material"):
            if identity := element.get("id"):
                self.get(f"#{identity}")

    def _read(self, element: Element) -> Material:
        material = Material(element.get("name") or element.get("id") or "material")
        instance = element.find("instance_effect")
        effect = self._document.target(instance.get("url") if instance is not None else None, "effect")
        profile = effect.find("profile_COMMON") if effect is not None else None
        shading = None
        if profile is not None:
            shading = next((s for t in profile.iter("technique") for s in t if s.tag in _SHADINGS), None)
        if profile is None or shading is None:
            self._conversion.warn(f"the material {material.name!r} has no common effect; it is grey here")
            return material
        self._set_diffuse(material, profile, shading)
        emission = figures(shading.find("emission/color"), 3)
        if emission is not None:
            material.emission = _color(emission.tolist())
        self._set_texture(material, TextureSlot.EMISSION, profile, shading.find("emission/texture"))
        self._set_texture(material, TextureSlot.SPECULAR, profile, shading.find("specular/texture"))
        for bump in profile.iter("bump"):
            self._set_texture(material, TextureSlot.NORMAL, profile, bump.find("texture"))
        shininess = figures(shading.find("shininess/float"), 1)
        if shininess is not None:
            # Some programs write a share of 0..1 instead of the exponent.
            exponent = float(shininess[0]) * (128.0 if shininess[0] <= 1.0 else 1.0)
            material.roughness = min(1.0, math.sqrt(2.0 / (max(exponent, 0.0) + 2.0)))
        material.opacity = _opacity(shading)
        return material

    def _set_diffuse(self, material: Material, profile: Element, shading: Element) -> None:
        diffuse = figures(shading.find("diffuse/color"), 3)
        if diffuse is not None:
            material.albedo = _color(diffuse.tolist())
        if self._set_texture(material, TextureSlot.ALBEDO, profile, shading.find("diffuse/texture")):
            material.albedo = (1.0, 1.0, 1.0)

    def _set_texture(self, material: Material, slot: TextureSlot, profile: Element, texture: Element | None) -> bool:
        if texture is None:
            return False
        image = self._image(self._image_id(texture.get("texture", ""), profile))
        if image is not None:
            material.textures[slot] = image
        return image is not None

    def _image_id(self, sampler: str, profile: Element) -> str:
        """The id of the image behind a sampler (1.4: sampler, surface, image; 1.5: sampler, image)."""
        params = {param.get("sid"): param for param in profile.iter("newparam")}
        name = sampler
        for _ in range(4):
            param = params.get(name)
            if param is None:
                break
            instance = param.find("sampler2D/instance_image")
            following = param.find("sampler2D/source")
            if following is None:
                following = param.find("surface/init_from")
            if instance is not None:
                return instance.get("url", "")
            if following is None or not following.text:
                break
            name = following.text.strip()
        return name

    def _image(self, name: str) -> int | None:
        element = self._document.target(name, "image")
        if element is None:
            self._conversion.warn(f"the picture {name!r} is not defined")
            return None
        start = element.find("init_from")
        inner = start.find("ref") if start is not None else None
        reference = ((inner if inner is not None else start) if start is not None else element).text or ""
        reference = reference.strip()
        found = self._conversion.files.resolve(reference, self._conversion.main_name)
        if found is None:
            self._conversion.warn(f"the texture {reference!r} is not among the uploaded files")
            return None
        if found not in self._images:
            self._images[found] = len(self._model.images)
            self._model.images.append(Image(found.rsplit("/", 1)[-1], self._conversion.files.path(found)))
        return self._images[found]


def _opacity(shading: Element) -> float:
    """From <transparent> and <transparency>; with the mode A_ONE, which is the default, one is opaque."""
    transparency = figures(shading.find("transparency/float"), 1)
    transparent = shading.find("transparent")
    color = figures(transparent.find("color"), 4) if transparent is not None else None
    if transparent is None or color is None:
        return 1.0
    factor = float(transparency[0]) if transparency is not None else 1.0
    if transparent.get("opaque", "A_ONE") == "RGB_ZERO":
        return min(1.0, max(0.0, 1.0 - float(color[:3].mean()) * factor))
    opacity = min(1.0, max(0.0, float(color[3]) * factor))
    # Exporters that mistake the meaning write zero for an opaque surface; nobody ships an invisible one.
    return opacity if opacity > 0 else 1.0


def _color(values: list[float]) -> tuple[float, float, float]:
    red, green, blue = (min(1.0, max(0.0, value)) for value in values[:3])
    return red, green, blue
