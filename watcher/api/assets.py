"""Assets: finding, describing, making, changing and deleting them, and what they hold."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from watcher.api.body import FilePart, Progress, single
from watcher.api.download import Download
from watcher.api.models import (
    DESCRIPTION_OF,
    AssetContainer,
    AssetCount,
    AssetDetails,
    AssetDuplication,
    AssetEntry,
    AssetId,
    AssetList,
    AssetType,
    CreatedAsset,
    Dependency,
    DependencyProperty,
    Depth,
    Description,
    DuplicationOptions,
    ExportFormat,
    Folder,
    ImportedAssets,
    NewAsset,
    Overwrite,
    PublicAssets,
    Reference,
    ReferenceProperty,
    SourceFile,
    ThumbnailSize,
)
from watcher.api.operation import Operation, operation
from watcher.api.paging import DEFAULT_LIMIT, PAGE_SIZE, AssetPage, pages
from watcher.api.wire import Wire

Container = AssetContainer | str


def _ids(container: Container, asset_id: str) -> dict[str, str]:
    return {"asset_container": container, "asset_id": asset_id}


@dataclass(frozen=True, slots=True)
class Assets:
    """``api.assets``; those of one folder are listed by ``api.folders.assets``.

    container: the plural of an asset's type, such as ``meshes`` (:class:`AssetContainer`).
    """

    _wire: Wire

    # Finding

    def iterate(
        self,
        *,
        name: str | None = None,
        asset_type: AssetType | str | Sequence[AssetType | str] | None = None,
        include_public_assets: bool | None = None,
        page_size: int = PAGE_SIZE,
    ) -> Iterator[AssetEntry]:
        """All assets that the credential may see, or those that match the filters."""
        return pages(
            "listAssets",
            lambda offset, limit: self.list(
                offset, limit, name=name, asset_type=asset_type, include_public_assets=include_public_assets
            ).assets.refs(),
            lambda entry: entry.asset_id,
            page_size,
        )

    @operation("getAssetDetails", "GET", "/assets/{asset_container}/{asset_id}/details")
    def details(self, op: Operation, container: Container, asset_id: str) -> AssetDetails:
        return self._wire.ask(op(_ids(container, asset_id))).model(AssetDetails)

    @operation("getAssetSourceFile", "GET", "/assets/{asset_container}/{asset_id}/source-file")
    def source_file(self, op: Operation, container: Container, asset_id: str) -> SourceFile:
        """The source file that an asset was made of."""
        return self._wire.ask(op(_ids(container, asset_id))).model(SourceFile)

    @operation("getAssetFolder", "GET", "/assets/{asset_container}/{asset_id}/folder")
    def folder(self, op: Operation, container: Container, asset_id: str) -> Folder:
        """The folder that an asset lies in."""
        return self._wire.ask(op(_ids(container, asset_id))).model(Folder)

    def dependencies(
        self,
        container: Container,
        asset_id: str,
        *,
        depth: Depth | str | int = Depth.ALL,
        with_types: Sequence[AssetType | str] | None = None,
        without_types: Sequence[AssetType | str] | None = None,
        public: PublicAssets | str | None = None,
        properties: Sequence[DependencyProperty | str] | None = None,
        page_size: int = PAGE_SIZE,
    ) -> Iterator[Dependency]:
        """All assets that an asset needs; see :meth:`dependencies_page`."""
        return pages(
            "getAssetDependencies",
            lambda offset, limit: self.dependencies_page(
                container,
                asset_id,
                offset,
                limit,
                depth=depth,
                with_types=with_types,
                without_types=without_types,
                public=public,
                properties=properties,
            ),
            lambda dependency: dependency.asset_id,
            page_size,
        )

    @operation("getAssetDependencies", "GET", "/assets/{asset_container}/{asset_id}/dependencies")
    def dependencies_page(
        self,
        op: Operation,
        container: Container,
        asset_id: str,
        offset: int = 0,
        limit: int = DEFAULT_LIMIT,
        *,
        depth: Depth | str | int = Depth.ALL,
        with_types: Sequence[AssetType | str] | None = None,
        without_types: Sequence[AssetType | str] | None = None,
        public: PublicAssets | str | None = None,
        properties: Sequence[DependencyProperty | str] | None = None,
    ) -> list[Dependency]:
        """A page of the assets that an asset needs.

        depth: how many levels down.
        properties: what to tell besides ids and types.
        """
        filters = {"with_asset_types": with_types, "without_asset_types": without_types, "public": public}
        query = {"offset": offset, "limit": limit, "depth": depth, "filters": filters, "properties": properties}
        return self._wire.ask(op(_ids(container, asset_id), query=query)).models(Dependency)

    def references(
        self,
        container: Container,
        asset_id: str,
        *,
        properties: Sequence[ReferenceProperty | str] | None = None,
        page_size: int = PAGE_SIZE,
    ) -> Iterator[Reference]:
        """All assets that need an asset."""
        return pages(
            "getAssetReferences",
            lambda offset, limit: self.references_page(container, asset_id, offset, limit, properties=properties),
            lambda reference: reference.asset_id,
            page_size,
        )

    @operation("getAssetReferences", "GET", "/assets/{asset_container}/{asset_id}/references")
    def references_page(
        self,
        op: Operation,
        container: Container,
        asset_id: str,
        offset: int = 0,
        limit: int = DEFAULT_LIMIT,
        *,
        properties: Sequence[ReferenceProperty | str] | None = None,
    ) -> list[Reference]:
        """A page of the assets that need an asset.

        properties: what to tell besides ids and types.
        """
        query = {"offset": offset, "limit": limit, "properties": properties}
        return self._wire.ask(op(_ids(container, asset_id), query=query)).models(Reference)

    # What an asset holds

    @operation("getAssetDescription", "GET", "/assets/{asset_container}/{asset_id}/description")
    def description(self, op: Operation, container: Container, asset_id: str) -> Description:
        """What an asset is; the model depends on the container (``meshes`` gives a :class:`Mesh`)."""
        model = DESCRIPTION_OF.get(container, Description)
        return self._wire.ask(op(_ids(container, asset_id))).model(model)

    @operation("getAssetPayload", "GET", "/assets/{asset_container_with_payload}/{asset_id}/payload")
    def payload(
        self, op: Operation, container: Container, asset_id: str, *, sub_resource: str | None = None
    ) -> AbstractContextManager[Download]:
        """The binary content of an asset.

        sub_resource: a part of it: ``position``, ``color``, ``histogram``, or the number of a mip level.
        """
        ids = {"asset_container_with_payload": container, "asset_id": asset_id}
        return self._wire.download(op(ids, query={"sub_resource": sub_resource}))

    @operation("getAssetCode", "GET", "/assets/{asset_container_with_code}/{asset_id}/code")
    def code(self, op: Operation, container: Container, asset_id: str) -> str:
        """The program text of a script, shader, module or animation sequence."""
        return self._wire.ask(op({"asset_container_with_code": container, "asset_id": asset_id})).text()

    @operation("getAssetCustomTypes", "GET", "/assets/{asset_container_with_custom_types}/{asset_id}/custom-types")
    def custom_types(
        self, op: Operation, asset_id: str, *, container: Container = AssetContainer.MODULES
    ) -> dict[str, Any]:
        """The types that a module declares, and those that it takes from others."""
        return self._wire.ask(op({"asset_container_with_custom_types": container, "asset_id": asset_id})).object()

    @operation("getAssetHistory", "GET", "/assets/{asset_container}/{asset_id}/history")
    def history(self, op: Operation, container: Container, asset_id: str) -> dict[str, Any]:
        return self._wire.ask(op(_ids(container, asset_id))).object()

    @operation("getAssetMeta", "GET", "/assets/{asset_container}/{asset_id}/meta")
    def meta(self, op: Operation, container: Container, asset_id: str) -> dict[str, Any]:
        return self._wire.ask(op(_ids(container, asset_id))).object()

    @operation("getAssetThumbnail", "GET", "/assets/{asset_container}/{asset_id}/thumbnail")
    def thumbnail(
        self,
        op: Operation,
        container: Container,
        asset_id: str,
        *,
        size: ThumbnailSize | str = ThumbnailSize.MEDIUM,
        default_url: str | None = None,
    ) -> AbstractContextManager[Download]:
        """A picture of an asset.

        default_url: a picture elsewhere, for an asset that has none.
        """
        query = {"size": size, "default_url": default_url}
        return self._wire.download(op(_ids(container, asset_id), query=query))

    @operation("packageAsset", "GET", "/assets/{asset_container}/{asset_id}/package")
    def package(self, op: Operation, container: Container, asset_id: str) -> AbstractContextManager[Download]:
        """An asset with all that it needs, as a zip archive that :meth:`import_package` takes."""
        return self._wire.download(op(_ids(container, asset_id)))

    @operation("exportAsset", "GET", "/assets/{asset_container_exportable}/{asset_id}/exports/{format}")
    def export(
        self,
        op: Operation,
        container: Container,
        asset_id: str,
        export_format: ExportFormat | str,
        *,
        scale: float = 1,
        sub_mesh_index: int | None = None,
    ) -> AbstractContextManager[Download]:
        """A mesh in a common format."""
        ids = {"asset_container_exportable": container, "asset_id": asset_id, "format": export_format}
        return self._wire.download(op(ids, query={"scale": scale, "sub_mesh_index": sub_mesh_index}))

    # Changing

    @operation("renameAsset", "PATCH", "/assets/{asset_container}/{asset_id}/description")
    def rename(self, op: Operation, container: Container, asset_id: str, name: str) -> None:
        self._wire.ask(op(_ids(container, asset_id), body={"name": name}))

    @operation("setAssetThumbnail", "PUT", "/assets/{asset_container}/{asset_id}/thumbnail")
    def set_thumbnail(
        self, op: Operation, container: Container, asset_id: str, image: bytes, *, content_type: str = "image/png"
    ) -> None:
        """Gives an asset another picture.

        content_type: ``image/png`` or ``image/jpg`` (so spelt in the contract).
        """
        self._wire.ask(op(_ids(container, asset_id), body=image, headers={"content-type": content_type}))

    @operation("moveAssets", "PUT", "/folders/{folder_id}/assets")
    def move(self, op: Operation, asset_ids: Sequence[str], *, to: str) -> None:
        """Moves assets into the folder ``to``."""
        self._wire.ask(op({"folder_id": to}, body=[*asset_ids]))

    @operation("deleteAsset", "DELETE", "/assets/{asset_container}/{asset_id}")
    def delete(self, op: Operation, container: Container, asset_id: str) -> None:
        self._wire.ask(op(_ids(container, asset_id)))

    @operation("deleteAssets", "DELETE", "/assets")
    def delete_many(self, op: Operation, asset_ids: Sequence[str]) -> None:
        """Deletes assets at once. Other assets must not need them."""
        self._wire.ask(op(body=[*asset_ids]))

    # Making

    @operation("createAsset", "POST", "/folders/{folder_id}/assets")
    def create(self, op: Operation, folder_id: str, options: NewAsset | AssetDuplication) -> CreatedAsset:
        """A new asset in a folder, empty or as a copy."""
        body = options.model_dump(exclude_none=True)
        return self._wire.ask(op({"folder_id": folder_id}, body=body)).model(CreatedAsset)

    def duplicate(
        self,
        folder_id: str,
        asset_type: AssetType,
        asset_id: str,
        *,
        name: str | None = None,
        with_types: Sequence[AssetType] | None = None,
        max_depth: int | None = None,
    ) -> CreatedAsset:
        """A copy of an asset in a folder.

        with_types: which of the assets that it needs are copied as well, down to ``max_depth`` levels.
        """
        options = None
        if with_types is not None or max_depth is not None:
            types = None if with_types is None else [*with_types]
            options = DuplicationOptions(asset_types=types, max_depth=max_depth)
        return self.create(
            folder_id,
            AssetDuplication(asset_type=asset_type, copy_from_asset_id=asset_id, new_asset_name=name, options=options),
        )

    @operation("createMaterial", "POST", "/folders/{folder_id}/assets/materials")
    def create_material(
        self,
        op: Operation,
        folder_id: str,
        name: str,
        *,
        shader_ref: str,
        data_json: Mapping[str, Any],
        is_double_sided: bool = False,
    ) -> AssetId:
        """A new material.

        shader_ref: the id of a shader asset; data_json: the values of its inputs.
        """
        body = {"name": name, "shaderRef": shader_ref, "dataJson": dict(data_json), "isDoubleSided": is_double_sided}
        return self._wire.ask(op({"folder_id": folder_id}, body=body)).model(AssetId)

    @operation("createCubemap", "POST", "/folders/{folder_id}/assets/cubemaps")
    def create_cubemap(self, op: Operation, folder_id: str, name: str, *, faces: Sequence[str]) -> AssetId:
        """A new cubemap.

        faces: the ids of six textures.
        """
        return self._wire.ask(op({"folder_id": folder_id}, body={"name": name, "faces": [*faces]})).model(AssetId)

    @operation("importAssets", "PUT", "/folders/{folder_id}/packages")
    def import_package(
        self,
        op: Operation,
        folder_id: str,
        package: FilePart,
        *,
        overwrite: Overwrite | str = Overwrite.NEVER,
        on_progress: Progress | None = None,
    ) -> ImportedAssets:
        """Imports the assets of a zip archive (:meth:`package` makes one), streamed and sent once.

        package: its name is not sent.
        overwrite: which assets that exist already are replaced.
        Raises as :meth:`Folders.upload` does.
        """
        body = single(package, "application/zip", on_progress)
        return self._wire.upload(op({"folder_id": folder_id}, query={"overwrite": overwrite}), body).model(
            ImportedAssets
        )

    # Last: within the class, the name hides the type.
    @operation("listAssets", "GET", "/assets")
    def list(
        self,
        op: Operation,
        offset: int = 0,
        limit: int = DEFAULT_LIMIT,
        *,
        name: str | None = None,
        asset_type: AssetType | str | Sequence[AssetType | str] | None = None,
        include_public_assets: bool | None = None,
    ) -> AssetPage:
        """A page of the assets that the credential may see."""
        filters = {"asset_type": asset_type, "asset_name": name, "include_public_assets": include_public_assets}
        answer = self._wire.ask(op(query={"offset": offset, "limit": limit, "filter": filters}))
        return AssetPage(answer.model(AssetList), answer.header_model("x-assets-count", AssetCount))
