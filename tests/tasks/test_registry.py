import math
from typing import Any

import pytest
import torch

from resnet_cli.settings import registry
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.ranges import parse_depths
from resnet_cli.tasks import all_tasks, constant_answers, get_task
from resnet_cli.tasks.base import Task
from tests.tasks.conftest import TaskRun


def test_every_task_is_registered_automatically() -> None:
    assert {"cifar10", "cifar100", "digits", "sine"} <= set(all_tasks())
    assert all(get_task(name).name == name for name in all_tasks())


def test_an_unknown_task_is_rejected_listing_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"task \(=digit\) .*did you mean digits\?") as caught:
        get_task("digit")
    assert ", ".join(sorted(all_tasks())) in str(caught.value)


@pytest.mark.parametrize("task", all_tasks().values(), ids=lambda task: task.name)
def test_a_description_is_complete_and_its_settings_exist(task: Task, task_run: TaskRun) -> None:
    assert all(registry.owner(setting) == "Task" for setting in task.settings)
    assert set(task.default_depths) == set(task.families)
    assert set(task.family_defaults) <= set(task.families)
    for depths in task.default_depths.values():
        parse_depths(depths)
    for family in task.families:
        defaults = {**task.defaults, **task.family_defaults.get(family, {})}
        assert all(registry.find(name) is not None for name in defaults)
        task_run(task.name, **defaults)  # validates every value
    assert task.title
    assert task.source


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("sine", {}),
        ("sine", {"train_size": 200}),
        ("digits", {}),
        ("digits", {"train_size": 200}),
        ("digits", {"validation_size": 200}),
        ("digits", {"validation_size": 200, "train_size": 300}),
        ("digits", {"classes": "0..4"}),
        ("digits", {"classes": "1/8/9", "train_size": 30}),
        ("digits", {"classes": "1/8/9", "validation_size": 100}),
    ],
    ids=str,
)
def test_shapes_and_sizes_are_known_without_the_data(name: str, settings: dict[str, Any], task_run: TaskRun) -> None:
    run, task = task_run(name, **settings), get_task(name)
    data = task.load(run, None)
    assert (data.input_shape, data.outputs) == (task.input_shape(run), task.outputs)
    assert (len(data.train_inputs), len(data.test_inputs)) == task.examples(run)


def test_a_constant_answer_is_the_mean_or_a_guess_among_the_classes(task_run: TaskRun) -> None:
    targets = get_task("sine").load(task_run("sine"), None).train_targets.double().numpy()
    assert constant_answers([task_run("sine")]) == {"loss": pytest.approx(((targets - targets.mean()) ** 2).mean())}
    assert f"{targets.var():.3f}" == "0.505"
    assert constant_answers([task_run("digits")]) == {"loss": math.log(10), "error": pytest.approx(90)}
    of_four = constant_answers([task_run("digits", classes="0..2/7")])
    assert of_four == {"loss": math.log(4), "error": pytest.approx(75)}


def test_runs_with_unlike_constant_answers_have_none(task_run: TaskRun) -> None:
    assert constant_answers([task_run("sine", noise=noise) for noise in (0.0, 0.5)]) == {}
    assert constant_answers([task_run("sine", noise=noise) for noise in (0.0, 0.01)]).keys() == {"loss"}


@pytest.mark.parametrize("name", ["digits", "sine"])
def test_a_net_with_too_many_outputs_has_no_loss(name: str, task_run: TaskRun) -> None:
    data = get_task(name).load(task_run(name), None)
    outputs = torch.zeros(len(data.test_targets), data.outputs + 1)
    with pytest.raises(ValueError, match=f"outputs of shape .*, the task {data.outputs}"):
        data.losses(outputs, data.test_targets)
