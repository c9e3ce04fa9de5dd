"""UsdSkel blend shapes: what moves the points of a mesh besides its joints."""

import numpy as np
import numpy.typing as npt
from pxr import Usd, UsdSkel

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.model import Floats, MorphTarget
from watcher.emulator.convert.surface import require_finite


def read_morph_targets(prim: Usd.Prim, points: int, conversion: Conversion) -> list[MorphTarget]:
    """Those of a mesh of so many points. A shape that is not there or does not fit is a warning."""
    targets = []
    for path in UsdSkel.BindingAPI(prim).GetBlendShapeTargetsRel().GetTargets():
        shape = UsdSkel.BlendShape(prim.GetStage().GetPrimAtPath(path))
        offsets = _vectors(shape.GetOffsetsAttr()) if shape else None
        bends = _vectors(shape.GetNormalOffsetsAttr()) if shape else None
        places = np.array((shape.GetPointIndicesAttr().Get() if shape else None) or (), np.int64)
        if not len(places):
            places = np.arange(points)
        if offsets is None or len(offsets) != len(places) or not 0 <= places.min() <= places.max() < points:
            conversion.warn(f"the blend shape {path} was left out: it is not there, or does not fit the points")
            continue
        if shape.GetInbetweens():
            conversion.warn(f"the steps between of the blend shape {path} were left out")
        require_finite(offsets)
        fitting = None if bends is None or len(bends) != len(places) else np.nan_to_num(bends)
        targets.append(
            MorphTarget(_spread(offsets, places, points), None if fitting is None else _spread(fitting, places, points))
        )
    return targets


def _spread(vectors: Floats, places: npt.NDArray[np.int64], points: int) -> Floats:
    whole = np.zeros((points, 3), np.float32)
    whole[places] = vectors
    return whole


def _vectors(attribute: Usd.Attribute) -> Floats | None:
    value = attribute.Get()
    return None if not value else np.array(value, np.float32).reshape(-1, 3)
