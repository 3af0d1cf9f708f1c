"""One integer per named random draw, derived from a run's seed."""

import hashlib


def derive_seed(seed: int, *names: object) -> int:
    """A 63-bit seed for the generator called `names`, independent of the seeds for all other names.

    A draw can then be added or left out (a projection shortcut, dropout, augmentation) without changing any other, so
    that plain and residual twins get the same initial values and the same batches.
    """
    text = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
