"""Names that settings may have."""

import pytest
from pydantic import ValidationError

from resnet_cli.settings.metrics import Metrics
from resnet_cli.settings.run import Run
from resnet_cli.settings.setting import Setting, check_setting_name
from resnet_cli.store.record import RunJson

SMALL = {
    **{"task": "sine", "model": "plain-mlp", "depth": 2, "seed": 0, "width": 4, "init": "he", "optimizer": "adam"},
    **{"learning_rate": 0.1, "batch_size": 2, "steps": 1, "eval_every": 1},
}
TAKEN = [
    "run_id",
    "status",
    "depth",
    "parameters",
    "folder",
    *Metrics._fields,
    *RunJson.model_fields,
    "model_dump",
    "copy",
]
NO_WORDS = ["", "Width", "growth-rate", "1st", "a" * 41, "$x$", "\x1b[2J", "größe", "two words"]


@pytest.mark.parametrize("name", [*TAKEN, *NO_WORDS])
def test_no_model_can_declare_a_setting_named_like_a_column(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a setting"):
        Setting(name, int, 1, "A number.")


@pytest.mark.parametrize("name", [*(name for name in TAKEN if name != "depth"), *NO_WORDS])
def test_no_stored_run_can_bring_a_setting_named_like_a_column(name: str) -> None:
    with pytest.raises(ValidationError, match="cannot name a setting"):
        Run.model_validate(SMALL | {name: 1})


def test_ordinary_names_are_allowed() -> None:
    for name in ("growth_rate", "learning_rate", "k2"):
        check_setting_name(name)
