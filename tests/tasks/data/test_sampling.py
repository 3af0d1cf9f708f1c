from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from resnet_cli.tasks.data.sampling import (
    channel_statistics,
    generator,
    pixel_statistics,
    stratified_order,
    training_subset,
    validation_split,
)


@pytest.fixture
def labels() -> torch.Tensor:
    """Classes of very different sizes, and one that does not occur."""
    counts = torch.tensor([100, 37, 0, 5, 58])
    ordered = torch.arange(5).repeat_interleave(counts)
    return ordered[torch.randperm(200, generator=torch.Generator().manual_seed(3))]


def test_the_first_examples_have_the_class_proportions_of_all(labels: torch.Tensor) -> None:
    order = stratified_order(labels, generator("test"))
    assert order.sort().values.equal(torch.arange(200))
    share = labels.bincount() / 200
    for length in range(1, 201):
        assert ((labels[order[:length]].bincount(minlength=5) - length * share).abs() <= 1.5).all()


def test_equal_classes_are_balanced_exactly() -> None:
    labels = torch.arange(10).repeat(50)
    order = stratified_order(labels, generator("test"))
    for length in range(10, 501, 10):
        assert labels[order[:length]].bincount(minlength=10).eq(length // 10).all()


def test_the_order_is_random_within_and_between_classes(labels: torch.Tensor) -> None:
    orders = [stratified_order(labels, generator("test", number)) for number in range(2)]
    assert not orders[0].equal(orders[1])
    members = orders[0][labels[orders[0]] == 0]
    assert not members.equal(members.sort().values)


def test_a_larger_subset_contains_the_smaller(labels: torch.Tensor) -> None:
    subsets = [set(training_subset(labels, size, "test").tolist()) for size in range(1, 201)]
    assert all(small < large for small, large in pairwise(subsets))
    assert training_subset(labels, 200, "test").equal(torch.arange(200))


def test_what_is_held_out_is_the_rest_of_a_training_subset(labels: torch.Tensor) -> None:
    for held_out in (1, 50, 199):
        left, others = validation_split(labels, held_out, "test")
        assert len(others) == held_out
        assert torch.cat((left, others)).sort().values.equal(torch.arange(200))
        assert left.equal(training_subset(labels, 200 - held_out, "test"))
        share = labels.bincount() / 200
        assert ((labels[others].bincount(minlength=5) - held_out * share).abs() <= 1.5).all()


def test_the_mean_of_each_pixel_matches_numpy() -> None:
    images = torch.randint(256, (1300, 3, 4, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images[:, 1, :2] //= 3
    mean, deviation = pixel_statistics(images)
    expected = torch.tensor([[[[*images[:, c, y, x].tolist()] for x in range(5)] for y in range(4)] for c in range(3)])
    torch.testing.assert_close(mean, (expected.double().mean(dim=3) / 255).float(), rtol=1e-7, atol=0)
    assert deviation.equal(torch.ones(3))


def test_channel_statistics_match_numpy() -> None:
    images = torch.randint(256, (50, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images[:, 1] //= 3
    mean, deviation = channel_statistics(images)
    scaled = images.numpy() / 255
    torch.testing.assert_close(mean, torch.tensor(scaled.mean(axis=(0, 2, 3))).float())
    torch.testing.assert_close(deviation, torch.tensor(scaled.std(axis=(0, 2, 3))).float())


def test_channel_statistics_of_cifar10_match_the_published_ones() -> None:
    """cifar10_histogram.csv: how often each of the 256 values occurs in the 50,000 training images, in thousands."""
    counts = np.loadtxt(Path(__file__).with_name("cifar10_histogram.csv"), dtype=np.int64, delimiter=",", skiprows=1)
    pixels = min(counts.sum(axis=0))
    channels = [np.repeat(np.arange(256, dtype=np.uint8), counts[:, channel])[:pixels] for channel in range(3)]
    mean, deviation = channel_statistics(torch.from_numpy(np.stack(channels)[None, :, :, None]))
    assert mean.tolist() == pytest.approx([0.4914, 0.4822, 0.4465], abs=2e-4)
    assert deviation.tolist() == pytest.approx([0.2470, 0.2435, 0.2616], abs=2e-4)
