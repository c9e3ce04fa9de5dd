"""The plan stage on real folders: what belongs together goes together, and waits for what may still come."""

import errno
import itertools
import os
import struct
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from watcher import clock, planner
from watcher.intake import Intake
from watcher.ledger import FileReport, Ledger
from watcher.model import Drop, FileState, Role, Textures
from watcher.plan import disk
from watcher.plan.readers import READERS
from watcher.planner import Planner

OBJ = "mtllib crate.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"
MTL = "newmtl wood\nmap_Kd textures\\wood.png\n"


class Stage:
    """Intake and planner on one drop, stepped by hand on a clock that the test moves."""

    def __init__(
        self,
        folder: Path,
        ledger: Ledger,
        *,
        patient: bool,
        wait: float,
        ignore: tuple[str, ...] = (),
        textures: Textures = Textures.LOOSE_ONLY,
    ) -> None:
        path = str(folder.resolve())
        self.drop = Drop(
            path, "Remote", settle_seconds=1.0, companion_wait_seconds=wait, ignore=ignore, textures=textures
        )
        self.ledger = ledger
        self.now = clock.now()
        self.intake = Intake([self.drop], ledger, watch=False)
        self.planner = Planner(
            [self.drop],
            ledger,
            self.intake.hint,
            patient=patient,
            scanned=self.intake.scanned,
            on_dismissed=self.intake.dismiss,
        )

    def after(self, seconds: float) -> None:
        """Let time pass, in steps, and do what is to be done."""
        end = self.now + seconds
        while self.now < end:
            self.now += 0.25
            self.intake.step(self.now)
            self.planner.step(self.now)

    def settle_only(self, seconds: float) -> None:
        """Let time pass without planning."""
        end = self.now + seconds
        while self.now < end:
            self.now += 0.25
            self.intake.step(self.now)

    def drop_file(self, name: str, content: str | bytes = b"x") -> Path:
        path = Path(self.drop.path, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.intake.request_scan()
        place = self.intake._loops[self.drop.path]
        place.scanned_once = False  # without a watch only the first scan is made by itself
        return path

    def report(self, name: str) -> FileReport:
        (file,) = self.ledger.report.files([str(Path(self.drop.path, name))])
        return file

    def due(self) -> list[list[str]]:
        """The upload sets that may go, by the names they travel under."""
        sets = []
        while (job := self.ledger.uploads.take(self.now)) is not None:
            sets.append([member.name for member in job.members])
        return sorted(sets)

    def send(self) -> list[list[str]]:
        """The upload sets that may go, gone to a server that took them."""
        sets = []
        while (job := self.ledger.uploads.take(self.now)) is not None:
            digests = [f"digest of {member.name}" for member in job.members]
            for member, digest in zip(job.members, digests, strict=True):
                self.ledger.uploads.hashed(member, digest, b"")
            claim = self.ledger.uploads.claim(job, "folder", str(digests), digests, self.now)
            self.ledger.uploads.sent(claim.upload_id, f"task {claim.upload_id}", self.now)
            sets.append([member.name for member in job.members])
        return sorted(sets)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "state" / "ledger.db") as ledger:
        yield ledger


@pytest.fixture
def stage(drop_folder: Path, ledger: Ledger) -> Callable[..., Stage]:
    def make(*, patient: bool = True, wait: float = 10.0, textures: Textures = Textures.LOOSE_ONLY) -> Stage:
        return Stage(drop_folder, ledger, patient=patient, wait=wait, textures=textures)

    return make


@pytest.fixture
def assembled(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each model's set was looked up on the disk."""
    counts = Counter[str]()
    real = planner.assemble

    def assemble(main: str, *rest: Any) -> Any:
        counts[main] += 1
        return real(main, *rest)

    monkeypatch.setattr(planner, "assemble", assemble)
    return counts


def test_a_model_goes_with_its_companions_and_they_do_not_go_alone(stage: Callable[..., Stage]) -> None:
    plan = stage()
    plan.drop_file("crate.obj", OBJ)
    plan.drop_file("crate.mtl", MTL)
    plan.drop_file("textures/wood.png")
    plan.after(3)
    assert plan.due() == [["crate.obj", "crate.mtl", "textures/wood.png"]]
    plan.after(60)
    assert plan.due() == []
    assert plan.report("textures/wood.png").role is Role.COMPANION


def test_in_whatever_order_the_files_come_the_set_is_the_same(stage: Callable[..., Stage]) -> None:
    plan = stage()
    plan.drop_file("textures/wood.png")
    plan.after(4)
    plan.drop_file("crate.mtl", MTL)
    plan.after(4)
    assert plan.due() == []
    plan.drop_file("crate.obj", OBJ)
    plan.after(3)
    assert plan.due() == [["crate.obj", "crate.mtl", "textures/wood.png"]]
    plan.after(60)
    assert plan.due() == []


def test_a_model_waits_for_a_companion_that_comes_in_time(stage: Callable[..., Stage]) -> None:
    plan = stage()
    plan.drop_file("crate.obj", OBJ)
    plan.after(8)
    assert plan.due() == []
    assert plan.report("crate.obj").state is FileState.WAITING
    assert plan.report("crate.obj").missing == ("crate.mtl",)
    plan.drop_file("crate.mtl", MTL)
    plan.after(8)
    assert plan.due() == [], "each companion that comes is given the same patience"
    plan.drop_file("textures/wood.png")
    plan.after(3)
    assert plan.due() == [["crate.obj", "crate.mtl", "textures/wood.png"]]


def test_after_its_patience_a_model_goes_without_and_says_so(stage: Callable[..., Stage]) -> None:
    plan = stage()
    plan.drop_file("crate.obj", OBJ)
    plan.after(13)
    assert plan.due() == [["crate.obj"]]
    assert plan.report("crate.obj").missing == ("crate.mtl",)


def test_a_late_companion_sends_the_whole_set_anew(stage: Callable[..., Stage]) -> None:
    plan = stage()
    plan.drop_file("crate.obj", OBJ)
    plan.after(13)
    assert plan.due() == [["crate.obj"]]
    plan.drop_file("crate.mtl", "newmtl wood\n")
    plan.after(3)
    assert plan.due() == [["crate.obj", "crate.mtl"]]
    assert plan.report("crate.obj").missing == ()


def test_a_loose_texture_goes_by_itself_after_its_patience(stage: Callable[..., Stage]) -> None:
    plan = stage()
    plan.drop_file("alone.png")
    plan.after(5)
    assert plan.due() == []
    assert plan.report("alone.png").state is FileState.WAITING
    plan.after(8)
    assert plan.due() == [["alone.png"]]


def test_a_sound_does_not_wait_for_a_model(stage: Callable[..., Stage]) -> None:
    plan = stage()
    plan.drop_file("bell.wav")
    plan.after(2)
    assert plan.due() == [["bell.wav"]]


def test_a_texture_is_held_back_while_a_model_is_still_being_written(stage: Callable[..., Stage]) -> None:
    plan = stage(wait=2.0)
    plan.drop_file("wood.png")
    for piece in range(8):  # a model that takes longer than the texture's patience
        plan.drop_file("big.obj", "v 0 0 0\n" * (piece + 1))
        plan.after(0.75)
    assert plan.due() == []
    plan.drop_file("big.obj", "mtllib big.mtl\n")
    plan.drop_file("big.mtl", "map_Kd wood.png\n")
    plan.after(4)
    assert plan.due() == [["big.obj", "big.mtl", "wood.png"]]


@pytest.mark.parametrize("rest", ["a stop", "a suspension"])
def test_a_texture_that_settled_days_ago_is_not_held_back_for_hours(stage: Callable[..., Stage], rest: str) -> None:
    """Until everything was scanned once it is, and then it is looked at soon."""
    plan = stage(wait=2.0)
    plan.drop_file("wood.png")
    plan.after(2)
    assert plan.report("wood.png").state is FileState.WAITING
    plan.now += 3 * 86_400.0
    if rest == "a stop":
        now, plan = plan.now, stage(wait=2.0)
        plan.now = now
    plan.intake._loops[plan.drop.path].scanned_once = False
    plan.planner.step(plan.now)
    assert plan.due() == []
    plan.after(1 if rest == "a stop" else 61)
    assert plan.due() == [["wood.png"]]


def test_without_patience_the_folder_is_taken_as_it_is(stage: Callable[..., Stage]) -> None:
    plan = stage(patient=False)
    plan.drop_file("crate.obj", OBJ)
    plan.drop_file("alone.png")
    plan.after(2)
    assert plan.due() == [["alone.png"], ["crate.obj"]]


def test_a_texture_that_two_models_use_belongs_to_both(stage: Callable[..., Stage]) -> None:
    plan = stage()
    for name in ("a", "b"):
        plan.drop_file(f"{name}.obj", f"mtllib {name}.mtl\n")
        plan.drop_file(f"{name}.mtl", "map_Kd wood.png\n")
    plan.drop_file("wood.png")
    plan.after(3)
    assert plan.due() == [["a.obj", "a.mtl", "wood.png"], ["b.obj", "b.mtl", "wood.png"]]
    assert [Path(main).name for main in plan.report("wood.png").mains] == ["a.obj", "b.obj"]


def test_a_library_that_no_model_names_is_passed_over_and_counted(stage: Callable[..., Stage]) -> None:
    plan = stage()
    plan.drop_file("loose.mtl", MTL)
    plan.drop_file("crate.obj", OBJ)
    plan.drop_file("crate.mtl", "newmtl wood\n")
    plan.after(3)
    assert plan.due() == [["crate.obj", "crate.mtl"]]
    assert plan.ledger.report.counts().passed_over == {".mtl": 1}


def test_what_goes_with_a_model_is_not_counted_as_passed_over(stage: Callable[..., Stage]) -> None:
    plan = stage()
    plan.drop_file("crate.md3", "IDP3")
    for name in ("crate_default.skin", "other.skin"):
        plan.drop_file(name, "body,wood.gif\n" if name.startswith("crate") else "")
    plan.drop_file("wood.gif")
    plan.after(4)
    assert plan.due() == [["crate.md3", "crate_default.skin", "wood.gif"]]
    assert plan.ledger.report.counts().passed_over == {".skin": 1}


@pytest.mark.parametrize(
    "text", ["../../etc/passwd", "/etc/passwd", "..\\..\\secret.png", "link.png", "out/secret.png"]
)
def test_a_reference_never_leads_outside_the_drop(stage: Callable[..., Stage], tmp_path: Path, text: str) -> None:
    plan = stage(patient=False)
    (tmp_path / "secret.png").write_bytes(b"secret")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.png").write_bytes(b"secret")
    Path(plan.drop.path, "link.png").symlink_to(tmp_path / "secret.png")
    Path(plan.drop.path, "out").symlink_to(tmp_path / "outside")
    plan.drop_file("evil.obj", "mtllib evil.mtl\n")
    plan.drop_file("evil.mtl", f"map_Kd {text}\n")
    plan.after(4)
    assert plan.due() == [["evil.obj", "evil.mtl"]]
    assert plan.report("evil.obj").missing == (text,)


def test_a_companion_of_a_format_that_cannot_go_by_itself_travels_too(stage: Callable[..., Stage]) -> None:
    plan = stage()
    plan.drop_file("crate.obj", "mtllib crate.mat\n")
    plan.drop_file("crate.mat", "newmtl wood\n")
    plan.after(3)
    assert plan.due() == [["crate.obj", "crate.mat"]]


def test_an_empty_file_fails_with_the_reason(stage: Callable[..., Stage]) -> None:
    plan = stage(patient=False)
    plan.drop_file("empty.glb", b"")
    plan.after(2)
    assert plan.due() == []
    assert (plan.report("empty.glb").state, plan.report("empty.glb").error) == (
        FileState.FAILED,
        "the file is empty: nothing to upload",
    )


def test_textures_of_a_model_deleted_before_it_went_stand_for_themselves(stage: Callable[..., Stage]) -> None:
    plan = stage()
    model = plan.drop_file("crate.obj", "mtllib crate.mtl\n")
    plan.drop_file("crate.mtl", "map_Kd wood.png\nmap_Ks never.png\n")
    plan.drop_file("wood.png")
    plan.after(4)
    assert plan.due() == []
    model.unlink()
    plan.drop_file("unrelated.wav")
    plan.after(30)
    assert plan.due() == [["unrelated.wav"], ["wood.png"]]


def test_a_library_that_comes_back_sends_its_model_anew(stage: Callable[..., Stage]) -> None:
    plan = stage()
    plan.drop_file("crate.obj", "mtllib crate.mtl\n")
    library = plan.drop_file("crate.mtl", "newmtl wood\n")
    plan.after(3)
    assert plan.due() == [["crate.obj", "crate.mtl"]]
    library.unlink()
    plan.drop_file("bell.wav")
    plan.after(3)
    assert plan.due() == [["bell.wav"]]
    plan.drop_file("crate.mtl", "newmtl steel\n")
    plan.after(3)
    assert plan.due() == [["crate.obj", "crate.mtl"]]


def test_a_namesake_elsewhere_of_a_missing_library_disturbs_its_model_once_only(
    stage: Callable[..., Stage], capsys: pytest.CaptureFixture[str]
) -> None:
    plan = stage(patient=False)
    plan.drop_file("a/crate.obj", "mtllib crate.mtl\n")
    plan.after(2)
    assert plan.due() == [["crate.obj"]]
    plan.drop_file("elsewhere/crate.mtl", "newmtl other\n")
    plan.after(3)
    plan.due()
    for _ in range(3):
        plan.drop_file("bell.wav", str(plan.now))
        plan.after(3)
        assert plan.due() == [["bell.wav"]]
    assert capsys.readouterr().out.count("a model goes without files") == 1


def test_a_texture_that_the_rules_ignore_travels_with_its_model_and_never_alone(
    drop_folder: Path, ledger: Ledger
) -> None:
    plan = Stage(drop_folder, ledger, patient=False, wait=0.0, ignore=("*.png",))
    plan.drop_file("crate.obj", "mtllib crate.mtl\n")
    plan.drop_file("crate.mtl", "map_Kd wood.png\n")
    plan.drop_file("wood.png")
    plan.after(4)
    assert plan.due() == [["crate.obj", "crate.mtl", "wood.png"]]
    plan.drop_file("crate.mtl", "newmtl plain\n")
    plan.after(40)
    assert plan.due() == [["crate.obj", "crate.mtl"]]


def dicom_slice(series: bytes, number: int) -> bytes:
    """The least that says to which series a DICOM file belongs: explicit VR, little endian."""

    def element(group: int, tag: int, kind: bytes, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        return struct.pack("<HH2sH", group, tag, kind, len(value)) + value

    syntax = element(0x0002, 0x0010, b"UI", b"1.2.840.10008.1.2.1")
    return bytes(128) + b"DICM" + syntax + element(0x0020, 0x000E, b"UI", series) + b"%d" % number


def test_the_slices_of_one_series_go_together(stage: Callable[..., Stage]) -> None:
    plan = stage()
    for number in (2, 3, 1):
        plan.drop_file(f"{number}.dcm", dicom_slice(b"1.2.3", number))
        plan.after(1)
    plan.drop_file("other.dcm", dicom_slice(b"7.8.9", 1))
    plan.after(25)
    assert plan.due() == [["1.dcm", "2.dcm", "3.dcm"], ["other.dcm"]]
    assert plan.report("2.dcm").role is Role.COMPANION
    plan.drop_file("4.dcm", dicom_slice(b"1.2.3", 4))
    plan.after(25)
    assert plan.due() == [["1.dcm", "2.dcm", "3.dcm", "4.dcm"]]


def test_an_object_that_a_scene_loads_travels_with_the_scene(stage: Callable[..., Stage]) -> None:
    plan = stage()
    plan.drop_file("car.lws", "LWSC\n3\nLoadObject wheel.lwo\n")
    plan.drop_file("wheel.lwo", b"FORM\0\0\0\x04LWO2")
    plan.after(15)
    assert plan.due() == [["car.lws", "wheel.lwo"]]


@pytest.mark.parametrize("first", ["model", "texture"])
def test_all_textures_are_assets_of_their_own_when_the_drop_says_so(stage: Callable[..., Stage], first: str) -> None:
    plan = stage(textures=Textures.ALL)
    plan.drop_file("alone.png")
    if first == "texture":
        plan.drop_file("wood.png")
        plan.after(2)
        assert plan.due() == [["alone.png"], ["wood.png"]], "none waits for a model"
    plan.drop_file("crate.obj", "mtllib crate.mtl\n")
    plan.drop_file("crate.mtl", "map_Kd wood.png\n")
    if first == "model":
        plan.drop_file("wood.png")
    plan.after(4)
    alone = [["alone.png"], ["wood.png"]] if first == "model" else []
    assert plan.due() == sorted([*alone, ["crate.obj", "crate.mtl", "wood.png"]])
    assert (plan.report("wood.png").role, plan.report("crate.mtl").role) == (Role.MAIN, Role.COMPANION)
    assert plan.report("wood.png").mains == (plan.report("crate.obj").path,)
    plan.drop_file("wood.png", b"other")
    plan.after(4)
    assert plan.due() == [["crate.obj", "crate.mtl", "wood.png"], ["wood.png"]]


def test_textures_that_travelled_become_assets_when_the_drop_says_so_later(stage: Callable[..., Stage]) -> None:
    plan = stage()
    plan.drop_file("crate.obj", "mtllib crate.mtl\n")
    plan.drop_file("crate.mtl", "map_Kd wood.png\n")
    plan.drop_file("wood.png")
    plan.after(4)
    assert plan.due() == [["crate.obj", "crate.mtl", "wood.png"]]
    plan = stage(textures=Textures.ALL)
    plan.after(2)
    assert plan.due() == [["wood.png"]]
    assert plan.report("crate.mtl").role is Role.COMPANION


def test_a_texture_never_goes_by_itself_when_the_drop_says_so(stage: Callable[..., Stage]) -> None:
    plan = stage(textures=Textures.COMPANIONS_ONLY)
    for name in ("alone.png", "wood.png", "sky.hdr", "bell.wav"):
        plan.drop_file(name)
    plan.after(20)
    assert plan.due() == [["bell.wav"]]
    assert plan.ledger.report.counts().passed_over == {".png": 2, ".hdr": 1}
    plan.drop_file("crate.obj", "mtllib crate.mtl\n")
    plan.drop_file("crate.mtl", "map_Kd wood.png\n")
    plan.after(4)
    assert plan.due() == [["crate.obj", "crate.mtl", "wood.png"]]
    plan.drop_file("crate.mtl", "newmtl plain\n")
    plan.after(60)
    assert plan.due() == [["crate.obj", "crate.mtl"]]
    plan.drop_file("bell.wav", b"other")
    plan.after(3)
    assert plan.ledger.report.counts().passed_over == {".png": 2, ".hdr": 1}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (1, 0, 2), (2, 0, 1)])
def test_the_layers_of_a_stage_go_with_it_in_whatever_order_they_come(
    stage: Callable[..., Stage], order: tuple[int, ...]
) -> None:
    files = [
        ("shot.usda", "#usda 1.0\n(subLayers = [@./layers/set.usda@])\n"),
        ("layers/set.usda", '#usda 1.0\ndef "a" (references = @../props/chair.usda@) {}\n'),
        ("props/chair.usda", "#usda 1.0\nasset file = @chair.png@\n"),
    ]
    plan = stage()
    plan.drop_file("props/chair.png")
    for number in order:
        plan.drop_file(*files[number])
        plan.after(2.5)
        assert plan.due() == []
    plan.after(12)
    assert plan.due() == [["shot.usda", "layers/set.usda", "props/chair.usda", "props/chair.png"]]


def test_without_patience_the_leading_layer_is_found_whatever_was_seen_first(stage: Callable[..., Stage]) -> None:
    plan = stage(patient=False)
    plan.drop_file("a.usda", "#usda 1.0\n")
    plan.after(0.5)
    plan.drop_file("b.usda", "#usda 1.0\n(subLayers = [@a.usda@])\n")
    plan.drop_file("c.lwo", b"FORM\0\0\0\x04LWO2")
    plan.drop_file("d.lws", "LWSC\n3\nLoadObject c.lwo\n")
    plan.after(4)
    assert plan.due() == [["b.usda", "a.usda"], ["d.lws", "c.lwo"]]


def test_layers_that_name_each_other_are_one_set(stage: Callable[..., Stage]) -> None:
    plan = stage()
    plan.drop_file("a.usda", "#usda 1.0\n(subLayers = [@b.usda@])\n")
    plan.drop_file("b.usda", "#usda 1.0\n(subLayers = [@a.usda@])\n")
    plan.after(14)
    assert plan.due() == [["a.usda", "b.usda"]]


def test_what_went_by_itself_and_turns_out_to_be_a_part_does_not_go_again(stage: Callable[..., Stage]) -> None:
    plan = stage(wait=2.0)
    plan.drop_file("wheel.lwo", b"FORM\0\0\0\x04LWO2")
    plan.drop_file("wood.png")
    plan.after(6)
    assert plan.due() == [["wheel.lwo"], ["wood.png"]]
    plan.drop_file("car.lws", "LWSC\n3\nLoadObject wheel.lwo\n")
    plan.drop_file("crate.obj", "mtllib crate.mtl\n")
    plan.drop_file("crate.mtl", "map_Kd wood.png\n")
    plan.after(40)
    assert plan.due() == [["car.lws", "wheel.lwo"], ["crate.obj", "crate.mtl", "wood.png"]]
    assert {plan.report(name).role for name in ("wheel.lwo", "wood.png")} == {Role.COMPANION}


def test_a_layer_that_has_no_plan_of_its_own_does_not_hold_back_the_one_that_loads_it(
    stage: Callable[..., Stage],
) -> None:
    plan = stage(wait=4.0)
    plan.drop_file("shot.usda", "#usda 1.0\n(subLayers = [@chair.usda@])\nasset file = @gone.png@\n")
    plan.after(2)
    plan.drop_file("chair.usda", "#usda 1.0\n")
    plan.after(8)
    assert plan.due() == [["shot.usda", "chair.usda"]]


def test_what_a_part_takes_along_belongs_to_the_model_that_loads_the_part(stage: Callable[..., Stage]) -> None:
    plan = stage()
    plan.drop_file("chair.usda", "#usda 1.0\nasset file = @wood.png@\nasset more = @gone.png@\n")
    plan.drop_file("wood.png")
    plan.after(3)
    assert plan.report("wood.png").mains == (plan.report("chair.usda").path,)
    plan.drop_file("shot.usda", "#usda 1.0\n(subLayers = [@chair.usda@])\n")
    plan.after(14)
    assert plan.due() == [["shot.usda", "chair.usda", "wood.png"]]
    assert plan.report("wood.png").mains == (plan.report("shot.usda").path,)
    plan.drop_file("shot.usda", "#usda 1.0\n")
    plan.after(14)
    assert plan.due() == [["chair.usda", "wood.png"], ["shot.usda"]]


def test_of_models_that_load_each_other_the_first_by_name_leads(stage: Callable[..., Stage]) -> None:
    plan = stage()
    for name, other in (("b", "a"), ("c", "b"), ("a", "b")):
        plan.drop_file(f"{name}.lws", f"LoadObject {other}.lws\n")
    plan.after(2)
    assert plan.due() == [["c.lws", "b.lws", "a.lws"]]
    plan.drop_file("d/b.lws", "LoadObject a.lws\n")
    plan.drop_file("d/a.lws", "LoadObject b.lws\n")
    plan.after(2)
    assert plan.due() == [["a.lws", "b.lws"]]


LOADS_EACH_OTHER = {
    "lws": ("LoadObject {}.lws\n", "LoadObject wood.lwo\n"),
    "x3d": ("<X3D><Inline url='\"{}.x3d\"'/>", '<ImageTexture url="wood.png"/></X3D>'),
    "usda": ("#usda 1.0\n(subLayers = [@{}.usda@])\n", "asset file = @wood.png@\n"),
}


@pytest.mark.parametrize("pause", [0.25, 3.0])
@pytest.mark.parametrize("order", [*itertools.permutations("abc")], ids="".join)
@pytest.mark.parametrize("extension", LOADS_EACH_OTHER)
def test_of_models_that_load_each_other_the_same_leads_in_whatever_order_they_come(
    stage: Callable[..., Stage], extension: str, order: tuple[str, ...], pause: float
) -> None:
    plan = stage(wait=8.0)
    loads, more = LOADS_EACH_OTHER[extension]
    for name in order:
        other = "cab"["abc".index(name)]
        plan.drop_file(f"{name}.{extension}", loads.format(other) + more)
        plan.after(pause)
    plan.after(20)
    assert plan.due() == [[f"{name}.{extension}" for name in "acb"]]
    assert {plan.report(f"{name}.{extension}").mains for name in "bc"} == {(plan.report(f"a.{extension}").path,)}


XREF = "0\nSECTION\n2\nBLOCKS\n0\nBLOCK\n70\n8\n1\nC:\\proj\\{}.dxf\n0\nENDBLK\n0\nEOF\n"


@pytest.mark.parametrize("pause", [0.25, 3.0])
@pytest.mark.parametrize(
    ("extension", "contents"),
    [
        ("dxf", [("b", XREF.format("a")), ("a", XREF.format("b"))]),
        ("lws", [(name, f"LoadObject C:/p/{'bca'['abc'.index(name)]}.lws\n") for name in "bac"]),
        (
            "usda",
            [
                ("a", "#usda 1.0\n(subLayers = [@/x/y/sub/b.usda@])\n"),
                ("sub/b", "#usda 1.0\n(subLayers = [@../a.usda@])\n"),
            ],
        ),
    ],
    ids=["dxf", "lws", "usda"],
)
def test_models_that_load_each_other_by_paths_of_another_machine_are_one_set(
    stage: Callable[..., Stage], extension: str, contents: list[tuple[str, str]], pause: float
) -> None:
    plan = stage(wait=4.0)
    for name, content in contents:
        plan.drop_file(f"{name}.{extension}", content)
        plan.after(pause)
    plan.after(20)
    (names,) = plan.due()
    assert sorted(names) == sorted(f"{name}.{extension}" for name, _ in contents)


SEEN_DIFFERENTLY = {
    "variable": {
        "b.usda": '#usda 1.0\n(\n expressionVariables = { string Y = "b.usda" }\n subLayers = [@a.usda@]\n)\n',
        "a.usda": '#usda 1.0\n(\n expressionVariables = { string Y = "z.usda" }\n subLayers = [@`"${Y}"`@]\n)\n',
        "z.usda": "#usda 1.0\n",
    },
    "alternative": {
        "sub/m.x3d": "<X3D><Inline url='\"../l.x3d\"'/></X3D>",
        "l.x3d": "<X3D><Inline url='\"sub/k.x3d\"'/></X3D>",
        "sub/k.x3d": '<X3D><Inline url=\'"other.x3d" "m.x3d"\'/></X3D>',
        "other.x3d": "<X3D></X3D>",
    },
}


@pytest.mark.parametrize(("reverse", "pause"), [(False, 0.25), (True, 0.25), (True, 6.0)])
@pytest.mark.parametrize("case", SEEN_DIFFERENTLY)
def test_a_model_leads_what_it_loads_when_what_is_before_it_does_not_take_it_along(
    stage: Callable[..., Stage], case: str, reverse: bool, pause: float
) -> None:
    plan = stage(wait=2.0)
    files = SEEN_DIFFERENTLY[case]
    sent: list[list[str]] = []
    for name in sorted(files, key=list(files).index, reverse=reverse):
        plan.drop_file(name, files[name])
        plan.after(pause)
        sent += plan.send()
    plan.after(60)
    sent += plan.send()
    assert {os.path.basename(name) for names in sent for name in names} == {os.path.basename(name) for name in files}
    assert plan.report(next(iter(files))).state is FileState.CONVERTING
    plan.after(90)
    assert plan.send() == []


def test_of_models_that_load_each_other_one_leads_that_the_rules_let_go_by_itself(
    drop_folder: Path, ledger: Ledger
) -> None:
    plan = Stage(drop_folder, ledger, patient=True, wait=2.0, ignore=("a.*", "1.dcm"))
    for name, other in (("a", "b"), ("b", "c"), ("c", "a")):
        plan.drop_file(f"{name}.lws", f"LoadObject {other}.lws\n")
    for number in range(4):
        plan.drop_file(f"{number + 1}.dcm", dicom_slice(b"1.2.3", number))
    plan.after(60)
    assert plan.due() == [["2.dcm", "1.dcm", "3.dcm", "4.dcm"], ["b.lws", "c.lws", "a.lws"]]


def test_a_model_that_travelled_leads_once_it_loads_the_one_that_took_it_along(stage: Callable[..., Stage]) -> None:
    plan = stage()
    plan.drop_file("a.lws", "LWSC\n")
    plan.drop_file("b.lws", "LoadObject a.lws\n")
    plan.after(3)
    assert plan.due() == [["b.lws", "a.lws"]]
    plan.drop_file("a.lws", "LoadObject b.lws\n")
    plan.after(3)
    assert plan.due() == [["a.lws", "b.lws"]]


def test_a_model_leads_the_one_that_it_loads_after_the_one_that_took_it_along_is_gone(
    stage: Callable[..., Stage],
) -> None:
    plan = stage(wait=2.0)
    outer = plan.drop_file("c.lws", "LoadObject a.lws\n")
    plan.drop_file("a.lws", "LoadObject b.lws\n")
    plan.after(6)
    assert plan.send() == [["c.lws", "a.lws"]]
    outer.unlink()
    plan.drop_file("bell.wav")
    plan.after(3)
    assert plan.send() == [["bell.wav"]]
    assert plan.report("a.lws").role is Role.COMPANION
    plan.drop_file("b.lws", "LoadObject a.lws\n")
    plan.after(6)
    assert plan.send() == [["a.lws", "b.lws"]]


def test_a_model_that_no_other_would_load_is_not_held_back(stage: Callable[..., Stage]) -> None:
    plan = stage()
    plan.drop_file("crate.obj", "v 0 0 0\n")
    plan.drop_file("crate.glb", b"glTF")
    plan.after(1.75)
    assert plan.due() == [["crate.glb"], ["crate.obj"]]


@pytest.mark.parametrize(
    ("scene", "content"),
    [
        ("a.x3d", "<X3D><Inline url='\"parts/wheel.glb\"'/></X3D>"),
        ("a.irr", '<irr_scene><string name="Mesh" value="parts/wheel.glb"/></irr_scene>'),
        ("a.dae", '<COLLADA><instance_node url="parts/wheel.glb#n"/></COLLADA>'),
    ],
)
def test_a_model_does_not_go_before_a_scene_is_read_that_came_with_it(
    stage: Callable[..., Stage], scene: str, content: str
) -> None:
    plan = stage()
    plan.drop_file("parts/wheel.glb", b"glTF")
    plan.after(0.5)
    plan.drop_file(scene, content)
    plan.after(1)
    assert plan.report("parts/wheel.glb").state is FileState.WAITING
    assert plan.due() == []
    plan.drop_file("late.glb", b"glTF")
    plan.after(1.75)
    assert ["late.glb"] in plan.due(), "the scene is read"
    plan.after(12)
    assert plan.due() == ([[scene, "parts/wheel.glb"]] if scene == "a.x3d" else [])
    assert plan.report("parts/wheel.glb").role is Role.COMPANION


def test_the_tiles_of_a_texture_are_waited_for_and_a_late_one_sends_the_set_anew(stage: Callable[..., Stage]) -> None:
    plan = stage(wait=4.0)
    plan.drop_file("a.obj", "mtllib a.mtl\n")
    plan.drop_file("a.mtl", "map_Kd tex/skin.<UDIM>.png\n")
    plan.drop_file("tex/skin.1001.png")
    plan.after(3)
    assert plan.due() == []
    plan.drop_file("tex/skin.1002.png")
    plan.after(9)
    assert plan.due() == [["a.obj", "a.mtl", "tex/skin.1001.png", "tex/skin.1002.png"]]
    plan.drop_file("tex/skin.1011.png")
    plan.after(9)
    assert plan.due() == [["a.obj", "a.mtl", "tex/skin.1001.png", "tex/skin.1002.png", "tex/skin.1011.png"]]


def map_of_3ds(name: bytes) -> bytes:
    content = name + b"\0"
    for kind in (0xA300, 0xA200, 0xAFFF, 0x3D3D, 0x4D4D):
        content = struct.pack("<HI", kind, len(content) + 6) + content
    return content


@pytest.mark.parametrize(
    ("model", "content", "late"),
    [
        ("a.gltf", '{"images":[{"uri":"my%20wood.png"}]}', "my%20wood.png"),
        ("a.gltf", '{"images":[{"uri":"\u00e9.png"}]}', unicodedata.normalize("NFD", "\u00e9.png")),
        ("a.x3d", '<X3D><ImageTexture url=\'"a.png" "b.png"\'/></X3D>', "b.png"),
        ("a.md5mesh", 'shader "models/x/skin"\n', "skin.jpg"),
        ("a.obj", "mtllib my materials.mtl\n", "My Materials.mtl"),
        ("a.ac", 'texture "Images:wood.png."\n', "wood.png"),
        ("a.3ds", map_of_3ds(b"LONGTEXT.JPG"), "longtexture.jpg"),
        ("a.3ds", map_of_3ds(b"MYBRIC~2.TGA"), "my bricks.tga"),
        ("a.3ds", map_of_3ds(b"character_bo"), "character_body.png"),
    ],
)
def test_a_late_file_is_recognised_by_every_name_that_may_be_meant(
    stage: Callable[..., Stage], model: str, content: str | bytes, late: str
) -> None:
    plan = stage(wait=2.0)
    plan.drop_file(model, content)
    plan.after(8)
    assert plan.due() == [[model]]
    plan.drop_file(late)
    plan.after(8)
    assert [len(members) for members in plan.due()] == [2]
    assert plan.report(late).role is Role.COMPANION


def test_a_file_that_is_nearer_to_what_is_named_comes_before_one_that_was_found_first(
    stage: Callable[..., Stage],
) -> None:
    plan = stage(wait=2.0)
    plan.drop_file("m/a.ac", 'texture "D:\\\\art\\\\wood.png"\n')
    for found in ("maps", "m/textures", "m", "m/art"):
        plan.drop_file(f"{found}/wood.png", found)
        plan.after(8)
        assert plan.due()[0][0] == "a.ac"
        assert [one.path for one in plan.report("m/a.ac").companions] == [plan.report(f"{found}/wood.png").path]


def test_a_file_at_the_place_that_is_named_comes_before_one_that_was_found_elsewhere(
    stage: Callable[..., Stage],
) -> None:
    plan = stage(wait=2.0)
    plan.drop_file("a.ac", 'texture "D:\\\\art\\\\wood.png"\ntexture "TEX/oak.png"\n')
    plan.drop_file("textures/wood.png")
    plan.drop_file("tex/oak.png")
    plan.after(8)
    assert plan.due() == [["a.ac", "textures/wood.png", "TEX/oak.png"]]
    plan.drop_file("other/wood.png")
    plan.after(8)
    assert plan.due() == [["wood.png"]], "the other one, by itself"
    plan.drop_file("wood.png")
    plan.drop_file("TEX/oak.png")
    plan.after(8)
    assert plan.due()[0] == ["a.ac", "wood.png", "TEX/oak.png"]
    assert {plan.report(name).role for name in ("wood.png", "TEX/oak.png")} == {Role.COMPANION}


@pytest.mark.parametrize(
    ("model", "content", "convention"),
    [
        ("a.md5mesh", 'shader "skin.png"\n', "a.md5anim"),
        ("a.md2", "IDP2", "a.png"),
        ("a.md3", "IDP3", "a_default.skin"),
        ("a.mesh.xml", '<mesh><submesh material="Oak"/></mesh>', "a.material"),
        ("a.uc", "class a;", "a_d.3d"),
    ],
)
def test_what_belongs_to_a_model_by_its_name_alone_is_not_waited_for_and_still_joins_its_set(
    stage: Callable[..., Stage], model: str, content: str, convention: str
) -> None:
    plan = stage()
    plan.drop_file("skin.png")
    plan.drop_file(model, content)
    plan.after(2)
    (members,) = plan.due()
    assert members[0] == model
    assert plan.report(model).missing == ()
    plan.drop_file(convention)
    plan.after(2)
    assert plan.due() == [[*members, convention]]
    assert plan.report(convention).role is Role.COMPANION


def test_the_library_that_is_named_is_waited_for_although_another_could_stand_in(stage: Callable[..., Stage]) -> None:
    plan = stage()
    plan.drop_file("car.obj", "mtllib body.mtl\nv 0 0 0\n")
    plan.drop_file("car.mtl", "newmtl a\n")
    plan.after(4)
    assert plan.send() == []
    plan.drop_file("body.mtl", "newmtl b\n")
    plan.after(3)
    assert plan.send() == [["car.obj", "body.mtl"]]
    plan.drop_file("bus.obj", "mtllib gone.mtl\nv 0 0 0\n")
    plan.drop_file("bus.mtl", "newmtl a\n")
    plan.after(15)
    assert plan.send() == [["bus.obj", "bus.mtl"]], "in the end it does"


@pytest.mark.parametrize(("name", "pause"), [("2 wood.png", 3.0), ("2 wood.png", 30.0), ("oak:wood.png", 30.0)])
def test_a_file_of_the_whole_name_comes_before_one_of_a_part_of_it(
    stage: Callable[..., Stage], name: str, pause: float
) -> None:
    plan = stage()
    plan.drop_file("a.obj", "mtllib a.mtl\nv 0 0 0\n")
    plan.drop_file("a.mtl", f"newmtl a\nmap_Kd wood.png\nnewmtl b\nmap_Kd {name}\n")
    plan.drop_file("wood.png")
    plan.after(pause)
    assert plan.send() == ([] if pause == 3.0 else [["a.obj", "a.mtl", "wood.png"]])
    plan.drop_file(name)
    plan.after(3)
    assert plan.send() == [["a.obj", "a.mtl", "wood.png", name]]


def test_what_comes_one_by_one_to_a_set_that_just_went_sends_it_once_more_and_not_with_each(
    stage: Callable[..., Stage],
) -> None:
    plan = stage()
    plan.drop_file("a.mesh.xml", "<mesh>" + "".join(f'<submesh material="m{n:02}"/>' for n in range(21)) + "</mesh>")
    plan.after(2)
    assert plan.send() == [["a.mesh.xml"]]
    materials = [f"m{number:02}.material" for number in range(21)]
    for material in materials[:20]:
        plan.drop_file(material)
        plan.after(4)
        assert plan.send() == []
    plan.after(10)
    assert plan.send() == [["a.mesh.xml", *materials[:20]]]
    plan.after(30)
    plan.drop_file(materials[20])
    plan.after(2)
    assert plan.send() == [["a.mesh.xml", *materials]], "one alone, long after, is not made to wait"


def test_of_several_files_that_may_be_meant_the_log_tells_once_which_goes(stage: Callable[..., Stage]) -> None:
    plan = stage()
    plan.drop_file("crate.obj", "mtllib crate.mtl\n")
    plan.drop_file("crate.mtl", "map_Kd E:\\art\\wood.png\nmap_Ks E:\\art\\wood.png\n")
    for folder in ("textures", "maps"):
        plan.drop_file(f"{folder}/wood.png")
    with capture_logs() as logs:
        plan.after(20)
    assert plan.due()[0][:3] == ["crate.obj", "crate.mtl", "textures/wood.png"]
    (told,) = [entry for entry in logs if "several" in entry["event"]]
    assert (Path(told["chosen"]).parent.name, [Path(o).parent.name for o in told["others"]]) == ("textures", ["maps"])


def test_after_an_update_of_the_readers_a_model_is_read_anew(stage: Callable[..., Stage]) -> None:
    plan = stage()
    plan.drop_file("crate.obj", "mtllib crate.mtl\n")
    plan.after(3)
    (waiting,) = plan.ledger.plan.candidates([plan.drop.path], plan.now + 100, 10)
    assert waiting.references == ("crate.mtl",)
    plan.ledger.plan.read_by(READERS)
    assert plan.ledger.plan.candidates([plan.drop.path], plan.now + 100, 10) == [waiting]
    plan.ledger.plan.read_by(READERS + 1)
    (unread,) = plan.ledger.plan.candidates([plan.drop.path], plan.now + 100, 10)
    assert unread.references is None


def test_what_is_missing_is_told_with_the_place_where_it_is_expected(stage: Callable[..., Stage]) -> None:
    plan = stage(patient=False)
    plan.drop_file("m/crate.obj", "mtllib mat\\crate.mtl\n")
    plan.drop_file("m/mat/crate.mtl", "map_Kd ..\\tex\\wood.png\nmap_Ks C:\\a\\shine.png\n")
    plan.after(4)
    wood, shine = plan.report("m/crate.obj").lacking
    assert (wood.text, wood.note) == ("..\\tex\\wood.png", "")
    assert [str(Path(p).relative_to(plan.drop.path)) for p in (wood.named_by, wood.expected)] == [
        "m/mat/crate.mtl",
        "m/tex/wood.png",
    ]
    assert shine.expected == str(Path(plan.drop.path, "m/mat/shine.png"))
    assert "outside" in shine.note
    (companion,) = plan.report("m/crate.obj").companions
    assert (companion.uploaded_as, companion.text) == ("mat/crate.mtl", "mat\\crate.mtl")
    assert plan.report("m/mat/crate.mtl").users[0].uploaded_as == "mat/crate.mtl"


def settle_a_change(plan: Stage, folder: str) -> None:
    """A crate that was planned once changed, and is to be planned anew."""
    plan.drop_file(f"{folder}crate.obj", OBJ)
    plan.drop_file(f"{folder}crate.mtl", MTL)
    plan.drop_file(f"{folder}textures/wood.png")
    plan.after(3)
    plan.drop_file(f"{folder}crate.obj", OBJ + "v 1 1 1\n")
    plan.settle_only(2)


def test_a_model_out_of_sight_for_a_moment_keeps_its_companions(
    stage: Callable[..., Stage], tmp_path: Path, drop_folder: Path
) -> None:
    """Its folder is moved away while it is planned, and back."""
    plan = stage(patient=False)
    settle_a_change(plan, "m/")
    (drop_folder / "m").rename(tmp_path / "away")
    plan.planner.step(plan.now)
    assert plan.due() == []
    (tmp_path / "away").rename(drop_folder / "m")
    plan.after(3)
    assert plan.due() == [["crate.obj", "crate.mtl", "textures/wood.png"]]


def test_what_a_model_names_does_not_go_alone_when_that_is_out_of_sight_at_its_first_plan(
    stage: Callable[..., Stage], tmp_path: Path, drop_folder: Path
) -> None:
    plan = stage(patient=False)
    plan.drop_file("wood.png")
    plan.drop_file("m/crate.obj", "mtllib crate.mtl\n")
    plan.drop_file("m/crate.mtl", "map_Kd ../wood.png\n")
    plan.settle_only(2)
    (drop_folder / "m").rename(tmp_path / "away")
    plan.planner.step(plan.now)
    plan.planner.step(plan.now)
    assert plan.due() == []
    (tmp_path / "away").rename(drop_folder / "m")
    plan.after(3)
    assert plan.due() == [["crate.obj", "crate.mtl", "wood.png"]]


def test_a_folder_that_is_closed_for_a_moment_is_waited_for(
    stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied", "m")

    plan = stage()
    plan.drop_file("m/crate.obj", "mtllib crate.mtl\n")
    plan.drop_file("m/crate.mtl", "newmtl wood\n")
    with monkeypatch.context() as patch:
        patch.setattr(planner, "assemble", closed)
        plan.after(8)
        assert plan.report("m/crate.obj").state is FileState.WAITING
    plan.after(8)
    assert plan.due() == [["crate.obj", "crate.mtl"]]


@pytest.mark.parametrize("comes_back", [True, False])
def test_what_the_ledger_has_and_the_disk_does_not_show_is_first_asked_of_the_intake(
    stage: Callable[..., Stage], tmp_path: Path, drop_folder: Path, comes_back: bool
) -> None:
    plan = stage(patient=False)
    settle_a_change(plan, "")
    (drop_folder / "textures").rename(tmp_path / "away")
    plan.planner.step(plan.now)
    assert plan.due() == []
    if comes_back:
        (tmp_path / "away").rename(drop_folder / "textures")
    plan.after(3)
    assert plan.due() == [["crate.obj", "crate.mtl", *["textures/wood.png"][: int(comes_back)]]]
    assert (plan.report("textures/wood.png").state is FileState.GONE) is not comes_back


def test_a_model_is_looked_at_seldom_while_its_companions_settle_and_at_once_when_the_last_did(
    stage: Callable[..., Stage], assembled: Counter[str]
) -> None:
    plan = stage()
    plan.drop_file("crate.obj", "mtllib crate.mtl\n")
    plan.drop_file("crate.mtl", "".join(f"newmtl m{n}\nmap_Kd {n}.png\n" for n in range(20)))
    for second in range(20):  # at each moment some settled, and others come or are still written
        for number in range(second, 20):
            plan.drop_file(f"{number}.png", f"{second}")
        plan.after(1)
    assert plan.due() == []
    assert assembled.total() <= 10, "not with each that settles"
    plan.after(1.25)
    assert [len(members) for members in plan.due()] == [22], "when the last has been still for settle_seconds"


def test_a_companion_that_was_not_seen_before_wakes_its_model_also_when_that_settled_long_ago(
    stage: Callable[..., Stage],
) -> None:
    plan = stage(patient=False)
    plan.drop_file("crate.obj", "mtllib crate.mtl\n")
    plan.drop_file("crate.mtl", "newmtl wood\n")
    plan.settle_only(2)
    plan.now += 100
    plan.after(3)
    assert plan.due() == [["crate.obj", "crate.mtl"]]


def test_a_model_whose_files_come_one_by_one_is_not_planned_for_each_of_them(
    stage: Callable[..., Stage], assembled: Counter[str]
) -> None:
    plan = stage()
    plan.drop_file("crate.obj", "mtllib crate.mtl\n")
    plan.after(4)
    plan.drop_file("crate.mtl", "".join(f"map_Kd {number}.png\n" for number in range(40)))
    for number in range(40):
        plan.after(5)
        assert plan.report("crate.obj").state is FileState.WAITING, "anew with each"
        plan.drop_file(f"{number}.png")
    plan.after(2.5)
    assert [len(members) for members in plan.due()] == [42], "as soon as the last has settled"
    assert assembled.total() <= 4


def test_a_model_goes_without_what_does_not_come_although_something_of_it_came(stage: Callable[..., Stage]) -> None:
    plan = stage()
    plan.drop_file("crate.obj", "mtllib crate.mtl\n")
    plan.drop_file("crate.mtl", "map_Kd 1.png\nmap_Kd 2.png\nmap_Kd ../outside.png\nmap_Kd 3.png\n")
    plan.after(8)
    plan.drop_file("2.png")
    plan.after(10)
    assert plan.due() == []
    plan.after(3)
    assert plan.due() == [["crate.obj", "crate.mtl", "2.png"]]
    assert set(plan.report("crate.obj").missing) == {"1.png", "3.png", "../outside.png"}


def test_what_comes_for_a_model_and_names_more_has_the_model_planned_anew(stage: Callable[..., Stage]) -> None:
    plan = stage()
    plan.drop_file("crate.obj", "mtllib a.mtl\nmtllib b.mtl\n")
    plan.drop_file("1.png")
    plan.after(8)
    plan.drop_file("a.mtl", "map_Kd 1.png\n")
    plan.after(9)
    assert plan.due() == [], "the texture was there first, and is held back no longer"
    plan.drop_file("b.mtl")
    plan.after(2)
    assert plan.due() == [["crate.obj", "a.mtl", "b.mtl", "1.png"]]


@pytest.mark.parametrize(
    "order",
    [range(40), range(39, -1, -1), [n * 7 % 40 for n in range(40)]],
    ids=["ascending", "descending", "in no order"],
)
def test_slices_that_come_one_by_one_join_the_one_that_waits_and_the_folder_is_not_listed_for_each(
    stage: Callable[..., Stage], assembled: Counter[str], order: Sequence[int]
) -> None:
    plan = stage()
    for number in order:
        plan.drop_file(f"{number:02}.dcm", dicom_slice(b"1.2.3", number))
        plan.after(5)
        assert plan.due() == []
    plan.after(10)
    assert plan.due() == [[f"{number:02}.dcm" for number in range(40)]]
    assert assembled.total() <= 4
    plan.drop_file("40.dcm", dicom_slice(b"1.2.3", 40))
    plan.after(5)
    plan.drop_file("another.dcm", dicom_slice(b"1.2.3", 41))
    plan.after(15)
    assert [len(members) for members in plan.due()] == [42]


def test_a_texture_is_held_back_until_all_models_were_asked_that_are_to_be_planned(
    stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watcher.planner.MODELS", 1)
    plan = stage(wait=0.25)
    for number in range(6):
        plan.drop_file(f"{number}.ac", f'texture "D:\\art\\{number}.png"\n')
    plan.after(8)
    assert len(plan.due()) == 6
    for number in range(6):
        plan.drop_file(f"textures/{number}.png")
    sets = []
    for _ in range(32):
        plan.after(0.25)
        sets += plan.due()
    assert sorted(sets) == [[f"{number}.ac", f"textures/{number}.png"] for number in range(6)]


def test_a_set_whose_files_come_elsewhere_is_looked_at_now_and_then_only(
    stage: Callable[..., Stage], assembled: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the one that is meant stands is found by a look at all of it."""
    monkeypatch.setattr("watcher.planner.REST_SECONDS", 0.1)
    plan = stage()
    plan.drop_file("crate.obj", "mtllib crate.mtl\n")
    plan.drop_file("crate.mtl", "".join(f"map_Kd {number}.png\n" for number in range(40)))
    for number in range(40):
        plan.drop_file(f"textures/{number}.png")
        plan.after(1)
    assert assembled.total() <= 14, "not with each that comes: at most every four seconds"
    plan.after(6)
    assert [len(members) for members in plan.due()] == [42]


def test_a_great_set_that_is_seen_in_parts_is_not_planned_for_each_of_them(
    stage: Callable[..., Stage], assembled: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watcher.intake.loop.BATCH", 5)
    monkeypatch.setattr("watcher.intake.loop.SLICE", 0.0)
    monkeypatch.setattr("watcher.intake.scan.PART", 5)
    plan = stage(patient=False)
    plan.drop_file("crate.obj", "mtllib crate.mtl\n")
    plan.settle_only(2)
    plan.drop_file("crate.mtl", "".join(f"map_Kd {number}.png\n" for number in range(100)))
    for number in range(100):
        plan.drop_file(f"{number}.png")
    plan.planner.step(plan.now)
    plan.now += 1
    plan.after(20)
    assert [len(members) for members in plan.due()] == [102]
    assert assembled.total() <= 5


def test_planning_grows_with_the_tree_and_reads_nothing_twice(
    tmp_path: Path, assembled: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.bench_planning import make_tree
    from tests.bench_planning import plan as plan_tree
    from watcher.ledger.connection import Connection

    statements = Counter[str]()
    real_rows = Connection.rows

    def rows(self: Connection, *rest: Any) -> Any:
        statements["rows"] += 1
        return real_rows(self, *rest)

    monkeypatch.setattr(Connection, "rows", rows)
    costs = []
    for size in (1, 2):
        statements.clear()
        assembled.clear()
        make_tree(tmp_path / f"drop{size}", textures=400 * size, models=10 * size)
        done = plan_tree(tmp_path / f"drop{size}", tmp_path / f"state{size}")
        # Two models name the texture of the shared library themselves.
        assert (done.sets, done.members) == (10 * size, 10 * size * 84 - 2)
        assert set(done.reads.values()) == {1}
        assert len(done.reads) == 21 * size, "the models and their libraries"
        assert max(assembled.values()) <= 3
        costs.append(sum(statements.values()) + sum(assembled.values()))
    assert costs[1] < 2.5 * costs[0]


def test_textures_are_looked_at_once_until_their_folder_was_scanned(stage: Callable[..., Stage]) -> None:
    plan = stage(wait=1.0)
    for number in range(20):
        plan.drop_file(f"{number}.png")
    plan.drop_file("horn.wav")
    plan.settle_only(3)
    place = plan.intake._loops[plan.drop.path]
    place.scanned_once = False  # a great folder takes its time
    asked = list[str]()
    look = plan.planner._may_be_named
    plan.planner._may_be_named = lambda one: asked.append(one.path) or look(one)  # type: ignore[func-returns-value]
    written = plan.ledger._connection._sqlite.total_changes
    for _ in range(100):
        plan.now += 1.0
        plan.planner.step(plan.now)
    assert plan.due() == [["horn.wav"]], "what no model can name does not wait"
    assert Counter(Counter(asked).values()) == {1: 20, 2: 1}
    assert plan.ledger._connection._sqlite.total_changes - written < 20
    place.scanned_once = True
    plan.now += 1.0
    plan.planner.step(plan.now)
    assert len(plan.due()) == 20


@pytest.mark.parametrize("name", ["car.obj", "car.stl"])
def test_a_model_that_is_dropped_last_is_planned_before_very_many_others(
    stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(planner, "BATCH", 10)
    monkeypatch.setattr(planner, "MODELS", 10)
    plan = stage(wait=0.0)
    for number in range(200):
        plan.drop_file(f"{number}.obj", "v 0 0 0\n")
        plan.drop_file(f"{number}.stl", "solid\n")
    plan.settle_only(3)
    plan.drop_file(name, "v 0 0 0\nv 1 0 0\n")
    plan.settle_only(3)
    plan.planner.step(plan.now)
    due = plan.due()
    assert [name] in due
    assert len(due) < 200


def test_a_folder_of_very_many_models_is_not_listed_for_each_few_of_them(
    stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planner, "MODELS", 10)
    monkeypatch.setattr(disk, "GREAT", 100)
    monkeypatch.setattr(disk, "STEADY_SECONDS", -1.0)
    plan = stage(wait=0.0)
    for number in range(200):
        plan.drop_file(f"{number}.obj", f"mtllib lost{number}.mtl\nv 0 0 0\n")
    plan.settle_only(3)
    listed = []
    real = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: listed.append(path) or real(path))
    for _ in range(30):
        plan.now += 0.25
        plan.planner.step(plan.now)
    assert len(plan.due()) == 200
    assert len(listed) <= 2
