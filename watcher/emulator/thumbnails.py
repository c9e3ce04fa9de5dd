"""Pictures of assets: checked when they come in, scaled when they go out, and drawn where there is none."""

import hashlib
import io
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from watcher.emulator.asset_types import AssetType
from watcher.emulator.faults import NotFound, Unprocessable

if TYPE_CHECKING:
    from PIL import Image

_LARGEST = 512
_MAX_PIXELS = 64 << 20


def normalised(data: bytes) -> bytes:
    """A picture that was sent, as a PNG of at most 512 x 512 pixels. Raises Unprocessable."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data), formats=["PNG", "JPEG"]) as image:
            if image.width * image.height > _MAX_PIXELS:
                raise Unprocessable(f"The picture has {image.width} x {image.height} pixels; send a smaller one.")
            return _png(image, _LARGEST)
    except UnidentifiedImageError:
        raise Unprocessable("A thumbnail must be a PNG or JPEG picture; this is neither.") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Unprocessable(f"A thumbnail must be a PNG or JPEG picture: {error}.") from None


def scaled(path: Path, pixels: int) -> bytes:
    """A stored picture as a PNG that fits into a square of so many pixels."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return _png(image, pixels)
    except FileNotFoundError:
        raise NotFound("The thumbnail was deleted just now.") from None


@lru_cache(maxsize=128)
def stand_in(kind: AssetType, pixels: int) -> bytes:
    """The picture of an asset that has none: a plain card in its type's colour, with the type's name."""
    from PIL import Image, ImageDraw

    shade = hashlib.sha256(kind.encode()).digest()
    background = (96 + shade[0] % 64, 96 + shade[1] % 64, 96 + shade[2] % 64)
    image = Image.new("RGB", (256, 256), background)
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((32, 32, 224, 224), radius=20, outline=(255, 255, 255), width=4)
    draw.text((128, 128), kind.replace("_", "\n"), fill=(255, 255, 255), anchor="mm", align="center")
    return _png(image, pixels)


def _png(image: "Image.Image", pixels: int) -> bytes:
    picture = image.convert("RGBA" if image.mode in ("RGBA", "LA", "P", "PA") else "RGB")
    picture.thumbnail((pixels, pixels))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
