"""Real models: what they name is found, all of it and nothing else."""

import csv
import os
from collections import defaultdict
from pathlib import Path

import pytest

from watcher.plan import DiskLook, assemble

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"


def groups():
    if not (CORPUS / "MANIFEST.tsv").is_file():
        return []
    found = defaultdict(lambda: ([], set()))
    with open(CORPUS / "MANIFEST.tsv", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            mains, companions = found[row["group"]]
            if row["role"] == "main":
                mains.append(row["path"])
            else:
                companions.add(row["path"])
    return [(name, *members) for name, members in found.items()]


@pytest.mark.skipif(not groups(), reason="the corpus of real models is not on this machine")
@pytest.mark.parametrize(("name", "mains", "companions"), groups())
def test_the_companions_of_a_real_model_are_found(name, mains, companions):
    assert len(mains) == 1
    assembly = assemble(str(CORPUS / mains[0]), str(CORPUS), DiskLook(str(CORPUS)))
    assert {os.path.relpath(member.path, CORPUS) for member in assembly.companions} == companions


@pytest.mark.skipif(not groups(), reason="the corpus of real models is not on this machine")
@pytest.mark.parametrize(
    ("main", "missing"),
    [
        ("obj-missing-mtl/cube_mtllib_after_g.obj", ["cube_mtllib_after_g.mat"]),
        ("gltf-missing-bin/BoxTextured.gltf", ["CesiumLogoFlat.png", "BoxTextured0.bin"]),
        ("obj-spider/spider.obj", []),
        ("lwo-box/boxuv.lwo", ["boxuv.png"]),
        ("ac-sphere/SphereWithLight.ac", ["earthSpherical.jpg"]),
        ("3ds-texture/cube_with_diffuse_texture.3DS", ["TEST.PNG"]),
        ("usdc-motion/MotionCaptureROM.usdc", [".\\textures\\color_121212.hdr"]),
        ("fbx-spider/spider.fbx", []),
        ("fbx-embedded/box_orphant_embedded_texture.fbx", []),
        ("x3d-hello/HelloWorld.x3d", []),
        ("md5-cube/SimpleCube.md5mesh", []),
    ],
)
def test_what_a_real_model_lacks_is_told(main, missing):
    assembly = assemble(str(CORPUS / main), str(CORPUS), DiskLook(str(CORPUS)))
    assert [one.text for one in assembly.lacking] == missing
