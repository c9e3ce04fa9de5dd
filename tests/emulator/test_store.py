import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from watcher.emulator.blobs import Blobs
from watcher.emulator.store import Store


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path)


@pytest.fixture
def store(tmp_path: Path, blobs: Blobs):
    store = Store(tmp_path / "emulator.db", blobs)
    store.open()
    with store.write() as tx:
        tx.run("INSERT INTO folder (folder_id, name, created_at) VALUES ('f', 'f', '')")
    yield store
    store.close()


def add_file(tx, blobs: Blobs, file_id: str, content: bytes) -> str:
    blob = blobs.begin()
    blob.write(content)
    tx.run(
        "INSERT INTO source_file (source_file_id, upload_task_id, folder_id, original_name, name, size, digest)"
        " VALUES (?, '', 'f', 'n', 'n', ?, ?)",
        file_id,
        blob.size,
        digest := tx.keep(blob),
    )
    return digest


def test_a_change_that_fails_leaves_no_row_and_no_blob(store: Store, blobs: Blobs) -> None:
    with pytest.raises(ZeroDivisionError), store.write() as tx:
        add_file(tx, blobs, "a", b"content")
        assert list(blobs.stored())
        raise ZeroDivisionError
    assert list(blobs.stored()) == []
    with store.read() as tx:
        assert tx.rows("SELECT * FROM source_file") == []


def test_a_failed_change_keeps_the_blob_that_others_have(store: Store, blobs: Blobs) -> None:
    with store.write() as tx:
        digest = add_file(tx, blobs, "a", b"content")
    with pytest.raises(ZeroDivisionError), store.write() as tx:
        add_file(tx, blobs, "b", b"content")
        raise ZeroDivisionError
    assert blobs.path(digest).read_bytes() == b"content"


def test_a_blob_goes_with_its_last_reference(store: Store, blobs: Blobs) -> None:
    with store.write() as tx:
        add_file(tx, blobs, "a", b"content")
        digest = add_file(tx, blobs, "b", b"content")
    with store.write() as tx:
        tx.run("DELETE FROM source_file WHERE source_file_id = 'a'")
    assert blobs.path(digest).exists()
    with store.write() as tx:
        tx.run("DELETE FROM source_file WHERE source_file_id = 'b'")
    assert list(blobs.stored()) == []


def test_a_blob_that_is_replaced_within_one_change_survives(store: Store, blobs: Blobs) -> None:
    with store.write() as tx:
        add_file(tx, blobs, "a", b"content")
    with store.write() as tx:
        tx.run("DELETE FROM source_file WHERE source_file_id = 'a'")
        digest = add_file(tx, blobs, "b", b"content")
    assert blobs.path(digest).read_bytes() == b"content"


def test_a_kept_blob_that_nobody_refers_to_does_not_stay(store: Store, blobs: Blobs) -> None:
    with store.write() as tx:
        blob = blobs.begin()
        blob.write(b"x")
        tx.keep(blob)
    assert list(blobs.stored()) == []


def test_readers_see_a_snapshot_and_do_not_wait(store: Store) -> None:
    seen: list[int] = []
    with store.write() as tx:
        tx.run("INSERT INTO folder (folder_id, name, created_at) VALUES ('g', 'g', '')")

        def read() -> None:
            with store.read() as other:
                seen.append(other.value("SELECT count(*) FROM folder"))

        reader = threading.Thread(target=read)
        reader.start()
        reader.join(5)
    assert seen == [1]


def test_readers_cannot_write_by_accident(store: Store) -> None:
    with store.read() as tx:
        tx.run("INSERT INTO folder (folder_id, name, created_at) VALUES ('g', 'g', '')")
    with store.read() as tx:
        assert tx.value("SELECT count(*) FROM folder") == 1


def test_writers_take_turns(store: Store, blobs: Blobs) -> None:
    def write(number: int) -> None:
        for step in range(20):
            with store.write() as tx:
                add_file(tx, blobs, f"{number}-{step}", b"shared by all")

    threads = [threading.Thread(target=write, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as tx:
        assert tx.value("SELECT refs FROM blob") == 80


def test_the_schema_keeps_the_data_whole(store: Store) -> None:
    with pytest.raises(sqlite3.IntegrityError), store.write() as tx:
        tx.run("INSERT INTO folder (folder_id, parent_id, name, created_at) VALUES ('x', 'nowhere', 'x', '')")


def test_a_deletion_that_a_full_disk_does_not_take_leaves_the_content_where_it_is(
    small_disk: Any, tmp_path: Path
) -> None:
    blobs = Blobs(tmp_path / "blobs")
    store = Store(tmp_path / "state" / "emulator.db", blobs)
    store.open()
    with store.write() as tx:
        tx.run("INSERT INTO folder (folder_id, name, created_at) VALUES ('f', 'f', '')")
        digest = add_file(tx, blobs, "s", b"content")
    small_disk.fill()
    with pytest.raises(sqlite3.OperationalError, match="full"), store.write() as tx:
        tx.run("DELETE FROM source_file")
    assert blobs.path(digest).read_bytes() == b"content"
    small_disk.empty()
    with store.write() as tx:
        assert tx.rows("SELECT digest FROM source_file")[0]["digest"] == digest
        tx.run("DELETE FROM source_file")
    assert not blobs.path(digest).exists()
    store.close()
