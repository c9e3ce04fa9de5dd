"""COLLADA animations: the transformations of nodes over time, as tracks of position, orientation and scale."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np

from watcher.emulator.convert.conversion import Conversion
from watcher.emulator.convert.job import ConversionFailed
from watcher.emulator.convert.model import Doubles, Moved, Track
from watcher.emulator.convert.readers.dae_document import Document, figures
from watcher.emulator.convert.transform import compose, decompose

_WIDTHS = {"matrix": 16, "translate": 3, "scale": 3, "rotate": 4}
_MEMBERS = {"X": 0, "Y": 1, "Z": 2, "ANGLE": 3, "W": 3}
_TARGET = re.compile(r"(?P<node>[^/]+)/(?P<sid>[^/.(]+)(?:\.(?P<member>\w+)|(?P<places>(?:\(\d{1,2}\)){1,2}))?")
_MOST_KEYS = 200_000
"""Matrices that are taken apart, over all nodes of a file."""


@dataclass(frozen=True, slots=True)
class Step:
    """One transformation of a node."""

    kind: str
    sid: str | None
    values: Doubles


@dataclass(frozen=True, slots=True)
class Channel:
    """The course of one step, or of one number of it."""

    sid: str
    place: int | None
    """Of the number among those of the step; None means all."""
    times: Doubles
    """(keys,)"""
    values: Doubles
    """(keys, numbers)"""


def steps_of(node: Element) -> list[Step]:
    """The transformations of a node, in the order in which they stand."""
    steps = []
    for child in node:
        values = figures(child, _WIDTHS[child.tag]) if child.tag in _WIDTHS else None
        if values is not None:
            steps.append(Step(child.tag, child.get("sid"), values))
    return steps


def matrix_of(steps: list[Step]) -> Doubles:
    """All transformations of a node in one."""
    matrix = np.eye(4)
    zero, one, straight = np.zeros(3), np.ones(3), np.array([0.0, 0.0, 0.0, 1.0])
    for step in steps:
        match step.kind:
            case "matrix":
                matrix = matrix @ step.values.reshape(4, 4)
            case "translate":
                matrix = matrix @ compose(step.values, straight, one)
            case "scale":
                matrix = matrix @ compose(zero, straight, step.values)
            case "rotate":
                half = np.radians(step.values[3]) / 2
                axis = step.values[:3] / (np.linalg.norm(step.values[:3]) or 1.0)
                matrix = matrix @ compose(zero, np.append(axis * np.sin(half), np.cos(half)), one)
    return matrix


def channels_by_node(document: Document, conversion: Conversion) -> dict[str, list[Channel]]:
    """The channels of all animations, by the id of the node that they move."""
    found: dict[str, list[Channel]] = {}
    passed_over = 0
    for element in document.root.iterfind("library_animations//channel"):
        target = _TARGET.fullmatch(element.get("target", ""))
        channel = None if target is None else _channel(element, target, document)
        if target is None or channel is None:
            passed_over += 1
        else:
            found.setdefault(target["node"], []).append(channel)
    if passed_over:
        conversion.note(f"channels of animations that move no place of a node, left out: {passed_over}")
    return found


def _channel(element: Element, target: re.Match[str], document: Document) -> Channel | None:
    sampler = document.target(element.get("source"), "sampler")
    if sampler is None:
        return None
    sources = {i.get("semantic"): i.get("source", "") for i in sampler.iterfind("input")}
    if "INPUT" not in sources or "OUTPUT" not in sources:
        return None
    place = None
    if target["member"] is not None:
        if target["member"] not in _MEMBERS:
            return None
        place = _MEMBERS[target["member"]]
    elif target["places"] is not None:
        numbers = [int(number) for number in re.findall(r"\d+", target["places"])]
        place = numbers[0] if len(numbers) == 1 else numbers[0] * 4 + numbers[1]
    times = np.nan_to_num(document.source(sources["INPUT"])[:, 0])
    values = np.nan_to_num(document.source(sources["OUTPUT"]))
    if len(times) != len(values):
        raise ConversionFailed(
            f"this COLLADA file is damaged: an animation has {len(times)} times, but {len(values)} values"
        )
    order = np.argsort(times, kind="stable")
    return Channel(target["sid"], place, times[order], values[order])


class Tracks:
    """Takes the moved transformations of nodes apart, up to a limit over all of them."""

    def __init__(self, conversion: Conversion) -> None:
        self._conversion = conversion
        self._left = _MOST_KEYS

    def of(self, name: str, steps: list[Step], channels: list[Channel]) -> list[Track]:
        """The tracks of one node."""
        fitting = [(place, channel) for channel in channels for place in _places(steps, channel)]
        if not fitting:
            return []
        times = np.unique(np.concatenate([channel.times for _, channel in fitting]))
        self._left -= len(times)
        if self._left < 0:
            self._conversion.warn(f"the animation of {name} was left out: the file has more than {_MOST_KEYS} keys")
            return []
        matrices = [matrix_of(moved) for moved in _moved(steps, fitting, times)]
        parts = [decompose(matrix) for matrix in matrices]
        return [
            Track(name, moved, times.astype(np.float32), np.array([getattr(p, moved.value) for p in parts], np.float32))
            for moved in Moved
        ]


def _places(steps: list[Step], channel: Channel) -> Iterator[int]:
    for place, step in enumerate(steps):
        if step.sid == channel.sid:
            count = len(step.values)
            if channel.values.shape[1] == count if channel.place is None else channel.place < count:
                yield place
            return


def _moved(steps: list[Step], channels: list[tuple[int, Channel]], times: Doubles) -> Iterator[list[Step]]:
    """The steps at each of the times."""
    courses = {place: np.tile(steps[place].values, (len(times), 1)) for place, _ in channels}
    for place, channel in channels:
        columns = range(len(steps[place].values)) if channel.place is None else (channel.place,)
        for source, column in enumerate(columns):
            courses[place][:, column] = np.interp(times, channel.times, channel.values[:, source])
    for at in range(len(times)):
        yield [
            Step(step.kind, step.sid, courses[place][at]) if place in courses else step
            for place, step in enumerate(steps)
        ]
