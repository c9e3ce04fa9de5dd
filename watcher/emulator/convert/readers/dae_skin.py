"""COLLADA skins: which joints move which vertices, and how they were bound."""

from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt

from watcher.emulator.convert.bones import strongest
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Doubles, Floats
from watcher.emulator.convert.readers.dae_document import Document, figures, whole
from watcher.emulator.convert.readers.text import whole_numbers


@dataclass(slots=True)
class Skin:
    joints: list[str]
    """Ids or, below the skeleton, sids of nodes."""
    inverse_binds: list[Doubles]
    bones: npt.NDArray[np.uint16]
    """(vertices of the geometry, 4), places among the joints"""
    weights: Floats
    """(vertices of the geometry, 4)"""


def read_skin(skin: Element, document: Document) -> Skin | None:
    """None when it names no joints. Raises ConversionFailed when it is damaged."""
    sources = {i.get("semantic"): i.get("source", "") for i in skin.iterfind("joints/input")}
    joints = document.names(sources.get("JOINT", ""))
    weighted = skin.find("vertex_weights")
    if not joints or weighted is None:
        return None
    shape = figures(skin.find("bind_shape_matrix"), 16)
    to_bind = np.eye(4) if shape is None else shape.reshape(4, 4)
    binds = [np.eye(4)] * len(joints)
    if "INV_BIND_MATRIX" in sources:
        matrices = np.nan_to_num(document.source(sources["INV_BIND_MATRIX"]))
        if matrices.shape[1] != 16 or len(matrices) < len(joints):
            raise ConversionFailed("this COLLADA file is damaged: a skin has fewer matrices than joints")
        binds = list(matrices[: len(joints)].reshape(-1, 4, 4))
    bones, weights = _influences(weighted, document)
    return Skin(joints, [bind @ to_bind for bind in binds], bones, weights)


def _influences(weighted: Element, document: Document) -> tuple[npt.NDArray[np.uint16], Floats]:
    inputs = {i.get("semantic"): (i.get("source", ""), whole(i, "offset", 0)) for i in weighted.iterfind("input")}
    if "JOINT" not in inputs or "WEIGHT" not in inputs:
        raise ConversionFailed("this COLLADA file is damaged: the weights of a skin name no joints")
    width = max(offset for _, offset in inputs.values()) + 1
    counts = whole_numbers((weighted.findtext("vcount") or "").split(), "vcount")
    table = whole_numbers((weighted.findtext("v") or "").split(), "index")
    if (counts < 0).any() or len(table) != int(counts.sum()) * width:
        raise ConversionFailed("this COLLADA file is damaged: the weights of a skin are not complete")
    table = table.reshape(-1, width)
    values = document.source(inputs["WEIGHT"][0])[:, 0]
    places = table[:, inputs["WEIGHT"][1]]
    if len(places) and not 0 <= int(places.min()) <= int(places.max()) < len(values):
        raise ConversionFailed("this COLLADA file is damaged: a skin names a weight that is not there")
    vertex = np.repeat(np.arange(len(counts)), counts)
    return strongest(vertex, table[:, inputs["JOINT"][1]], values[places], len(counts))
