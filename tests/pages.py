"""The pages for people, README.md and docs/, against the committed results: what `make docs` renews and tests compare.

A number in a sentence stands behind an HTML comment that holds a Python expression over the committed tables:

    … falls to <!--= runs("sine", "plain-mlp", 9).train_loss.median() -->1.6e-4 at 9 hidden layers …

`runs` and `rows` are pandas tables, so a reader can repeat each of them in a notebook. A sentence that says more than
a number is followed by a comment `<!--? expression -->` that must be true. What stands between the comments
`<!-- made: expression -->` and `<!-- end -->` is generated whole.

`python -m tests.pages` renews all of it, draws the pictures that pages show (`tests.pictures`), and makes the
report on the reference results (`tests.reference_report`).
"""

import re
from typing import Any

from resnet_cli.claims.claim import Verdict
from tests import page_ledger, page_mechanisms, page_numbers, reference_report
from tests.page_numbers import ROOT, show
from tests.pictures import PICTURES, drawn, small_png

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("**/*.md")])

_NUMBER = r"[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?"
_VERDICT = "|".join(sorted(Verdict, key=len, reverse=True))
VALUE = re.compile(r"<!--= (?P<expression>.+?) -->")
CONDITION = re.compile(r"<!--\? (?P<expression>.+?) -->")
MADE = re.compile(r"<!-- made: (?P<expression>.+?) -->\n.*?<!-- end -->", re.S)


def evaluate(expression: str) -> Any:
    """The value of an expression of a page."""
    return eval(expression, {**vars(page_numbers), **vars(page_ledger), **vars(page_mechanisms)})


def renewed(text: str) -> str:
    """A page with its numbers, verdicts and tables computed anew; where one is still to come stands a question mark."""
    parts, end = [], 0
    for match in VALUE.finditer(text):
        value = evaluate(match["expression"])
        value = value if isinstance(value, str) else show(value)
        alike = _VERDICT if value in set(Verdict) else _NUMBER.join(map(re.escape, re.split(_NUMBER, value)))
        old = re.compile(rf"(?:{alike})(?!\d)|\?").match(text, match.end())
        assert old, f"after <!--= {match['expression']} --> should stand {value}"
        parts += [text[end : match.end()], value]
        end = old.end()
    return MADE.sub(
        lambda match: f"<!-- made: {match['expression']} -->\n{evaluate(match['expression'])}\n<!-- end -->",
        "".join(parts) + text[end:],
    )


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(renewed(page.read_text("utf-8")), "utf-8")
    for picture in PICTURES:
        picture.write_bytes(small_png(drawn(picture)))
    reference_report.renew()
