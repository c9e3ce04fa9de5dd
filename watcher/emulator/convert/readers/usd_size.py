"""How many prims a stage will have, told before it is composed: a few lines can ask for billions."""

from collections.abc import Iterator

from pxr import Sdf

from watcher.emulator.convert.job import ConversionFailed

_MOST_PRIMS = 300_000


def require_composable(root: Sdf.Layer, layers: dict[str, Sdf.Layer]) -> None:
    """``layers`` by the asset paths that name them. Raises ConversionFailed when there would be too many prims."""
    if _Count(layers).of(root, Sdf.Path.absoluteRootPath) > _MOST_PRIMS:
        raise ConversionFailed(f"the stage has more than {_MOST_PRIMS} prims, most of them copies of others")


class _Count:
    """Prims below a prim, with what its references, payloads and inherited classes bring, counted at most so high."""

    def __init__(self, layers: dict[str, Sdf.Layer]) -> None:
        self._layers = layers
        self._known: dict[tuple[str, Sdf.Path], int] = {}
        self._instances: set[tuple[str, Sdf.Path]] = set()

    def of(self, layer: Sdf.Layer, path: Sdf.Path) -> int:
        key = (layer.identifier, path)
        if key not in self._known:
            self._known[key] = 0  # whoever contains itself adds nothing
            spec = layer.GetPrimAtPath(path) if path != Sdf.Path.absoluteRootPath else layer.pseudoRoot
            self._known[key] = 0 if spec is None else min(self._count(layer, spec), _MOST_PRIMS + 1)
        return self._known[key]

    def _count(self, layer: Sdf.Layer, spec: Sdf.PrimSpec) -> int:
        total = 1 + sum(self.of(layer, child.path) for child in spec.nameChildren)
        if spec.path == Sdf.Path.absoluteRootPath:
            named = [self._layers[path] for path in layer.subLayerPaths if path in self._layers]
            return total + sum(self.of(other, spec.path) for other in named)
        for variants in spec.variantSets.values():
            total += max((self._count(layer, variant.primSpec) for variant in variants.variants.values()), default=0)
        for target, path in self._brought(layer, spec):
            if spec.instanceable:
                # Instances of one prim share what it brings.
                if (target.identifier, path) in self._instances:
                    continue
                self._instances.add((target.identifier, path))
            total += self.of(target, path)
        return total

    def _brought(self, layer: Sdf.Layer, spec: Sdf.PrimSpec) -> Iterator[tuple[Sdf.Layer, Sdf.Path]]:
        for arcs in (spec.referenceList, spec.payloadList):
            for arc in arcs.GetAddedOrExplicitItems():
                target = self._layers.get(arc.assetPath) if arc.assetPath else layer
                if target is not None:
                    path = arc.primPath or Sdf.Path.absoluteRootPath.AppendChild(target.defaultPrim or "_")
                    yield target, path
        for classes in (spec.inheritPathList, spec.specializesList):
            for path in classes.GetAddedOrExplicitItems():
                yield layer, path
