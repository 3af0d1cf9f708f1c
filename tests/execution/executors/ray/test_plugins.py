"""Plug-ins on machines that do not have their files."""

from pathlib import Path

import pytest

from resnet_cli.execution.executors.ray.plugins import load_sources, read_sources
from resnet_cli.models import all_models
from resnet_cli.settings.errors import UserError
from tests.execution.executors.test_processes import PLUGIN


@pytest.mark.usefixtures("_without_traces")
def test_a_plugin_is_run_once_from_its_text(tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.py"
    path.write_text(PLUGIN)
    sources = read_sources([str(path)])
    path.unlink()
    for _ in range(2):  # a second time it would define what exists already
        load_sources(sources)
    assert "deadly-mlp" in all_models()
    load_sources.cache_clear()


def test_a_plugin_that_has_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"plugin \(=.*gone\.py\) cannot be read: No such file"):
        read_sources([str(tmp_path / "gone.py")])
