"""A short run of the chaos harness; ``python -m tests.chaos`` is the long one."""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos import contents
from tests.chaos.campaign import Campaign
from tests.chaos.judge import Promise, Verdict
from tests.chaos.launcher import Kill, Plan, When
from tests.chaos.mischief import Mischief, Mischievous
from tests.chaos.mutations import Mutation
from tests.chaos.proxy import Fault
from tests.chaos.records import Records, digest_of
from tests.chaos.scenarios import QUICK, STORIES, Stage, sweep, told
from tests.chaos.subject import API_KEY, Server, until
from watcher.api import AssetApi, FilePart

KILLS = [
    Kill("uploads.claim", 1, When.AFTER),
    Kill("api.uploadSourceFiles", 1, When.AFTER),
    Kill("doubts.unknown", 1, When.AFTER),
    Kill("doubts.adopted", 1, When.BEFORE),
    Kill("conversions.succeeded", 1, When.BEFORE),
]
"""Of all that ``python -m tests.chaos --kills`` tries, those at which most is at stake."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server")) as server:
        yield server


def test_a_storm_of_faults_kills_and_mischief_leaves_nothing_lost_nothing_twice(tmp_path: Path, server: Server) -> None:
    summary = Campaign(tmp_path / "storm", server, 5, say=print).run(0.15, round_seconds=9, every=0.12)
    assert summary.good, "\n".join([*summary.explained, *summary.lines()])
    assert summary.starts > 1
    assert summary.faults.total() > 3
    assert summary.verdicts[0].files > 10


def test_a_kill_at_any_transition_loses_nothing_and_repeats_nothing(tmp_path: Path, server: Server) -> None:
    outcomes = list(sweep(KILLS, tmp_path, server))
    assert [str(kill) for kill, died, _, _ in outcomes if not died] == []
    assert [line for _, _, _, explained in outcomes for line in explained] == []


def test_of_two_like_models_in_doubt_each_gets_its_own_upload(tmp_path: Path, server: Server) -> None:
    """They differ in one companion, which an earlier upload brought, too: only how often it is there tells them apart.
    The first did not arrive, the second did."""
    plan = Plan(Kill("doubts.unknown", 2, When.AFTER))
    with Stage(tmp_path, server, plan, replace(QUICK, workers=1)) as stage:
        for folder in ("a", "b"):
            stage.put(f"{folder}/kit.obj", contents.obj(stage.dice, "kit.mtl"))
            stage.put(f"{folder}/kit.mtl", contents.mtl(stage.dice, None))
        stage.start()
        assert stage.subject.wait_for_rest(60)
        stage.faults.uploads = [Fault.STATUS_502, Fault.LOST_ANSWER]
        model = contents.obj(stage.dice, "kit.mtl")
        for folder in ("a", "b"):
            stage.put(f"{folder}/kit.obj", model)
        assert until(stage.subject.ended, 60)
        stage.subject.start()
        verdict = stage.settled()
        assert [stage.judge.explain(violation) for violation in verdict.violations] == []
        assert verdict.stored == 8


def test_of_two_versions_in_doubt_the_one_with_fewer_companions_gets_its_own_upload(
    tmp_path: Path, server: Server
) -> None:
    """The first had a companion, and did not arrive; the second went without it, and did."""
    plan = Plan(Kill("doubts.unknown", 2, When.AFTER))
    with Stage(tmp_path, server, plan, replace(QUICK, workers=1)) as stage:
        for name, content in contents.kit(stage.dice, "other").items():
            stage.put(name, content)
        stage.start()
        assert stage.subject.wait_for_rest(60)
        stage.faults.uploads = [Fault.STATUS_502, Fault.LOST_ANSWER]
        companion = stage.put("kit.mtl", contents.mtl(stage.dice, None))
        model = stage.put("kit.obj", contents.obj(stage.dice, "kit.mtl"))
        assert until(lambda: stage.state(model) == "waiting" and stage.subject.proxy.faults[Fault.STATUS_502], 60)
        companion.unlink()
        assert until(stage.subject.ended, 60)
        stage.subject.start()
        verdict = stage.settled()
        assert [stage.judge.explain(violation) for violation in verdict.violations] == []


@pytest.mark.parametrize("mutation", [Mutation.SKIP_RECONCILE, Mutation.CLAIM_ANYWAY])
def test_the_judge_notices_a_broken_promise(mutation: Mutation, tmp_path: Path, server: Server) -> None:
    story = STORIES[mutation]
    verdict, _ = told(story, tmp_path, server, mutation)
    assert verdict.count(story.broken) > 0


def test_the_judge_sees_every_kind_of_wrong(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with Stage(tmp_path, server) as stage, AssetApi(server.base_url, api_key=API_KEY) as api:
        picture, half = stage.put("a.png", contents.png(stage.dice)), contents.png(stage.dice)[:40]
        stage.start()
        assert stage.settled().violations == []
        folder_id = next(f.folder_id for f in api.folders.iterate() if f.name == stage.subject.drops[0].remote)
        (source,) = api.folders.source_files(folder_id)

        def uploads(content: bytes) -> None:
            api.folders.upload(folder_id, [FilePart("a.png", len(content), lambda: iter([content]))])

        os.kill(stage.subject.pid, signal.SIGKILL)
        assert until(stage.subject.ended, 10)
        said = stage.subject.status()  # which nothing changes any more
        monkeypatch.setattr(stage.subject, "status", lambda: said)
        wrongs: dict[Promise, Callable[[], object]] = {
            Promise.ALIVE: lambda: None,  # nobody ordered that kill
            Promise.LOST: lambda: stage.put("b.png", contents.png(stage.dice)),
            Promise.SECRET: lambda: stage.subject.log.write_text(f"the key is {API_KEY}"),
            Promise.TWICE: lambda: uploads(picture.read_bytes()),
            Promise.LEFT: lambda: uploads(stage.records.made(contents.png(stage.dice))),
            Promise.ORPHAN: lambda: uploads(half),
            Promise.FALSE: lambda: api.source_files.delete([source.source_file_id], delete_assets=True),
        }
        assert set(wrongs) == set(Promise)
        before = Verdict()
        for promise, wrong in wrongs.items():
            wrong()
            after = stage.judge.judge()
            assert after.count(promise) > before.count(promise), promise
            before = after


@pytest.mark.parametrize("kind", [Mischief.SLOW_WRITE, Mischief.PIECEWISE, Mischief.SLOW_REWRITE])
def test_what_a_writer_leaves_under_another_name_is_known_to_be_whole(tmp_path: Path, kind: Mischief) -> None:
    """The name by which it was opened is gone when the writer ends."""
    records, drop, other = Records(), tmp_path / "drop", tmp_path / "drop/other"
    other.mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    mischief = Mischievous([str(drop)], str(tmp_path / "outside"), records, 1, settle=0.01)
    mischief.begin(Mischief.CREATE if kind is Mischief.SLOW_REWRITE else kind)
    if kind is Mischief.SLOW_REWRITE:
        mischief.begin(kind)
    path = next(path for path in drop.rglob("*") if path.is_file())
    os.link(path, other / path.name)
    path.unlink()
    mischief.run_for(0, every=1)
    digest = digest_of((other / path.name).read_bytes())
    assert digest in records.complete
    assert str(other) in records.places[digest]


def test_a_content_lies_wherever_its_file_has_a_name(tmp_path: Path) -> None:
    records, drop, other = Records(), tmp_path / "drop", tmp_path / "drop/other"
    other.mkdir(parents=True)
    mischief = Mischievous([str(drop)], str(tmp_path / "outside"), records, 1, settle=0.01)
    (drop / "a.png").write_bytes(b"first")
    os.link(drop / "a.png", other / "b.png")
    mischief.begin(Mischief.APPEND)
    assert records.places[digest_of((drop / "a.png").read_bytes())] == {str(drop), str(other)}
