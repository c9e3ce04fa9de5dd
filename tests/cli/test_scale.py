"""Many files and large ones: memory stays flat."""

import subprocess
import threading
import time
from pathlib import Path
from typing import Any

MIB = 1024 * 1024


def peak_of(process: "subprocess.Popen[str]") -> int:
    """The highest resident memory that the process reached until its end, in MiB."""
    peak = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        for line in status.splitlines():
            if line.startswith("VmHWM"):
                peak = max(peak, int(line.split()[1]) // 1024)
        time.sleep(0.02)
    return peak


def scan_peak(person: Any, api_environment: dict[str, str]) -> int:
    person.env |= api_environment
    process = person.starts("scan", "drop=Scale", "--json")
    drain = threading.Thread(target=process.stdout.read)
    drain.start()
    peak = peak_of(process)
    process.wait()
    drain.join()
    return peak


def test_memory_does_not_grow_with_the_size_of_a_file(person: Any, emulator: Any) -> None:
    environment = {"WATCHER_API__BASE_URL": emulator.base_url, "WATCHER_API__API_KEY": emulator.api_key}
    peaks = {}
    for mib in (1, 512):
        with (person.drop / f"{mib}.raw").open("wb") as file:
            file.truncate(mib * MIB)
            file.seek(mib * MIB // 2)
            file.write(b"%d" % mib)
        peaks[mib] = scan_peak(person, environment)
    assert set(person.runs("status", "--all", "--json").by_name()) == {"1.raw", "512.raw"}
    assert peaks[512] < peaks[1] + 16, peaks


def test_hundreds_of_files_at_once_all_get_in(person: Any, daemon: Any, until: Any) -> None:
    process = daemon("--emulator", "drop=Many")
    for number in range(500):
        (person.drop / f"{number}.obj").write_text(f"v 0 0 {number}\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    until(lambda: person.counts()["done"] == 500, 120, "500 files")
    assert person.runs("status", "--json").json["files"] == []
    assert process.poll() is None
