"""What a model file names: one small reader per format, behind one interface."""

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

from watcher.formats import extension_of
from watcher.plan import (
    collada,
    directx,
    engine_xml,
    fbx,
    game_models,
    gltf,
    lightwave,
    max3ds,
    obj,
    statements,
    web3d,
)
from watcher.plan.alternatives import IMAGES, first_that_exists, image_readings
from watcher.plan.uri import uri_readings

LONGEST_NAME = 4096
"""Characters; longer than any path that Linux opens."""
MOST_NAMES = 10_000
"""Names of one file that are followed; more of them is no model but an attack."""


def _as_written(text: str) -> tuple[tuple[str, ...], ...]:
    return ((text,),)


def _nothing(_stem: str) -> tuple[str, ...]:
    return ()


def _no_names(_file: BinaryIO) -> tuple[str, ...]:
    return ()


def _images(stem: str) -> Iterator[str]:
    """The skin of a game's model is often just called like it."""
    return (f"{stem}.{extension}" for extension in IMAGES)


def _skins(stem: str) -> tuple[str, ...]:
    return (f"{stem}_default.skin",)


def _animation(stem: str) -> tuple[str, ...]:
    return (f"{stem}.md5anim",)


def _studio_parts(stem: str) -> tuple[str, ...]:
    """Half-Life keeps textures and sequences of animations in files of their own."""
    return (f"{stem}t.mdl", *(f"{stem}{number:02}.mdl" for number in range(1, 33)))


def _unreal_parts(stem: str) -> tuple[str, ...]:
    return (f"{stem}_d.3d", f"{stem}_a.3d")


def _ogre_material(stem: str) -> tuple[str, ...]:
    """Of ``car.mesh.xml``: the script with its materials. `Scene` is what exporters call that of a whole scene."""
    return (f"{stem.removesuffix('.mesh')}.material", "Scene.material")


@dataclass(frozen=True, slots=True)
class Format:
    """How the files of one format name others."""

    read: Callable[[BinaryIO], Iterable[str]]
    """Yields the names in the open file, in order, repeats allowed. Streams, and raises nothing but OSError."""
    readings: Callable[[str], tuple[tuple[str, ...], ...]] = _as_written
    """The ways to understand one of these names, the likeliest first. Each is a tuple of file names that the text
    stands for together (an OBJ statement may hold several). An empty tuple: it may as well stand for no file."""
    beside: Callable[[str], Iterable[str]] = _nothing
    """By the file's name without extension: names of files that belong to it, where they exist, without being named."""
    instead: Callable[[str], Iterable[str]] = _nothing
    """Likewise: the first of these that exists stands in when nothing that the file names is there."""
    gathers: bool = False
    """What `read` yields are no names: the files of one folder in which it is equal belong together."""


FORMATS: dict[str, Format] = {
    "obj": Format(obj.read_obj, obj.obj_readings),
    "mtl": Format(obj.read_mtl),
    "gltf": Format(gltf.read_gltf, uri_readings),
    "glb": Format(gltf.read_glb, uri_readings),
    "fbx": Format(fbx.read_fbx, first_that_exists),
    "dae": Format(collada.read_dae, uri_readings),
    "3ds": Format(max3ds.read_3ds),
    "x": Format(directx.read_x),
    "x3d": Format(web3d.read_x3d, web3d.url_readings),
    "wrl": Format(web3d.read_wrl, web3d.url_readings),
    "ply": Format(statements.read_ply),
    "ac": Format(statements.read_ac),
    "ase": Format(statements.read_ase),
    "lwo": Format(lightwave.read_lwo),
    "lws": Format(statements.read_lws),
    "md2": Format(game_models.read_md2, image_readings, instead=_images),
    "md3": Format(game_models.read_md3, image_readings, beside=_skins, instead=_images),
    "skin": Format(statements.read_quake_skin, image_readings),
    "md5mesh": Format(statements.read_md5mesh, image_readings, beside=_animation, instead=_images),
    "mdl": Format(_no_names, beside=_studio_parts),
    "smd": Format(statements.read_smd, image_readings),
    "irr": Format(engine_xml.read_irr, engine_xml.engine_readings),
    "material": Format(statements.read_ogre_material),
    "mtlx": Format(engine_xml.read_mtlx),
    "ms3d": Format(game_models.read_ms3d),
    "b3d": Format(game_models.read_b3d),
    "ogex": Format(statements.read_ogex),
    "uc": Format(statements.read_uc, beside=_unreal_parts),
    "ifc": Format(statements.read_ifc, uri_readings),
}
"""By file name extension. Not all are formats that are uploaded for themselves."""

# What the material library of an OBJ is called is up to its author; `mat` is seen in the wild.
FORMATS["mat"] = FORMATS["mtl"]
for other, same in {
    "acc": "ac", "ac3d": "ac", "ask": "ase", "prj": "3ds", "lxo": "lwo", "md5": "md5mesh", "mdc": "md3",
    "irrmesh": "irr",
}.items():  # fmt: skip
    FORMATS[other] = FORMATS[same]
FORMATS["xml"] = Format(engine_xml.read_irr, engine_xml.engine_readings, beside=_ogre_material)


def format_of(path: str) -> Format | None:
    """How a file of this name names others; None when it never does."""
    return FORMATS.get(extension_of(path))


def gathers(path: str) -> bool:
    """Whether a file of this name belongs to others that say the same of themselves, rather than naming them."""
    known = format_of(path)
    return known is not None and known.gathers


def can_refer(path: str) -> bool:
    """Whether a file of this name is of a format that can name other files."""
    return extension_of(path) in FORMATS


def read_references(path: str) -> tuple[str, ...]:
    """The names of other files in the model file at `path`, decoded, in order, without repeats.

    The model is not loaded: the file is streamed in constant memory. What cannot be understood yields nothing;
    `data:` and web addresses are no files and are left out. An OBJ statement ``mtllib a b.mtl`` may mean one
    file with a space in its name or two files: it is returned as one text, and resolution tries both.

    Raises OSError when the file cannot be read; a symbolic link and anything but a regular file count as that.
    """
    known = format_of(path)
    if known is None:
        return ()
    with _open(path) as file:
        return tuple(islice(_unique(known.read(file)), MOST_NAMES))


def readings(named_by: str, text: str) -> tuple[tuple[str, ...], ...]:
    """The ways to understand the reference `text` of the file at `named_by`; see :class:`Format`."""
    known = format_of(named_by)
    return known.readings(text) if known else _as_written(text)


def _open(path: str) -> BinaryIO:
    # Non-blocking, so that a FIFO put in the file's place cannot hold us.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW if os.name == "posix" else os.O_RDONLY
    descriptor = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _unique(names: Iterable[str]) -> Iterator[str]:
    """Each name once, without what no file can be called."""
    seen: set[str] = set()
    for name in names:
        if name not in seen and _is_possible(name):
            seen.add(name)
            yield name


def _is_possible(name: str) -> bool:
    if not name or len(name) > LONGEST_NAME or any(character < " " for character in name):
        return False
    try:
        os.fsencode(name)
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True
