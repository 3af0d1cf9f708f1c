"""What a declaration of a setting must be, and what follows from it."""

import ast
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

import resnet_cli
from resnet_cli.settings import registry
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.metrics import Metrics
from resnet_cli.settings.run import Run
from resnet_cli.settings.setting import Setting, check_setting_name, words_of
from resnet_cli.store.record import RunJson

SMALL = {
    **{"task": "sine", "model": "plain-mlp", "depth": 2, "seed": 0, "width": 4, "init": "he", "optimizer": "adam"},
    **{"learning_rate": 0.1, "batch_size": 2, "steps": 1, "eval_every": 1},
}
TAKEN = ["run_id", "status", "depth", "parameters", "folder", "models", *Metrics._fields, *RunJson.model_fields]
NO_WORDS = ["", "Width", "growth-rate", "1st", "a" * 41, "$x$", "\x1b[2J", "größe", "two words"]


def setting(name: str) -> Setting[Any]:
    """The declared setting of this name."""
    found = registry.find(name)
    assert found is not None
    return found


@pytest.mark.parametrize("name", [*TAKEN, *NO_WORDS])
def test_no_part_can_declare_a_setting_named_like_a_column(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a setting"):
        Setting(name, int, "A number.")


@pytest.mark.parametrize("name", [*(name for name in TAKEN if name != "depth"), *NO_WORDS])
def test_no_stored_run_can_bring_a_setting_named_like_a_column(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a setting"):
        Run(**SMALL | {name: 1})


@pytest.mark.parametrize("value", [[12], {"a": 1}, float("nan"), float("inf"), 2**63, "two words", "\x1b[2J", ""])
def test_no_stored_run_can_bring_a_value_that_cannot_be_shown(value: object) -> None:
    with pytest.raises(ValueError, match="must be a word or a"):
        Run(**SMALL | {"k2": value})


def test_ordinary_names_are_allowed() -> None:
    for name in ("growth_rate", "learning_rate", "k2"):
        check_setting_name(name)


def test_two_settings_cannot_have_one_name() -> None:
    with pytest.raises(ValueError, match="two declarations of the setting width"):
        registry.declare("Model", [Setting("width", int, "Another width.")])


@pytest.mark.parametrize("one", registry.all_settings(), ids=lambda one: one.name)
def test_every_setting_has_a_help_sentence_and_valid_defaults(one: Setting[Any]) -> None:
    assert one.description.endswith(".")
    assert "\n" not in one.description
    for value in (one.default, one.smoke, *one.before.values()):
        assert value is None or one.parse(value) == value
    assert one.need is None or one.default is not None


def test_settings_that_came_later_can_be_known_without_torch() -> None:
    quick = registry.declared()
    assert all(one in quick for one in registry.all_settings() if one.before)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("activation", ("relu", "tanh", "sigmoid")),
        ("shortcut", ("A", "B", "C")),
        ("image_size", ("8", "16", "32")),
        ("init", ("default", "he", "glorot", "normal", "orthogonal", "identity")),
        ("width", ()),
        ("milestones", ()),
        ("batch_norm", ()),
    ],
)
def test_choices_are_the_words_that_a_setting_accepts(name: str, words: tuple[str, ...]) -> None:
    assert setting(name).choices == words == words_of(setting(name).kind)


def test_a_value_is_parsed_from_text_or_refused_in_a_sentence() -> None:
    assert setting("image_size").parse("16") == 16
    assert setting("batch_norm").parse("on") is True
    with pytest.raises(UserError, match=r"width \(=0\) must be greater than or equal to 1\.$"):
        setting("width").parse("0")
    with pytest.raises(UserError, match=r"width \(=True\) must be a number\.$"):
        setting("width").parse(True)


# A task's and a model's recipe gives values to settings by name, as a configuration does.
RECIPES = {"defaults", "family_defaults"}
# By file, words that mean something else there, such as operations of a net, or what random numbers are drawn for.
OTHER_WORDS = {
    "analysis/features.py": {"width"},
    "analysis/layers.py": {"shortcut"},
    "figures/block_diagram.py": {"activation"},
    "figures/features.py": {"width"},
    "figures/net_diagram.py": {"shortcut"},
    "models/base.py": {"dropout"},
    "models/diagram.py": {"activation", "batch_norm", "dropout"},
    "models/initialisation.py": {"init"},
    "models/resnet.py": {"activation"},
    "report/svg.py": {"width"},
    "settings/graph.py": {"activation"},
    "training/schedule.py": {"steps"},
}


def named_settings(tree: ast.Module, other_words: Collection[str]) -> list[tuple[int, str]]:
    """Where a module has the name of a setting that it does not declare as text, outside of recipes."""
    own = {
        one.args[0].value
        for one in ast.walk(tree)
        if isinstance(one, ast.Call)
        and ast.unparse(one.func).startswith("Setting")
        and isinstance(one.args[0], ast.Constant)
    }
    names = {one.name for one in registry.all_settings()} - own - {*other_words}
    recipes = {
        id(inner)
        for node in ast.walk(tree)
        if (isinstance(node, ast.keyword) and node.arg in RECIPES)
        or (
            isinstance(node, ast.Assign)
            and any(getattr(target, "id", "").endswith("DEFAULTS") for target in node.targets)
        )
        for inner in ast.walk(node)
    }
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value in names and id(node) not in recipes
    ]


def test_nobody_but_the_owner_names_a_setting() -> None:
    package = Path(resnet_cli.__file__).parent
    found = {
        name: places
        for path in package.rglob("*.py")
        if (
            places := named_settings(
                ast.parse(path.read_text("utf-8")),
                OTHER_WORDS.get(name := path.relative_to(package).as_posix(), ()),
            )
        )
    }
    assert found == {}
