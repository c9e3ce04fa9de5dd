"""DDS pictures: textures, or cubemaps, whose faces are cut out and read as pictures of their own.

Source: Microsoft, "Programming guide for DDS" (DDS_HEADER, DDS_HEADER_DXT10).
"""

import struct

from PIL import Image as Pillow

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.cubemap import FACES, add_cubemap
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.picture import fitted, shrunk
from watcher.emulator.convert.texture import add_picture, read_picture, shown

_HEAD = 128
_HEAD_DX10 = 148
_CAPS2, _FOURCC, _MISC = 112, 84, 136
"""Places in the header."""
_CUBEMAP, _ALL_FACES, _VOLUME = 0x200, 0xFC00, 0x200000
_MISC_CUBE = 0x4


def convert_dds(conversion: Conversion) -> None:
    """A texture or a cubemap. Raises ConversionFailed when it cannot be read completely."""
    name = conversion.main_name
    faces = _faces(conversion.files.read(name), name)
    conversion.stage(0.2, 1.0)
    if len(faces) == 1:
        add_picture(conversion, "texture-0", conversion.title, read_picture(faces[0], name, conversion))
        conversion.progress(1.0)
        return
    overview = Pillow.new("RGB", (3 * 128, 2 * 128))
    for place, (face, data) in enumerate(zip(FACES, faces, strict=True)):
        picture = read_picture(data, name, conversion)
        add_picture(conversion, f"texture-{face}", f"{conversion.title} {face}", picture)
        overview.paste(fitted(shown(picture), 128).convert("RGB"), (place % 3 * 128, place // 3 * 128))
        conversion.progress((place + 1) / len(FACES))
    add_cubemap(conversion, shrunk(overview))


def _faces(data: bytes, name: str) -> list[bytes]:
    """The picture, or a picture for each face of a cubemap."""
    if not data.startswith(b"DDS ") or len(data) < _HEAD:
        raise ConversionFailed(f"{name} is not a DDS file that can be read")
    caps2 = struct.unpack_from("<I", data, _CAPS2)[0]
    has_more = data[_FOURCC : _FOURCC + 4] == b"DX10" and len(data) >= _HEAD_DX10
    misc, cubes = struct.unpack_from("<II", data, _MISC) if has_more else (0, 1)
    if caps2 & _VOLUME:
        raise ConversionFailed(f"{name} holds a volume texture; this emulator converts flat ones and cubemaps")
    if not (caps2 & _CUBEMAP or misc & _MISC_CUBE):
        return [data]
    if caps2 & _CUBEMAP and caps2 & _ALL_FACES != _ALL_FACES and not misc & _MISC_CUBE:
        raise ConversionFailed(f"{name} holds only {(caps2 & _ALL_FACES).bit_count()} of the six faces of a cubemap")
    if cubes > 1:
        raise ConversionFailed(f"{name} holds {cubes} cubemaps; this emulator converts one")
    head = bytearray(data[: _HEAD_DX10 if has_more else _HEAD])
    struct.pack_into("<I", head, _CAPS2, 0)
    if has_more:
        struct.pack_into("<I", head, _MISC, misc & ~_MISC_CUBE)
    size, rest = divmod(len(data) - len(head), len(FACES))
    if rest or not size:
        raise ConversionFailed(f"{name} is damaged: its six faces are not of one size")
    return [bytes(head) + data[start : start + size] for start in range(len(head), len(data), size)]
