"""The tests mirror the package: FOLDER/test_MODULE.py, or test_MODULE_TOPIC.py, tests FOLDER/MODULE.py."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE, TESTS = ROOT / "resnet_cli", ROOT / "tests"

OF_THE_REPOSITORY = {
    f"test_{name}.py"
    for name in (
        "benchmarks",
        "ci",
        "contributing",
        "docs",
        "layout",
        "packaging",
        "pictures",
        "readme",
        "reference_report",
        "security",
    )
}
OF_EVERY_COMMAND = {f"cli/test_{name}.py" for name in ("any_input", "bad_input", "damage", "foreign", "small_disk")}

TESTED_BY = {
    "__main__.py": "execution/test_sweep_ended.py",
    "cli/analyze/common.py": "cli/analyze/test_responses.py",
    "cli/chart.py": "cli/test_live.py",
    "cli/console.py": "cli/test_foreign.py",
    "cli/filters.py": "cli/test_show.py",
    "cli/options.py": "cli/test_bad_input.py",
    "cli/words.py": "cli/test_bad_input.py",
    "execution/executors/base.py": "execution/executors/test_registry.py",
    "execution/executors/serial.py": "execution/executors/test_registry.py",
    "execution/unit.py": "execution/test_sweep.py",
    "figures/block_layout.py": "figures/test_block_diagram.py",
    "figures/kinds.py": "test_api.py",
    "models/settings.py": "settings/test_run.py",
    "planning/conditions.py": "planning/test_units.py",
    "report/figures.py": "report/test_page.py",
    "settings/events.py": "execution/test_sweep.py",
    "settings/format.py": "cli/test_tables.py",
    "settings/graph.py": "models/test_diagram.py",
    "settings/metrics.py": "store/test_reader.py",
    "settings/registry.py": "settings/test_setting.py",
    "store/layout.py": "store/test_reader.py",
    "store/ownership.py": "execution/test_sweep_folders.py",
    "store/pack.py": "store/test_packed.py",
    "store/regular.py": "store/test_reader.py",
    "store/tensors.py": "store/test_weights.py",
    "tasks/archive.py": "tasks/test_download.py",
    "tasks/base.py": "tasks/test_registry.py",
    "tasks/cifar.py": "tasks/test_cifar10.py",
    "tasks/settings.py": "settings/test_run.py",
    "training/batches.py": "training/test_loop.py",
    "training/data.py": "execution/test_sweep.py",
    "training/device.py": "planning/test_units.py",
    "training/optimizers.py": "training/test_loop.py",
    "training/evaluation.py": "training/stacked/test_engine.py",
    "training/settings.py": "settings/test_run.py",
    "training/step.py": "training/test_loop.py",
    "training/stacked/packing.py": "training/stacked/test_engine.py",
    "training/stacked/parameter_group.py": "training/stacked/test_engine.py",
}
"""Modules without a test file of their own, because what they do shows only where they are used."""

MODULES = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")}
TEST_FILES = {path.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_*.py")}


def module_of(test_file: str) -> str | None:
    """The module that a test file tests by its name; test_registry.py tests what its folder's __init__.py registers."""
    path = Path(test_file)
    words = path.stem.removeprefix("test_").split("_")
    names = ["_".join(words[:count]) for count in range(len(words), 0, -1)]
    if names == ["registry"]:
        names.append("__init__")
    candidates = [(path.parent / f"{name}.py").as_posix() for name in names]
    return next((module for module in candidates if module in MODULES), None)


def test_every_test_file_belongs_to_a_module() -> None:
    others = TEST_FILES - OF_THE_REPOSITORY - OF_EVERY_COMMAND
    assert [name for name in sorted(others) if module_of(name) is None] == []


def test_every_module_has_a_test_file() -> None:
    own = {module_of(name) for name in TEST_FILES} | set(TESTED_BY)
    missing = {name for name in MODULES if Path(name).name != "__init__.py"} - own
    assert sorted(missing) == [], "add a test file of this name, or say in TESTED_BY which one tests it"


def test_exceptions_exist_and_are_exceptions() -> None:
    assert set(TESTED_BY) <= MODULES
    assert set(TESTED_BY.values()) | OF_THE_REPOSITORY | OF_EVERY_COMMAND <= TEST_FILES
    assert {module_of(name) for name in TEST_FILES} & set(TESTED_BY) == set()
