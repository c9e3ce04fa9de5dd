"""Names in COLLADA files: images, and the documents of which they instance parts.

Source: COLLADA 1.4.1 and 1.5 specifications (`image`, `init_from`, `ref`; `skeleton`; attributes that hold a URI);
COLLADA 1.3 for the `source` of an `image`.
"""

from collections.abc import Iterator
from typing import BinaryIO

from watcher.plan.markup import elements
from watcher.plan.uri import named_by_uri

_URIS = {
    **dict.fromkeys(("skin", "morph", "accessor"), "source"),
    "convex_mesh": "convex_hull_of",
    "instance_material": "target",
}
"""The attributes that may lead into another document, by their elements; of all other instances it is `url`."""


def read_dae(file: BinaryIO) -> Iterator[str]:
    """The files that the document names, percent-encoding decoded."""
    for element in elements(file, with_text=("init_from", "ref", "skeleton")):
        uri = ""
        path = (*element.parents, element.name)
        # In an effect, `init_from` holds the id of an image.
        if path[-2:] == ("image", "init_from") or (path[-2:] == ("init_from", "ref") and "image" in path):
            uri = element.text
        elif element.name == "image":
            uri = element.attributes.get("source", "")
        elif element.name == "skeleton":
            uri = element.text.partition("#")[0]
        elif attribute := _URIS.get(element.name, "url" if element.name.startswith("instance_") else ""):
            uri = element.attributes.get(attribute, "").partition("#")[0]
        if uri and (name := named_by_uri(uri)):
            yield name
