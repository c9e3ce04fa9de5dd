"""UsdSkel: skeletons, the points that their joints move, and how they move.

A skeleton's first bone is the skeleton prim itself: its place in the scene. Source: OpenUSD documentation, "UsdSkel".
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pxr import Usd, UsdSkel

from watcher.emulator.convert.bones import inverse_of, strongest
from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Animation, Bone, Doubles, Floats, Moved, Skeleton, Track

_MOST_VALUES = 20_000_000
"""Of all animations of a stage."""


@dataclass(frozen=True, slots=True)
class Skin:
    skeleton: int
    bones: npt.NDArray[np.uint16]
    """(points, 4)"""
    weights: Floats
    """(points, 4)"""


class Skins:
    """The skeletons of a stage and their animations, in the order in which they are met."""

    def __init__(self, stage: Usd.Stage, conversion: Conversion) -> None:
        self.skeletons: list[Skeleton] = []
        self.animations: list[Animation] = []
        self._stage = stage
        self._conversion = conversion
        self._joints: list[list[str]] = []
        """Of each skeleton, the paths of its joints."""
        self._known: dict[str, int | None] = {}
        self._bound: dict[int, Doubles] = {}
        """Of each skeleton, the way from the space in which its first mesh was bound."""
        self._values = 0

    def add(self, prim: Usd.Prim, world: Doubles) -> None:
        """Add a skeleton that stands at ``world``, with the animation that is bound to it."""
        self._known[str(prim.GetPath())] = None
        source = UsdSkel.Skeleton(prim)
        joints = [str(joint) for joint in source.GetJointsAttr().Get() or ()]
        rest, bind = (
            np.array(attribute.Get() or (), np.float64).reshape(-1, 4, 4).transpose(0, 2, 1)
            for attribute in (source.GetRestTransformsAttr(), source.GetBindTransformsAttr())
        )
        topology = UsdSkel.Topology(joints)
        if not joints or len(bind) != len(joints) or not topology.Validate()[0]:
            self._conversion.warn(f"the skeleton {prim.GetPath()} is left out: its joints are not what they have to be")
            return
        names = [joint.rsplit("/", 1)[-1] for joint in joints]
        if len(set(names)) < len(names):
            names = joints
        bones = [Bone(prim.GetName(), None, world, inverse_of(world))]
        for number, name in enumerate(names):
            above = topology.GetParent(number)
            if len(rest) == len(joints):
                local = rest[number]
            else:
                local = bind[number] if above < 0 else inverse_of(bind[above]) @ bind[number]
            bones.append(Bone(name, above + 1 if above >= 0 else 0, local, inverse_of(bind[number])))
        self._known[str(prim.GetPath())] = len(self.skeletons)
        self._joints.append(joints)
        self.skeletons.append(Skeleton(prim.GetName(), bones))
        animation = UsdSkel.BindingAPI(prim).GetInheritedAnimationSource()
        if animation and animation.IsA(UsdSkel.Animation):
            self._animate(UsdSkel.Animation(animation), dict(zip(joints, names, strict=True)))

    def of(self, prim: Usd.Prim, points: int) -> Skin | None:
        """What moves the points of a mesh. Its skeleton must have been added."""
        binding = UsdSkel.BindingAPI(prim)
        source = binding.GetInheritedSkeleton()
        skeleton = self._known.get(str(source.GetPath())) if source else None
        indices, weights = binding.GetJointIndicesPrimvar(), binding.GetJointWeightsPrimvar()
        if skeleton is None or not indices.HasValue() or not weights.HasValue():
            return None
        width = max(1, indices.GetElementSize())
        joints = np.array(indices.ComputeFlattened(), np.int64)
        shares = np.array(weights.ComputeFlattened(), np.float64)
        if len(joints) != len(shares) or len(joints) % width:
            self._conversion.warn(f"the skin of {prim.GetPath()} is left out: it has not a weight for each joint")
            return None
        if len(joints) == width:  # the whole mesh hangs on the same joints
            joints, shares = np.tile(joints, points), np.tile(shares, points)
        order = binding.GetJointsAttr().Get()
        if order:
            known = {joint: number for number, joint in enumerate(self._joints[skeleton])}
            places = np.array([known.get(str(joint), -1) for joint in order])
            joints = np.where((joints >= 0) & (joints < len(places)), places[np.clip(joints, 0, len(places) - 1)], -1)
        joints[joints >= len(self._joints[skeleton])] = -1
        self._bind(prim, skeleton, np.array(binding.GetGeomBindTransformAttr().Get() or np.eye(4), np.float64).T)
        # The bone of the skeleton itself comes before those of its joints.
        moved = np.repeat(np.arange(len(joints) // width), width)
        return Skin(skeleton, *strongest(moved, np.where(joints < 0, -1, joints + 1), shares, points))

    def _bind(self, prim: Usd.Prim, skeleton: int, to_joints: Doubles) -> None:
        """Tell how a mesh was bound: ``to_joints`` leads from its space to that of the joints when they were bound."""
        known = self._bound.get(skeleton)
        if known is None:
            self._bound[skeleton] = to_joints
            for bone in self.skeletons[skeleton].bones[1:]:
                bone.inverse_bind = bone.inverse_bind @ to_joints
        elif not np.allclose(known, to_joints):
            self._conversion.warn(f"{prim.GetPath()} was bound in another space than other meshes of its skeleton")

    def _animate(self, source: UsdSkel.Animation, names: dict[str, str]) -> None:
        if source.GetBlendShapeWeightsAttr().GetNumTimeSamples():
            self._conversion.warn(f"the weights of blend shapes in {source.GetPath()} were left out: only joints move")
        joints = [names.get(str(joint)) for joint in source.GetJointsAttr().Get() or ()]
        rate = self._stage.GetTimeCodesPerSecond() or 24.0
        steps = self._stage.GetInterpolationType() == Usd.InterpolationTypeHeld
        courses = []
        for moved, attribute in (
            (Moved.POSITION, source.GetTranslationsAttr()),
            (Moved.ORIENTATION, source.GetRotationsAttr()),
            (Moved.SCALE, source.GetScalesAttr()),
        ):
            times = attribute.GetTimeSamples()
            self._values += len(times) * len(joints)
            if self._values > _MOST_VALUES:
                raise ConversionFailed(f"the animations have more than {_MOST_VALUES // 1_000_000} million values")
            rows = [_numbers(attribute.Get(time), moved.width) for time in times]
            if times and all(len(row) == len(joints) for row in rows):
                courses.append((moved, np.array(times) / rate, np.stack(rows)))
        if not courses:
            return
        start = min(float(times[0]) for _, times, _ in courses)
        tracks = [
            Track(name, moved, (times - start).astype(np.float32), values[:, number].astype(np.float32), steps)
            for moved, times, values in courses
            for number, name in enumerate(joints)
            if name is not None
        ]
        duration = max(float(times[-1]) for _, times, _ in courses) - start
        self.animations.append(Animation(source.GetPrim().GetName(), duration, tracks, len(self.skeletons) - 1))


def _numbers(values: object, width: int) -> Doubles:
    """(joints, width); OpenUSD's arrays of quaternions hold x, y, z, w."""
    return np.array(values if values is not None else (), np.float64).reshape(-1, width)
