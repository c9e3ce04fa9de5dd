"""glTF materials, with the extensions that have a place in ours."""

from typing import Any

from watcher.emulator.convert.model import Material, TextureSlot

_GLOSSY = "KHR_materials_pbrSpecularGlossiness"


def read_material(material: dict[str, Any], at: int, document: dict[str, Any], images: dict[int, int]) -> Material:
    """``at`` is its place in the validated document; ``images`` maps the document's images to the model's."""
    surface = surface_of(material)
    red, green, blue, alpha = (float(value) for value in surface.get("baseColorFactor", (1, 1, 1, 1)))
    emission = [float(value) for value in material.get("emissiveFactor", (0, 0, 0))]
    made = Material(
        name=material.get("name") or f"material {at}",
        albedo=(_to_display(red), _to_display(green), _to_display(blue)),
        opacity=alpha if material.get("alphaMode", "OPAQUE") != "OPAQUE" else 1.0,
        metallic=float(surface.get("metallicFactor", 1)),
        roughness=float(surface.get("roughnessFactor", 1)),
        emission=(_to_display(emission[0]), _to_display(emission[1]), _to_display(emission[2])),
        double_sided=material.get("doubleSided", False),
    )
    coat = _extension(material, "KHR_materials_clearcoat")
    glossy = _extension(material, _GLOSSY)
    for slot, info in (
        (TextureSlot.ALBEDO, surface.get("baseColorTexture")),
        (TextureSlot.METALLIC_ROUGHNESS, surface.get("metallicRoughnessTexture")),
        (TextureSlot.NORMAL, material.get("normalTexture")),
        (TextureSlot.OCCLUSION, material.get("occlusionTexture")),
        (TextureSlot.EMISSION, material.get("emissiveTexture")),
        (TextureSlot.SPECULAR, glossy.get("specularGlossinessTexture")),
        (TextureSlot.CLEARCOAT, coat.get("clearcoatTexture")),
        (TextureSlot.CLEARCOAT_ROUGHNESS, coat.get("clearcoatRoughnessTexture")),
        (TextureSlot.CLEARCOAT_NORMAL, coat.get("clearcoatNormalTexture")),
    ):
        image = _image_of(info, document)
        if image in images:
            made.textures[slot] = images[image]
    return made


def surface_of(material: dict[str, Any]) -> dict[str, Any]:
    """Base colour, metal and roughness; of a material of the older kind, colour and gloss, what comes next to them."""
    glossy = _extension(material, _GLOSSY)
    if not glossy or "pbrMetallicRoughness" in material:
        found: dict[str, Any] = material.get("pbrMetallicRoughness", {})
        return found
    base = {"baseColorTexture": glossy["diffuseTexture"]} if "diffuseTexture" in glossy else {}
    return base | {
        "baseColorFactor": glossy.get("diffuseFactor", (1, 1, 1, 1)),
        "metallicFactor": 0,
        "roughnessFactor": 1 - glossy.get("glossinessFactor", 1),
    }


def _extension(material: dict[str, Any], name: str) -> dict[str, Any]:
    found = material.get("extensions", {}).get(name)
    return found if isinstance(found, dict) else {}


def _image_of(info: Any, document: dict[str, Any]) -> int | None:
    """The image behind a texture reference; extensions were not validated, so nothing about it is taken for granted."""
    textures = document.get("textures", [])
    if not isinstance(info, dict):
        return None
    index = info.get("index")
    if not isinstance(index, int) or not 0 <= index < len(textures):
        return None
    texture = textures[index]
    others = texture.get("extensions", {})
    for one in (texture, others.get("EXT_texture_webp", {}), others.get("KHR_texture_basisu", {})):
        if "source" in one:
            return int(one["source"])
    return None


def _to_display(linear: float) -> float:
    """A linear colour value as a screen has it (sRGB): materials here hold screen colours, as MTL files do."""
    linear = min(1.0, max(0.0, linear))
    return linear * 12.92 if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055
