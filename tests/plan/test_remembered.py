"""What files name is read once a version, and a reader's fault is one file's matter."""

from pathlib import Path

import pytest

from watcher.plan import read_references
from watcher.plan.remembered import RememberedReferences


def test_a_file_is_read_again_only_when_it_changed(tmp_path: Path) -> None:
    reads: list[str] = []

    def read(path: str) -> tuple[str, ...]:
        reads.append(path)
        return read_references(path)

    references = RememberedReferences(read)
    model = tmp_path / "a.obj"
    model.write_text("mtllib a.mtl\n")
    assert [references(str(model)) for _ in range(3)] == [("a.mtl",)] * 3
    assert len(reads) == 1
    model.write_text("mtllib another.mtl\n")
    assert references(str(model)) == ("another.mtl",)


def test_a_fault_of_a_reader_lets_the_model_go_without_companions_and_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(path: str) -> tuple[str, ...]:
        raise IndexError("beyond the end")

    references = RememberedReferences(fails)
    model = tmp_path / "a.obj"
    model.write_text("mtllib a.mtl\n")
    assert references(str(model)) == references(str(model)) == ()
    assert capsys.readouterr().out.count("could not be read") == 1


def test_a_file_that_cannot_be_read_is_no_fault_of_a_reader(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        RememberedReferences()(str(tmp_path / "gone.obj"))
