"""Which reader belongs to which format, and what goes by convention rather than by name."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from watcher.plan import (
    blend,
    collada,
    dicom,
    directx,
    dxf,
    engine_xml,
    fbx,
    game_models,
    gltf,
    lightwave,
    max3ds,
    mdl,
    mikumiku,
    model3d,
    obj,
    statements,
    usd,
    web3d,
)
from watcher.plan.alternatives import IMAGES, first_that_exists, image_readings
from watcher.plan.uri import plain_readings, uri_readings


def nothing(_stem: str) -> tuple[str, ...]:
    """Of a format without such a convention."""
    return ()


@dataclass(frozen=True, slots=True)
class Format:
    """How the files of one format name others."""

    read: Callable[[BinaryIO], Iterable[str]]
    """Yields the names in the open file, in order, repeats allowed. Streams, and raises nothing but OSError."""
    readings: Callable[[str], tuple[tuple[str, ...], ...]] = plain_readings
    """The ways to understand one of these names, the likeliest first. Each is a tuple of file names that the text
    stands for together (an OBJ statement may hold several). An empty tuple: it may as well stand for no file;
    in the first place: as a rule it does, and none is waited for."""
    beside: Callable[[str], Iterable[str]] = nothing
    """By the file's name without extension: names of files that belong to it, where they exist, without being named."""
    instead: Callable[[str], Iterable[str]] = nothing
    """Likewise: the first of these that exists stands in when nothing that the file names is there."""
    instead_of_nothing: bool = True
    """Whether it does so also when the file names nothing at all."""
    parts: re.Pattern[str] | None = None
    """Which files of this format, by their names, are often parts that a file of the same format (or of another that
    is uploaded) loads: they are held back for it as textures are. None: none of them."""
    is_scene: bool = False
    """Whether names are often those of models that are uploaded for themselves otherwise."""
    from_above: bool = False
    """Whether names are relative to a folder somewhere above: that of a game, or of all that a studio makes."""
    short_names: bool = False
    """Whether names may be cut to eight letters and three of the extension, as of old."""
    gathers: bool = False
    """What `read` yields are no names: the files of one folder in which it is equal belong together."""


def _images(stem: str) -> Iterator[str]:
    """The skin of a game's model is often just called like it."""
    return (f"{stem}.{extension}" for extension in IMAGES)


def _library(stem: str) -> tuple[str, ...]:
    """Of a model that was renamed after its export; assimp and Blender look for it too."""
    return (f"{stem}.mtl",)


def _skins(stem: str) -> tuple[str, ...]:
    """Less detailed forms, with a number behind the name, share a skin."""
    return (f"{stem}_default.skin", re.sub(r"_\d$", "", stem) + "_default.skin")


def _animations(stem: str) -> tuple[str, ...]:
    return (f"{stem}.md5anim", f"{stem}.md5camera")


def _unreal_parts(stem: str) -> tuple[str, ...]:
    return (f"{stem}_d.3d", f"{stem}_a.3d")


def _source_engine_parts(stem: str) -> Iterator[str]:
    """Of a model of Valve's Source engine: vertices, strips for each kind of hardware, the shape that collides."""
    return (f"{stem}.{extension}" for extension in ("vvd", "vtx", "dx90.vtx", "dx80.vtx", "sw.vtx", "phy", "ani"))


def _ogre_material(stem: str) -> tuple[str, ...]:
    """Of ``car.mesh.xml``: the script with its materials. `Scene` is what exporters call that of a whole scene."""
    return (stem.removesuffix(".mesh") + ".material", *(["Scene.material"] if stem.endswith(".mesh") else []))


READERS = 15
"""The version of all readers together: raised when one finds more or other names in a file than before, so that what
was found by an older one is found anew."""

_ANY = re.compile("")

FORMATS: dict[str, Format] = {
    "obj": Format(obj.read_obj, obj.obj_readings, instead=_library, instead_of_nothing=False),
    "mtl": Format(obj.read_mtl, obj.mtl_readings),
    "gltf": Format(gltf.read_gltf, uri_readings),
    "fbx": Format(fbx.read_fbx, fbx.fbx_readings),
    "dae": Format(collada.read_dae, uri_readings, is_scene=True),
    "3ds": Format(max3ds.read_3ds, short_names=True),
    "x": Format(directx.read_x),
    "x3d": Format(web3d.read_scene, web3d.url_readings, parts=_ANY, is_scene=True),
    "ply": Format(statements.read_ply),
    "ac": Format(statements.read_ac),
    "ase": Format(statements.read_ase),
    "lwo": Format(lightwave.read_lwo, parts=_ANY, from_above=True),
    "lws": Format(statements.read_lws, from_above=True),
    "md2": Format(game_models.read_md2, image_readings, instead=_images, from_above=True),
    "md3": Format(game_models.read_md3, image_readings, beside=_skins, instead=_images, from_above=True),
    "skin": Format(statements.read_quake_skin, image_readings, from_above=True),
    "md5mesh": Format(statements.read_md5mesh, image_readings, beside=_animations, instead=_images, from_above=True),
    "mdl": Format(
        mdl.read_mdl,
        first_that_exists,
        beside=_source_engine_parts,
        parts=re.compile(r"(?:t|\d\d)\.mdl$", re.IGNORECASE),
    ),
    "smd": Format(statements.read_smd, image_readings, from_above=True),
    "irr": Format(engine_xml.read_irr, engine_xml.engine_readings, is_scene=True),
    "material": Format(statements.read_ogre_material),
    "mtlx": Format(engine_xml.read_mtlx),
    "ms3d": Format(game_models.read_ms3d),
    "b3d": Format(game_models.read_b3d),
    "ogex": Format(statements.read_ogex),
    "nff": Format(statements.read_nff),
    "cob": Format(statements.read_cob),
    "raw": Format(statements.read_raw),
    "sib": Format(game_models.read_sib),
    "m3d": Format(model3d.read_m3d, model3d.m3d_readings),
    "pmx": Format(mikumiku.read_pmx),
    "usd": Format(usd.read_usd, usd.layer_readings, parts=_ANY),
    "dxf": Format(dxf.read_dxf, parts=_ANY),
    "blend": Format(blend.read_blend, parts=_ANY),
    "dcm": Format(dicom.read_dcm, gathers=True),
    "uc": Format(statements.read_uc, beside=_unreal_parts),
    "ifc": Format(statements.read_ifc),
}
"""By file name extension. Not all are formats that are uploaded for themselves."""

# What the material library of an OBJ is called is up to its author; `mat` is seen in the wild.
FORMATS["mat"] = FORMATS["mtl"]
for other, same in {
    "acc": "ac", "ac3d": "ac", "ask": "ase", "prj": "3ds", "lxo": "lwo", "md5": "md5mesh", "mdc": "md3",
    "irrmesh": "irr", "glb": "gltf", "usda": "usd", "usdc": "usd", "enff": "nff", "scn": "cob",
    "wrl": "x3d", "wrz": "x3d", "vrml": "x3d", "x3dv": "x3d", "x3dz": "x3d",
}.items():  # fmt: skip
    FORMATS[other] = FORMATS[same]
FORMATS["xml"] = Format(
    engine_xml.read_irr,
    engine_xml.engine_readings,
    beside=_ogre_material,
    parts=re.compile(r"\.skeleton\.xml$", re.IGNORECASE),
)

_COMPLETE = (
    # Images, sounds, point clouds, and models that are complete in one file, some of them archives: XGL and Quick3D
    # hold the pixels of their textures themselves.
    "jpg jpeg png tga dds tif tiff bmp rgbe hdr wav mp3 ogg flac e57 ptx xyz las laz"
    " stl off 3mf amj usdz skp xgl zgl q3o q3s hmb bvh cms mot vta ndo ter bin"
    # Of this it is not known how it would name a file.
    " ptf"
)
NEVER_REFER = frozenset(_COMPLETE.split())
"""The extensions of all other formats that are uploaded: their files name nothing."""
