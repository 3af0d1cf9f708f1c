"""What the tests of requests share."""

from collections.abc import Callable

import pytest

from resnet_cli.settings.errors import UserError


def refusal(call: Callable[[], object]) -> str:
    """The error message of `call`, after checking that it is one printable sentence."""
    with pytest.raises(UserError) as caught:
        call()
    message = str(caught.value)
    assert message.isprintable()
    assert message.endswith(".")
    return message
