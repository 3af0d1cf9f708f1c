import os
from pathlib import Path

import numpy as np
import pytest
import torch

from resnet_cli.settings.errors import UserError
from resnet_cli.tasks import archive, cifar10
from resnet_cli.tasks.base import Task
from tests.tasks.conftest import RECORDS, Records, TaskRun


def test_images_and_classes_match_the_files_in_order(
    task_run: TaskRun, small_task: Task, small_cifar: Path, records: Records
) -> None:
    data = small_task.load(task_run("cifar10"), small_cifar)
    train = np.concatenate([records[name] for name in cifar10.ARCHIVE.train.files])
    test = records["test_batch.bin"]
    assert data.train_inputs.dtype == data.test_inputs.dtype == torch.uint8
    assert data.train_targets.dtype == data.test_targets.dtype == torch.int64
    assert np.array_equal(data.train_inputs, train[:, 1:].reshape(-1, 3, 32, 32))
    assert np.array_equal(data.test_inputs, test[:, 1:].reshape(-1, 3, 32, 32))
    assert np.array_equal(data.train_targets, train[:, 0])
    assert np.array_equal(data.test_targets, test[:, 0])
    assert data.outputs == 10
    assert data.loss == "cross_entropy"


def test_the_planes_are_red_green_blue_row_by_row(
    task_run: TaskRun, small_task: Task, small_cifar: Path, records: Records
) -> None:
    data = small_task.load(task_run("cifar10"), small_cifar)
    record = records["data_batch_2.bin"][4]
    assert data.train_inputs[RECORDS + 4, 2, 7, 9] == record[1 + 2 * 1024 + 7 * 32 + 9]


@pytest.mark.parametrize(("size", "padding"), [(32, 4), (16, 2), (8, 1)])
def test_smaller_images_are_averages_with_their_own_statistics(
    task_run: TaskRun, small_task: Task, small_cifar: Path, records: Records, size: int, padding: int
) -> None:
    data = small_task.load(task_run("cifar10", image_size=size), small_cifar)
    train = np.concatenate([records[name] for name in cifar10.ARCHIVE.train.files])[:, 1:]
    side = 32 // size
    averages = train.reshape(-1, 3, size, side, size, side).astype(float).mean(axis=(3, 5))
    expected = np.floor(averages + 0.5)
    assert data.input_shape == cifar10.TASK.input_shape(task_run("cifar10", image_size=size)) == (3, size, size)
    assert data.crop_padding == padding
    assert data.train_inputs.dtype == torch.uint8
    assert np.array_equal(data.train_inputs, expected)
    assert data.mean is not None
    assert data.deviation is not None
    np.testing.assert_allclose(data.mean, expected.mean(axis=(0, 2, 3)) / 255, rtol=1e-6)
    np.testing.assert_allclose(data.deviation, expected.std(axis=(0, 2, 3)) / 255, rtol=1e-6)


def test_augmentation_can_be_switched_off(task_run: TaskRun, small_task: Task, small_cifar: Path) -> None:
    assert small_task.load(task_run("cifar10", augment=False), small_cifar).crop_padding == 0


def test_a_subset_is_fixed_balanced_and_standardised_like_the_whole(
    task_run: TaskRun, small_task: Task, small_cifar: Path
) -> None:
    whole = small_task.load(task_run("cifar10"), small_cifar)
    data = small_task.load(task_run("cifar10", train_size=50, seed=3), small_cifar)
    again = small_task.load(task_run("cifar10", train_size=50, seed=4), small_cifar)
    assert data.train_targets.bincount().tolist() == [5] * 10
    assert data.train_inputs.equal(again.train_inputs)
    assert data.test_inputs.equal(whole.test_inputs)
    assert data.mean is not None
    assert whole.mean is not None
    assert data.mean.equal(whole.mean)


def test_some_classes_can_be_learned_alone(task_run: TaskRun, small_task: Task, small_cifar: Path) -> None:
    run = task_run("cifar10", classes="1/9")
    data = small_task.load(run, small_cifar)
    assert data.train_targets.bincount().tolist() == [0, 15, 0, 0, 0, 0, 0, 0, 0, 15]
    assert (len(data.train_targets), len(data.test_targets)) == small_task.examples(run) == (30, 6)


def test_too_many_training_images_are_rejected(task_run: TaskRun, small_task: Task, small_cifar: Path) -> None:
    with pytest.raises(UserError, match=r"train_size \(=151\) must be at most 150"):
        small_task.load(task_run("cifar10", train_size=151), small_cifar)


def test_pixel_normalisation_subtracts_the_mean_image(
    task_run: TaskRun, small_task: Task, small_cifar: Path, records: Records
) -> None:
    data = small_task.load(task_run("cifar10", normalisation="pixel", train_size=50), small_cifar)
    train = np.concatenate([records[name] for name in cifar10.ARCHIVE.train.files])[:, 1:].reshape(-1, 3, 32, 32)
    test = records["test_batch.bin"][:, 1:].reshape(-1, 3, 32, 32)
    prepared = data.prepare(data.test_inputs)
    assert prepared.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(prepared, (test - train.mean(axis=0)) / 255, atol=1e-6)


def padded_crop(image: np.ndarray, padding: np.ndarray, draw: list[int], pixels: int) -> np.ndarray:
    """A crop of one image (C, H, W) that stands on a ground of one value for each channel."""
    channels, height, width = image.shape
    ground = np.broadcast_to(padding[:, None, None], (channels, height + 2 * pixels, width + 2 * pixels)).copy()
    ground[:, pixels : pixels + height, pixels : pixels + width] = image
    top, left, flip = draw
    crop = ground[:, top : top + height, left : left + width]
    return crop[:, :, ::-1] if flip else crop


@pytest.mark.parametrize("normalisation", ["channel", "pixel"])
def test_crops_are_padded_with_black_or_with_the_mean(
    task_run: TaskRun, small_task: Task, small_cifar: Path, normalisation: str
) -> None:
    data = small_task.load(task_run("cifar10", normalisation=normalisation), small_cifar)
    images = data.train_inputs.numpy() / 255
    if normalisation == "pixel":
        normalised, padding = images - images.mean(axis=0), np.zeros(3)
    else:
        mean, deviation = images.mean(axis=(0, 2, 3)), images.std(axis=(0, 2, 3))
        normalised = (images - mean[:, None, None]) / deviation[:, None, None]
        padding = -mean / deviation  # what black becomes
    draws = torch.tensor([[0, 0, 0], [8, 8, 1], [4, 4, 1], [4, 4, 0], [1, 7, 0]])
    crops = data.prepare_crops(data.train_inputs[:5], draws)
    expected = [padded_crop(normalised[number], padding, draw, 4) for number, draw in enumerate(draws.tolist())]
    np.testing.assert_allclose(crops, np.stack(expected), atol=1e-5)
    assert crops.is_contiguous(memory_format=torch.channels_last)


def test_held_out_images_are_evaluated_in_place_of_the_test_images(
    task_run: TaskRun, small_task: Task, small_cifar: Path
) -> None:
    whole = small_task.load(task_run("cifar10"), small_cifar)
    data = small_task.load(task_run("cifar10", validation_size=50), small_cifar)
    subset = small_task.load(task_run("cifar10", train_size=100), small_cifar)
    assert data.train_inputs.equal(subset.train_inputs)
    assert data.train_targets.equal(subset.train_targets)
    assert data.test_targets.bincount().tolist() == [5] * 10
    parts = torch.cat((data.train_inputs, data.test_inputs)).flatten(1)
    assert sorted(parts.tolist()) == sorted(whole.train_inputs.flatten(1).tolist())
    assert small_task.examples(task_run("cifar10", validation_size=50)) == (100, 50)


@pytest.mark.parametrize("normalisation", ["channel", "pixel"])
def test_held_out_images_have_no_part_in_the_normalisation(
    task_run: TaskRun, small_task: Task, small_cifar: Path, normalisation: str
) -> None:
    run = task_run("cifar10", validation_size=50, train_size=20, normalisation=normalisation)
    data = small_task.load(run, small_cifar)
    known = small_task.load(run.but(train_size=None), small_cifar).train_inputs.numpy() / 255
    assert len(data.train_inputs) == 20
    assert data.mean is not None
    axes = 0 if normalisation == "pixel" else (0, 2, 3)
    np.testing.assert_allclose(data.mean, known.mean(axis=axes), rtol=1e-5)


def test_too_few_images_for_both_parts_are_rejected(task_run: TaskRun, small_task: Task, small_cifar: Path) -> None:
    with pytest.raises(
        UserError, match=r"train_size \(=101\) must be at most 100, .* without the 50 of validation_size"
    ):
        small_task.load(task_run("cifar10", train_size=101, validation_size=50), small_cifar)
    for ask in (small_task.examples, lambda run: small_task.load(run, small_cifar)):
        with pytest.raises(
            UserError, match=r"validation_size \(=150\) must be below 150, the number of .* cifar10; lower"
        ):
            ask(task_run("cifar10", validation_size=150))


def test_missing_files_are_reported_with_both_remedies(task_run: TaskRun, small_task: Task, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        small_task.load(task_run("cifar10"), tmp_path / "no where")
    message = str(caught.value)
    assert f"not in {tmp_path}/no where/cifar-10-batches-bin" in message
    assert f"`resnet-exp data fetch cifar10 --data-dir '{tmp_path}/no where'` to download it" in message
    assert message.endswith("or name another --data-dir.")


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("data_batch_3.bin", b"", "has 0 bytes where 30 records of 3,073 bytes make 92,190"),
        ("test_batch.bin", bytes(92_189), "has 92,189 bytes"),
        ("data_batch_5.bin", bytes(92_191), "has 92,191 bytes"),
        ("data_batch_1.bin", bytes(3073) + b"\x0a" + bytes(92_190 - 3074), "holds class 10 in record 2"),
    ],
)
def test_a_broken_file_is_rejected_by_name(
    task_run: TaskRun, small_task: Task, small_cifar: Path, name: str, content: bytes, what: str
) -> None:
    path = small_cifar / cifar10.ARCHIVE.folder / name
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        small_task.load(task_run("cifar10"), small_cifar)
    assert str(caught.value).startswith(f"{path} {what}")
    assert "run `resnet-exp data fetch cifar10" in str(caught.value)


def test_a_folder_in_place_of_a_file_is_rejected(task_run: TaskRun, small_task: Task, small_cifar: Path) -> None:
    path = small_cifar / cifar10.ARCHIVE.folder / "test_batch.bin"
    path.unlink()
    path.mkdir()
    with pytest.raises(UserError, match=r"test_batch\.bin cannot be read"):
        small_task.load(task_run("cifar10"), small_cifar)


def test_real_files_must_have_ten_thousand_records(task_run: TaskRun, tmp_path: Path) -> None:
    (tmp_path / "data_batch_1.bin").write_bytes(bytes(3073))
    with pytest.raises(UserError, match="10,000 records of 3,073 bytes make 30,730,000"):
        cifar10.TASK.load(task_run("cifar10"), tmp_path)


def test_the_data_folder_is_flag_variable_or_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESNET_EXP_DATA", str(tmp_path / "variable"))
    assert archive.data_folder(tmp_path / "flag") == tmp_path / "flag"
    assert archive.data_folder(None) == tmp_path / "variable"
    monkeypatch.setenv("RESNET_EXP_DATA", "")
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "cache" / name))
    assert archive.data_folder(None) == tmp_path / "cache" / "resnet-exp"
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    assert archive.data_folder(Path("~/data")) == tmp_path / "data"


def test_the_folder_of_the_files_can_be_given_directly(
    task_run: TaskRun, small_task: Task, small_cifar: Path, tmp_path: Path
) -> None:
    inside = small_cifar / cifar10.ARCHIVE.folder
    assert cifar10.ARCHIVE.place(small_cifar) == inside
    assert cifar10.ARCHIVE.place(inside) == inside
    renamed = inside.rename(tmp_path / "pictures")
    assert cifar10.ARCHIVE.place(renamed) == renamed
    assert len(small_task.load(task_run("cifar10"), renamed).train_inputs) == 5 * RECORDS


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_in_place_of_images_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "data_batch_1.bin")
    with pytest.raises(UserError, match=r"cannot be read \(not a regular file\)"):
        cifar10.ARCHIVE.read(tmp_path / "data_batch_1.bin", 10)
