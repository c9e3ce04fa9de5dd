"""The bones of a skeleton out of the nodes of a scene."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from watcher.emulator.convert.model import AnyFloats, Bone, Doubles, Floats
from watcher.emulator.convert.scene_graph import Tree

_INFLUENCES = 4
"""Bones that may move one vertex."""


def bones_of(tree: Tree, joints: Sequence[int], inverse_binds: Sequence[Doubles | None]) -> list[Bone]:
    """One for every joint, a node. Where the matrix with which it was bound is not known, it was bound at rest."""
    own = {joint: at for at, joint in reversed(list(enumerate(joints)))}
    bones = []
    for joint, inverse_bind in zip(joints, inverse_binds, strict=True):
        above = np.eye(4)
        parent = None
        for ancestor in tree.ancestors(joint):
            if ancestor in own:
                parent = own[ancestor]
                break
            above = tree.nodes[ancestor].matrix @ above
        bound = inverse_of(tree.matrix[joint]) if inverse_bind is None else inverse_bind
        bones.append(Bone(tree.nodes[joint].name, parent, above @ tree.nodes[joint].matrix, bound, above))
    return bones


def inverse_of(matrix: Doubles) -> Doubles:
    """The inverse; an identity when there is none."""
    try:
        return np.linalg.inv(matrix).astype(np.float64)
    except np.linalg.LinAlgError:
        return np.eye(4)


def strongest(
    vertex: npt.NDArray[np.integer], bone: npt.NDArray[np.integer], weight: AnyFloats, count: int
) -> tuple[npt.NDArray[np.uint16], Floats]:
    """The bones that move each of ``count`` vertices most, (count, 4), and their weights, which sum up to one.

    Given by columns of equal length: ``weight`` with which ``bone`` moves ``vertex``. What is not possible is left out.
    """
    fit = (vertex >= 0) & (vertex < count) & (bone >= 0) & (bone <= 0xFFFF) & (weight > 0) & np.isfinite(weight)
    vertex, bone, weight = vertex[fit].astype(np.int64), bone[fit], weight[fit]
    order = np.lexsort((-weight, vertex))
    vertex, bone, weight = vertex[order], bone[order], weight[order]
    rank = np.arange(len(vertex)) - np.searchsorted(vertex, vertex)
    kept = rank < _INFLUENCES
    bones = np.zeros((count, _INFLUENCES), np.uint16)
    weights = np.zeros((count, _INFLUENCES), np.float32)
    bones[vertex[kept], rank[kept]] = bone[kept]
    weights[vertex[kept], rank[kept]] = weight[kept]
    total = weights.sum(axis=1, keepdims=True)
    weights /= np.where(total > 0, total, np.float32(1))
    return bones, weights
