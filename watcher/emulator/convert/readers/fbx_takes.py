"""Animations of FBX models from before 2011: the takes, each with the courses of its nodes' transformations."""

from collections.abc import Iterator
from dataclasses import dataclass

from watcher.emulator.convert.readers.fbx_records import Record

_PROPERTIES = {"T": "Lcl Translation", "R": "Lcl Rotation", "S": "Lcl Scaling"}
_AXES = ("X", "Y", "Z")
_SHORTEST_TIME = 1_000_000
"""Of a second's 46,186,158,000 parts: a shorter whole number is none of a key's times but the first."""


@dataclass(frozen=True, slots=True)
class Course:
    """How one number of a node's transformation changes."""

    node: str
    property: str
    axis: str
    times: list[str]
    values: list[str]


def courses(take: Record) -> Iterator[Course]:
    """Those of a take that change at all."""
    for node in take.children:
        for kind, property_name in _PROPERTIES.items():
            channel = _channel(_channel(node, "Transform"), kind)
            for axis in _AXES:
                times, values = _keys(_channel(channel, axis))
                if len(times) > 1:
                    yield Course(node.first(), property_name, axis, times, values)


def moving_channels(take: Record) -> int:
    """How many of a take's channels change, also those of other things than transformations."""
    found = list(take.children)
    for record in found:
        found += record.children
    return sum(record.name == "Channel" and len(_keys(record)[0]) > 1 for record in found)


def _channel(record: Record | None, name: str) -> Record | None:
    children = [] if record is None else record.children
    return next((one for one in children if one.name == "Channel" and one.first() == name), None)


def _keys(channel: Record | None) -> tuple[list[str], list[str]]:
    """The keys' times and values. What stands behind a value, how to get to the next, has many forms and is left out.

    A key begins where a later time stands.
    """
    key = None if channel is None else channel.child("Key")
    words = [] if key is None else key.values
    times: list[str] = []
    values: list[str] = []
    last = 0
    for at, word in enumerate(words[:-1]):
        if not word.lstrip("-").isdigit() or len(word) > 19:
            continue
        time = int(word)
        if not at or (time > last and abs(time) >= _SHORTEST_TIME):
            times.append(word)
            values.append(words[at + 1])
            last = time
    return times, values
