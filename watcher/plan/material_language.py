"""Names in modules of NVIDIA's Material Definition Language, which USD layers load: textures, and measured light.

Source: "NVIDIA Material Definition Language, Language Specification" (texture, light profile and BSDF measurement
types). They share the extension MDL with the models of several games.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

from watcher.plan.text import BEHIND_SLASH, blocks, decode, tokens

_TOKEN = re.compile(
    rb'[/"tlb](?:'
    + BEHIND_SLASH
    + rb"|(?<![\w.].)(?:exture_(?:2d|3d|cube|ptex)|ight_profile|sdf_measurement)\s*+\(\s*+\"(?P<file>[^\"\r\n]++)\""
    rb'|(?<=")[^"\r\n]*+")'
)


def read_module(file: BinaryIO) -> Iterator[str]:
    """The files of which resources are made. A slash at the beginning stands for one of the folders with materials."""
    for token in tokens(blocks(file), _TOKEN):
        if token["file"]:
            yield decode(token["file"])
