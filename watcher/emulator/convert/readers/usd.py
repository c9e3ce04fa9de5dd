"""USD stages (usd, usda, usdc, usdz), composed by OpenUSD."""

from collections import Counter
from math import inf

import numpy as np

from watcher.emulator.convert.bones import inverse_of
from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Doubles, Model, Node, PointSet
from watcher.emulator.convert.readers.library import damaged
from watcher.emulator.convert.readers.usd_layers import Layers, fault
from watcher.emulator.convert.readers.usd_materials import Materials, defined_at
from watcher.emulator.convert.readers.usd_meshes import read_mesh, read_polygons
from watcher.emulator.convert.readers.usd_morphs import read_morph_targets
from watcher.emulator.convert.readers.usd_shapes import read_shape
from watcher.emulator.convert.readers.usd_skins import Skins
from watcher.emulator.convert.transform import Z_UP_TO_Y_UP, in_metres

from pxr import Tf, Usd, UsdGeom, UsdShade, UsdSkel  # isort: skip

_NOT_SHOWN = (UsdGeom.Tokens.guide, UsdGeom.Tokens.proxy)
_MOST_PRIMS = 100_000
"""That are shown."""
_MOST_WALKED = 300_000
"""Instances share what they bring, and cost nothing until somebody walks through each of them."""
_NOW = Usd.TimeCode.EarliestTime()


def read(conversion: Conversion) -> Model | PointSet:
    """The stage at its first moment. Raises ConversionFailed when a layer of it is damaged.

    What is missing among the files is a warning, and an error when nothing is to be seen then.
    """
    with damaged("this USD stage"):
        try:
            return _compose(Layers(conversion), conversion)
        except Tf.ErrorException as error:
            raise ConversionFailed(f"this USD stage is damaged: {fault(error)}") from None


def _compose(layers: Layers, conversion: Conversion) -> Model | PointSet:
    stage = Usd.Stage.Open(layers.root)
    conversion.progress(0.4)
    model, points = _Reader(stage, Materials(layers, conversion), conversion).read()
    if points and model.meshes:
        conversion.warn("the points of the stage are left out: it holds surfaces, too")
    elif points:
        return PointSet(np.concatenate(points))
    if not model.meshes and not model.animations and layers.missing:
        names = ", ".join(map(repr, layers.missing[:5]))
        raise ConversionFailed(f"there is nothing to see without what is not among the uploaded files: {names}")
    return model


class _Reader:
    def __init__(self, stage: Usd.Stage, materials: Materials, conversion: Conversion) -> None:
        self._stage = stage
        self._materials = materials
        self._conversion = conversion
        self._model = Model()
        self._meshes: dict[str, int | None] = {}
        """Places of meshes by the path of the prim that defines them; instances share one."""
        self._points: list[Doubles] = []
        self._skins = Skins(stage, conversion)
        self._left_out: Counter[str] = Counter()
        self._moving = 0
        self._prims = 0
        is_z_up = UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.z
        self._upright = in_metres(_metres_per_unit(stage, conversion), Z_UP_TO_Y_UP if is_z_up else None)
        """From the stage's space to ours: metres, y up."""

    def read(self) -> tuple[Model, list[Doubles]]:
        for number, prim in enumerate(self._stage.Traverse(Usd.TraverseInstanceProxies())):
            if number > _MOST_WALKED:
                raise ConversionFailed(f"the stage has more than {_MOST_WALKED} prims, counting all instances")
            if prim.IsA(UsdSkel.Skeleton):
                place = UsdGeom.XformCache(_NOW).GetLocalToWorldTransform(prim)
                self._skins.add(prim, self._upright @ np.array(place).T)
        children = [self._node(prim, self._upright, np.eye(4)) for prim in _shown_below(self._stage.GetPseudoRoot())]
        model = self._model
        model.roots = [child for child in children if child is not None]
        for kind, count in sorted(self._left_out.items()):
            self._conversion.warn(f"prims of the type {kind}, left out: {count}")
        if self._moving:
            self._conversion.warn(f"prims that move stand where they are at the first moment: {self._moving}")
        model.skeletons, model.animations = self._skins.skeletons, self._skins.animations
        model.materials, model.images = self._materials.materials, self._materials.images
        return model, self._points

    def _node(self, prim: Usd.Prim, above: Doubles, world: Doubles) -> int | None:
        """Add a node for a prim and those below it; None when nothing there is to be seen.

        ``above`` is what comes on top of the prim's own matrix, ``world`` that of its parent.
        """
        self._prims += 1
        if self._prims > _MOST_PRIMS:
            raise ConversionFailed(f"the stage has more than {_MOST_PRIMS} prims")
        matrix = above @ self._matrix(prim, world)
        world = world @ matrix
        node = Node(prim.GetName(), matrix, mesh=self._mesh(prim, world))
        if prim.IsA(UsdGeom.PointInstancer):
            children = self._instances(UsdGeom.PointInstancer(prim), world)
        else:
            children = [self._node(child, np.eye(4), world) for child in _shown_below(prim)]
        node.children = [child for child in children if child is not None]
        if node.mesh is None and not node.children:
            return None
        self._model.nodes.append(node)
        return len(self._model.nodes) - 1

    def _matrix(self, prim: Usd.Prim, world: Doubles) -> Doubles:
        """From the prim's space to its parent's."""
        xformable = UsdGeom.Xformable(prim)
        if not xformable:
            return np.eye(4)
        self._moving += xformable.TransformMightBeTimeVarying()
        matrix: Doubles = np.array(xformable.GetLocalTransformation(_NOW)).T
        return inverse_of(world) @ self._upright @ matrix if xformable.GetResetXformStack() else matrix

    def _instances(self, instancer: UsdGeom.PointInstancer, world: Doubles) -> list[int | None]:
        prototypes = [self._stage.GetPrimAtPath(path) for path in instancer.GetPrototypesRel().GetTargets()]
        # A prototype's own matrix is its node's.
        places = instancer.ComputeInstanceTransformsAtTime(
            _NOW, _NOW, UsdGeom.PointInstancer.ExcludeProtoXform, UsdGeom.PointInstancer.IgnoreMask
        )
        which = instancer.GetProtoIndicesAttr().Get(_NOW) or ()
        shown = instancer.ComputeMaskAtTime(_NOW) or [True] * len(which)
        if len(places) < len(which):
            self._conversion.warn(f"the instances of {instancer.GetPath()} are left out: they have no proper places")
        return [
            self._node(prototypes[index], np.array(place).T, world)
            for index, place, is_shown in zip(which, places, shown, strict=False)
            if is_shown and 0 <= index < len(prototypes) and prototypes[index]
        ]

    def _mesh(self, prim: Usd.Prim, world: Doubles) -> int | None:
        if prim.IsA(UsdGeom.Points):
            points = np.array(UsdGeom.Points(prim).GetPointsAttr().Get(_NOW) or (), np.float64).reshape(-1, 3)
            self._points.append(points @ world[:3, :3].T + world[:3, 3])
            return None
        if not prim.IsA(UsdGeom.Gprim):
            return None
        bound, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()
        key = f"{defined_at(prim)} {defined_at(bound.GetPrim()) if bound else ''}"
        if key not in self._meshes:
            self._meshes[key] = self._read_mesh(prim)
        return self._meshes[key]

    def _read_mesh(self, prim: Usd.Prim) -> int | None:
        shape = read_polygons(UsdGeom.Mesh(prim)) if prim.IsA(UsdGeom.Mesh) else read_shape(prim, _NOW)
        if shape is None:
            self._left_out[prim.GetTypeName()] += 1
            return None
        points = len(shape.positions)
        morph_targets = read_morph_targets(prim, points, self._conversion)
        mesh = read_mesh(prim, shape, self._materials, self._skins.of(prim, points), morph_targets)
        if not mesh.primitives:
            return None
        self._model.meshes.append(mesh)
        return len(self._model.meshes) - 1


def _metres_per_unit(stage: Usd.Stage, conversion: Conversion) -> float:
    try:
        told = float(UsdGeom.GetStageMetersPerUnit(stage))
    except Tf.ErrorException:
        # Programs are about that write it with less precision than the schema asks for.
        told = float(stage.GetMetadata(UsdGeom.Tokens.metersPerUnit))
    if 0 < told < inf:
        return told
    conversion.warn(
        f"the stage says that its unit is {told:g} metres long: centimetres are meant, as where none is told"
    )
    return float(UsdGeom.LinearUnits.centimeters)


def _shown_below(prim: Usd.Prim) -> list[Usd.Prim]:
    """The children of a prim that are meant to be seen."""
    return [child for child in prim.GetFilteredChildren(Usd.TraverseInstanceProxies()) if _is_shown(child)]


def _is_shown(prim: Usd.Prim) -> bool:
    seen = UsdGeom.Imageable(prim)
    if not seen:
        return True
    return bool(
        seen.GetVisibilityAttr().Get(_NOW) != UsdGeom.Tokens.invisible
        and seen.GetPurposeAttr().Get(_NOW) not in _NOT_SHOWN
    )
