"""Claims about the size of the papers' nets, which a count decides."""

from collections.abc import Sequence

from resnet_cli.claims.claim import Analysis, Claim, Fact, MissingEvidence, Scale, Tables, Trial

COUNTS = Analysis("counts")

ABOUT = 0.05
"""A number that a document gives as "about" may be off by this share. Any other is right if the count rounds to it."""


def _counted(tables: Tables, column: str, *nets: str) -> list[float]:
    counts = tables.analysis(COUNTS.kind).set_index("net")[column]
    if lacking := [net for net in nets if net not in counts]:
        raise MissingEvidence(f"the counts lack {' and '.join(lacking)}")
    return [float(counts[net]) for net in nets]


def _fewer_parameters(tables: Tables) -> Sequence[Fact]:
    vgg_16, vgg_19, resnet_152 = _counted(tables, "parameters", "VGG-16", "VGG-19", "ResNet-152")
    return [
        Fact(
            "ResNet-152 has fewer parameters than VGG-16 and VGG-19",
            resnet_152 < min(vgg_16, vgg_19),
            {"ResNet-152": resnet_152, "VGG-16": vgg_16, "VGG-19": vgg_19},
        )
    ]


def _numbers_given(tables: Tables) -> Sequence[Fact]:
    given = {"ResNet-152": 11.5, "VGG-16": 143.6}
    counted = _counted(tables, "parameters", *given)
    return [
        Fact(
            f"{net} has {millions:g} million parameters",
            _rounds_to(found / 1e6, millions),
            {f"{net}, counted": found},
        )
        for (net, millions), found in zip(given.items(), counted, strict=True)
    ]


def _rounds_to(found: float, given: float) -> bool:
    """Whether a number is the one that was given, with as many decimals as that has."""
    return round(found, len(f"{given:g}".partition(".")[2])) == given


def _fewer_operations(tables: Tables) -> Sequence[Fact]:
    heavy, light = _counted(tables, "multiply_adds", "VGG-19", "ResNet-34")
    share = 100 * light / heavy
    return [
        Fact(
            "ResNet-34 needs 18 % of the multiply-adds of VGG-19",
            _rounds_to(share, 18),
            {"ResNet-34": light, "VGG-19": heavy, "ResNet-34 as a share of VGG-19 (%)": share},
        )
    ]


def _about(tables: Tables) -> Sequence[Fact]:
    residual, vgg = _counted(tables, "parameters", "ResNet-50", "VGG-16")
    return [
        Fact(
            "ResNet-50 has about 25 million parameters",
            abs(residual / 25e6 - 1) <= ABOUT,
            {"ResNet-50, counted": residual},
        ),
        Fact("VGG-16 has 138 million parameters", _rounds_to(vgg / 1e6, 138), {"VGG-16, counted": vgg}),
    ]


CLAIMS = (
    Claim(
        "K16",
        "ResNet-152 has fewer parameters than VGG-16 and VGG-19 (11.5 million against VGG-16's 143.6), and ResNet-34 "
        "needs 18 % of VGG-19's operations.",
        "Kowsik 2021, training of ResNets; He et al. 2015, §3.3",
        (
            Trial(
                Scale.COMPUTED,
                (COUNTS,),
                "counted from the nets themselves, ResNet-152 has fewer parameters than either VGG",
                _fewer_parameters,
                part="parameters",
            ),
            Trial(
                Scale.COMPUTED,
                (COUNTS,),
                "counted from the nets themselves, ResNet-34's share of VGG-19's multiply-adds rounds to 18 %",
                _fewer_operations,
                "The share is 18.7 %: He et al. (2015, §3.3) divide 3.6 billion, rounded down, by 19.6 billion, which "
                "is 18.4 %, and round that down too. Without the projections in its shortcuts, as the plain net of 34 "
                "layers, it needs 18.6 %.",
                "operations",
            ),
            Trial(
                Scale.COMPUTED,
                (COUNTS,),
                "counted from the nets themselves, parameters round to the numbers that Kowsik gives",
                _numbers_given,
                "143.6 million (143.7 when rounded) is VGG-19's number, and 11.5 thousand millions are ResNet-152's "
                "multiply-adds. That the residual net is smaller is true all the same.",
                "numbers",
            ),
        ),
    ),
    Claim(
        "G2",
        "ResNet-50 has about 25 million parameters, VGG-16 138 million.",
        "a short German note, practical advantages",
        (
            Trial(
                Scale.COMPUTED,
                (COUNTS,),
                "counted from the nets themselves, ResNet-50 has 25 million parameters within 5 %, and those of VGG-16 "
                "round to 138 million",
                _about,
            ),
        ),
    ),
)
