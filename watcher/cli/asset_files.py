"""An asset as files: its description, payload, thumbnail and code."""

import json
from contextlib import suppress
from pathlib import Path

from watcher.api import AssetApi, NotFound, RetryPolicy
from watcher.api.models import AssetContainer, AssetEntry, ThumbnailSize
from watcher.cli.answers import plain
from watcher.cli.names import container_of
from watcher.cli.transfer import file_name, save

# Source: the contract's lists of containers for these operations.
WITH_PAYLOAD = frozenset(
    {
        AssetContainer.ANIMATIONS,
        AssetContainer.ANIMATION_SEQUENCES,
        AssetContainer.COLLISION_GEOMETRIES,
        AssetContainer.MESHES,
        AssetContainer.POINT_CLOUDS,
        AssetContainer.SCRIPTS,
        AssetContainer.SHADERS,
        AssetContainer.SKELETONS,
        AssetContainer.SOUNDS,
        AssetContainer.TEXTURES,
        AssetContainer.TEXTURES_1D,
        AssetContainer.TEXTURES_3D,
    }
)
WITH_CODE = frozenset(
    {
        AssetContainer.ANIMATION_SEQUENCES,
        AssetContainer.MODULES,
        AssetContainer.SCRIPTS,
        AssetContainer.SHADERS,
    }
)


def write_files(api: AssetApi, entry: AssetEntry, folder: Path) -> list[str]:
    """Bring an asset into a folder; returns the names of its files.

    They are NAME.TYPE.json (the description), NAME.TYPE.payload, NAME.TYPE.png (the thumbnail) and NAME.TYPE.txt (the
    code), as far as the asset has them. When one of the same name and type is there, part of the id goes into the name.
    Raises ApiError, OSError.
    """
    container = container_of(entry.asset_type)
    own = file_name(f"{entry.name}.{entry.asset_type}", entry.asset_id)
    if (folder / f"{own}.json").exists():
        own = file_name(f"{entry.name}-{entry.asset_id[:8]}.{entry.asset_type}", entry.asset_id)
    description = api.assets.description(container, entry.asset_id)
    text = json.dumps(plain(description), indent=2, ensure_ascii=False)
    written = [f"{own}.json"]
    (folder / written[0]).write_text(f"{text}\n", encoding="utf-8")
    # An asset need not have these, and it exists: there is nothing to wait for.
    once = api.with_options(retry=RetryPolicy.none())
    if container in WITH_PAYLOAD:
        with suppress(NotFound):
            save(once.assets.payload(container, entry.asset_id), folder / f"{own}.payload")
            written.append(f"{own}.payload")
    with suppress(NotFound):
        save(once.assets.thumbnail(container, entry.asset_id, size=ThumbnailSize.LARGE), folder / f"{own}.png")
        written.append(f"{own}.png")
    if container in WITH_CODE:
        with suppress(NotFound):
            code = once.assets.code(container, entry.asset_id)
            if code:
                (folder / f"{own}.txt").write_text(code, encoding="utf-8")
                written.append(f"{own}.txt")
    return written
