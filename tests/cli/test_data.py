from pathlib import Path

import pytest
from typer.testing import CliRunner

from resnet_cli.cli.data import app
from resnet_cli.settings.errors import UserError
from resnet_cli.tasks import download


@pytest.mark.parametrize(
    ("arguments", "example"),
    [
        (["fetch", "--help"], "resnet-exp data fetch cifar10 --data-dir ~/data"),
        (["check", "--help"], "resnet-exp data check --data-dir ~/data"),
    ],
)
def test_help_has_an_example(arguments: list[str], example: str) -> None:
    result = CliRunner(env={"COLUMNS": "120"}).invoke(app, arguments)
    assert result.exit_code == 0
    assert example in result.output


def test_only_cifar10_can_be_fetched() -> None:
    result = CliRunner().invoke(app, ["fetch", "mnist"])
    assert isinstance(result.exception, UserError)
    assert "(=mnist) is not known; known are cifar10." in str(result.exception)


def test_fetch_reports_what_was_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(data_dir: Path | None, *, progress: bool) -> download.Report:
        asked.append((data_dir, progress))
        return download.Report(tmp_path, "official archive")

    monkeypatch.setattr(download, "fetch", fetch)
    result = CliRunner().invoke(app, ["fetch", "cifar10", "--data-dir", str(tmp_path)])
    assert result.exit_code == 0
    assert asked == [(tmp_path, False)]  # no bar where stderr is not a terminal
    assert result.stdout == f"{tmp_path}: CIFAR-10, unpacked from the official archive and unchanged since.\n"


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("official archive", "unpacked from the official archive"),
        ("official images", "exactly the official training and test images"),
        ("other images", "NOT the official CIFAR-10 images"),
    ],
)
def test_check_says_whether_the_files_are_official(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verdict: download.Verdict, words: str
) -> None:
    monkeypatch.setattr(download, "check", lambda data_dir: download.Report(data_dir, verdict))
    result = CliRunner().invoke(app, ["check"], env={"RESNET_EXP_DATA": str(tmp_path)})
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{tmp_path}: ")
    assert words in result.stdout


def test_check_of_an_empty_folder_says_what_to_do(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["check", "--data-dir", str(tmp_path)])
    assert isinstance(result.exception, UserError)
    assert "run `resnet-exp data fetch cifar10" in str(result.exception)
