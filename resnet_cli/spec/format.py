"""The version of what is on disk."""

from resnet_cli.spec.errors import UserError

FORMAT = 1
"""Version of the results folder's layout and of its files' content; raised when an older program could misread them."""


def check_format(path: object, found: object) -> None:
    """Raise UserError if the file `path`, which says that its format is `found`, comes from a newer version."""
    if isinstance(found, int) and found > FORMAT:
        raise UserError(
            f"{path} has format version {found}, newer than the {FORMAT} that this resnet-exp reads; "
            "upgrade it with `pip install --upgrade resnet-exp`."
        )
