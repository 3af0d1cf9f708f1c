"""Damaged bytes: what a broken disk, a cut copy or a slip of the hand leaves of a file."""

import os
import random
from collections.abc import Iterator

REPEATS = int(os.environ.get("RESNET_EXP_FAULTS", "0"))
"""How often what is random is repeated, and then every byte of every file is damaged; 0: a sample, within seconds."""

FLIPS = (0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80)


def damages(content: bytes, sample: int) -> Iterator[tuple[str, bytes]]:
    """`content` cut at every byte, then with one bit of every byte flipped; or as many places, drawn evenly.

    Which bit of a byte is flipped changes with its place. Each comes with words that say what was done.
    """
    places = range(len(content))
    chosen = places if REPEATS else sorted(random.Random(len(content)).sample(places, min(sample, len(places))))
    for place in chosen:
        yield f"cut at {place}", content[:place]
    for place in chosen:
        flipped = bytearray(content)
        flipped[place] ^= FLIPS[place % len(FLIPS)]
        yield f"bit {place % len(FLIPS)} of byte {place} flipped", bytes(flipped)
    for place in chosen if REPEATS else chosen[:10]:
        digit = content[place : place + 1]
        if digit.isdigit():
            other = str((int(digit) + 1) % 10).encode()
            yield f"digit at {place} changed", content[:place] + other + content[place + 1 :]
