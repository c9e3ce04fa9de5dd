"""A server that keeps what it got of an upload that was cut off: no half stays there, and nothing but halves of ours
is removed."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

import watcher.remains
from watcher.api import FilePart
from watcher.cli import cli
from watcher.ledger import Claim, Job, Ledger, UploadLedger
from watcher.model import FileState
from watcher.state import LEDGER

pytestmark = pytest.mark.usefixtures("soon_decided")

OFF = b"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"
OBJ = b"mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nusemtl red\nf 1 2 3\n"
MTL = b"newmtl red\nKd 1 0 0\n" + b"# the end\n" * 20
LARGE = 3 << 20
"""Bytes; of such a file much is still here when the first bytes are there."""


def cut_off(after: bytes, meanwhile: Callable[[], object] = lambda: None) -> Callable[[Any], None]:
    """The server gets the upload up to these bytes, keeps that, and the connection breaks."""

    def spoil(exchange: Any) -> None:
        while after not in exchange.body:
            exchange.read(len(exchange.body) + 1)
        body = bytes(exchange.body[: exchange.body.index(after) + len(after)])
        boundary = re.search(rb"(?i)boundary=(\S+)", exchange.head)
        assert boundary is not None
        body += b"\r\n--%s--\r\n" % boundary[1]
        meanwhile()
        exchange.forward(re.sub(rb"(?i)(content-length: )\d+", b"\\g<1>%d" % len(body), exchange.head), body)
        exchange.resets()

    return spoil


def contents(station: Any) -> list[bytes]:
    """All that lies in the remote folder, the oldest first."""
    found = []
    for source in station.direct.folders.source_files(station.folder_id()):
        with station.direct.source_files.download(source.source_file_id) as chunks:
            found.append(chunks.read())
    return found


def says(station: Any, *command: str) -> str:
    """What a command prints."""
    result = CliRunner().invoke(cli, ["--config", str(station.state.parent / "config.toml"), *command])
    assert result.exit_code == 0, result.output
    return result.stdout


def off(number: int, size: int = 3000) -> bytes:
    """A model; each number and size gives another one."""
    return OFF.replace(b"1 0 0", b"%d 0 0" % number) + b"# %d\n" % number * (size // 4)


@pytest.mark.parametrize(("size", "kept"), [(3000, 1000), (3000, 1), (3000, 0), (LARGE, 1000)])
def test_half_of_a_file_that_stays_as_it_is_is_removed_and_the_file_sent_again(
    station: Any, line: Any, size: int, kept: int
) -> None:
    content = off(1, size)
    line.once = [cut_off(b"octet-stream\r\n\r\n" + content[:kept])]
    station.drops("a.off", content)
    station.scan()
    assert station.states() == {"a.off": FileState.DONE}
    assert (contents(station), line.uploads) == ([content], 2)


@pytest.mark.parametrize("size", [3000, LARGE])
@pytest.mark.parametrize("change", ["rewritten", "appended to", "cut short", "deleted"])
def test_half_of_a_file_that_changed_meanwhile_is_removed(station: Any, line: Any, change: str, size: int) -> None:
    content = off(1, size)
    changed = {"rewritten": off(2), "appended to": content + b"# more\n", "cut short": content[:500]}.get(change)
    path = station.drop / "a.off"

    def changes() -> None:
        path.unlink() if changed is None else path.write_bytes(changed)

    line.once = [cut_off(content[:1000], changes)]
    station.drops("a.off", content)
    station.scan()
    assert contents(station) == ([] if changed is None else [changed])
    assert station.states() == {"a.off": FileState.GONE if changed is None else FileState.DONE}


def test_halves_of_two_versions_are_both_removed(station: Any, line: Any) -> None:
    first, second, third = off(1), off(1) + b"# more\n" * 200, off(3)
    path = station.drop / "a.off"
    line.once = [
        cut_off(first[:1000], lambda: path.write_bytes(second)),
        cut_off(second[: len(first) + 100], lambda: path.write_bytes(third)),
    ]
    station.drops("a.off", first)
    with station.daemon(watch=True):
        station.until(lambda: line.uploads == 3 and station.states() == {"a.off": FileState.DONE})
    station.scan()  # which does not end before the attempts in doubt are settled
    assert contents(station) == [third]


def test_half_a_companion_is_removed_with_all_that_came_before_it(station: Any, line: Any) -> None:
    line.once = [cut_off(MTL[:100])]
    station.drops("a.obj", OBJ)
    station.drops("a.mtl", MTL)
    station.scan()
    assert station.states() == {"a.obj": FileState.DONE, "a.mtl": FileState.DONE}
    assert (sorted(contents(station)), line.uploads) == (sorted([OBJ, MTL]), 2)


@pytest.mark.parametrize("others", ["none", "with the same companion"])
def test_a_set_of_which_nothing_but_the_main_file_came_is_removed(station: Any, line: Any, others: str) -> None:
    """It would convert, without its material."""
    other = OBJ + b"# another\n"
    if others != "none":
        station.drops("b.obj", other)
        station.drops("a.mtl", MTL)
        station.scan()
    line.once = [cut_off(OBJ)]
    station.drops("a.obj", OBJ)
    station.drops("a.mtl", MTL)
    station.scan()
    assert set(station.states().values()) == {FileState.DONE}
    assert line.uploads == (2 if others == "none" else 3)
    assert sorted(contents(station)) == sorted([OBJ, MTL] if others == "none" else [OBJ, MTL, other, MTL])


def test_half_a_companion_is_seen_where_another_model_brought_it_whole(station: Any, line: Any) -> None:
    other = OBJ + b"# another\n"
    station.drops("b.obj", other)
    station.drops("a.mtl", MTL)
    station.scan()
    line.once = [cut_off(MTL[:100])]
    station.drops("a.obj", OBJ)
    station.scan()
    assert set(station.states().values()) == {FileState.DONE}
    assert (sorted(contents(station)), line.uploads) == (sorted([OBJ, MTL, other, MTL]), 3)


def test_half_a_companion_is_removed_also_if_the_companion_went_by_itself_before(
    station: Any, line: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What shows that a half is its beginning is on record until then only; the set in hand has it."""
    claim = UploadLedger.claim

    def goes_by_itself(self: UploadLedger, job: Job, *args: Any, **kwargs: Any) -> Claim:
        with self._connection.transaction() as sql:
            sql.execute("DELETE FROM beginnings WHERE file_id != ?", (job.main.file_id,))
        return claim(self, job, *args, **kwargs)

    monkeypatch.setattr(UploadLedger, "claim", goes_by_itself)
    line.once = [cut_off(MTL[:100])]
    station.drops("a.obj", OBJ)
    station.drops("a.mtl", MTL)
    station.scan()
    assert station.states() == {"a.obj": FileState.DONE, "a.mtl": FileState.DONE}
    assert (sorted(contents(station)), line.uploads) == (sorted([OBJ, MTL]), 2)


def test_what_begins_like_ours_and_goes_on_otherwise_stays(station: Any, line: Any) -> None:
    """Somebody else's file of the same name, which comes while ours is cut off."""
    ours = off(1)
    theirs = ours[:600] + off(2)[600:1200]

    def somebody_else() -> None:
        station.direct.folders.upload(station.folder_id(), [FilePart("a.off", len(theirs), lambda: [theirs])])

    line.once = [cut_off(ours[:1000], somebody_else)]
    station.drops("a.off", ours)
    station.scan()
    assert contents(station) == [theirs, ours]


def test_half_of_a_model_that_is_sent_again_with_more_companions_is_removed(station: Any, line: Any) -> None:
    """Its own content was hashed, and sent, long before."""
    obj = OBJ + b"# more\n" * 300
    station.drops("a.obj", obj)
    station.scan()
    sent = contents(station)
    line.once = [cut_off(obj[:1000])]
    station.drops("a.mtl", MTL)
    station.scan()
    assert station.states() == {"a.obj": FileState.DONE, "a.mtl": FileState.DONE}
    assert (sorted(contents(station)), line.uploads) == (sorted([*sent, obj, MTL]), 3)


@pytest.mark.parametrize("decided", ["removed from the server", "by the person"])
def test_half_a_file_that_cannot_be_shown_to_be_ours_is_told_until_it_is_gone_or_a_person_says_that_it_stays(
    station: Any, line: Any, monkeypatch: pytest.MonkeyPatch, decided: str
) -> None:
    monkeypatch.setattr(watcher.remains, "LOOK_AGAIN", 0.1)
    station.environ["WATCHER_UPLOAD__PROOF"] = "false"
    content = off(1)
    line.once = [cut_off(content[:1000])]
    path = station.drops("a.off", content)
    station.scan()
    assert contents(station) == [content[:1000], content]
    half = next(station.direct.folders.source_files(station.folder_id())).source_file_id
    told = f"may be left of an upload of {path} that was cut off or lost, and cannot be shown to be. `3dverse-watcher"
    with station.daemon(watch=True):
        station.until(lambda: line.requests.count(("GET", f"/app/v1/source-files/{half}/details")) > 1)
        assert f"{told} sources rm {half}`" in says(station, "status")
    assert json.loads(says(station, "status", "--json"))["halves"] == [
        {
            "path": str(path),
            "folder_id": station.folder_id(),
            "source_file_id": half,
            "name": "a",
            "remove_with": f"3dverse-watcher sources rm {half}",
            "keep_with": f"3dverse-watcher forget --halves {path}",
        }
    ]
    if decided == "by the person":
        assert "1 source file forgotten" in says(station, "forget", "--halves", str(station.drop))
    else:
        station.direct.source_files.delete([half], delete_assets=True)
        assert told in says(station, "status")
        with station.daemon(watch=True):
            station.until(lambda: told not in says(station, "status"))
    assert (told in says(station, "status"), json.loads(says(station, "status", "--json"))["halves"]) == (False, [])
    assert station.states() == {"a.off": FileState.DONE}


def test_a_set_with_half_a_companion_that_cannot_be_shown_to_be_ours_is_told(station: Any, line: Any) -> None:
    station.environ["WATCHER_UPLOAD__PROOF"] = "false"
    line.once = [cut_off(MTL[:100])]
    station.drops("a.obj", OBJ)
    station.drops("a.mtl", MTL)
    station.scan()
    assert contents(station)[:2] == [OBJ, MTL[:100]]
    assert sorted(contents(station)[2:]) == sorted([OBJ, MTL])
    first = [source.source_file_id for source in station.direct.folders.source_files(station.folder_id())][:2]
    with Ledger(station.state / LEDGER, read_only=True) as ledger:
        assert {half.source_file_id for half in ledger.report.halves()} == set(first)
