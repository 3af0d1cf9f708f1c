import contextlib
import itertools
import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resnet_cli.settings.errors import UserError, shorten
from resnet_cli.settings.ranges import (
    MAX_COUNT,
    MAX_DEPTH,
    MAX_REALS,
    MAX_SEED,
    DepthRule,
    compact,
    format_ranges,
    numbers,
    parse_depths,
    parse_reals,
    parse_seeds,
)

FIXED = settings(derandomize=True, database=None, deadline=None, max_examples=100)
SIX_N_PLUS_2 = DepthRule(first=8, step=6, formula="6n+2")


def message_of(call: Callable[[], object]) -> str:
    """The error message of `call`, after checking that it is one printable sentence."""
    with pytest.raises(UserError) as caught:
        call()
    message = str(caught.value)
    assert message.isprintable()
    assert message.endswith(".")
    assert ". " not in message
    assert len(message) < 250
    return message


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7", [7]),
        (7, [7]),
        ("2..5", [2, 3, 4, 5]),
        ("2..40", list(range(2, 41))),
        ("2..40:2", list(range(2, 41, 2))),
        ("2..9:3", [2, 5, 8]),
        ("8,20,56", [8, 20, 56]),
        ("56,8,20,8", [8, 20, 56]),
        ("2..4,8,10..20:5", [2, 3, 4, 8, 10, 15, 20]),
        ("2..4,3..5", [2, 3, 4, 5]),
        ("  2 .. 6 : 2 ,\t8 ", [2, 4, 6, 8]),
        ("5..5", [5]),
        ("5..5:3", [5]),
        ("2..40:10000", [2]),
        ("007", [7]),
        ("1..10000", list(range(1, 10_001))),
        ([8, "20..22", 56], [8, 20, 21, 22, 56]),
        ((2, 3), [2, 3]),
        (["2,3", "5"], [2, 3, 5]),
    ],
)
def test_single_numbers_ranges_steps_and_combinations_are_parsed(value: object, expected: list[int]) -> None:
    assert numbers(parse_depths(value)) == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        (",", "is empty"),
        ("2,", "empty part"),
        ("2,,3", "empty part"),
        ("abc", "is not a list of whole numbers"),
        ("2..", "is not a list of whole numbers"),
        ("..40", "is not a list of whole numbers"),
        ("2...40", "is not a list of whole numbers"),
        ("2..40:", "is not a list of whole numbers"),
        ("2:40", "is not a list of whole numbers"),
        ("2..8..40", "is not a list of whole numbers"),
        ("2-40", "is not a list of whole numbers"),
        ("-3", "is not a list of whole numbers"),
        (-3, "is not a list of whole numbers"),
        ("2..40:-1", "is not a list of whole numbers"),
        ("+3", "is not a list of whole numbers"),
        ("2.5", "is not a list of whole numbers"),
        ("1e3", "is not a list of whole numbers"),
        ("1_000", "is not a list of whole numbers"),
        ("2 3", "is not a list of whole numbers"),
        ("٣", "is not a list of whole numbers"),
        ("²", "is not a list of whole numbers"),
        ("２..４", "is not a list of whole numbers"),
        ("2\x00", "is not a list of whole numbers"),
        ("2..4\x1b[31m", "is not a list of whole numbers"),
        ("2..40:0", "has a step of 0; a step must be 1 or more"),
        ("40..2", "runs backwards; write 2..40"),
        ("0", "contains 0; each number must lie between 1 and 10,000"),
        ("0..4", "contains 0; each number"),
        (0, "contains 0; each number"),
        ("10001", "contains 10001; each number"),
        ("1..10000000", "contains 10000000; each number"),
        (10**15, "contains 1000000000000000; each number"),
        ("1..99999999999999999999", "contains 99999999999999999999; each number"),
        ("9" * 21, "contains a number of 21 digits; each number must lie between 1 and 10,000"),
        ("1.." + "9" * 5000, "contains a number of 5000 digits; each number"),
        (10**30, "contains a number of 31 digits; each number"),
        ("1..10000,1..10000", "names 20,000 numbers; at most 10,000 are allowed"),
        (True, "must be text like 2..40"),
        (None, "must be text like 2..40"),
        (2.5, "must be text like 2..40"),
        ([2, [3]], "must be text like 2..40"),
        ([2, False], "must be text like 2..40"),
        ({"from": 2}, "must be text like 2..40"),
    ],
)
def test_bad_depths_are_rejected_with_the_reason(value: object, reason: str) -> None:
    message = message_of(lambda: parse_depths(value))
    assert message.startswith("depths (=")
    assert reason in message


def test_an_empty_list_is_rejected() -> None:
    assert message_of(lambda: parse_depths([])).startswith("depths is an empty list")


def test_seeds_range_from_zero_to_the_largest_generator_seed() -> None:
    assert numbers(parse_seeds("0..2")) == [0, 1, 2]
    assert numbers(parse_seeds(MAX_SEED)) == [MAX_SEED]
    assert "seeds (=2147483648) contains 2147483648" in message_of(lambda: parse_seeds(MAX_SEED + 1))


def test_a_range_of_billions_is_rejected_at_once() -> None:
    assert "names 2,147,483,648 numbers" in message_of(lambda: parse_seeds(f"0..{MAX_SEED}"))


@pytest.mark.slow
@FIXED
@given(
    st.one_of(
        st.text(),
        st.text(alphabet="0123456789.,: -"),
        st.from_regex(r"\d{1,5}(\.\.\d{1,5}(:\d{1,3})?)?(,\d{1,3}(\.\.\d{1,4})?)*", fullmatch=True),
    )
)
def test_any_text_gives_valid_depths_or_a_user_error(text: str) -> None:
    with contextlib.suppress(UserError):
        depths = numbers(parse_depths(text))
        assert 1 <= len(depths) <= MAX_COUNT
        assert 1 <= depths[0] <= depths[-1] <= MAX_DEPTH


ranges = st.builds(
    lambda start, length, step: range(start, start + length, step),
    st.integers(1, 900),
    st.integers(1, 91),
    st.integers(1, 12),
)


@FIXED
@given(st.lists(ranges, min_size=1, max_size=6))
def test_formatted_ranges_parse_to_the_same_numbers(items: list[range]) -> None:
    assert numbers(parse_depths(format_ranges(*items))) == numbers(items)


@FIXED
@given(st.sets(st.integers(1, 60), min_size=1))
def test_compact_text_parses_to_the_same_numbers(values: set[int]) -> None:
    text = compact(values)
    assert numbers(parse_depths(text)) == sorted(values)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ""),
        ([4], "4"),
        ([4, 5], "4,5"),
        ([2, 3, 4, 5], "2..5"),
        ([5, 3, 4, 2, 2], "2..5"),
        ([8, 14, 20], "8..20:6"),
        ([2, 4, 5, 6], "2,4..6"),
        ([1, 2, 3, 8, 20, 32, 44], "1..3,8..44:12"),
    ],
)
def test_compact_joins_three_or_more_equally_spaced_numbers(values: list[int], expected: str) -> None:
    assert compact(values) == expected


def test_a_range_keeps_only_depths_that_exist() -> None:
    kept, left_out = SIX_N_PLUS_2.select(parse_depths("6..16,20"), "resnet")
    assert kept == [8, 14, 20]
    assert left_out == [6, 7, 9, 10, 11, 12, 13, 15, 16]


def test_a_depth_kept_by_any_range_is_not_left_out() -> None:
    kept, left_out = SIX_N_PLUS_2.select(parse_depths("8..9,9..14"), "resnet")
    assert set(kept) == {8, 14}
    assert set(left_out) == {9, 10, 11, 12, 13}


@pytest.mark.parametrize(
    ("text", "refused", "nearest"),
    [
        ("3", "resnet has no depth 3", "the nearest is 8."),
        ("8,21", "resnet has no depth 21", "the nearest are 20 and 26."),
        ("13", "resnet has no depth 13", "the nearest are 8 and 14."),
        ("9..13", "resnet has no depth in 9..13", "the nearest are 8 and 14."),
        ("2..4", "resnet has no depth in 2..4", "the nearest is 8."),
        ("15..27:12", "resnet has no depth in 15..27:12", "the nearest are 14 and 20."),
    ],
)
def test_a_missing_depth_is_rejected_with_the_nearest_existing_ones(text: str, refused: str, nearest: str) -> None:
    message = message_of(lambda: SIX_N_PLUS_2.select(parse_depths(text), "resnet"))
    assert refused in message
    assert "6n+2 from 8 on" in message
    assert message.endswith(nearest)


@FIXED
@given(st.integers(1, 300), st.integers(1, 20), st.integers(1, 20))
def test_the_nearest_depths_exist_and_enclose_the_requested_one(depth: int, first: int, step: int) -> None:
    rule = DepthRule(first, step, "")
    near = rule.nearest(depth)
    assert all(map(rule.exists, near))
    assert near == sorted(near)
    assert not any(rule.exists(between) for between in range(near[0] + 1, near[-1]))
    assert near[0] <= depth <= near[-1] or (depth < first and near == [first])


def test_values_in_error_messages_are_short_printable_lines() -> None:
    assert shorten("2..40") == "2..40"
    assert shorten([2, "3..4"]) == "2,3..4"
    assert shorten("a\nb\x1b[31m") == "a�b�[31m"
    assert shorten("x" * 1000) == "x" * 59 + "…"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.02..0.1:5", [0.02, 0.04, 0.06, 0.08, 0.1]),
        (" 0 .. 1 : 3 ", [0.0, 0.5, 1.0]),
        ("-4..-1:4", [-4.0, -3.0, -2.0, -1.0]),
        ("1e-4..1e-1:4log", [0.0001, 0.001, 0.01, 0.1]),
        ("1..2:4", [1.0, 1.33, 1.67, 2.0]),
        ("0.03..0.8:4 log", [0.03, 0.0896, 0.268, 0.8]),
        ("0.9..1:21", [0.9, *(round(0.9 + 0.005 * step, 3) for step in range(1, 20)), 1.0]),
        ("1.00001..1.00002:3", [1.00001, 1.000015, 1.00002]),
    ],
)
def test_ranges_of_real_numbers_have_equal_steps_or_ratios(text: str, expected: list[float]) -> None:
    assert parse_reals(text, option="init_std") == expected


@FIXED
@given(
    st.decimals(0, 10, places=3, allow_nan=False).map(float),
    st.decimals("0.1", 10, places=2).map(float),
    st.integers(2, 60),
    st.booleans(),
)
def test_rounding_keeps_values_of_ranges_in_place(start: float, span: float, count: int, log: bool) -> None:
    start = start or 0.01
    stop = start + span
    values = parse_reals(f"{start!r}..{stop!r}:{count}{'log' if log else ''}", option="noise")
    steps = [math.log(value) for value in values] if log else values
    even = (steps[-1] - steps[0]) / (count - 1)
    assert (values[0], values[-1], len(values)) == (start, stop, count)
    assert all(0.88 * even < after - before < 1.12 * even for before, after in itertools.pairwise(steps))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0.02..0.4", "does not say how many values; write 0.02..0.4:20, or :20log for equal ratios"),
        ("0.02..:3", "is not a range of numbers; write first..last:count, such as 0.02..0.4:20"),
        ("..0.4:3", "is not a range of numbers"),
        ("0.02...4:3", "is not a range of numbers"),
        ("0.02..0.4:", "is not a range of numbers"),
        ("0.02..0.4:log", "is not a range of numbers"),
        ("0.02..0.4:2.5", "is not a range of numbers"),
        ("0.02..0.4:9lin", "is not a range of numbers"),
        ("0.02..nan:9", "is not a range of numbers"),
        ("0.02..0.4:0", "has a count of 0; a range has 2 to 1,000 values"),
        ("0.02..0.4:1", "has a count of 1; a range has 2 to 1,000 values"),
        (f"0..1:{MAX_REALS + 1}", "has a count of 1001; a range has 2 to 1,000 values"),
        ("0.4..0.02:20", "runs backwards; the first number must be below the last"),
        ("0.4..0.4:20", "begins where it ends; the first number must be below the last"),
        ("0..0.4:20log", "begins at 0; equal ratios need two ends above 0"),
        ("-1..0.4:20log", "begins at -1; equal ratios need two ends above 0"),
        ("0..1e999:3", "contains a number that is too large"),
        ("1..1.0000000000000002:9", "has values that are too close to each other; ask for fewer"),
    ],
)
def test_bad_ranges_of_real_numbers_are_rejected_with_the_reason(text: str, reason: str) -> None:
    message = message_of(lambda: parse_reals(text, option="init_std"))
    assert message.startswith(f"init_std (={text}) ")
    assert reason in message
