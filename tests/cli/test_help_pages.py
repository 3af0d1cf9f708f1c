"""How help pages are laid out."""

from tests.cli.conftest import Command


def test_paragraphs_of_a_help_page_fill_their_lines(command: Command) -> None:
    lines = [line.strip() for line in command("plot", "--help").out.splitlines()]
    assert "curves show five, unless --depths chooses." in lines


def test_examples_of_a_help_page_stand_one_a_line(command: Command) -> None:
    lines = [line.strip() for line in command("show", "--help").out.splitlines()]
    assert "resnet-exp show results/" in lines
    assert "resnet-exp show results/sine --csv > sine.csv" in lines
