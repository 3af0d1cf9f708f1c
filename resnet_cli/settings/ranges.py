"""The grammar of depths and seeds: `2..40`, `2..40:2`, `8,20,56` and combinations of these; and of real numbers.

Of real numbers a range gives the number of its values: `0.02..0.4:20` in equal steps, `0.02..0.4:20log` in equal
ratios.
"""

import math
import re
from bisect import bisect
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from resnet_cli.settings.errors import UserError, shorten

MAX_DEPTH = 10_000
MAX_SEED = 2**31 - 1
MAX_COUNT = 10_000
MAX_DIGITS = 20
MAX_REALS = 1000

_ITEM = re.compile(r"(?P<start>\d+)(?:\s*\.\.\s*(?P<stop>\d+)(?:\s*:\s*(?P<step>\d+))?)?", re.ASCII)
_REAL = r"-?\d{1,20}(?:\.\d{1,20})?(?:[eE][+-]?\d{1,3})?"
_REAL_RANGE = re.compile(
    rf"(?P<start>{_REAL})\s*\.\.\s*(?P<stop>{_REAL})(?:\s*:\s*(?P<count>\d{{1,6}})\s*(?P<log>log)?)?", re.ASCII
)


def is_range(value: object) -> bool:
    """Whether a value of a setting that is a number is written as a range."""
    return isinstance(value, str) and ".." in value


def parse_reals(text: str, *, option: str) -> list[float]:
    """The values of a range of real numbers, such as `0.02..0.4:20` or `0.02..0.4:20log`; errors name the `option`.

    The ends are as given. The values between them have three significant digits, or more where rounding would move one
    by over a twentieth of the distance to its neighbour: they can be read in tables, and are the same on every machine.

    Raises:
        UserError: the text is malformed, lacks the number of values, runs backwards, or has too few or too many values.
    """
    shown = f"{option} (={shorten(text)})"
    match = _REAL_RANGE.fullmatch(text.strip())
    if match is None:
        raise UserError(
            f"{shown} is not a range of numbers; write first..last:count, such as 0.02..0.4:20, or 0.02..0.4:20log "
            "for equal ratios."
        )
    start, stop = float(match["start"]), float(match["stop"])
    if match["count"] is None:
        raise UserError(
            f"{shown} does not say how many values; write {match['start']}..{match['stop']}:20, or :20log for equal "
            "ratios."
        )
    count = int(match["count"])
    if not 2 <= count <= MAX_REALS:
        raise UserError(f"{shown} has a count of {count}; a range has 2 to {MAX_REALS:,} values.")
    if stop <= start:
        what = "runs backwards" if stop < start else "begins where it ends"
        raise UserError(f"{shown} {what}; the first number must be below the last.")
    if not math.isfinite(stop - start):
        raise UserError(f"{shown} contains a number that is too large.")
    if match["log"] and start <= 0:
        raise UserError(f"{shown} begins at {start:g}; equal ratios need two ends above 0.")
    places = [place / (count - 1) for place in range(count)]
    if match["log"]:
        exact = [start * (stop / start) ** place for place in places]
    else:
        exact = [start + (stop - start) * place for place in places]
    return [start, *_rounded(exact, shown)[1:-1], stop]


def _rounded(values: list[float], shown: str) -> list[float]:
    """Ascending values with as few significant digits as leave each of them where it is."""
    gaps = [after - before for before, after in pairwise(values)]
    room = [min(pair) / 20 for pair in zip([gaps[0], *gaps], [*gaps, gaps[-1]], strict=True)]
    for digits in range(3, 16):
        rounded = [float(f"{value:.{digits}g}") for value in values]
        if all(abs(new - old) <= most for new, old, most in zip(rounded, values, room, strict=True)):
            return rounded
    raise UserError(f"{shown} has values that are too close to each other; ask for fewer.")


def parse_ranges(value: object, *, option: str, minimum: int, maximum: int) -> list[range]:
    """Parse `value` (text, a whole number, or a list of both) as ranges; errors name the `option`.

    Raises:
        UserError: the text is malformed or empty, runs backwards, exceeds the limits, or names too many numbers.
    """
    items = value if isinstance(value, (list, tuple)) else [value]
    if not items:
        raise UserError(f"{option} is an empty list; write it like 2..40 or 8,20,56.")
    ranges: list[range] = []
    for item in items:
        if isinstance(item, bool) or not isinstance(item, (int, str)):
            raise UserError(f"{option} (={item!r}) must be text like 2..40 or 8,20,56, or whole numbers.")
        parts = str(item).split(",")
        ranges.extend(_parse_item(part.strip(), str(item), option, minimum, maximum) for part in parts)
    count = sum(len(r) for r in ranges)
    if count > MAX_COUNT:
        raise UserError(f"{option} (={shorten(value)}) names {count:,} numbers; at most {MAX_COUNT:,} are allowed.")
    return ranges


def _parse_item(part: str, whole: str, option: str, minimum: int, maximum: int) -> range:
    shown = f"{option} (={shorten(whole)})"
    if not part:
        raise UserError(f"{shown} is empty or has an empty part; write it like 2..40, 2..40:2 or 8,20,56.")
    match = _ITEM.fullmatch(part)
    if match is None:
        raise UserError(f"{shown} is not a list of whole numbers and ranges; write it like 2..40, 2..40:2 or 8,20,56.")
    longest = max(len(digits) for digits in match.groups() if digits)
    if longest > MAX_DIGITS:
        limits = f"between {minimum} and {maximum:,}"
        raise UserError(f"{shown} contains a number of {longest} digits; each number must lie {limits}.")
    start = int(match["start"])
    stop = int(match["stop"]) if match["stop"] else start
    step = int(match["step"]) if match["step"] else 1
    if step < 1:
        raise UserError(f"{shown} has a step of {step}; a step must be 1 or more.")
    if stop < start:
        raise UserError(f"{shown} runs backwards; write {stop}..{start}.")
    for number in (start, stop):
        if not minimum <= number <= maximum:
            raise UserError(f"{shown} contains {number}; each number must lie between {minimum} and {maximum:,}.")
    return range(start, stop + 1, step)


def parse_depths(value: object) -> list[range]:
    """Parse depths (numbers of layers, from 1 to 10,000). Raises UserError as `parse_ranges` does."""
    return parse_ranges(value, option="depths", minimum=1, maximum=MAX_DEPTH)


def parse_seeds(value: object) -> list[range]:
    """Parse seeds (from 0 to 2³¹ − 1). Raises UserError as `parse_ranges` does."""
    return parse_ranges(value, option="seeds", minimum=0, maximum=MAX_SEED)


def numbers(ranges: Iterable[range]) -> list[int]:
    """All numbers in some ranges, each once, ascending."""
    return sorted({number for item in ranges for number in item})


def format_ranges(*ranges: range) -> str:
    """The text that `parse_ranges` turns back into `ranges`."""
    texts = []
    for item in ranges:
        last, step = item.stop - 1, f":{item.step}" if item.step > 1 else ""
        texts.append(str(last) if last == item.start else f"{item.start}..{last}{step}")
    return ",".join(texts)


def compact(values: Iterable[int]) -> str:
    """Whole numbers as short text, with equal steps joined: 2, 3, 4, 5 → `2..5`; 8, 14, 20 → `8..20:6`.

    `parse_ranges` turns the text back into the same numbers.
    """
    rest = sorted(set(values))
    parts: list[range] = []
    while rest:
        length = 1
        step = rest[1] - rest[0] if len(rest) > 1 else 1
        while length < len(rest) and rest[length] - rest[length - 1] == step:
            length += 1
        if length < 3:
            length, step = 1, 1
        parts.append(range(rest[0], rest[length - 1] + 1, step))
        rest = rest[length:]
    return format_ranges(*parts)


@dataclass(frozen=True)
class DepthRule:
    """Which depths a model has: every `step`-th one from `first` on, or exactly those `listed`.

    `formula` is the paper's notation, such as `6n+2`.
    """

    first: int
    step: int
    formula: str
    listed: tuple[int, ...] = ()

    @classmethod
    def of(cls, *depths: int) -> "DepthRule":
        """The rule of a model that has exactly these depths (in ascending order)."""
        return cls(first=depths[0], step=1, formula=", ".join(map(str, depths)), listed=depths)

    @property
    def words(self) -> str:
        """The rule as text: `6n+2 from 8 on`, or `16, 19`."""
        return self.formula if self.listed else f"{self.formula} from {self.first} on"

    def exists(self, depth: int) -> bool:
        """Whether the model has this depth."""
        if self.listed:
            return depth in self.listed
        return depth >= self.first and (depth - self.first) % self.step == 0

    def nearest(self, depth: int) -> list[int]:
        """The one or two nearest depths that exist, ascending."""
        if self.exists(depth):
            return [depth]
        if depth < self.first:
            return [self.first]
        if self.listed:
            above = bisect(self.listed, depth)
            return list(self.listed[above - 1 : above + 1])
        below = depth - (depth - self.first) % self.step
        return [below, below + self.step]

    def select(self, ranges: Iterable[range], model: str) -> tuple[list[int], list[int]]:
        """Split the depths in `ranges` into those that the model has and those that it lacks, both ascending.

        Raises:
            UserError: a single depth does not exist, or a range contains no depth that exists.
        """
        kept: set[int] = set()
        left_out: set[int] = set()
        for item in ranges:
            found = [depth for depth in item if self.exists(depth)]
            if not found:
                near, text = self.nearest(item.start), format_ranges(item)
                what = f"depth in {text}" if ".." in text else f"depth {text}"
                raise UserError(
                    f"depths (={text}): {model} has no {what}; its depths are {self.words}, "
                    f"the nearest {'is' if len(near) == 1 else 'are'} {' and '.join(map(str, near))}."
                )
            kept.update(found)
            left_out.update(depth for depth in item if depth not in kept)
        return sorted(kept), sorted(left_out)
