import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from resnet_cli.settings.errors import UserError
from resnet_cli.tasks import digits
from tests.tasks.conftest import TaskRun


def test_shapes_and_types(task_run: TaskRun) -> None:
    data = digits.load(task_run("digits"))
    assert data.train_inputs.shape == (1400, 1, 8, 8)
    assert data.test_inputs.shape == (397, 1, 8, 8)
    assert data.train_inputs.dtype == data.test_inputs.dtype == torch.uint8
    assert data.train_targets.shape == (1400,)
    assert data.test_targets.shape == (397,)
    assert data.train_targets.dtype == data.test_targets.dtype == torch.int64
    assert data.outputs == 10
    assert data.loss == "cross_entropy"
    assert data.crop_padding == 0


def test_both_parts_together_are_scikit_learns_images(task_run: TaskRun) -> None:
    data = digits.load(task_run("digits"))
    images = torch.cat((data.train_inputs, data.test_inputs)).flatten(1)
    ours = torch.cat((images, torch.cat((data.train_targets, data.test_targets))[:, None]), dim=1).numpy()
    values, classes = load_digits(return_X_y=True)
    theirs = np.column_stack((np.floor(values * 255 / 16 + 0.5), classes)).astype(np.int64)
    assert np.array_equal(np.unique(ours, axis=0), np.unique(theirs, axis=0))
    assert len(ours) == len(theirs)


def test_the_split_is_stratified(task_run: TaskRun) -> None:
    data = digits.load(task_run("digits"))
    train, test = data.train_targets.bincount(), data.test_targets.bincount()
    assert ((train - (train + test) * 1400 / 1797).abs() <= 1).all()


def test_the_split_never_changes(task_run: TaskRun) -> None:
    one, other = digits.load(task_run("digits", seed=0)), digits.load(task_run("digits", seed=5))
    assert one.train_inputs.equal(other.train_inputs)
    assert one.test_inputs.equal(other.test_inputs)
    assert one.train_targets[:10].tolist() == [3, 5, 1, 4, 6, 9, 7, 0, 2, 8]
    assert one.test_targets.bincount().tolist() == [39, 40, 39, 40, 40, 40, 40, 40, 39, 40]


@pytest.mark.parametrize("size", [1, 7, 10, 200, 1400])
def test_a_subset_is_stratified_and_changes_nothing_else(task_run: TaskRun, size: int) -> None:
    data, whole = digits.load(task_run("digits", train_size=size)), digits.load(task_run("digits"))
    assert data.train_inputs.shape == (size, 1, 8, 8)
    assert data.test_inputs.equal(whole.test_inputs)
    assert data.mean is not None
    assert whole.mean is not None
    assert data.mean.equal(whole.mean)
    counts = data.train_targets.bincount(minlength=10)
    assert ((counts - whole.train_targets.bincount() * size / 1400).abs() <= 1).all()


def test_the_full_train_size_is_the_whole_training_set(task_run: TaskRun) -> None:
    data, whole = digits.load(task_run("digits", train_size=1400)), digits.load(task_run("digits"))
    assert data.train_inputs.equal(whole.train_inputs)


def test_too_many_training_images_are_rejected(task_run: TaskRun) -> None:
    with pytest.raises(UserError, match=r"train_size \(=1401\) must be at most 1,400.*digits; lower it"):
        digits.load(task_run("digits", train_size=1401))


def test_prepared_training_images_are_standardised(task_run: TaskRun) -> None:
    data = digits.load(task_run("digits"))
    prepared = data.prepare(data.train_inputs)
    assert prepared.dtype == torch.float32
    assert abs(prepared.mean()) < 1e-5
    assert abs(prepared.std(correction=0) - 1) < 1e-5


def test_classes_keep_their_numbers_images_and_standardisation(task_run: TaskRun) -> None:
    data, whole = digits.load(task_run("digits", classes="2/5..6")), digits.load(task_run("digits"))
    kept = torch.isin(whole.train_targets, torch.tensor([2, 5, 6]))
    assert data.train_inputs.equal(whole.train_inputs[kept])
    assert data.train_targets.equal(whole.train_targets[kept])
    assert set(data.test_targets.tolist()) == {2, 5, 6}
    assert len(data.test_targets) == sum(digits.CLASS_SIZES[1][label] for label in (2, 5, 6))
    assert data.outputs == 10
    assert data.mean is not None
    assert whole.mean is not None
    assert data.mean.equal(whole.mean)


def test_a_subset_of_some_classes_is_stratified(task_run: TaskRun) -> None:
    data = digits.load(task_run("digits", classes="5..9", train_size=50))
    assert data.train_targets.bincount(minlength=10).tolist() == [0] * 5 + [10] * 5
    with pytest.raises(UserError, match=r"train_size \(=698\) must be at most 697"):
        digits.load(task_run("digits", classes="5..9", train_size=698))


@pytest.mark.parametrize(("text", "stored"), [("3,1", None), ("1/3/2", "1..3"), ("0/2/4/6", "0..6:2"), ("8..9", "8/9")])
def test_classes_are_stored_in_one_way(text: str, stored: str | None, task_run: TaskRun) -> None:
    found = task_run("digits", classes=text)["classes"]
    assert found == (stored or "1/3")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("some", "must be class numbers and ranges joined by /, such as 0..4"),
        ("4..0", "must be class numbers and ranges"),
        ("3", "must name at least two classes"),
    ],
)
def test_what_names_no_classes_is_rejected(text: str, message: str, task_run: TaskRun) -> None:
    with pytest.raises(ValueError, match=rf"classes \(={text}\) {message}"):
        task_run("digits", classes=text)


def test_classes_beyond_those_of_the_task_are_rejected(task_run: TaskRun) -> None:
    run = task_run("digits", classes="8..10")
    for ask in (digits.load, digits.TASK.examples, digits.TASK.constant_answer):
        with pytest.raises(
            UserError, match=r"classes \(=8..10\) names class 10, but the 10 classes of digits are 0 to 9"
        ):
            ask(run)
