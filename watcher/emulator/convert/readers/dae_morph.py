"""COLLADA morphs: geometries of other shape, towards which the vertices of one are moved."""

from xml.etree.ElementTree import Element

import numpy as np

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.model import Doubles, MorphTarget
from watcher.emulator.convert.readers.dae_document import Document
from watcher.emulator.convert.surface import require_finite


def read_morph_targets(
    morph: Element, geometry: Element, document: Document, conversion: Conversion
) -> list[MorphTarget]:
    """What is added to the positions of the geometry. A target that is not there or does not fit is a warning."""
    base = _positions(geometry, document)
    is_relative = morph.get("method") == "RELATIVE"
    targets = []
    for source in (i.get("source", "") for i in morph.iterfind("targets/input[@semantic='MORPH_TARGET']")):
        for name in document.names(source):
            target = document.target(name, "geometry")
            positions = None if target is None else _positions(target, document)
            if base is None or positions is None or positions.shape != base.shape:
                conversion.warn(f"the morph target {name!r} was left out: it is not a geometry of as many vertices")
            else:
                require_finite(positions)
                targets.append(MorphTarget((positions if is_relative else positions - base).astype(np.float32)))
    return targets


def _positions(geometry: Element, document: Document) -> Doubles | None:
    source = geometry.find("mesh/vertices/input[@semantic='POSITION']")
    positions = None if source is None else document.source(source.get("source", ""))
    return None if positions is None or positions.shape[1] < 3 else positions[:, :3]
