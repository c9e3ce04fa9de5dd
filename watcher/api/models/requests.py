"""What a caller hands in: folders to create, group members, assets to create or copy."""

from pydantic import BaseModel, ConfigDict

from watcher.api.models.words import Access, AssetType


class Request(BaseModel):
    """Part of a request. Members that are None are not sent; an unknown one is a typing mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NewFolder(Request):
    name: str
    subfolders: "list[NewFolder] | None" = None


class NewGroupMember(Request):
    user_id: str
    group_access: Access
    folder_access: Access


class NewAsset(Request):
    """An empty asset of a type that needs no source file."""

    asset_type: AssetType
    name: str


class DuplicationOptions(Request):
    asset_types: list[AssetType] | None = None
    """Which of the copied asset's dependencies are copied as well."""
    max_depth: int | None = None


class AssetDuplication(Request):
    """A copy of an asset."""

    asset_type: AssetType
    copy_from_asset_id: str
    new_asset_name: str | None = None
    options: DuplicationOptions | None = None
