"""The wheel that setuptools makes of a copy of the sources."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_wheel_holds_all_packages_configurations_and_reference_results(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("resnet_cli", "configs", "docs/results"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    build = "from setuptools.build_meta import build_wheel; build_wheel('.')"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "resnet_cli").rglob("*.py")}
    configs = {f"resnet_cli/configs/{path.name}" for path in (ROOT / "configs").iterdir()}
    tables = {path for kind in ("toml", "csv", "gz") for path in (ROOT / "docs" / "results").glob(f"*/**/*.{kind}")}
    reference = {f"resnet_cli/reference/{path.relative_to(ROOT / 'docs' / 'results')}" for path in tables}
    template = {path.relative_to(ROOT).as_posix() for path in (ROOT / "resnet_cli/report/template").iterdir()}
    assert packed == {*modules, *configs, *reference, *template, "resnet_cli/py.typed"}

    lookup = "from resnet_cli.settings.configs import bundled_configs; print(bundled_configs()['sine'].path)"
    found = subprocess.run(
        [sys.executable, "-c", lookup],
        cwd=tmp_path / "installed",
        env={**os.environ, "PYTHONPATH": "."},
        check=True,
        capture_output=True,
        text=True,
    )
    assert Path(found.stdout.strip()) == tmp_path / "installed" / "resnet_cli" / "configs" / "sine.toml"
