"""Whatever a configuration, a request or a flag holds, there is a plan or one sentence."""

import contextlib
import datetime
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings import registry
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.request import (
    load_config,
    parse_assignments,
)
from resnet_cli.settings.setting import SWEEP_KEYS

FIXED = settings(derandomize=True, database=None, deadline=None, max_examples=150)
SETTINGS = tuple(setting.name for setting in registry.declared())
KEYS = (*SWEEP_KEYS, *SETTINGS)


VALUES = (
    *("true", "nan", "inf", "0", "-1", "3", "0.5", "1e999", "0xff", "1979-05-27", "07:32:00", "[]", "[1, 2]", "[[]]"),
    *("{}", "{a = 1}", '["he", "normal"]', '""', '"x"', '"2..4"', '"plain"', '"resnet"', '"digits"', '"on,off"'),
)


SIGNS = (
    "[[override]]",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    " = ",
    "\n",
    "\r\n",
    "#",
    ",",
    ".",
    '"',
    "'",
    '"""',
    "\x00",
    "é",
)


fragments = st.sampled_from([*KEYS, *VALUES, *SIGNS])


lines = st.one_of(
    st.builds("{} = {}".format, st.sampled_from(KEYS), st.sampled_from(VALUES)),
    st.just("[[override]]"),
    st.text(max_size=12),
)


def succeeds_or_user_error(call: Callable[[], object]) -> None:
    with contextlib.suppress(UserError):
        call()


@FIXED
@given(text=st.one_of(st.text(), st.lists(fragments).map("".join), st.lists(lines, max_size=6).map("\n".join)))
def test_any_config_text_gives_a_plan_or_a_user_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "random.toml"
    path.write_text(text, encoding="utf-8", errors="replace")
    succeeds_or_user_error(lambda: plan_sweep(load_config(path)))


@FIXED
@given(content=st.binary(max_size=40))
def test_any_config_bytes_give_values_or_a_user_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "random.toml"
    path.write_bytes(content)
    succeeds_or_user_error(lambda: load_config(path))


anything = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.just(10**400),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(["plain", "resnet", "digits", "sine", "he", "adam", "on,off", "2..4"]),
        st.dates(),
        st.just(datetime.time(7, 32)),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=2),
    max_leaves=4,
)


@FIXED
@given(
    request=st.dictionaries(st.sampled_from([*KEYS, "override"]) | st.text(max_size=5), anything, max_size=4),
    smoke=st.booleans(),
)
def test_any_values_give_a_plan_or_a_user_error(request: dict[str, Any], smoke: bool) -> None:
    succeeds_or_user_error(lambda: plan_sweep(request, smoke=smoke))


@FIXED
@given(
    st.lists(st.text(max_size=8) | st.builds("{}={}".format, st.sampled_from(KEYS), st.text(max_size=8)), max_size=3)
)
def test_any_assignments_give_a_plan_or_a_user_error(assignments: list[str]) -> None:
    succeeds_or_user_error(lambda: plan_sweep(parse_assignments(assignments)))
