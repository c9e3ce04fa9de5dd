import os
import subprocess
import sys
import time

import pytest

from watcher.plan import can_refer, read_references


def test_files_of_other_formats_name_nothing(names):
    assert names("a.png", "mtllib a.mtl") == ()
    assert names("obj", "mtllib a.mtl") == ()
    assert not can_refer("/x/a.png")
    assert can_refer("/x/a.OBJ")
    assert can_refer("/x/a.glb")


def test_the_extension_counts_in_any_case(names):
    assert names("A.OBJ", "mtllib a.mtl") == ("a.mtl",)


def test_what_no_file_can_be_called_is_no_name(names):
    assert names("a.mtl", b"map_Kd a\x01b.png\nmap_Kd " + b"x" * 5000 + b"\nmap_Kd ok.png\n") == ("ok.png",)
    assert names("a.gltf", '{"images":[{"uri":"a%00.png"},{"uri":"\\ud800.png"},{"uri":"a\\nb"},{"uri":"ok"}]}') == (
        "ok",
    )


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_references(str(tmp_path / "a.obj"))


def test_nothing_but_a_regular_file_is_read(tmp_path):
    (tmp_path / "real.obj").write_text("mtllib a.mtl")
    (tmp_path / "link.obj").symlink_to(tmp_path / "real.obj")
    (tmp_path / "folder.obj").mkdir()
    os.mkfifo(tmp_path / "pipe.obj")
    for name in ("link.obj", "folder.obj", "pipe.obj"):
        with pytest.raises(OSError):
            read_references(str(tmp_path / name))


def test_names_on_disk_may_be_any_bytes(tmp_path):
    path = os.path.join(str(tmp_path), os.fsdecode(b"\xff\xfe.obj"))
    with open(path, "w") as file:
        file.write("mtllib a.mtl")
    assert read_references(path) == ("a.mtl",)


MIB = 1 << 20
HOSTILE = {
    "one-line.obj": b"mtllib " * 8 * MIB,
    "comments.obj": b"# mtllib a.mtl\n" * 4 * MIB,
    "continued.obj": b"mtllib \\\n" * 2 * MIB,
    "backslashes.obj": b"mtllib " + b"\\" * 32 * MIB,
    "continuations.obj": b"\\\n" * 16 * MIB,
    "quotes.obj": (b"mtllib " + b'"' * 8000 + b"\n") * 2000,
    "spaces.obj": b" " * 32 * MIB + b"mtllib a",
    "options.mtl": (b"map_Kd" + b" -s 1 1 1" * 400 + b"\n") * 2000,
    "options-behind.mtl": (b"map_Kd x" + b" -s 1 1 1" * 400 + b" x\n") * 2000,
    "number-signs.mtl": (b"map_Kd x" + b" #" * 3900 + b"\n") * 2000,
    "blanks.mtl": (b"map_Kd x" + b" " * 8000 + b"x\n") * 2000,
    "statements.mtl": b"map_Kd a\n" * 4 * MIB,
    "arrays.gltf": b'{"a":[' + b"[]," * MIB,
    "uris.gltf": b'{"images":[' + b'{"uri":"a%20b.png"},' * (MIB // 2),
    "escapes.gltf": b'{"images":[{"uri":"' + b"\\" * 32 * MIB,
    "blanks.gltf": b'{"images":[{"uri"' + b" " * 32 * MIB,
    "nothing.gltf": b" " * 32 * MIB,
}


@pytest.mark.parametrize("file_name", HOSTILE)
def test_a_hostile_file_ends_soon(names, file_name):
    started = time.process_time()
    names(file_name, HOSTILE[file_name])
    # All take about a second; what is not linear takes minutes.
    assert time.process_time() - started < 15


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read as Linux tells it")
def test_a_file_of_any_size_is_read_in_constant_memory(tmp_path):
    big = {
        "vertices.obj": (b"v 0.123456 0.234567 0.345678\n" * 10_000, b"mtllib last.mtl\n"),
        "one-line.obj": (b"f 1 2 3 " * 40_000, b"\nmtllib last.mtl\n"),
        "one-line.mtl": (b"map_Kd " * 40_000, b""),
        "nested.gltf": (b'{"a":[[[[' * 40_000, b""),
        "data.gltf": (b'{"images":[{"uri":"data:,' + b"A" * 300_000, b'"},{"uri":"last.png"}]}'),
    }
    for name, (block, end) in big.items():
        with open(tmp_path / name, "wb") as file:
            file.write(block)
            for _ in range(200):
                file.write(block if name != "data.gltf" else block[-300_000:])
            file.write(end)
    for name in ("sparse.obj", "sparse.gltf", "sparse.mtl", "sparse.glb"):
        with open(tmp_path / name, "wb") as file:
            file.truncate(3 << 30)
    program = (
        "import sys\n"
        "from watcher.plan import read_references\n"
        "def peak():\n"
        "    return next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "before = peak()\n"
        "for path in sys.argv[1:]:\n"
        "    print(path.rpartition('/')[2], *read_references(path))\n"
        "print(peak() - before)\n"
    )
    paths = [str(path) for path in sorted(tmp_path.iterdir())]
    done = subprocess.run([sys.executable, "-c", program, *paths], check=True, stdout=subprocess.PIPE, text=True)
    *lines, grown = done.stdout.splitlines()
    found = {"vertices.obj": " last.mtl", "one-line.obj": " last.mtl", "data.gltf": " last.png"}
    assert lines == [name + found.get(name, "") for name in map(os.path.basename, paths)]
    assert int(grown) < 8 * 1024  # KiB; the files have some 60,000 each
