"""LZ4 blocks, unpacked in plain Python: for the small tables of binary USD layers.

Source: "LZ4 block format description" of the LZ4 project.
"""


class Corrupt(Exception):
    """The data is no LZ4 block, or a larger one than it should be."""


def unpacked(block: bytes, most: int) -> bytes:
    """The content of the block. Raises Corrupt, also when it is longer than `most` bytes."""
    out = bytearray()
    at, end = 0, len(block)
    try:
        while at < end:
            token = block[at]
            at += 1
            literals, at = _length(block, at, token >> 4)
            if at + literals > end or len(out) + literals > most:
                raise Corrupt
            out += block[at : at + literals]
            at += literals
            if at == end:  # the last sequence has literals only
                break
            offset = block[at] | block[at + 1] << 8
            length, at = _length(block, at + 2, token & 15)
            length += 4
            start = len(out) - offset
            if offset == 0 or start < 0 or len(out) + length > most:
                raise Corrupt
            # What is copied may reach into what is being written, and then repeats.
            source = bytes(out[start : start + length])
            out += (source * (length // len(source) + 1))[:length]
    except IndexError:
        raise Corrupt from None
    return bytes(out)


def _length(block: bytes, at: int, length: int) -> tuple[int, int]:
    """A length that begins with these four bits, and where it ends."""
    if length == 15:
        while True:
            byte = block[at]
            at += 1
            length += byte
            if byte != 255:
                break
    return length, at
