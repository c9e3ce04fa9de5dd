"""Skins and animations of glTF."""

from typing import Any

import numpy as np

from watcher.emulator.convert.bones import bones_of
from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Animation, Doubles, Model, Moved, Skeleton, Track
from watcher.emulator.convert.readers.gltf_buffers import Buffers
from watcher.emulator.convert.scene_graph import Tree

_MOVED = {"translation": Moved.POSITION, "rotation": Moved.ORIENTATION, "scale": Moved.SCALE}


class Motion:
    """Reads into a model whose nodes are there. ``place`` maps the document's nodes to the model's; those of other
    scenes are not in it."""

    def __init__(
        self, document: dict[str, Any], buffers: Buffers, place: dict[int, int], model: Model, conversion: Conversion
    ) -> None:
        self._document = document
        self._buffers = buffers
        self._place = place
        self._model = model
        self._conversion = conversion
        self._tree = Tree(model)
        self._skeleton_of_node: dict[int, int] = {}

    def read_skins(self) -> dict[int, int]:
        """Add the skeletons of all skins whose joints are in the scene. Returns their places by skin."""
        skeletons: dict[int, int] = {}
        for at, skin in enumerate(self._document.get("skins", ())):
            if any(int(joint) not in self._place for joint in skin["joints"]):
                self._conversion.note(f"skins[{at}] has joints that are not in the scene and was left out")
                continue
            joints = [self._place[int(joint)] for joint in skin["joints"]]
            skeletons[at] = len(self._model.skeletons)
            for joint in joints:
                self._skeleton_of_node.setdefault(joint, skeletons[at])
            bones = bones_of(self._tree, joints, list(self._inverse_binds(skin, at)))
            self._model.skeletons.append(Skeleton(skin.get("name") or f"skeleton {at}", bones))
        return skeletons

    def read_animations(self) -> None:
        """Add one animation for every skeleton that one of the document moves, and one for its other nodes."""
        for at, animation in enumerate(self._document.get("animations", ())):
            parts: dict[int | None, list[Track]] = {}
            left_out = 0
            for number, channel in enumerate(animation["channels"]):
                node = self._place.get(int(channel["target"].get("node", -1)))
                moved = _MOVED.get(channel["target"]["path"])
                if node is None or moved is None:
                    left_out += 1
                    continue
                where = f"animations[{at}].channels[{number}]"
                track = self._track(animation, channel, node, moved, where)
                parts.setdefault(self._skeleton_of_node.get(node), []).append(track)
            if left_out:
                self._conversion.warn(
                    f"channels of animations[{at}] that move something else than a node of the scene, such as"
                    f" morph targets, left out: {left_out}"
                )
            for skeleton, tracks in parts.items():
                duration = max(float(track.times[-1]) for track in tracks)
                name = animation.get("name") or f"animation {at}"
                self._model.animations.append(Animation(name, duration, tracks, skeleton))

    def _inverse_binds(self, skin: dict[str, Any], at: int) -> Doubles:
        count = len(skin["joints"])
        if "inverseBindMatrices" not in skin:
            return np.broadcast_to(np.eye(4), (count, 4, 4))
        accessor = int(skin["inverseBindMatrices"])
        values = self._buffers.accessor(accessor)
        if values.shape[1] != 16 or values.dtype.kind != "f" or len(values) < count:
            raise ConversionFailed(
                f"invalid glTF: skins[{at}] uses accessors[{accessor}], which does not hold {count} matrices"
            )
        matrices: Doubles = np.nan_to_num(values[:count].astype(np.float64)).reshape(-1, 4, 4).transpose(0, 2, 1)
        return matrices

    def _track(self, animation: dict[str, Any], channel: dict[str, Any], node: int, moved: Moved, where: str) -> Track:
        number = int(channel["sampler"])
        if number >= len(animation["samplers"]):
            raise ConversionFailed(f"invalid glTF: {where}.sampler is {number}, but there are fewer samplers")
        sampler = animation["samplers"][number]
        times = np.nan_to_num(self._buffers.floats(int(sampler["input"]), (1,), where)[:, 0])
        values = np.nan_to_num(self._buffers.floats(int(sampler["output"]), (moved.width,), where))
        way = sampler.get("interpolation", "LINEAR")
        if way == "CUBICSPLINE":
            # Of the three values of a key the one between the tangents; the curve becomes a line.
            values = values[1::3]
        if len(values) != len(times):
            raise ConversionFailed(f"invalid glTF: {where} has {len(times)} keys, but {len(values)} values")
        return Track(self._model.nodes[node].name, moved, times, values, steps=way == "STEP")
