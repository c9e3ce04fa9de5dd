"""Skeletons and animations of a scene of the Open Asset Import Library."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from watcher.emulator.convert.bones import bones_of
from watcher.emulator.convert.model import Animation, Doubles, Moved, Skeleton, Track
from watcher.emulator.convert.readers import assimp_library as library
from watcher.emulator.convert.readers.assimp_meshes import array_at
from watcher.emulator.convert.scene_graph import Tree

_VECTOR_KEY = np.dtype({"names": ["time", "value"], "formats": ["<f8", ("<f4", 3)], "offsets": [0, 8], "itemsize": 24})
_TURN_KEY = np.dtype({"names": ["time", "value"], "formats": ["<f8", ("<f4", 4)], "offsets": [0, 8], "itemsize": 32})
_TICKS_PER_SECOND = 25.0
"""Where a file does not say it."""
_MOST_BONES = 0xFFFF


def skeletons(tree: Tree, bound: Iterable[Iterable[str]], inverse_binds: dict[str, Doubles]) -> list[Skeleton]:
    """The skeletons of all bones. ``bound``: the names of the bones that belong together because they move one mesh;
    so do bones that hang on each other, and the nodes between them."""
    by_name: dict[str, int] = {}
    for at, node in enumerate(tree.nodes):
        by_name.setdefault(node.name, at)
    groups: list[set[int]] = []
    named = [{by_name[name] for name in names if name in by_name} for names in bound]
    all_bones = set().union(*named)
    linked = []
    for bone in sorted(all_bones):
        between = []
        for ancestor in tree.ancestors(bone):
            between.append(ancestor)
            if ancestor in all_bones:
                linked.append({bone, *between})
                break
    for members in named + linked:
        if members:
            touched = [group for group in groups if group & members]
            groups = [group for group in groups if not group & members] + [members.union(*touched)]
    made = []
    for group in groups:
        joints = sorted(group)[:_MOST_BONES]
        binds = [inverse_binds.get(tree.nodes[joint].name) for joint in joints]
        made.append(Skeleton(tree.nodes[joints[0]].name, bones_of(tree, joints, binds)))
    return made


def animated_names(scene: library.Scene) -> list[str]:
    """The names of all nodes that an animation moves."""
    clips = library.items(scene.animations, scene.animation_count)
    return [str(channel.node) for clip in clips for channel in library.items(clip.channels, clip.channel_count)]


def animations(scene: library.Scene, skeletons: list[Skeleton]) -> list[Animation]:
    """One for every clip and skeleton that it moves, and one for the nodes that it moves beside them."""
    skeleton_of = {bone.name: at for at, skeleton in enumerate(skeletons) for bone in skeleton.bones}
    made = []
    for at, clip in enumerate(library.items(scene.animations, scene.animation_count)):
        rate = clip.ticks_per_second if 0 < clip.ticks_per_second < np.inf else _TICKS_PER_SECOND
        parts: dict[int | None, list[Track]] = {}
        for channel in library.items(clip.channels, clip.channel_count):
            tracks = _tracks(channel, rate)
            if tracks:
                parts.setdefault(skeleton_of.get(tracks[0].target), []).extend(tracks)
        for skeleton, tracks in parts.items():
            duration = max(float(track.times[-1]) for track in tracks)
            made.append(Animation(str(clip.name) or f"animation {at}", duration, tracks, skeleton))
    return made


def _tracks(channel: library.NodeAnimation, rate: float) -> list[Track]:
    name = str(channel.node)
    found = (
        (Moved.POSITION, array_at(channel.positions, (channel.position_count,), _VECTOR_KEY)),
        (Moved.ORIENTATION, array_at(channel.rotations, (channel.rotation_count,), _TURN_KEY)),
        (Moved.SCALE, array_at(channel.scales, (channel.scale_count,), _VECTOR_KEY)),
    )
    return [_track(name, moved, keys, rate) for moved, keys in found if len(keys)]


def _track(name: str, moved: Moved, keys: npt.NDArray[np.void], rate: float) -> Track:
    times = np.nan_to_num(keys["time"] / rate, posinf=0, neginf=0)
    values = np.nan_to_num(keys["value"])
    if moved is Moved.ORIENTATION:
        values = values[:, (1, 2, 3, 0)]  # the library writes w first
    order = np.argsort(times, kind="stable")
    return Track(name, moved, times[order].astype(np.float32), np.ascontiguousarray(values[order]))
