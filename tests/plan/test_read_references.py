import gzip
import os
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable

import pytest

from watcher.plan import can_refer, read_references
from watcher.plan.compressed import zstd
from watcher.plan.readers import FORMATS


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


def _mszip(content):
    packer = zlib.compressobj(wbits=-15)
    packed = b"CK" + packer.compress(content) + packer.flush()
    return struct.pack("<2H", len(content), len(packed)) + packed


# Made one at a time, when its test wants it: together they are gigabytes.
HOSTILE: dict[str, Callable[[], bytes]] = {
    "one-line.obj": lambda: b"mtllib " * 8 * MIB,
    "comments.obj": lambda: b"# mtllib a.mtl\n" * 4 * MIB,
    "continued.obj": lambda: b"mtllib \\\n" * 2 * MIB,
    "backslashes.obj": lambda: b"mtllib " + b"\\" * 32 * MIB,
    "continuations.obj": lambda: b"\\\n" * 16 * MIB,
    "quotes.obj": lambda: (b"mtllib " + b'"' * 8000 + b"\n") * 2000,
    "spaces.obj": lambda: b" " * 32 * MIB + b"mtllib a",
    "options.mtl": lambda: (b"map_Kd" + b" -s 1 1 1" * 400 + b"\n") * 2000,
    "options-behind.mtl": lambda: (b"map_Kd x" + b" -s 1 1 1" * 400 + b" x\n") * 2000,
    "number-signs.mtl": lambda: (b"map_Kd x" + b" #" * 3900 + b"\n") * 2000,
    "blanks.mtl": lambda: (b"map_Kd x" + b" " * 8000 + b"x\n") * 2000,
    "statements.mtl": lambda: b"map_Kd a\n" * 4 * MIB,
    "arrays.gltf": lambda: b'{"a":[' + b"[]," * MIB,
    "uris.gltf": lambda: b'{"images":[' + b'{"uri":"a%20b.png"},' * (MIB // 2),
    "escapes.gltf": lambda: b'{"images":[{"uri":"' + b"\\" * 32 * MIB,
    "blanks.gltf": lambda: b'{"images":[{"uri"' + b" " * 32 * MIB,
    "nothing.gltf": lambda: b" " * 32 * MIB,
    "nodes.fbx": lambda: (
        b"Kaydara FBX Binary  \0\x1a\0" + struct.pack("<4IB7s", 7400, 33 * MIB, 0, 0, 7, b"Objects") + bytes(32 * MIB)
    ),
    "same.fbx": lambda: (
        b"Kaydara FBX Binary  \0\x1a\0" + struct.pack("<I", 7400) + struct.pack("<3IB", 40, 0, 0, 0) * 2 * MIB
    ),
    "braces.fbx": lambda: b"Objects: {\n" * 2 * MIB,
    "media.fbx": lambda: b'Objects: {\nTexture: 1 {\nFileName: "a"\n}\n' * MIB,
    "quotes.fbx": lambda: b'a: "" {' * 4 * MIB,
    "elements.dae": lambda: b"<a>" * 8 * MIB,
    "siblings.dae": lambda: b"<a>" + b"<b/>" * (MIB // 2),
    "attribute.dae": lambda: b'<a b="' + b"x" * 32 * MIB,
    "text.dae": lambda: b"<image><init_from>" + b"x\n" * 4 * MIB,
    "attributes.x3d": lambda: b"<a " + b"".join(b'a%durl="x" ' % number for number in range(200_000)) + b"/>",
    "chunks.3ds": lambda: struct.pack("<HI", 0x4D4D, 32 * MIB) + struct.pack("<HI", 0x3D3D, 6) * 5 * MIB,
    "nested.3ds": lambda: struct.pack("<HI", 0x4D4D, 1 << 31) * 5 * MIB,
    "open.x": lambda: b"xof 0303txt 0032" + b"TextureFilename {" * 2 * MIB,
    "tokens.x": lambda: b"xof 0303bin 0032" + b"\x0a\0" * 16 * MIB,
    "bomb.x": lambda: b"xof 0303tzip0032" + bytes(4) + _mszip(bytes(32_768)) * 30_000,
    "bomb.wrl": lambda: gzip.compress(bytes(64 * MIB)) * 4,
    "urls.wrl": lambda: b'url [ "a" ' * 3 * MIB,
    "quotes.wrl": lambda: b'"\n' * 16 * MIB,
    "words.wrl": lambda: b"urlurl " * 4 * MIB,
    "assets.usda": lambda: b"@a@" * 8 * MIB,
    "open.usda": lambda: b'"""@' * 8 * MIB,
    "comments.usda": lambda: b"/* " * 8 * MIB,
    "apostrophes.usda": lambda: b"'" * 32 * MIB,
    "statements.ac": lambda: b'texture "a"\n' * 3 * MIB,
    "numbers.nff": lambda: b"f" + b" 1" * 16 * MIB,
    "numbers-in-lines.nff": lambda: (b"f" + b" 1" * 8000 + b"\n") * 2000,
    "exec.uc": lambda: (b"#exec " + b"FIL" * 8000 + b"\n") * 1000,
    "materials.smd": lambda: b"triangles\n" + b"".join(b"m%d\n" % number for number in range(2 * MIB)),
    "open.ogex": lambda: b"Texture " * 4 * MIB,
    "comments.ogex": lambda: b"Texture /* " * 2 * MIB,
    "escapes.wrl": lambda: b'url "' + b'\\"' * 8 * MIB,
    "comments.x": lambda: b"xof 0303txt 0032" + b"TextureFilename //\n" * MIB,
    "open.ifc": lambda: b"IFCIMAGETEXTURE(" * 2 * MIB,
    "text.cob": lambda: b"Caligari " + b"t:\0\xff\0xxx" * 4 * MIB,
    "pairs.dxf": lambda: b"0\nIMAGEDEF\n1\na\n" * MIB,
    "clips.lwo": lambda: b"FORM\x02\0\0\0LWO2" + b"CLIP\0\0\0\x0a\0\0\0\0ANIM\0\0" * 2 * MIB,
    "sequence.lwo": lambda: (
        b"FORM\x02\0\0\0LWO2" + (b"CLIP\0\0\0\x18\0\0\0\0ISEQ\0\x0e\x09\0\0\0\0\0\x80\0\x7f\xffp\0s\0") * MIB
    ),
    "surfaces.md3": lambda: b"IDP3" + bytes(80) + struct.pack("<7i", MIB, 0, 0, 0, 112, 0, 0) + b"\x01" * 16 * MIB,
    "vertices.pmx": lambda: b"PMX \0\0\0\x40\x08\0\0\1\1\1\1\1\1" + bytes(16) + b"\xff\xff\xff\x7f" + bytes(32 * MIB),
    "blocks.blend": lambda: b"BLENDER-v279" + bytes(32 * MIB),
    "bomb.blend": lambda: zstd.compress(b"BLENDER-v300" + bytes(64 * MIB)) * 2,
    "numbers.raw": lambda: (b"1.5 " * 16_000 + b"\n") * 200,
    "words.raw": lambda: b"1 1 1 1 1 1 1 1 1 a\n" * MIB,
    "chunks.sib": lambda: b"MATR\0\0\0\0" * MIB,
    "bomb.m3d": lambda: b"3DMO\xff\xff\xff\x7f" + zlib.compress(b"MTRL\x08\0\0\0" * 8 * MIB),
    "pairs-binary.dxf": lambda: b"AutoCAD Binary DXF\r\n\x1a\0" + b"\0\0IMAGEDEF\0\1\0a\0" * MIB,
    "open-binary.dxf": lambda: b"AutoCAD Binary DXF\r\n\x1a\0\0\0" + b"x" * 32 * MIB,
    "externproto.wrl": lambda: b"EXTERNPROTO A [" * MIB,
    "effects.x": lambda: b"xof 0303txt 0032" + b'EffectParamString { "a"; "' * MIB,
    "encoding.dae": lambda: b'<?xml version="1.0" encoding="gb18030"?><a>' + b"\x81\x30" * 8 * MIB,
    "elements.dcm": lambda: bytes(128) + b"DICM" + (b"\x08\0\0\0SQ\0\0\xff\xff\xff\xff") * MIB,
}


@pytest.mark.parametrize("file_name", HOSTILE)
def test_a_hostile_file_ends_soon(names, file_name):
    content = HOSTILE[file_name]()
    started = time.process_time()
    names(file_name, content)
    # All take about a second, on a slow machine some; what is not linear takes minutes.
    assert time.process_time() - started < 40


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read as Linux tells it")
def test_a_file_of_any_size_is_read_in_constant_memory(tmp_path):
    big = {
        "vertices.obj": (b"v 0.123456 0.234567 0.345678\n" * 10_000, b"mtllib last.mtl\n"),
        "one-line.obj": (b"f 1 2 3 " * 40_000, b"\nmtllib last.mtl\n"),
        "one-line.mtl": (b"map_Kd " * 40_000, b""),
        "open.usda": (b"/* " * 80_000, b""),
        "open.wrl": (b'"\\"' * 80_000, b""),
        "nested.gltf": (b'{"a":[[[[' * 40_000, b""),
        "data.gltf": (b'{"images":[{"uri":"data:,' + b"A" * 300_000, b'"},{"uri":"last.png"}]}'),
    }
    for name, (block, end) in big.items():
        with open(tmp_path / name, "wb") as file:
            file.write(block)
            for _ in range(200):
                file.write(block if name != "data.gltf" else block[-300_000:])
            file.write(end)
    for name in (f"sparse.{extension}" for extension in FORMATS):
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
