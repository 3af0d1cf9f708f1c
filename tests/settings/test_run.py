import contextlib
import hashlib
import json
from typing import Any

import pytest

from resnet_cli.models.settings import BLOCK_SIZE, BRANCH_SCALE, INIT_BIAS_STD, ORDERING, SURVIVAL, WIDTH
from resnet_cli.settings import registry
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.run import Run
from resnet_cli.settings.setting import IDENTITY, Setting
from resnet_cli.tasks.settings import NORMALISATION
from resnet_cli.training.settings import STEPS, WARMUP_UNTIL_ERROR

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
    "ordering": "original",
    "survival": 1.0,
    "branch_scale": "none",
}
"""A value for every setting that does not come from a single model; no sweep would plan them all together."""

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
    "ordering": {"ordering": "full-preactivation"},
    "survival": {"survival": 0.5},
    "branch_scale": {"branch_scale": "skipinit"},
}
"""A change of every one of them."""


def two_values(setting: Setting[Any]) -> list[Any]:
    """The first two values that a setting takes, of many kinds."""
    values = []
    for candidate in (*setting.choices, False, True, 0.25, 0.5, 1, 2, "0..4", "5..9"):
        with contextlib.suppress(UserError):
            values.append(setting.parse(candidate))
    return values[:2]


for added in registry.declared():
    if added.name not in COMPLETE:
        COMPLETE[added.name], changed = two_values(added)
        OTHER[added.name] = {added.name: changed}

PAPER = Run(
    task="cifar10",
    model="resnet",
    depth=20,
    seed=0,
    width=16,
    shortcut="A",
    activation="relu",
    batch_norm=True,
    dropout=0.0,
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
    warmup_steps=0,
    eval_every=1,
    eval_size=10_000,
    precision="float32",
)


def test_run_ids_never_change_between_versions() -> None:
    assert PAPER.run_id == "resnet_d020_s0_d880ccd054"


def test_a_run_id_contains_model_depth_and_seed() -> None:
    run = PAPER.but(depth=1202, seed=41)
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


def test_every_setting_is_covered_by_these_tests() -> None:
    assert set(COMPLETE) == set(OTHER) == {*IDENTITY, *(setting.name for setting in registry.declared())}


@pytest.mark.parametrize("field", OTHER)
def test_changing_any_setting_changes_the_run_id(field: str) -> None:
    assert Run(**COMPLETE | OTHER[field]).run_id != Run(**COMPLETE).run_id


def test_each_changed_setting_gives_a_different_id() -> None:
    ids = {Run(**COMPLETE | change).run_id for change in OTHER.values()}
    assert len(ids) == len(OTHER)


@pytest.mark.parametrize("field", ["shortcut", "momentum", "epochs", "warmup_shape"])
def test_settings_that_do_not_apply_are_not_in_the_id(field: str) -> None:
    absent: dict[str, Any] = {name: value for name, value in COMPLETE.items() if name != field}
    present: dict[str, Any] = COMPLETE | {field: None}
    if field == "epochs":
        absent, present = absent | {"steps": 1}, present | {"steps": 1}
    assert Run(**absent).run_id == Run(**present).run_id


def test_a_run_survives_a_json_round_trip() -> None:
    again = Run(**json.loads(json.dumps(PAPER.as_dict())))
    assert again == PAPER
    assert again.run_id == PAPER.run_id


def test_a_run_also_holds_settings_declared_by_its_model() -> None:
    run = Run(**PAPER.as_dict() | {"growth_rate": 12, "form": "c", "compression": 0.5})
    assert (run["growth_rate"], run["form"], run["compression"], run[WIDTH], run.get(STEPS)) == (12, "c", 0.5, 16, None)
    assert run.get("cardinality") is None
    assert registry.names_in_order([PAPER, run])[-3:] == ["growth_rate", "form", "compression"]
    assert len({one.run_id for one in [PAPER, run, run.but(growth_rate=13), run.but(growth_rate=14)]}) == 4
    assert Run(**json.loads(json.dumps(run.as_dict()))) == run


def test_reading_a_setting_that_does_not_apply_names_it() -> None:
    with pytest.raises(KeyError, match="steps"):
        PAPER[STEPS]


@pytest.mark.parametrize(
    ("model", "later"),
    [
        ("residual-mlp", {}),
        ("resnet", {BLOCK_SIZE: (2, 3), ORDERING: ("original", "full-preactivation")}),
    ],
)
def test_runs_stored_before_a_setting_existed_keep_their_ids(
    model: str, later: dict[Setting[Any], tuple[Any, Any]]
) -> None:
    of_both: dict[Setting[Any], tuple[Any, Any]] = {SURVIVAL: (1.0, 0.5), BRANCH_SCALE: ("none", "skipinit")}
    of_all: dict[Setting[Any], tuple[Any, Any]] = {
        NORMALISATION: ("channel", "pixel"),
        WARMUP_UNTIL_ERROR: (0.0, 80.0),
        INIT_BIAS_STD: (0.0, 0.1),
    }
    later = later | of_both | of_all
    assert registry.before(model, "cifar10") == {setting.name: value for setting, (value, _) in later.items()}
    names = [setting.name for setting in later]
    warm = {"warmup_steps": 400, "warmup_factor": 0.1, "warmup_shape": "constant", "init": "normal", "init_std": 0.2}
    stored = {name: value for name, value in PAPER.as_dict().items() if name not in names} | {"model": model} | warm
    old, today = Run(**stored), Run(**stored).but({setting: value for setting, (value, _) in later.items()})
    assert old == today
    assert old.run_id == today.run_id
    for setting, (value, changed) in later.items():
        assert old[setting] == value
        assert today.but({setting: changed}).run_id != today.run_id


def test_an_earlier_run_lacks_a_later_setting_that_does_not_apply_to_it() -> None:
    assert PAPER.get(WARMUP_UNTIL_ERROR) is None
    assert PAPER.but(task="digits", normalisation=None).get(NORMALISATION) is None


def test_a_run_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="a run cannot be changed"):
        PAPER.depth = 32


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
        {"batch_norm": 2},
        {"depth": None},
        {"width": 16.5},
        {"momentum": 0.0, "optimizer": "nesterov"},
        {"optimizer": None},
        {"precision": None},
        {"split": "all"},
    ],
)
def test_values_outside_the_limits_are_rejected(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must|give exactly one|nesterov needs|is missing|cannot name"):
        Run(**COMPLETE | change)


def test_runs_that_differ_in_their_seeds_share_their_settings() -> None:
    runs = [Run(**PAPER.as_dict() | {"seed": seed}) for seed in (0, 1)]
    assert runs[0].settings is runs[1].settings
    assert runs[0] != runs[1]
    assert hash(runs[0]) != hash(runs[1])


@pytest.mark.parametrize("seed", [0, 7, 2**31 - 1])
def test_the_id_is_the_hash_of_all_values(seed: int) -> None:
    run = Run(**PAPER.as_dict() | {"seed": seed})
    before = registry.before(run.model, run.task)
    values = {name: value for name, value in run.as_dict().items() if name not in before or value != before[name]}
    text = json.dumps(values, sort_keys=True)
    assert run.run_id == f"resnet_d020_s{seed}_{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def test_a_value_of_an_equal_number_but_another_type_is_checked_anew() -> None:
    assert Run(**COMPLETE | {"width": 1}).settings["width"] == 1
    with pytest.raises(ValueError, match="width"):
        Run(**COMPLETE | {"width": True})


def test_a_run_with_another_seed_is_as_if_made_with_it() -> None:
    run, expected = PAPER.with_seed(5), PAPER.but(seed=5)
    assert (run, hash(run), run.run_id, repr(run)) == (expected, hash(expected), expected.run_id, repr(expected))
    assert PAPER.seed == 0
    with pytest.raises(ValueError, match="seed"):
        PAPER.with_seed(-1)
