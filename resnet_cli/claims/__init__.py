"""The documents' claims, each with the trials that test it."""

import pkgutil
from functools import cache
from importlib import import_module

from resnet_cli.claims.claim import Claim

DOCUMENTS = {
    "K": "Kowsik 2021",
    "B": "Data Basecamp",
    "Z": "Chinese notes on ResNet and its variants",
    "G": "a short German note",
}
"""What the first letter of a claim's id stands for."""


@cache
def all_claims() -> dict[str, Claim]:
    """Every claim by its id, in the order of the documents: what the modules of `claims.catalogue` declare."""
    from resnet_cli.claims import catalogue

    modules = [import_module(f"{catalogue.__name__}.{info.name}") for info in pkgutil.iter_modules(catalogue.__path__)]
    claims = [claim for module in modules for claim in module.CLAIMS]
    order = list(DOCUMENTS)
    return {claim.id: claim for claim in sorted(claims, key=lambda one: (order.index(one.id[0]), int(one.id[1:])))}
