"""Which converter takes which source format."""

from collections.abc import Callable

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.cubemap import convert_hdr, convert_rgbe
from watcher.emulator.convert.dds import convert_dds
from watcher.emulator.convert.job import ConversionFailed, ConversionJob, ConversionResult
from watcher.emulator.convert.libraries import HEAVY_READERS
from watcher.emulator.convert.model import Model, PointChunks, PointSet, Volume
from watcher.emulator.convert.motion_assets import add_motion
from watcher.emulator.convert.points import add_points
from watcher.emulator.convert.readers.dae import read_dae
from watcher.emulator.convert.readers.gltf import read_glb, read_gltf
from watcher.emulator.convert.readers.library import load
from watcher.emulator.convert.readers.m3d import read_m3d
from watcher.emulator.convert.readers.obj import read_obj
from watcher.emulator.convert.readers.off import read_off
from watcher.emulator.convert.readers.ply import read_ply
from watcher.emulator.convert.readers.ptx import read_ptx
from watcher.emulator.convert.readers.stl import read_stl
from watcher.emulator.convert.readers.threemf import read_3mf
from watcher.emulator.convert.readers.xyz import read_xyz
from watcher.emulator.convert.scene_assets import add_model
from watcher.emulator.convert.texture import convert_texture
from watcher.emulator.convert.transform import Z_UP_TO_Y_UP
from watcher.emulator.convert.volume import add_volume
from watcher.formats import Kind, extension_of, kind_of

Read = Callable[[Conversion], Model | PointSet | PointChunks | Volume]

READERS: dict[str, Read] = {
    "obj": read_obj,
    "gltf": read_gltf,
    "glb": read_glb,
    "stl": read_stl,
    "ply": read_ply,
    "off": read_off,
    "3mf": read_3mf,
    "dae": read_dae,
    "m3d": read_m3d,
    "ptx": read_ptx,
    "xyz": read_xyz,
}
PICTURES: dict[str, Callable[[Conversion], None]] = {
    **dict.fromkeys(("png", "jpg", "jpeg", "bmp", "tga", "tif", "tiff"), convert_texture),
    "dds": convert_dds,
    "rgbe": convert_rgbe,
    "hdr": convert_hdr,
}
_SURVEYED = frozenset(("las", "laz", "e57", "ptx", "xyz", "dxf"))
"""Points of scanners and surveyors, whose third axis points up."""
SOUNDS = frozenset(("wav", "flac", "ogg", "mp3"))


def convert(job: ConversionJob, log: list[str], on_progress: Callable[[float], None]) -> ConversionResult:
    """Convert one job in this process. Raises ConversionFailed; ``log`` holds the lines in any case."""
    conversion = Conversion(job, log, on_progress)
    extension = extension_of(job.main_name)
    if job.main_name not in job.files:
        raise ConversionFailed(f"the main file {job.main_name} is not among the files")
    read = _reader_for(extension)
    if read is not None:
        conversion.stage(0.0, 0.35)
        content = read(conversion)
        if isinstance(content, Volume):
            add_volume(conversion, content)
            pipeline = "volume"
        elif not isinstance(content, Model):
            chunks = [content] if isinstance(content, PointSet) else content
            add_points(conversion, chunks, Z_UP_TO_Y_UP if extension in _SURVEYED else None)
            pipeline = "point-cloud"
        elif content.animations and not any(mesh.primitives for mesh in content.meshes):
            add_motion(conversion, content)
            pipeline = "animation"
        else:
            add_model(conversion, content)
            pipeline = "scene"
    elif extension in PICTURES:
        PICTURES[extension](conversion)
        pipeline = "texture"
    elif extension in SOUNDS:
        # The sound library is loaded by workers that meet a sound.
        from watcher.emulator.convert.sound import convert_sound

        convert_sound(conversion)
        pipeline = "auto-detect"
    else:
        raise ConversionFailed(_no_converter(job.main_name, extension))
    return ConversionResult(conversion.assets, pipeline, "\n".join(log))


def _reader_for(extension: str) -> Read | None:
    """Raises ConversionFailed when the library that it needs is not installed."""
    if extension in READERS:
        return READERS[extension]
    if extension not in HEAVY_READERS:
        return None
    module = f"watcher.emulator.convert.readers.{HEAVY_READERS[extension]}"
    read: Read = load(module, f"converting .{extension} files").read
    return read


def _no_converter(name: str, extension: str) -> str:
    kind = kind_of(name)
    if kind is None:
        return (
            f"{'.' + extension if extension else 'a file without extension'} is not a format that the Asset API takes"
        )
    if kind is Kind.COMPANION:
        return f".{extension} files only travel with the model that names them"
    return f"no converter for .{extension} in this emulator; the real service takes this format"
