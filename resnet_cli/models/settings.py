"""The settings that several models share or that a model got later; importing them does not import torch.

A setting of a single model is declared in that model's own file.
"""

from typing import Literal

from resnet_cli.models.activations import ACTIVATIONS
from resnet_cli.settings.errors import either
from resnet_cli.settings.run import Run
from resnet_cli.settings.setting import Count, Fraction, Need, NotNegative, Positive, Setting, Share, always

Independent = Literal["default", "he", "glorot", "normal"]
Initialisation = Literal[Independent, "orthogonal", "identity"]
Ordering = Literal[
    "original", "norm-after-addition", "relu-before-addition", "relu-only-preactivation", "full-preactivation"
]
"""He et al. 2016, "Identity Mappings in Deep Residual Networks" (arXiv 1603.05027), Fig. 4 (a) to (e)."""
BranchScaling = Literal["none", "skipinit"]

WIDTH = Setting[int]("width", Count, "Units per hidden layer (MLP) or filters in the first stage (CNN).", stacks=always)
BLOCK_SIZE = Setting[int](
    "block_size", Count, "Number of layers that each skip connection spans.", stacks=always, before={"resnet": 2}
)
SHORTCUT = Setting[Literal["A", "B", "C"]](
    "shortcut",
    Literal["A", "B", "C"],
    "Shortcuts of residual CNNs: A zero padding, B projections where the shape changes, C projections everywhere.",
)
ACTIVATION = Setting[str](
    "activation",
    Literal[tuple(ACTIVATIONS)],
    f"Activation function: {either(ACTIVATIONS)}.",
    default="relu",
    stacks=lambda name: ACTIVATIONS[name].backward is not None,
)
BATCH_NORM = Setting[bool](
    "batch_norm", bool, "Batch normalisation before each activation: on or off.", stacks=lambda used: not used
)
DROPOUT = Setting[float](
    "dropout",
    Fraction,
    "Dropout: probability of zeroing a hidden activation.",
    default=0.0,
    stacks=lambda probability: probability == 0,
)
INIT = Setting[Initialisation](
    "init",
    Initialisation,
    "Initial weights: default (PyTorch's: uniform ±1/√fan_in), he or glorot (both normal), normal (see --init-std), "
    "orthogonal (times √2 before a ReLU), or identity (default in layers that change the number of units, and outside "
    "blocks).",
    affects=(),
)
INIT_STD = Setting[float](
    "init_std",
    Positive,
    "Standard deviation of the initial weights under --init normal.",
    default=0.1,
    affects=(),
    need=Need(INIT, lambda init: init == "normal", "init normal"),
)
INIT_BIAS_STD = Setting[float](
    "init_bias_std",
    NotNegative,
    "Standard deviation of the initial biases under --init normal.",
    default=0.0,
    affects=(),
    need=Need(INIT, lambda init: init == "normal", "init normal"),
    before={"*": 0.0},
    came_later=True,
)
ORDERING = Setting[Ordering](
    "ordering",
    Ordering,
    "Order of operations in a block (He et al. 2016, Fig. 4): original, norm-after-addition, "
    "relu-before-addition, relu-only-preactivation or full-preactivation.",
    default="original",
    before={"resnet": "original"},
    came_later=True,
)
SURVIVAL = Setting[float](
    "survival",
    Share,
    "Stochastic depth: probability that the last block is kept in a training step (decreasing linearly from 1 over the "
    "blocks); 1 keeps all of them.",
    default=1.0,
    stacks=lambda survival: survival == 1,
    before={"residual-mlp": 1.0, "resnet": 1.0},
    came_later=True,
)
BRANCH_SCALE = Setting[BranchScaling](
    "branch_scale",
    BranchScaling,
    "Factor of each residual branch: none, or skipinit (a learnt scalar that starts at 0: De & Smith 2020).",
    default="none",
    stacks=always,
    before={"residual-mlp": "none", "resnet": "none"},
    came_later=True,
)


def has_scaled_branches(run: Run) -> bool:
    """Whether a learnt scalar is the last factor of each residual branch of a run's net."""
    return run.get(BRANCH_SCALE) == "skipinit"


COMMON = (WIDTH, ACTIVATION, BATCH_NORM, DROPOUT, INIT, INIT_STD, INIT_BIAS_STD)
"""What every model takes."""
