"""Assets: lists by container, details, dependencies, and what creating, copying and importing answer."""

from typing import Any, NamedTuple

from watcher.api.models.base import Count, Items, Model
from watcher.api.models.users import User
from watcher.api.models.words import AnyAssetType, AssetContainer


class AssetRef(Model):
    asset_id: str
    name: str = ""


class AssetEntry(NamedTuple):
    """An asset as one line of a list."""

    asset_type: str
    """An :class:`AssetType` when the container is known, else the container's name as it came."""
    asset_id: str
    name: str


class AssetList(Model):
    """Assets by container. Containers of a later API version are in ``model_extra`` and in :meth:`refs`."""

    action_maps: Items[AssetRef] = ()
    animations: Items[AssetRef] = ()
    animation_graphs: Items[AssetRef] = ()
    animation_sequences: Items[AssetRef] = ()
    animation_sets: Items[AssetRef] = ()
    collision_geometries: Items[AssetRef] = ()
    cubemaps: Items[AssetRef] = ()
    event_maps: Items[AssetRef] = ()
    materials: Items[AssetRef] = ()
    meshes: Items[AssetRef] = ()
    modules: Items[AssetRef] = ()
    point_clouds: Items[AssetRef] = ()
    render_graphs: Items[AssetRef] = ()
    scenes: Items[AssetRef] = ()
    scripts: Items[AssetRef] = ()
    shaders: Items[AssetRef] = ()
    skeletons: Items[AssetRef] = ()
    sounds: Items[AssetRef] = ()
    textures: Items[AssetRef] = ()
    textures_1d: Items[AssetRef] = ()
    textures_3d: Items[AssetRef] = ()
    volume_materials: Items[AssetRef] = ()

    def refs(self) -> list[AssetEntry]:
        """All assets of all containers, also of containers that this version does not know."""
        known = [
            AssetEntry(container.asset_type, ref.asset_id, ref.name)
            for container in AssetContainer
            for ref in getattr(self, container)
        ]
        unknown = [
            AssetEntry(container, item["asset_id"], _text(item.get("name")))
            for container, items in (self.model_extra or {}).items()
            if isinstance(items, list)
            for item in items
            if isinstance(item, dict) and isinstance(item.get("asset_id"), str)
        ]
        return known + unknown


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


class DeletedUser(Model):
    """What went with a user."""

    deleted_assets: AssetList | None = None


class AssetCount(Model):
    """How many assets there are: ``total``, and one more field for each type (``model_extra``)."""

    total: Count = None


class AssetId(Model):
    asset_id: str


class CreatedAsset(Model):
    """A new asset; when it is a copy, the map leads from the copied assets' ids to the new ones."""

    asset_id: str
    name: str = ""
    source_to_copy_asset_id_map: dict[str, str] | None = None


class ImportedAssetIds(Model):
    imported: Items[str] = ()
    overwritten: Items[str] = ()
    skipped: Items[str] = ()


class ImportedAssets(Model):
    asset_ids: ImportedAssetIds
    skipped_files: Items[str] = ()


class Contributor(Model):
    contribution_count: Count = None
    user: User


class AssetDetails(Model):
    asset_id: str
    name: str
    type: AnyAssetType
    created_at: str | None = None
    created_by: User | None = None
    last_edited_at: str | None = None
    last_edited_by: User | None = None
    contributors: Items[Contributor] = ()


class PayloadInfo(Model):
    hash: str | None = None
    storage_id: Count = None


class DependencyCount(Model):
    asset_id: str
    count: Count = None


class DependencyProperties(Model):
    """Only what was asked for is there."""

    name: str | None = None
    direct_count: Count = None
    indirect_count: Count = None
    is_public: bool | None = None
    is_accessible: bool | None = None
    payload_info: PayloadInfo | None = None
    dependencies: list[DependencyCount] | None = None


class Dependency(Model):
    """An asset that another asset needs."""

    asset_id: str
    asset_type: AnyAssetType
    properties: DependencyProperties | None = None


class ReferenceProperties(Model):
    """Only what was asked for is there."""

    name: str | None = None
    direct_count: Count = None
    is_public: bool | None = None


class Reference(Model):
    """An asset that needs another asset."""

    asset_id: str
    asset_type: AnyAssetType
    properties: ReferenceProperties | None = None
