"""UsdPreviewSurface materials and their textures.

Source: OpenUSD documentation, "UsdPreviewSurface specification".
"""

from typing import Any

from pxr import Sdf, Usd, UsdShade

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.model import Image, Material, TextureSlot
from watcher.emulator.convert.readers.usd_layers import Layers

_SURFACE = "UsdPreviewSurface"
_SLOTS = {
    "diffuseColor": TextureSlot.ALBEDO,
    "opacity": TextureSlot.OPACITY,
    "normal": TextureSlot.NORMAL,
    "metallic": TextureSlot.METALLIC,
    "roughness": TextureSlot.ROUGHNESS,
    "specularColor": TextureSlot.SPECULAR,
    "occlusion": TextureSlot.OCCLUSION,
    "emissiveColor": TextureSlot.EMISSION,
    "clearcoat": TextureSlot.CLEARCOAT,
    "clearcoatRoughness": TextureSlot.CLEARCOAT_ROUGHNESS,
}
_SPECIFIED = {"diffuseColor": 0.18, "opacity": 1.0, "metallic": 0.0, "roughness": 0.5, "emissiveColor": 0.0}
"""What the specification says of inputs that are not there."""


class Materials:
    """The materials that meshes are bound to, in the order in which they are met."""

    def __init__(self, layers: Layers, conversion: Conversion) -> None:
        self.layers = layers
        self.materials: list[Material] = []
        self.images: list[Image] = []
        self.uv_names: list[str] = []
        """For each material, the primvar with the texture coordinates that its textures use; may be empty."""
        self._conversion = conversion
        self._known: dict[tuple[str, bool], int] = {}
        self._images: dict[str, int] = {}

    def bound_to(self, prim: Usd.Prim, is_double_sided: bool) -> int | None:
        material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()
        if not material:
            return None
        key = (defined_at(material.GetPrim()), is_double_sided)
        if key not in self._known:
            self._known[key] = len(self.materials)
            read, uv_name = self._read(material)
            read.double_sided = is_double_sided
            self.materials.append(read)
            self.uv_names.append(uv_name)
        return self._known[key]

    def plain(self, color: tuple[float, float, float], opacity: float, is_double_sided: bool) -> int:
        """A material of one colour."""
        key = (f"{color} {opacity}", is_double_sided)
        if key not in self._known:
            self._known[key] = len(self.materials)
            self.materials.append(Material("displayColor", color, opacity, double_sided=is_double_sided))
            self.uv_names.append("")
        return self._known[key]

    def _read(self, material: UsdShade.Material) -> tuple[Material, str]:
        made = Material(material.GetPrim().GetName())
        surface, _, _ = material.ComputeSurfaceSource()
        if not surface or surface.GetIdAttr().Get() != _SURFACE:
            self._conversion.note(f"the material {made.name!r} is no {_SURFACE}: it is grey here")
            return made, ""
        values: dict[str, Any] = dict(_SPECIFIED)
        uv_name = ""
        for entry in surface.GetInputs():
            name = entry.GetBaseName()
            value, texture = _source(entry)
            if value is not None:
                values[name] = value
            if texture is not None and name in _SLOTS:
                image = self._image(texture)
                if image is not None:
                    made.textures[_SLOTS[name]] = image
                    values[name] = 1.0
                    uv_name = uv_name or _uv_name(texture)
        made.albedo, made.emission = _color(values["diffuseColor"]), _color(values["emissiveColor"])
        made.opacity, made.metallic, made.roughness = (
            float(values[name]) for name in ("opacity", "metallic", "roughness")
        )
        return made, uv_name

    def _image(self, texture: UsdShade.Shader) -> int | None:
        value, _ = _source(texture.GetInput("file"))
        name = self.layers.name_of(value.path) if isinstance(value, Sdf.AssetPath) else None
        if name is None:
            return None
        if name not in self._images:
            self._images[name] = len(self.images)
            self.images.append(Image(name.rsplit("/", 1)[-1], self.layers.file(name)))
        return self._images[name]


def defined_at(prim: Usd.Prim) -> str:
    """The path of a prim; of one that is part of several instances, the same path for all of them."""
    return str((prim.GetPrimInPrototype() if prim.IsInstanceProxy() else prim).GetPath())


def _source(entry: UsdShade.Input) -> tuple[Any, UsdShade.Shader | None]:
    """The value of an input, or the texture that it is connected to, however many interfaces lie between."""
    if not entry:
        return None, None
    for attribute in entry.GetValueProducingAttributes():
        shader = UsdShade.Shader(attribute.GetPrim())
        is_output = UsdShade.Utils.GetType(attribute.GetName()) == UsdShade.AttributeType.Output
        if not is_output:
            return attribute.Get(Usd.TimeCode.EarliestTime()), None
        if shader and shader.GetIdAttr().Get() == "UsdUVTexture":
            return None, shader
    return None, None


def _uv_name(texture: UsdShade.Shader) -> str:
    """The primvar that a texture takes its coordinates from."""
    entry = texture.GetInput("st")
    for _ in range(8):  # readers, and transformations before them
        attributes = entry.GetValueProducingAttributes() if entry else []
        if not attributes:
            break
        shader = UsdShade.Shader(attributes[0].GetPrim())
        name, _ = _source(shader.GetInput("varname"))
        if name:
            return str(name)
        entry = shader.GetInput("in")
    return ""


def _color(value: Any) -> tuple[float, float, float]:
    if isinstance(value, float):
        return (value, value, value)
    return (float(value[0]), float(value[1]), float(value[2]))
