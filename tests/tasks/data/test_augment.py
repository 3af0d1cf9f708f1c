import pytest
import torch

from resnet_cli.tasks.data import augment


def slow_crop(image: torch.Tensor, top: int, left: int, flip: int, padding: int) -> torch.Tensor:
    """One image (C, H, W), pixel by pixel."""
    _, height, width = image.shape
    result = torch.zeros_like(image)
    for row in range(height):
        for column in range(width):
            y, x = top + row - padding, left + column - padding
            target = width - 1 - column if flip else column
            if 0 <= y < height and 0 <= x < width:
                result[:, row, target] = image[:, y, x]
    return result


@pytest.mark.parametrize(("channels", "height", "width", "padding"), [(3, 8, 8, 1), (1, 6, 9, 2), (3, 8, 8, 4)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_batches_are_augmented_like_single_images(
    channels: int, height: int, width: int, padding: int, layout: torch.memory_format
) -> None:
    random = torch.Generator().manual_seed(0)
    images = torch.randint(1, 256, (24, channels, height, width), dtype=torch.uint8, generator=random)
    draws = augment.draw(24, padding, random)
    result = augment.apply(images.contiguous(memory_format=layout), draws, padding)
    expected = [
        slow_crop(image, top, left, flip, padding)
        for image, (top, left, flip) in zip(images, draws.tolist(), strict=True)
    ]
    assert result.dtype == torch.uint8
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert result.equal(torch.stack(expected))


def test_the_middle_crop_is_the_image_or_its_mirror_image() -> None:
    images = torch.arange(2 * 3 * 8 * 8).view(2, 3, 8, 8).to(torch.uint8)
    result = augment.apply(images, torch.tensor([[4, 4, 0], [4, 4, 1]]), 4)
    assert result[0].equal(images[0])
    assert result[1].equal(images[1].flip(2))


def test_draws_are_uniform_and_reproducible() -> None:
    draws = augment.draw(20_000, 4, torch.Generator().manual_seed(1))
    assert draws.shape == (20_000, 3)
    assert draws.device.type == "cpu"
    assert draws.equal(augment.draw(20_000, 4, torch.Generator().manual_seed(1)))
    assert not draws.equal(augment.draw(20_000, 4, torch.Generator().manual_seed(2)))
    for column in (0, 1):
        counts = draws[:, column].bincount()
        assert len(counts) == 9
        assert counts.min() > 2000
    assert len({tuple(row) for row in draws.tolist()}) == 9 * 9 * 2
    assert abs(draws[:, 2].float().mean() - 0.5) < 0.02
