"""Claims about the size of the papers' nets, which a count decides."""

from collections.abc import Sequence

from resnet_cli.claims.claim import Claim, Fact, MissingEvidence, Scale, Tables, Trial


def _counted(tables: Tables, column: str, *nets: str) -> list[float]:
    counts = tables.counts().set_index("net")[column]
    if lacking := [net for net in nets if net not in counts]:
        raise MissingEvidence(f"the counts lack {' and '.join(lacking)}")
    return [float(counts[net]) for net in nets]


def _fewer_parameters(tables: Tables) -> Sequence[Fact]:
    vgg_16, vgg_19, resnet_152 = _counted(tables, "parameters", "VGG-16", "VGG-19", "ResNet-152")
    return [
        Fact(
            "ResNet-152 has fewer parameters than VGG-16 and VGG-19",
            resnet_152 < min(vgg_16, vgg_19),
            {
                "ResNet-152": resnet_152,
                "ResNet-152 in Kowsik 2021": 11.5e6,
                "VGG-16": vgg_16,
                "VGG-16 in Kowsik 2021": 143.6e6,
                "VGG-19": vgg_19,
            },
        )
    ]


def _fewer_operations(tables: Tables) -> Sequence[Fact]:
    heavy, light = _counted(tables, "multiply_adds", "VGG-19", "ResNet-34")
    share = 100 * light / heavy
    return [
        Fact(
            "ResNet-34 needs 18 % of the multiply-adds of VGG-19",
            abs(share - 18) <= 0.5,
            {"ResNet-34": light, "VGG-19": heavy, "ResNet-34 as a share of VGG-19 (%)": share},
        )
    ]


def _about(tables: Tables) -> Sequence[Fact]:
    claimed = {"ResNet-50": 25e6, "VGG-16": 138e6}
    counted = _counted(tables, "parameters", *claimed)
    return [
        Fact(
            f"{net} has about {number / 1e6:.0f} million parameters",
            abs(found / number - 1) <= 0.05,
            {net: found, f"{net} in the note": number},
        )
        for (net, number), found in zip(claimed.items(), counted, strict=True)
    ]


CLAIMS = (
    Claim(
        "K16",
        "ResNet-152 has fewer parameters than VGG-16 and VGG-19, and ResNet-34 needs 18 % of VGG-19's operations.",
        "Kowsik 2021, training of ResNets; He et al. 2015, §3.3",
        (
            Trial(
                Scale.COUNTED,
                (),
                "counted from the nets themselves, ResNet-152 has fewer parameters than either VGG",
                _fewer_parameters,
                part="parameters",
            ),
            Trial(
                Scale.COUNTED,
                (),
                "counted from the nets themselves, ResNet-34 needs 17.5 to 18.5 % of VGG-19's multiply-adds",
                _fewer_operations,
                "The share is 18.7 %: He et al. (2015, §3.3) divide 3.6 billion, rounded down, by 19.6 billion, which "
                "is 18.4 %, and round that down too. Without the projections in its shortcuts, as the plain net of 34 "
                "layers, it needs 18.6 %.",
                "operations",
            ),
        ),
    ),
    Claim(
        "G2",
        "ResNet-50 has about 25 million parameters, VGG-16 138 million.",
        "a short German note, practical advantages",
        (
            Trial(
                Scale.COUNTED,
                (),
                "counted from the nets themselves, both numbers are right within 5 %",
                _about,
            ),
        ),
    ),
)
