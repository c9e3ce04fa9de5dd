"""The upload of source files: streamed to disk, then recorded in one transaction."""

import os
from collections.abc import Sequence
from typing import Any

from watcher.emulator.access import Access
from watcher.emulator.catalog import new_id
from watcher.emulator.clock import now
from watcher.emulator.lookup import the_folder
from watcher.emulator.multipart import MultipartReceiver, ReceivedFile
from watcher.emulator.operation import Call, Stream, operation
from watcher.emulator.resources.upload_tasks import APPLICATION_USER_ID
from watcher.formats import Kind, kind_of

_MODELS = frozenset({Kind.MESH, Kind.POINT_CLOUD, Kind.VOLUME})
_PIPELINES = {
    Kind.MESH: "scene",
    Kind.POINT_CLOUD: "point-cloud",
    Kind.VOLUME: "volume",
    Kind.TEXTURE: "texture",
    Kind.CUBEMAP: "texture",
}


@operation("POST", "/folders/{folder_id}/source-files", streams=True)
async def upload_source_files(stream: Stream) -> dict[str, Any]:
    """Nothing is recorded, and nothing stays on disk, unless the body arrives to its very end."""
    services = stream.services
    folder_id = stream.path["folder_id"]
    with services.store.read() as tx:
        the_folder(stream.call(tx), folder_id, Access.WRITE)
    receiver = MultipartReceiver(stream.request.headers.get("content-type", ""), services.blobs.begin)
    try:
        await stream.read_to(receiver.feed)
        files = receiver.finish()
        with services.store.write() as tx:
            call = stream.call(tx)
            the_folder(call, folder_id, Access.WRITE)  # it may have changed meanwhile
            upload_task_id, conversions = _record(call, folder_id, files)
        services.conversions.enqueue(conversions)
    finally:
        receiver.discard()
    return {"upload_task_id": upload_task_id}


def conversion_roots(names: Sequence[str]) -> list[int]:
    """Which files of an upload are converted for themselves; the others are their companions.

    Models (meshes, point clouds, volumes) and sounds are; of the slices of a volume the first stands for all of them.
    Without a model, every file is.
    """
    kinds = [kind_of(name) for name in names]
    if not any(kind in _MODELS for kind in kinds):
        return list(range(len(names)))
    return [
        index
        for index, kind in enumerate(kinds)
        if (kind in _MODELS or kind == Kind.SOUND) and (kind != Kind.VOLUME or kinds.index(kind) == index)
    ]


def _record(call: Call, folder_id: str, files: Sequence[ReceivedFile]) -> tuple[str, list[str]]:
    """Store the files, their upload task and its conversions; the ids of the last two."""
    upload_task_id = new_id()
    call.tx.run(
        "INSERT INTO upload_task (upload_task_id, folder_id, uploaded_at, user_id, username) VALUES (?, ?, ?, ?, ?)",
        upload_task_id,
        folder_id,
        now(),
        call.caller.user_id or APPLICATION_USER_ID,
        call.caller.username,
    )
    source_file_ids = [new_id() for _ in files]
    for source_file_id, file in zip(source_file_ids, files, strict=True):
        call.tx.run(
            "INSERT INTO source_file"
            " (source_file_id, upload_task_id, folder_id, original_name, name, size, digest)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            source_file_id,
            upload_task_id,
            folder_id,
            file.name,
            os.path.splitext(os.path.basename(file.name))[0],
            file.blob.size,
            call.tx.keep(file.blob),
        )
    conversions = []
    for index in conversion_roots([file.name for file in files]):
        conversions.append(new_id())
        kind = kind_of(files[index].name)
        call.tx.run(
            "INSERT INTO conversion_task (conversion_task_id, upload_task_id, source_file_id, source_file_name,"
            " asset_id, pipeline, status) VALUES (?, ?, ?, ?, ?, ?, 'waiting')",
            conversions[-1],
            upload_task_id,
            source_file_ids[index],
            files[index].name,
            new_id(),
            "auto-detect" if kind is None else _PIPELINES.get(kind, "auto-detect"),
        )
    return upload_task_id, conversions
