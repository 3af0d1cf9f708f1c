from pathlib import Path

import pytest
from typer.testing import CliRunner

from resnet_cli.cli.data import app
from resnet_cli.settings.errors import UserError
from resnet_cli.tasks import download
from resnet_cli.tasks.archive import Archive


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


@pytest.mark.parametrize("action", ["fetch", "check"])
def test_only_data_sets_with_an_archive_can_be_fetched_or_checked(action: str) -> None:
    result = CliRunner().invoke(app, [action, "sine"])
    assert isinstance(result.exception, UserError)
    assert str(result.exception) == "data set (=sine) is not known; known are cifar10, cifar100."


def test_fetch_reports_what_was_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(archive: Archive, data_dir: Path | None, *, progress: bool) -> download.Report:
        asked.append((data_dir, progress))
        return download.Report(archive, tmp_path, "official archive")

    monkeypatch.setattr(download, "fetch", fetch)
    result = CliRunner().invoke(app, ["fetch", "cifar100", "--data-dir", str(tmp_path)])
    assert result.exit_code == 0
    assert asked == [(tmp_path, False)]  # no bar where stderr is not a terminal
    assert result.stdout == f"{tmp_path}: CIFAR-100, unpacked from the official archive and unchanged since.\n"


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("official archive", "unpacked from the official archive"),
        ("official images", "exactly the official training and test images"),
        ("other images", "NOT the official CIFAR-10 images"),
        ("unknown images", "whether they are the official images cannot be told"),
    ],
)
def test_check_says_whether_the_files_are_official(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verdict: download.Verdict, words: str
) -> None:
    monkeypatch.setattr(download, "check", lambda archive, data_dir: download.Report(archive, data_dir, verdict))
    result = CliRunner().invoke(app, ["check"], env={"RESNET_EXP_DATA": str(tmp_path)})
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{tmp_path}: ")
    assert words in result.stdout


def test_check_of_an_empty_folder_says_what_to_do(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["check", "--data-dir", str(tmp_path)])
    assert isinstance(result.exception, UserError)
    assert "run `resnet-exp data fetch cifar10" in str(result.exception)
