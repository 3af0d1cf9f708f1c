"""`resnet-exp models`: the list, a model's page, the layers of a net, and its blocks as a picture."""

import re
from pathlib import Path

import pytest

from resnet_cli.models import all_models, describe_net
from resnet_cli.models.count import layer_table
from tests.cli.conftest import Command
from tests.conftest import MakeRun


def totals(text: str) -> tuple[int, int]:
    """Parameters and multiply-adds at the bottom of a table of layers."""
    found = re.search(r"^total +([\d,]+) +([\d,]+)$", text, re.M)
    assert found
    parameters, products = (int(number.replace(",", "")) for number in found.groups())
    return parameters, products


@pytest.mark.parametrize("width", [100, 160])
def test_the_list_shows_everything_about_every_model(
    width: int, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    answer = command("models")
    assert answer.code == 0
    assert max(map(len, answer.out.splitlines())) <= width
    words = answer.out.split()
    for model in all_models().values():
        assert f"{model.name} " in answer.out
        assert model.depth_rule.words in answer.out
        assert set(f"{model.title} {model.paper}".split()) <= set(words)
        assert all(setting.name in answer.out for setting in model.settings)


def test_the_list_gives_common_settings_once(command: Command) -> None:
    out = command("models").out
    common = set.intersection(*({one.name for one in model.settings} for model in all_models().values()))
    assert "width" in common
    assert all(len(re.findall(rf"\b{name}\b", out)) == 1 for name in common)


@pytest.mark.parametrize("name", all_models())
def test_a_page_describes_each_setting_of_the_model(name: str, command: Command) -> None:
    model = all_models()[name]
    out = command("models", name).out
    assert model.title in out
    assert model.paper in out
    assert model.depth_rule.words in out
    assert all(re.search(rf"^{setting.name} ", out, re.M) for setting in model.settings)
    assert all(setting.description in " ".join(out.split()) for setting in model.settings)


def test_a_page_gives_the_default_for_every_task(command: Command) -> None:
    def default(model: str, setting: str) -> str:
        found = re.search(rf"^{setting}  +(.*?)  ", command("models", model).out, re.M)
        assert found
        return found[1]

    def widths(model: str) -> set[tuple[str, str]]:
        found = re.findall(r"(\d+) \((.*?)\)", default(model, "width"))
        return {(task, width) for width, tasks in found for task in tasks.split(", ")}

    images = {("cifar10", "16"), ("cifar100", "16"), ("digits", "8")}
    assert images <= widths("resnet")
    assert {("sine", "30"), ("cifar10", "256"), ("cifar100", "256"), ("digits", "64")} <= widths("residual-mlp")
    assert images | {("--input", "64")} <= widths("vgg")
    assert default("vgg", "dropout") == "0.5"
    assert default("resnet", "batch_norm") == "on"
    assert default("resnet", "ordering") == "original"
    assert default("resnet", "init_std") == "0.1"
    assert default("resnext", "group_width") == "–"


def test_the_layers_of_a_net_are_printed_one_by_one(command: Command) -> None:
    answer = command("models", "resnet", "--depth", 8, "--task", "digits", "--set", "shortcut=B")
    assert answer.code == 0
    assert answer.out.startswith("resnet, depth 8: 1×8×8 → 10; width=8, block_size=2, shortcut=B, activation=relu")
    rows = [line.split() for line in answer.out.splitlines() if line.startswith(("blocks.1.", "output"))]
    assert sorted(map(tuple, rows)) == [
        ("blocks.1.conv1", "conv", "3×3,", "stride", "2", "16×4×4", "1,152", "18,432"),
        ("blocks.1.conv2", "conv", "3×3", "16×4×4", "2,304", "36,864"),
        ("blocks.1.norm1", "batch", "norm", "16×4×4", "32", "–"),
        ("blocks.1.norm2", "batch", "norm", "16×4×4", "32", "–"),
        ("blocks.1.shortcut.0", "conv", "1×1,", "stride", "2", "16×4×4", "128", "2,048"),
        ("blocks.1.shortcut.1", "batch", "norm", "16×4×4", "32", "–"),
        ("output", "linear", "10", "330", "320"),
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("vgg --depth 16", (138_357_544, 15_470_264_320)),
        ("imagenet-resnet --depth 50", (25_557_032, 4_089_184_256)),
        pytest.param("resnet --depth 1202", (19_421_274, 2_829_238_912), marks=pytest.mark.slow),
        ("plain-mlp --depth 3", (2 * 30 + 2 * 31 * 30 + 31, 30 + 2 * 30 * 30 + 30)),
        ("plain-mlp --depth 1 --task digits", (65 * 64 + 65 * 10, 64 * 64 + 64 * 10)),
        ("plain-mlp --depth 1 --input 8 --set width=5", (193 * 5 + 6 * 1000, 192 * 5 + 5 * 1000)),
    ],
)
def test_the_default_input_is_published_or_from_the_task(
    arguments: str, expected: tuple[int, int], command: Command
) -> None:
    assert totals(command("models", *arguments.split()).out) == expected


@pytest.mark.parametrize(
    ("arguments", "width", "shape", "outputs"),
    [
        ("--task cifar10", 16, (3, 32, 32), 10),
        ("--task cifar10 --set image_size=16", 16, (3, 16, 16), 10),
        ("--task digits", 8, (1, 8, 8), 10),
        ("--input 64", 64, (3, 64, 64), 1000),
        ("--input 64 --set width=12", 12, (3, 64, 64), 1000),
    ],
)
def test_task_input_and_settings_determine_the_net(
    arguments: str, width: int, shape: tuple[int, ...], outputs: int, command: Command, make_run: MakeRun
) -> None:
    run = make_run(task="cifar10", models="vgg", depths=11, width=width)
    rows = layer_table(describe_net(run, shape, outputs), shape)
    expected = sum(row.parameters for row in rows), sum(row.multiply_adds for row in rows)
    assert totals(command("models", "vgg", "--depth", 11, *arguments.split()).out) == expected


def test_layers_that_evaluation_never_uses_are_explained(command: Command) -> None:
    assert "Layers without an output are used in training only." in command("models", "auxiliary-mlp", "--depth", 4).out
    assert "Layers without" not in command("models", "plain-mlp", "--depth", 4).out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("resnett", "model (=resnett) is not known (did you mean resnet?); known are"),
        ("--depth 20", "--depth needs a model, as in `resnet-exp models resnet --depth 20`."),
        ("resnet --task digits", "--task needs --depth, as in `resnet-exp models resnet --depth 20`."),
        ("resnet --set width=3", "--set needs --depth, as in"),
        (
            "resnet --depth 9",
            "resnet has no depth 9; its depths are 6n+2 from 8 on, the nearest are 8 and 14.",
        ),
        ("vgg --depth 17", "vgg has no depth 17; its depths are 11, 13, 16, 19, the nearest are 16 and 19."),
        ("resnet --depth 0", "depths (=0) contains 0; each number must lie between 1 and 10,000."),
        ("resnet --depth x", "Invalid value for '--depth'"),
        ("resnet --depth 20 --task sine", "models (=resnet) cannot learn sine; models that can are"),
        ("resnet --depth 20 --task imagenet", "task (=imagenet) is not known"),
        ("vgg --depth 16 --input 226", "--input (=226) must be a multiple of 4, from 8 on."),
        ("vgg --depth 16 --input 4", "--input (=4) must be a multiple of 4, from 8 on."),
        ("vgg --depth 16 --input 64 --task digits", "--task (=digits) and --input (=64) both set the input of the net"),
        ("resnet --depth 20 --set shortcut=A,B", "--set names 2 nets; give each setting one value."),
        ("resnet --depth 20 --set shortcut=D", "shortcut (=D) must be 'A', 'B' or 'C'."),
        ("resnet --depth 20 --set epochs=3", "setting of resnet (=epochs) is not known; known are activation"),
        ("resnet --depth 20 --set depths=8", "setting of resnet (=depths) is not known; known are activation"),
        ("resnet --depth 20 --input 64 --set image_size=16", "setting of resnet (=image_size) is not known"),
        ("plain-cnn --depth 20 --set growth_rate=12", "setting of plain-cnn (=growth_rate) is not known"),
        ("vgg --depth 16 --set width=1000000000", "vgg at depth 16 has a tensor of over 2⁶³ bytes; make it smaller."),
        ("vgg --depth 16 --input 4000000000", "vgg at depth 16 has a tensor of over 2⁶³ bytes; make it smaller."),
    ],
)
def test_mistakes_are_explained_in_one_sentence(arguments: str, message: str, command: Command) -> None:
    answer = command("models", *arguments.split())
    assert answer.code == 2
    assert answer.out == ""
    assert message in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("model", ["plain-mlp", "resnet", "vgg"])
def test_blocks_are_drawn_without_naming_a_depth(model: str, command: Command) -> None:
    answer = command("models", model, "--draw", "pictures/blocks.png")
    assert answer == (0, "pictures/blocks.png\n", "")
    assert Path("pictures/blocks.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in Path("pictures").iterdir()] == ["blocks.png"]


@pytest.mark.parametrize(
    ("model", "what", "words"),
    [
        ("resnet", "net", "resnet, depth 20"),
        ("resnet", "paths", "The same, unravelled: 8 paths"),
        ("residual-mlp", "paths", "The same, unravelled: 8 paths"),
        ("resnet", "blocks", "drawn: block 1"),
    ],
)
def test_blocks_the_whole_net_or_its_paths_are_drawn(model: str, what: str, words: str, command: Command) -> None:
    assert command("models", model, "--draw", "drawn.svg", "--as", what) == (0, "drawn.svg\n", "")
    assert words in Path("drawn.svg").read_text()


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
        ("resnet --draw x.png --as nets", "as (=nets) must be one of blocks, net, paths."),
        ("resnet --depth 20 --as net", "as (=net) has no effect without --draw FILE."),
        ("--as net", "as (=net) has no effect without --draw FILE."),
        (
            "plain-cnn --draw x.png --as paths",
            "plain-cnn, depth 8: it has 0 residual blocks, but 2 to 4",
        ),
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
