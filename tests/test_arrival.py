"""What the server holds is downloaded once, and remembered within limits."""

import uuid
from collections.abc import Callable

import pytest

import watcher.arrival
from watcher.api import AssetApi, FilePart
from watcher.arrival import Arrival
from watcher.digest import FileDigest


def test_digests_are_remembered_and_never_too_many(
    api: AssetApi, until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher.arrival, "DIGESTS_REMEMBERED", 2)
    folder_id = api.folders.create(f"Arrival {uuid.uuid4()}").folder_id
    for number in range(5):
        api.folders.upload(folder_id, [FilePart(f"{number}.png", 1, lambda number=number: [b"%d" % number])])
    until(lambda: len(list(api.folders.source_files(folder_id))) == 5, 10, "the files")
    arrival = Arrival(api)
    for source in api.folders.source_files(folder_id):
        content = FileDigest()
        content.update(source.source_file_original_name[:1].encode())
        assert arrival.digest(source.source_file_id) == content.text
        with monkeypatch.context() as offline:
            offline.setattr(arrival, "_api", None)
            assert arrival.digest(source.source_file_id) == content.text, "it is not asked for again"
        assert len(arrival._digests) <= 2
