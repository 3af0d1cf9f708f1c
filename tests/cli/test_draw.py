"""`resnet-exp models NAME --draw FILE`: the blocks of a net as a picture."""

from pathlib import Path

import pytest

from resnet_cli.models import all_models
from tests.cli.conftest import Command


@pytest.mark.parametrize("model", ["plain-mlp", "resnet", "vgg"])
def test_blocks_are_drawn_without_naming_a_depth(model: str, command: Command) -> None:
    answer = command("models", model, "--draw", "pictures/blocks.png")
    assert answer == (0, "pictures/blocks.png\n", "")
    assert Path("pictures/blocks.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in Path("pictures").iterdir()] == ["blocks.png"]


def test_depth_and_settings_determine_the_drawing(command: Command) -> None:
    def draw(*settings: object) -> bytes:
        assert command("models", "resnet", *settings, "--draw", "blocks.svg").code == 0
        return Path("blocks.svg").read_bytes()

    base = draw("--depth", 20)
    assert draw() == base
    assert draw("--depth", 14) != base
    assert draw("--depth", 20, "--set", "shortcut=B") != base
    assert draw("--depth", 20, "--task", "digits") != base


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("resnet --draw blocks.gif", "draw (=blocks.gif) must end in .png, .svg or .pdf."),
        ("--draw blocks.png", "--draw needs a model"),
        (
            "plain-mlp --depth 1 --draw blocks.png",
            "The net has no blocks that could be drawn; choose a greater depth, or a model made of blocks.",
        ),
        ("resnet --depth 21 --draw blocks.png", "resnet has no depth 21"),
    ],
)
def test_wrong_use_of_draw_is_explained(arguments: str, message: str, command: Command) -> None:
    answer = command("models", *arguments.split())
    assert answer.code == 2
    assert message in answer.err
    assert (answer.out, answer.err.count("\n")) == ("", 1)
    assert not list(Path().iterdir())


@pytest.mark.slow
def test_every_model_is_drawn(command: Command) -> None:
    for model in all_models():
        assert command("models", model, "--draw", f"{model}.svg").code == 0
        assert Path(f"{model}.svg").read_bytes().endswith(b"</svg>\n")
