"""Skeletons and animations of a model into assets.

What the contract leaves open is fixed here. A skeleton's ``bones`` have a ``name``, a ``parentIndex`` (-1 without one)
and their resting ``position``, ``orientation`` and ``scale`` relative to the parent, to the scene without one;
its payload holds the inverse bind matrix of each, 16 floats column by column. An animation's ``tracks`` say what they
move (``target``, the name of a bone or node, and ``property``), how (``interpolation``), and where in the payload the
track stands: ``keyCount`` times in seconds, then as many values, relative to the parent as at rest. All numbers are
32-bit floats, little endian.
"""

from typing import Any

import numpy as np

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.model import Animation, AnyFloats, Doubles, Model, Moved, Skeleton, Track
from watcher.emulator.convert.surface import require_finite
from watcher.emulator.convert.transform import decompose


def add_motion(conversion: Conversion, model: Model) -> None:
    """Add all animations and skeletons of a model, the animations first: without a scene one is the main asset."""
    for at, animation in enumerate(model.animations):
        skeleton = None if animation.skeleton is None else model.skeletons[animation.skeleton]
        spaces = {} if skeleton is None else {bone.name: bone.track_space for bone in skeleton.bones}
        _add_animation(conversion, f"animation-{at}", animation, spaces)
    for at, skeleton in enumerate(model.skeletons):
        _add_skeleton(conversion, f"skeleton-{at}", skeleton)


def _add_skeleton(conversion: Conversion, key: str, skeleton: Skeleton) -> None:
    bones = []
    for bone in skeleton.bones:
        require_finite(bone.rest)
        rest = decompose(bone.rest)
        bones.append(
            {
                "name": bone.name,
                "parentIndex": -1 if bone.parent is None else bone.parent,
                "position": rest.position,
                "orientation": rest.orientation,
                "scale": rest.scale,
            }
        )
    matrices = np.stack([bone.inverse_bind.T for bone in skeleton.bones]).astype("<f4")
    path = conversion.payload_path(key)
    path.write_bytes(matrices.tobytes())
    conversion.add(key, "skeleton", skeleton.name, {"bones": bones, "payloadSize": path.stat().st_size}, payload=path)


def _values(track: Track, space: Doubles | None) -> AnyFloats:
    """The values of a track, relative to the parent bone. (A space that shears is taken for the nearest without.)"""
    if space is None or (space == np.eye(4)).all():
        return track.values
    values: AnyFloats
    place = decompose(space)
    match track.moved:
        case Moved.POSITION:
            values = track.values @ space[:3, :3].T + space[:3, 3]
        case Moved.SCALE:
            values = track.values * np.array(place.scale)
        case Moved.ORIENTATION:
            x, y, z, w = place.orientation
            # The product of two quaternions, as the matrix of the first.
            turn = np.array([[w, -z, y, x], [z, w, -x, y], [-y, x, w, z], [-x, -y, -z, w]])
            values = track.values @ turn.T
    return values


def _add_animation(conversion: Conversion, key: str, animation: Animation, spaces: dict[str, Doubles]) -> None:
    path = conversion.payload_path(key)
    tracks: list[dict[str, Any]] = []
    with path.open("wb") as payload:
        for track in animation.tracks:
            tracks.append(
                {
                    "target": track.target,
                    "property": track.moved.value,
                    "interpolation": "step" if track.steps else "linear",
                    "keyCount": len(track.times),
                    "dataOffset": payload.tell(),
                }
            )
            payload.write(np.ascontiguousarray(track.times, "<f4").tobytes())
            payload.write(np.ascontiguousarray(_values(track, spaces.get(track.target)), "<f4").tobytes())
        size = payload.tell()
    description: dict[str, Any] = {
        "animationEventTrack": {},
        "durationInMs": round(animation.duration * 1000, 3),
        "payloadSize": size,
        "tracks": tracks,
    }
    depends_on = []
    if animation.skeleton is not None:
        description["skeletonRef"] = f"asset:skeleton-{animation.skeleton}"
        depends_on.append(f"skeleton-{animation.skeleton}")
    conversion.add(key, "animation", animation.name, description, payload=path, depends_on=depends_on)
