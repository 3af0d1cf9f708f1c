"""The version of what is on disk."""

from resnet_cli.settings.errors import UserError, shorten

FORMAT = 2
"""Version of the results folder's layout and of its files' content; raised when an older program could misread them.

1: run.json without a checksum of its own.
2: run.json ends with `content_sha256`.
"""

FORMULA_STARTS = ("=", "+", "-", "@")
"""What a spreadsheet takes for the beginning of a formula."""

PACKED_RUNS_FILE = "runs.csv"
"""What a results folder in packed form has instead of runs/."""


def check_format(path: object, found: object) -> None:
    """Raise UserError if a file says that its format is `found`, and this program does not read that."""
    if found is None:
        return
    if type(found) is not int or found < 1:
        raise UserError(
            f"{shorten(path, 200)} has format (={shorten(repr(found))}), but a format is a whole number from 1 to "
            f"{FORMAT}; the file was changed, or another program wrote it."
        )
    if found > FORMAT:
        raise UserError(
            f"{shorten(path, 200)} has format version {shorten(found)}, newer than the {FORMAT} that this resnet-exp "
            "reads; upgrade it with `pip install --upgrade resnet-exp`."
        )
