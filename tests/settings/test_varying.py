"""What tells runs apart."""

from resnet_cli.settings.varying import Row, free_settings, varying_settings

NAMES = ["init", "init_std", "width"]


def test_only_differences_within_a_group_vary() -> None:
    runs: list[Row] = [("plain", ["he", None, 8]), ("plain", ["normal", None, 8]), ("residual", ["he", None, 16])]
    assert varying_settings(NAMES, runs) == ["init"]
    assert varying_settings(NAMES, []) == []


def test_a_setting_that_follows_from_another_is_not_free() -> None:
    runs: list[Row] = [("plain", ["he", None, 8]), ("plain", ["normal", 0.1, 8]), ("plain", ["he", None, 16])]
    assert varying_settings(NAMES, runs) == NAMES
    assert free_settings(NAMES, runs) == ["init", "width"]


def test_a_setting_that_some_runs_lack_determines_no_other() -> None:
    runs: list[Row] = [("plain", [None, 0.1, 8]), ("plain", ["he", 0.2, 8])]
    assert free_settings(NAMES, runs) == ["init_std"]
