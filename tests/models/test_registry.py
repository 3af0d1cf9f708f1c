import inspect
import re

import pytest
from torch import nn

from resnet_cli.models import all_models, build_net, count_parameters, describe_net, get_model
from resnet_cli.models.base import Model
from resnet_cli.settings import registry
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.run import Run
from resnet_cli.tasks import Task, all_tasks
from tests.conftest import MakeRun

MODELS = all_models()
TASKS = all_tasks()
each_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def smallest_run(model: Model, make_run: MakeRun) -> Run:
    task = "sine" if model.family == "mlp" else "digits"
    return make_run(task=task, models=model.name, depths=model.depth_rule.first, width=4)


def test_the_compared_models_are_registered_by_name() -> None:
    assert {"plain-mlp", "residual-mlp", "plain-cnn", "resnet"} <= set(MODELS)
    assert all(get_model(name) is model for name, model in MODELS.items())
    assert all(model.name == name for name, model in MODELS.items())


def test_an_unknown_model_is_rejected_listing_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"model \(=resent\) is not known \(did you mean resnet\?\)") as caught:
        get_model("resent")
    assert ", ".join(sorted(MODELS)) in str(caught.value)


@each_model
def test_a_model_has_a_title_and_a_source(model: Model) -> None:
    assert model.title
    years = re.findall(r"\b\d{4}\b", model.paper)
    docstring = inspect.getdoc(inspect.getmodule(model.build))
    assert years
    assert docstring
    assert all(year in docstring for year in years)


@each_model
def test_a_models_settings_exist_and_include_its_defaults(model: Model) -> None:
    assert all(registry.owner(setting) == "Model" for setting in model.settings)
    assert {*model.defaults} <= {setting.name for setting in model.settings}


@each_model
def test_a_net_made_of_blocks_holds_them_in_order(model: Model, make_run: MakeRun) -> None:
    shape = (1,) if model.family == "mlp" else (1, 8, 8)
    net = describe_net(smallest_run(model, make_run), shape, 10)
    assert isinstance(getattr(net, "blocks", nn.Sequential()), nn.Sequential)


@pytest.mark.parametrize("family", ["mlp", "cnn"])
@pytest.mark.parametrize("role", ["plain", "residual"])
def test_each_family_has_one_plain_and_one_residual_model(family: str, role: str) -> None:
    assert len([model for model in MODELS.values() if (model.family, model.role) == (family, role)]) == 1


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_family_of_a_task_has_models(task: Task) -> None:
    assert set(task.families) <= {model.family for model in MODELS.values()}


@each_model
def test_a_described_net_has_all_parameters_without_memory(model: Model, make_run: MakeRun) -> None:
    run = smallest_run(model, make_run)
    shape = (1,) if model.family == "mlp" else (3, 8, 8)
    described, built = describe_net(run, shape, 10), build_net(run, shape, 10)
    assert all(parameter.is_meta for parameter in described.parameters())
    assert not any(tensor.is_meta for tensor in [*built.parameters(), *built.buffers()])
    assert {name: p.shape for name, p in described.named_parameters()} == {
        name: p.shape for name, p in built.named_parameters()
    }
    assert count_parameters(described) == count_parameters(built) > 0


@each_model
def test_the_first_depths_of_a_model_follow_its_rule(model: Model) -> None:
    rule = model.depth_rule
    depths = [depth for depth in range(1, 100) if rule.exists(depth)]
    assert depths == ([d for d in rule.listed if d < 100] or list(range(rule.first, 100, rule.step)))


@pytest.mark.parametrize(
    ("names", "first", "step"), [(("plain-mlp", "residual-mlp"), 1, 1), (("plain-cnn", "resnet"), 8, 6)]
)
def test_twins_have_the_same_depths(names: tuple[str, str], first: int, step: int) -> None:
    plain, residual = (get_model(name).depth_rule for name in names)
    assert plain == residual
    assert (plain.first, plain.step) == (first, step)
