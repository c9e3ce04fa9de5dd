"""A ledger of which nobody can tell whether it is there is never taken for one that is not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from watcher.ledger import Ledger, LedgerError, NoLedger
from watcher.ledger.health import examine

PLACES: dict[str, Callable[[Path], Path]] = {
    "the folder is a file": lambda at: at / "file",
    "a folder above it is a file": lambda at: at / "file" / "state",
    "the folder is a link to nothing": lambda at: at / "link",
    "the folder is closed": lambda at: at / "closed",
    "the ledger is a link to nothing": lambda at: at / "linked",
}


@pytest.fixture
def around(tmp_path: Path) -> Path:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    (tmp_path / "closed").mkdir(mode=0)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "ledger.db").symlink_to(tmp_path / "unplugged" / "ledger.db")
    return tmp_path


@pytest.mark.usefixtures("permissions")
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("read_only", [True, False])
def test_a_ledger_out_of_reach_is_an_error_and_no_new_one_is_made(place: str, read_only: bool, around: Path) -> None:
    path = PLACES[place](around) / "ledger.db"
    with pytest.raises(LedgerError, match="cannot be reached") as raised:
        Ledger(path, read_only=read_only)
    assert not isinstance(raised.value, NoLedger)
    assert ("link to nothing" if "link" in place else "; state_dir has to be a folder") in str(raised.value)
    with pytest.raises(LedgerError, match="cannot be reached"):
        examine(path)
    assert not (around / "linked" / "ledger.db").exists()


@pytest.mark.usefixtures("permissions")
def test_a_ledger_that_is_closed_to_this_user_is_said_so_with_what_to_do(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.path.chmod(0)
    with pytest.raises(LedgerError, match="a folder in which this user may write"):
        Ledger(tmp_path / "ledger.db", read_only=True)
