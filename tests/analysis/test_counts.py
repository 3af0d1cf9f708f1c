"""The counts of ImageNet nets against published numbers, and the committed table against the counts."""

import pandas as pd
import pytest

from resnet_cli.analysis.counts import count_imagenet_nets
from tests.page_numbers import REFERENCE

PARAMETERS = {
    "VGG-16": 138_357_544,
    "VGG-19": 143_667_240,
    "ResNet-18": 11_689_512,
    "ResNet-34": 21_797_672,
    "ResNet-50": 25_557_032,
    "ResNet-101": 44_549_160,
    "ResNet-152": 60_192_808,
    "DenseNet-121": 7_978_856,
    "DenseNet-169": 14_149_480,
    "DenseNet-201": 20_013_928,
    "DenseNet-264": 33_337_704,
}


@pytest.fixture(scope="module")
def counts() -> pd.DataFrame:
    return count_imagenet_nets()


def test_parameters_are_those_that_are_published(counts: pd.DataFrame) -> None:
    assert list(counts) == ["net", "layers", "parameters", "multiply_adds"]
    assert dict(zip(counts["net"], counts["parameters"], strict=True)) == PARAMETERS


def test_multiply_adds_of_vgg_and_resnet_are_those_that_are_published(counts: pd.DataFrame) -> None:
    products = counts.set_index("net")["multiply_adds"]
    billions = [f"{value / 1e9:.1f}" for value in products[:7]]
    assert billions == ["15.5", "19.6", "1.8", "3.7", "4.1", "7.8", "11.5"]
    assert f"{products['ResNet-34'] / products['VGG-19']:.3f}" == "0.187"


def test_multiply_adds_of_dense_nets_are_just_below_published_ones(counts: pd.DataFrame) -> None:
    """Some published counts contain more than convolutions and linear layers."""
    products = counts.set_index("net")["multiply_adds"]
    published = {"DenseNet-121": 2.87, "DenseNet-169": 3.40, "DenseNet-201": 4.34, "DenseNet-264": 5.8}
    ratios = {net: billions * 1e9 / products[net] for net, billions in published.items()}
    assert all(1 < ratio < 1.015 for ratio in ratios.values()), ratios


def test_layers_are_as_many_as_the_names_say_but_of_one(counts: pd.DataFrame) -> None:
    layers = dict(zip(counts["net"], counts["layers"], strict=True))
    assert {net: count for net, count in layers.items() if net.partition("-")[2] != str(count)} == {"DenseNet-264": 265}


def test_the_committed_table_is_what_is_counted(counts: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(pd.read_csv(REFERENCE / "counts/counts.csv"), counts)
