import json
from typing import Any

import pytest
from pydantic import ValidationError

from resnet_cli.settings.run import (
    ADDED_LATER,
    DEPENDENT,
    IDENTITY,
    MODEL_SETTINGS,
    SETTINGS,
    TASK_SETTINGS,
    Run,
    choices,
    setting_names,
)

COMPLETE: dict[str, Any] = {
    "task": "cifar10",
    "model": "resnet",
    "depth": 20,
    "seed": 0,
    "width": 16,
    "block_size": 3,
    "shortcut": "A",
    "activation": "relu",
    "batch_norm": True,
    "dropout": 0.0,
    "init": "normal",
    "init_std": 0.1,
    "train_size": 1000,
    "sine_range": 3.0,
    "noise": 0.0,
    "image_size": 32,
    "augment": True,
    "optimizer": "momentum",
    "learning_rate": 0.1,
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "batch_size": 128,
    "epochs": 164,
    "steps": None,
    "schedule": "steps",
    "milestones": "0.5/0.75",
    "decay_factor": 0.1,
    "warmup_steps": 400,
    "warmup_factor": 0.1,
    "warmup_shape": "constant",
    "eval_every": 1,
    "eval_size": 10_000,
    "precision": "float32",
}
"""A value for every field; no sweep would plan a run with all of them together."""

OTHER: dict[str, dict[str, Any]] = {
    "task": {"task": "digits"},
    "model": {"model": "plain-cnn"},
    "depth": {"depth": 32},
    "seed": {"seed": 1},
    "width": {"width": 17},
    "block_size": {"block_size": 2},
    "shortcut": {"shortcut": "B"},
    "activation": {"activation": "tanh"},
    "batch_norm": {"batch_norm": False},
    "dropout": {"dropout": 0.1},
    "init": {"init": "he"},
    "init_std": {"init_std": 0.2},
    "train_size": {"train_size": 1001},
    "sine_range": {"sine_range": 3.1},
    "noise": {"noise": 0.1},
    "image_size": {"image_size": 16},
    "augment": {"augment": False},
    "optimizer": {"optimizer": "nesterov"},
    "learning_rate": {"learning_rate": 0.1 + 1e-12},
    "momentum": {"momentum": 0.8},
    "weight_decay": {"weight_decay": 0.0},
    "batch_size": {"batch_size": 64},
    "epochs": {"epochs": 165},
    "steps": {"epochs": None, "steps": 164},
    "schedule": {"schedule": "cosine"},
    "milestones": {"milestones": "0.5"},
    "decay_factor": {"decay_factor": 0.2},
    "warmup_steps": {"warmup_steps": 0},
    "warmup_factor": {"warmup_factor": 0.2},
    "warmup_shape": {"warmup_shape": "linear"},
    "eval_every": {"eval_every": 2},
    "eval_size": {"eval_size": 5000},
    "precision": {"precision": "bfloat16"},
}
"""A change of every field."""

PAPER = Run(
    task="cifar10",
    model="resnet",
    depth=20,
    seed=0,
    width=16,
    shortcut="A",
    batch_norm=True,
    init="he",
    image_size=32,
    augment=True,
    optimizer="momentum",
    learning_rate=0.1,
    momentum=0.9,
    weight_decay=1e-4,
    batch_size=128,
    epochs=164,
    schedule="steps",
    milestones="0.5/0.75",
    decay_factor=0.1,
    eval_every=1,
)


def test_run_ids_never_change_between_versions() -> None:
    assert PAPER.run_id == "resnet_d020_s0_d880ccd054"


def test_a_run_id_contains_model_depth_and_seed() -> None:
    run = PAPER.model_copy(update={"depth": 1202, "seed": 41})
    assert run.run_id.startswith("resnet_d1202_s41_")


def test_equal_settings_have_equal_ids_and_runs() -> None:
    again = Run(**dict(reversed(list(COMPLETE.items()))))
    assert again == Run(**COMPLETE)
    assert hash(again) == hash(Run(**COMPLETE))
    assert again.run_id == Run(**COMPLETE).run_id


def test_integers_given_for_floats_make_the_same_run() -> None:
    assert Run(**COMPLETE | {"noise": 0, "learning_rate": 1}).run_id == (
        Run(**COMPLETE | {"noise": 0.0, "learning_rate": 1.0}).run_id
    )


def test_every_field_is_covered_by_these_tests() -> None:
    assert set(COMPLETE) == set(OTHER) == set(Run.model_fields)


@pytest.mark.parametrize("field", OTHER)
def test_changing_any_setting_changes_the_run_id(field: str) -> None:
    assert Run(**COMPLETE | OTHER[field]).run_id != Run(**COMPLETE).run_id


def test_each_changed_setting_gives_a_different_id() -> None:
    ids = {Run(**COMPLETE | change).run_id for change in OTHER.values()}
    assert len(ids) == len(OTHER)


@pytest.mark.parametrize("field", [name for name, info in Run.model_fields.items() if info.default is None])
def test_settings_that_do_not_apply_are_not_in_the_id(field: str) -> None:
    absent: dict[str, Any] = {name: value for name, value in COMPLETE.items() if name != field}
    present: dict[str, Any] = COMPLETE | {field: None}
    if field == "epochs":
        absent, present = absent | {"steps": 1}, present | {"steps": 1}
    assert Run(**absent).run_id == Run(**present).run_id


def test_a_run_survives_a_json_round_trip() -> None:
    again = Run.model_validate(json.loads(PAPER.model_dump_json()))
    assert again == PAPER
    assert again.run_id == PAPER.run_id


def test_a_run_also_holds_settings_declared_by_its_model() -> None:
    run = Run.model_validate(PAPER.model_dump() | {"growth_rate": 12, "form": "c", "compression": 0.5})
    assert (run["growth_rate"], run["form"], run["compression"], run["width"], run["steps"]) == (12, "c", 0.5, 16, None)
    assert run["cardinality"] is None
    assert setting_names([PAPER, run])[-4:] == ("survival", "growth_rate", "form", "compression")
    others = [run.model_copy(update={"growth_rate": value}) for value in (13, 12.5, "12")]
    assert len({one.run_id for one in [PAPER, run, *others]}) == 5
    assert Run.model_validate(json.loads(run.model_dump_json())) == run


@pytest.mark.parametrize(("model", "later"), ADDED_LATER.items())
def test_runs_stored_before_a_setting_existed_keep_their_ids(model: str, later: dict[str, Any]) -> None:
    stored = {name: value for name, value in PAPER.model_dump().items() if name not in later}
    old = Run.model_validate(stored | {"model": model})
    today = Run.model_validate(stored | {"model": model} | later)
    assert old == today
    assert old.run_id == today.run_id
    for name, value in later.items():
        assert old[name] == value
        changed = 0.5 if name == "survival" else 3 if name == "block_size" else "full-preactivation"
        assert today.model_copy(update={name: changed}).run_id != today.run_id


def test_a_run_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        PAPER.depth = 32  # type: ignore[misc]


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": None},
        {"steps": 100},
        {"growth_rate": [12]},
        {"depth": 0},
        {"depth": 10_001},
        {"seed": -1},
        {"width": 0},
        {"learning_rate": float("nan")},
        {"dropout": 1.0},
        {"image_size": 24},
        {"activation": "gelu"},
        {"batch_norm": None},
    ],
)
def test_values_outside_the_limits_are_rejected(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Run(**COMPLETE | change)


def test_settings_are_all_fields_except_the_identity() -> None:
    assert {*SETTINGS, *IDENTITY} == set(Run.model_fields)
    assert not {*SETTINGS} & {*IDENTITY}
    assert {*MODEL_SETTINGS, *TASK_SETTINGS, *DEPENDENT} <= {*SETTINGS}
    assert not {*MODEL_SETTINGS} & {*TASK_SETTINGS}


@pytest.mark.parametrize("name", Run.model_fields)
def test_every_field_has_a_one_sentence_help_text(name: str) -> None:
    description = Run.model_fields[name].description
    assert description
    assert description.endswith(".")
    assert "\n" not in description


@pytest.mark.parametrize("name", DEPENDENT)
def test_the_default_of_a_dependent_setting_is_valid(name: str) -> None:
    default = DEPENDENT[name][2]
    assert getattr(Run(**COMPLETE | {name: default}), name) == default


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("activation", ("relu", "tanh", "sigmoid")),
        ("shortcut", ("A", "B", "C")),
        ("image_size", ("8", "16", "32")),
        ("init", ("default", "he", "glorot", "normal")),
        ("width", ()),
        ("milestones", ()),
        ("batch_norm", ()),
    ],
)
def test_choices_are_the_words_that_a_setting_accepts(setting: str, words: tuple[str, ...]) -> None:
    assert choices(setting) == words
