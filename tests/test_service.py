"""The systemd unit, judged by systemd itself."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from watcher.config import Settings
from watcher.daemon import STOP_SECONDS

UNIT = Path(__file__).parents[1] / "systemd" / "3dverse-watcher.service"


def settings() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        if re.match(r"\w+=", line):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


@pytest.fixture
def analyze(tmp_path: Path) -> list[str]:
    """systemd-analyze's arguments but for the verb, with a copy of the unit whose program exists here."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    copy = tmp_path / UNIT.name
    copy.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(), flags=re.MULTILINE))
    return [str(copy)]


def test_systemd_finds_no_fault(analyze: list[str]) -> None:
    verdict = subprocess.run(["systemd-analyze", "verify", *analyze], capture_output=True, text=True, check=False)
    about_us = [line for line in (verdict.stdout + verdict.stderr).splitlines() if UNIT.name in line]
    assert (about_us, verdict.returncode) == ([], 0)


def test_systemd_would_find_a_fault(analyze: list[str]) -> None:
    copy = Path(analyze[0])
    copy.write_text(copy.read_text().replace("WatchdogSec=60s", "WatchdogSec=soon"))
    verdict = subprocess.run(["systemd-analyze", "verify", *analyze], capture_output=True, text=True, check=False)
    assert "Failed to parse sec value, ignoring: soon" in verdict.stderr


def test_the_service_is_little_exposed(analyze: list[str]) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", *analyze]
    verdict = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unrecognized option" in verdict.stderr:
        pytest.skip("systemd-analyze is older than 250")
    level = re.search(r"exposure level for .*: (\d+\.\d+)", verdict.stdout)
    assert level is not None, verdict.stderr
    assert float(level[1]) <= 2.0
    assert verdict.returncode == 0


def test_the_unit_says_what_the_daemon_relies_on() -> None:
    unit = settings()
    assert unit["Type"] == ["notify"]
    assert unit["LoadCredential"] == ["api_key:/etc/3dverse-watcher/api_key"]
    assert unit["StateDirectory"] == ["3dverse-watcher"]
    assert unit["ExecStart"][0].endswith("/3dverse-watcher run")
    assert unit["ExecReload"] == ["/bin/sh -c 'kill -HUP $MAINPID'"]
    assert unit["RestartPreventExitStatus"] == ["2"]
    assert "AF_UNIX" in unit["RestrictAddressFamilies"][0].split()  # the notification socket


def test_systemd_waits_for_longer_than_a_stop_takes() -> None:
    (patience,) = settings()["TimeoutStopSec"]
    assert float(patience.removesuffix("s")) > Settings.model_fields["shutdown_grace"].default + STOP_SECONDS


def test_no_setting_needs_a_systemd_newer_than_debian_12_has() -> None:
    newer = {"notify-reload", "RestartSteps", "RestartMaxDelaySec", "MemoryZSwapMax", "ExtraFileDescriptors"}
    effective = {word for key, values in settings().items() for word in (key, *values)}
    assert not effective & newer
