"""Names in the XML of game engines: Irrlicht scenes and meshes, Ogre meshes, MaterialX documents."""

from collections.abc import Iterator
from typing import BinaryIO

from watcher.plan.alternatives import any_of, first_that_exists
from watcher.plan.markup import elements

_MATERIAL = ".material"


def read_irr(file: BinaryIO) -> Iterator[str]:
    """Irrlicht: the textures of materials, the meshes of nodes, the height maps of terrains. Ogre: the skeleton and the
    materials of a mesh."""
    for element in elements(file):
        attribute = element.attributes.get("name", "")
        if element.name == "texture" or (element.name == "string" and attribute.lower() in ("mesh", "heightmap")):
            yield element.attributes.get("value", "")
        elif element.name == "submesh" and "material" in element.attributes:
            yield element.attributes["material"].rpartition("/")[2] + _MATERIAL
        elif element.name == "skeletonlink":
            yield any_of((attribute, attribute + ".xml"))  # in Ogre's binary form or, as the mesh, converted to XML


def engine_readings(text: str) -> tuple[tuple[str, ...], ...]:
    """Alternatives; and a script that is called like an Ogre material, which any script may hold."""
    return ((), (text,)) if text.endswith(_MATERIAL) else first_that_exists(text)


def read_mtlx(file: BinaryIO) -> Iterator[str]:
    """MaterialX: values that are file names, and documents that are included."""
    prefixes: dict[int, str] = {}
    for element in elements(file):
        depth = len(element.parents)
        outer = "".join(prefix for at, prefix in sorted(prefixes.items()) if at < depth)
        prefixes = {at: prefix for at, prefix in prefixes.items() if at < depth}
        if prefix := element.attributes.get("fileprefix", ""):
            prefixes[depth] = prefix
        if element.attributes.get("type") == "filename" and (value := element.attributes.get("value")):
            yield outer + prefix + value
        elif element.name == "include":
            yield element.attributes.get("href", "")
