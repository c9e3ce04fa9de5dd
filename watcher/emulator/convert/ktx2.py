"""KTX2 pictures with Basis Universal textures (ETC1S, UASTC), as glTF models carry them.

Source: the Khronos KTX 2.0 specification and the extension KHR_texture_basisu.
"""

from PIL import Image as Pillow

from watcher.emulator.convert.picture import require_pixels
from watcher.emulator.convert.readers.library import damaged, load

_SIGNATURE = b"\xabKTX 20\xbb\r\n\x1a\n"


def is_ktx2(head: bytes) -> bool:
    return head.startswith(_SIGNATURE)


def read_ktx2(data: bytes, name: str) -> Pillow.Image:
    """The first and largest picture. Raises ConversionFailed when there is none, or it holds no Basis texture."""
    library = load("opengl_basisu", "reading Basis Universal textures")
    with damaged(f"the picture {name}"):
        texture = library.open(data)
        require_pixels(name, texture.width, texture.height)
        image = Pillow.fromarray(texture.transcode(library.Target.RGBA8).data)
        return image if texture.has_alpha else image.convert("RGB")
