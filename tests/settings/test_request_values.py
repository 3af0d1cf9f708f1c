"""How the values of settings are parsed and refused."""

from typing import Any

import pytest

from resnet_cli.settings import registry
from resnet_cli.settings.request import (
    MAX_VALUES,
    parse_values,
)
from resnet_cli.settings.setting import Count, Fraction, NotNegative, Positive, Setting, Share
from tests.settings.refusals import refusal

DECLARED = registry.declared()
SETTINGS = [setting.name for setting in DECLARED]
WORDS = [setting.name for setting in DECLARED if setting.choices and not setting.choices[0].isdigit()]
COUNTS = [setting.name for setting in DECLARED if setting.kind is Count]
WHOLE = [*COUNTS, "warmup_steps", "image_size"]
POSITIVE = [setting.name for setting in DECLARED if setting.kind in (Positive, Share)]
FRACTIONS = [setting.name for setting in DECLARED if setting.kind is Fraction]
REAL = [*POSITIVE, *FRACTIONS, *(setting.name for setting in DECLARED if setting.kind is NotNegative)]


def setting(name: str) -> Setting[Any]:
    """The setting of this name."""
    found = registry.find(name)
    assert found is not None
    return found


def refused(name: str, raw: object) -> str:
    """The sentence with which a value of a setting is refused."""
    return refusal(lambda: parse_values(setting(name), raw))


def test_settings_of_each_kind_are_found() -> None:
    assert {"activation", "optimizer", "precision", "shortcut"} <= {*WORDS}
    assert {"width", "steps", "learning_rate", "survival", "dropout", "momentum", "noise"} <= {*COUNTS, *REAL}


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        ("width", 30, (30,)),
        ("width", "30", (30,)),
        ("width", "8, 16", (8, 16)),
        ("width", [8, "16,32"], (8, 16, 32)),
        ("width", "8,16,8", (8, 16)),
        ("width", "8..10,20..40:10", (8, 9, 10, 20, 30, 40)),
        ("init_std", "0.1..0.3:3", (0.1, 0.2, 0.3)),
        ("init_std", ["0.001..0.1:3log", 1], (0.001, 0.01, 0.1, 1.0)),
        ("width", 8.0, (8,)),
        ("learning_rate", "1e-3,0.1", (0.001, 0.1)),
        ("learning_rate", 1, (1.0,)),
        ("batch_norm", "on,off", (True, False)),
        ("batch_norm", [True, "false", "no"], (True, False)),
        ("init", "he,default", ("he", "default")),
        ("milestones", "0.5/0.75,.25", ("0.5/0.75", ".25")),
        ("image_size", "16,32", (16, 32)),
        ("image_size", [8, "16"], (8, 16)),
        ("noise", 0, (0.0,)),
        ("warmup_steps", "0,400", (0, 400)),
        ("dropout", "0.0,0.5", (0.0, 0.5)),
    ],
)
def test_settings_are_parsed_from_numbers_text_and_lists(name: str, raw: object, expected: tuple[object, ...]) -> None:
    values = parse_values(setting(name), raw)
    assert values == expected
    assert list(map(type, values)) == list(map(type, expected))


NONSENSE: tuple[object, ...] = (
    "",
    ",",
    "1,,2",
    [],
    [""],
    None,
    {},
    {"a": 1},
    [[1]],
    [{"a": 1}],
    "\x00",
    "nonsense",
    object(),
)


@pytest.mark.parametrize(
    ("name", "raw", "reason"),
    [
        ("init_std", "0.1..0.3", "does not say how many values"),
        ("init_std", "0..0.3:4", "init_std (=0.0) must be greater than 0"),
        ("dropout", "0..1:5", "dropout (=1.0) must be less than 1"),
        ("width", "0..3", "width (=0) must be greater than or equal to 1"),
        ("width", "10..100:4log", "is not a list of whole numbers and ranges"),
        ("width", f"1..{MAX_VALUES + 1}", f"width has {MAX_VALUES + 1:,} values; at most {MAX_VALUES:,} are allowed"),
        ("init", "he..glorot", "init (=he..glorot) must be"),
    ],
)
def test_ranges_are_refused_with_the_rule_of_their_setting(name: str, raw: str, reason: str) -> None:
    assert reason in refused(name, raw)


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_rejects_empty_and_nonsense_values(name: str) -> None:
    for raw in NONSENSE:
        assert refused(name, raw).startswith(f"{name} (="), raw


NO_NUMBERS: tuple[object, ...] = (
    True,
    False,
    [1, True],
    -1,
    "-1",
    -1e-9,
    "nan",
    float("nan"),
    "inf",
    "-inf",
    "٣",
    "0x10",
)


@pytest.mark.parametrize("name", [*WHOLE, *REAL])
def test_numbers_cannot_be_negative_infinite_or_boolean(name: str) -> None:
    for raw in NO_NUMBERS:
        assert refused(name, raw).startswith(f"{name} (="), raw


@pytest.mark.parametrize("name", WHOLE)
def test_integers_cannot_be_fractional_or_astronomically_large(name: str) -> None:
    for raw in (1.5, "1.5", "1e3", 10**30, "9" * 5000):
        assert len(refused(name, raw)) < 200, raw


@pytest.mark.parametrize("name", [*COUNTS, *POSITIVE])
def test_counts_and_scales_must_be_above_zero(name: str) -> None:
    assert "must be greater than" in refused(name, 0)


@pytest.mark.parametrize("name", FRACTIONS)
def test_probabilities_and_coefficients_must_be_below_one(name: str) -> None:
    assert f"{name} (=1) must be less than 1." in refused(name, 1)


@pytest.mark.parametrize("name", WORDS)
def test_an_unknown_word_is_rejected_with_the_choices(name: str) -> None:
    for raw in ("other", True, 1, 0.5):
        message = refused(name, raw)
        assert all(word in message for word in setting(name).choices), raw


@pytest.mark.parametrize("raw", ["0.5/1.5", "1", "0.5/", "/", "0.5 0.75", "-.5", ".٥", 0.5])
def test_milestones_must_be_fractions_joined_by_slashes(raw: object) -> None:
    assert refused("milestones", raw).startswith("milestones (=")


def test_a_list_of_thousands_of_values_is_rejected() -> None:
    assert "at most 1,000" in refused("width", list(range(1, MAX_VALUES + 2)))
