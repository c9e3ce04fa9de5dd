"""Skeletons and animations of a model into assets.

What the contract leaves open is fixed here. A skeleton's ``bones`` have a ``name``, a ``parentIndex`` (-1 without one)
and their resting ``position``, ``orientation`` and ``scale`` relative to the parent; its payload holds the inverse bind
matrix of each, 16 floats column by column. An animation's ``tracks`` say what they move (``target``, the name of a
bone or node, and ``property``), how (``interpolation``), and where in the payload the track stands: ``keyCount`` times
in seconds, then as many values. All numbers are 32-bit floats, little endian.
"""

from typing import Any

import numpy as np

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.model import Animation, Model, Skeleton
from watcher.emulator.convert.transform import decompose


def add_motion(conversion: Conversion, model: Model) -> None:
    """Add all animations and skeletons of a model, the animations first: without a scene one is the main asset."""
    for at, animation in enumerate(model.animations):
        _add_animation(conversion, f"animation-{at}", animation)
    for at, skeleton in enumerate(model.skeletons):
        _add_skeleton(conversion, f"skeleton-{at}", skeleton)


def _add_skeleton(conversion: Conversion, key: str, skeleton: Skeleton) -> None:
    bones = []
    for bone in skeleton.bones:
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


def _add_animation(conversion: Conversion, key: str, animation: Animation) -> None:
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
            payload.write(np.ascontiguousarray(track.values, "<f4").tobytes())
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
