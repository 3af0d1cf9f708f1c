"""Requests: read from files and flags, merged and checked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings import registry
from resnet_cli.settings.request import (
    check_keys,
    load_config,
    merge,
    parse_assignments,
    single_value,
)
from resnet_cli.settings.setting import SWEEP_KEYS
from tests.settings.refusals import refusal

SETTINGS = tuple(setting.name for setting in registry.declared())
KEYS = (*SWEEP_KEYS, *SETTINGS)


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str | bytes], dict[str, Any]]:
    """Loads a text as a configuration file called sweep.toml."""

    def load(content: str | bytes) -> dict[str, Any]:
        path = tmp_path / "sweep.toml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_config(path)

    return load


Config = Callable[[str | bytes], dict[str, Any]]


def test_a_config_is_loaded_as_its_keys_and_values(config: Config) -> None:
    text = 'task = "sine"\ndepths = ["2..4", 8]\nwidth = 30\n[[override]]\ndepths = 8\nsteps = 5\n'
    assert config(text) == {
        "task": "sine",
        "depths": ["2..4", 8],
        "width": 30,
        "override": [{"depths": 8, "steps": 5}],
    }


def test_a_results_folders_config_sets_out_but_not_format(config: Config, tmp_path: Path) -> None:
    assert config("format = 1\nwidth = 3\n") == {"width": 3, "out": str(tmp_path)}
    assert config("format = 1\nout = 'there'\n") == {"out": "there"}


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ("widht = 3", ["key in ", "(=widht) is not known (did you mean width?)", "known are activation, ", "width."]),
        ("[model]\nwidth = 3", ["(=model) is not known"]),
        ("'' = 3", ["(=) is not known"]),
        ('"a\\nb" = 3', ["(=a�b) is not known"]),
        ("model.width = 3", ["(=model) is not known"]),
        ("depths = 2\nwidth = \n", ["is not valid TOML", "line 2"]),
        ("width = 3\nwidth = 4", ["is not valid TOML", "line 2"]),
        ("width", ["is not valid TOML", "line 1"]),
        ("width = 3\ndepths = [\n  2,\n", ["is not valid TOML", "line 3"]),
        (b"width = 3 # \xff", ["is not text in UTF-8"]),
        ("a = " + "[" * 5000, ["is not valid TOML"]),
        ("width = " + "9" * 5000, ["holds a number of thousands of digits"]),
        ("width = 0x" + "f" * 5000, ["holds a number of thousands of digits"]),
        ("override = 3", ["(=override) must be tables, each under a heading [[override]]"]),
        ("[override]\nwidth = 3", ["(=override) must be tables"]),
        ("override = [3]", ["(=override) must be tables"]),
        ("[[override]]\nwidht = 3", ["(=widht) is not known (did you mean width?)"]),
        ("[[override]]\nseeds = 3", ["(=seeds) is not known"]),
        ("[[override]]\n[[override.override]]\nwidth = 3", ["(=override) is not known"]),
        ("epochs = 3\nsteps = 4", ["epochs (=3) and steps (=4) both give the length; choose one."]),
        ("[[override]]\nepochs = 3\nsteps = 4", ["epochs (=3) and steps (=4) both give the length; choose one."]),
    ],
)
def test_a_bad_config_is_rejected_with_problem_and_place(config: Config, text: str, reasons: list[str]) -> None:
    message = refusal(lambda: config(text))
    for reason in reasons:
        assert reason in message


def test_deeply_nested_tables_are_rejected(config: Config) -> None:
    assert len(refusal(lambda: plan_sweep(config("width." + "a." * 2000 + "a = 1")))) < 250


def test_a_missing_config_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    assert f"config (={missing}) is not a file" in refusal(lambda: load_config(missing))


def test_a_folder_as_config_is_rejected(tmp_path: Path) -> None:
    assert f"config (={tmp_path}) is not a file" in refusal(lambda: load_config(tmp_path))


def test_a_config_path_through_a_file_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot be read" in refusal(lambda: load_config(tmp_path / "file" / "sweep.toml"))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[width]\na = 3", "width"),
        ("[[width]]\na = 3", "width"),
        ("width = [[3]]", "width"),
        ("width = []", "width"),
        ("width = 1979-05-27", "width"),
        ("width = 07:32:00", "width"),
        ("learning_rate = 1979-05-27T07:32:00Z", "learning_rate"),
        ("learning_rate = nan", "learning_rate"),
        ("learning_rate = -inf", "learning_rate"),
        ("init = 3", "init"),
        ("init = 1979-05-27", "init"),
        ("batch_norm = 1979-05-27", "batch_norm"),
        ("milestones = 0.5", "milestones"),
        ("[depths]\na = 3", "depths"),
        ("depths = 2.5", "depths"),
        ("depths = true", "depths"),
        ("depths = []", "depths"),
        ("seeds = []", "seeds"),
        ("seeds = 1979-05-27", "seeds"),
        ("[models]\na = 3", "models"),
        ("models = []", "models"),
        ("[task]\na = 3", "task"),
        ("task = []", "task"),
        ("[device]\na = 3", "device"),
        ("device = ['cpu', 'cuda']", "device"),
        ("threads = false", "threads"),
        ("threads = [1, 2]", "threads"),
        ("[[override]]\nwidth = 'wide'", "width"),
        ("[[override]]\ndepths = 'deep'", "depths"),
        ("[[override]]\nmodels = []", "models"),
    ],
)
def test_a_value_of_the_wrong_type_is_rejected_by_key(config: Config, text: str, key: str) -> None:
    assert refusal(lambda: plan_sweep(config(text))).startswith(key)


def test_assignments_are_split_at_the_first_equals_sign() -> None:
    assert parse_assignments(["width=3", " init = he, glorot ", "out=a=b"]) == {
        "width": "3",
        "init": "he, glorot",
        "out": "a=b",
    }


def test_the_later_of_two_assignments_to_a_key_wins() -> None:
    assert parse_assignments(["width=3", "width=4"]) == {"width": "4"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("epochs", "set (=epochs) must have the form key=value"),
        ("", "set (=) must have the form key=value"),
        ("=3", "key of --set (=) is not known"),
        ("epoch=3", "key of --set (=epoch) is not known (did you mean epochs?)"),
        ("Width=3", "key of --set (=Width) is not known (did you mean width?)"),
        ("override=3", "must be tables"),
    ],
)
def test_a_bad_assignment_is_rejected(text: str, reason: str) -> None:
    assert reason in refusal(lambda: parse_assignments([text]))


def test_assigning_both_epochs_and_steps_is_rejected() -> None:
    assert "choose one" in refusal(lambda: parse_assignments(["epochs=3", "steps=4"]))


def test_an_assignment_without_a_value_is_rejected() -> None:
    assert "width (=) is empty" in refusal(lambda: plan_sweep(parse_assignments(["width="])))


def test_the_later_of_merged_requests_wins() -> None:
    assert merge({"width": 3, "init": "he"}, {"width": 4}, {"seeds": 1}) == {"width": 4, "init": "he", "seeds": 1}


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([{"epochs": 3}, {"steps": 4}], {"steps": 4}),
        ([{"steps": 4}, {"epochs": 3}], {"epochs": 3}),
        ([{"steps": 4}, {"epochs": 3}, {"steps": 5}], {"steps": 5}),
        ([{"epochs": 3}, {"width": 4}], {"epochs": 3, "width": 4}),
    ],
)
def test_epochs_and_steps_replace_each_other(layers: list[dict[str, int]], expected: dict[str, int]) -> None:
    assert merge(*layers) == expected


def test_a_later_setting_removes_what_it_makes_useless() -> None:
    warm = {"warmup_steps": 9, "warmup_shape": "constant", "warmup_until_error": 80, "width": 3}
    assert merge(warm, {"warmup_steps": 0}) == {"warmup_steps": 0, "width": 3}
    assert merge(warm, {"warmup_shape": "linear"}) == {"warmup_steps": 9, "warmup_shape": "linear", "width": 3}


def test_a_later_setting_also_replaces_earlier_overrides() -> None:
    overrides = [{"models": "plain", "depths": 8, "width": 3, "epochs": 5}, {"init": "he"}]
    assert merge({"override": overrides}, {"width": 4, "steps": 6, "depths": 9}) == {
        "override": [{"models": "plain", "depths": 8}, {"init": "he"}],
        "width": 4,
        "steps": 6,
        "depths": 9,
    }


def test_merging_does_not_change_its_arguments() -> None:
    first: dict[str, Any] = {"epochs": 3, "override": [{"steps": 4}]}
    merge(first, {"steps": 4})
    assert first == {"epochs": 3, "override": [{"steps": 4}]}


def test_single_values_come_from_the_request_or_the_default() -> None:
    assert single_value("device", {"device": " cpu "}, "auto") == "cpu"
    assert single_value("device", {}, "auto") == "auto"
    assert "device (=cpu,cuda) takes one value" in refusal(lambda: single_value("device", {"device": "cpu,cuda"}, ""))


def test_known_keys_pass_unchanged() -> None:
    values: dict[str, Any] = {key: [] for key in (*KEYS, "override") if key != "epochs"}
    assert check_keys(values, "key") is values
