"""Transformations: from matrices to what an entity has (position, orientation, scale)."""

from dataclasses import dataclass

import numpy as np

from watcher.emulator.convert.model import Doubles

Z_UP_TO_Y_UP = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
X_UP_TO_Y_UP = np.array([[0.0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def in_metres(metres: float, upright: Doubles | None = None) -> Doubles:
    """From a space of units of so many ``metres`` to ours; ``upright`` turns it."""
    matrix = np.eye(4) if upright is None else upright.copy()
    matrix[:3] *= metres
    return matrix


@dataclass(frozen=True, slots=True)
class Transform:
    position: list[float]
    orientation: list[float]
    """Quaternion x, y, z, w."""
    scale: list[float]
    exact: bool
    """False when the matrix also shears, which an entity cannot express."""


def decompose(matrix: Doubles) -> Transform:
    """Split a 4 x 4 matrix (column vectors); a mirroring one gets a negative x scale."""
    linear = matrix[:3, :3]
    scale = np.linalg.norm(linear, axis=0)
    if np.linalg.det(linear) < 0:
        scale[0] = -scale[0]
    rotation = linear / np.where(np.abs(scale) > 1e-30, scale, 1.0)
    exact = bool(np.abs(rotation.T @ rotation - np.eye(3)).max() < 1e-3) and bool((matrix[3] == (0, 0, 0, 1)).all())
    if not exact:
        # The nearest rotation.
        u, _, v = np.linalg.svd(rotation)
        rotation = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ v)) or 1]) @ v
    return Transform(matrix[:3, 3].tolist(), _quaternion(rotation), scale.tolist(), exact)


def compose(position: Doubles, orientation: Doubles, scale: Doubles) -> Doubles:
    """The matrix of a translation, a quaternion (x, y, z, w; any length but zero) and a scale."""
    x, y, z, w = orientation / (np.linalg.norm(orientation) or 1.0)
    matrix = np.eye(4)
    matrix[:3, :3] = (
        np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
            ]
        )
        * scale
    )
    matrix[:3, 3] = position
    return matrix


def _quaternion(m: Doubles) -> list[float]:
    # The largest of the four squares avoids dividing by something small.
    squares = np.array(
        [
            1 + m[0, 0] - m[1, 1] - m[2, 2],
            1 - m[0, 0] + m[1, 1] - m[2, 2],
            1 - m[0, 0] - m[1, 1] + m[2, 2],
            1 + m[0, 0] + m[1, 1] + m[2, 2],
        ]
    )
    largest = int(np.argmax(squares))
    products = {
        0: (squares[0], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0], m[2, 1] - m[1, 2]),
        1: (m[0, 1] + m[1, 0], squares[1], m[1, 2] + m[2, 1], m[0, 2] - m[2, 0]),
        2: (m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], squares[2], m[1, 0] - m[0, 1]),
        3: (m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], squares[3]),
    }[largest]
    quaternion = np.array(products)
    result: list[float] = (quaternion / np.linalg.norm(quaternion)).tolist()
    return result
