import pytest

from resnet_cli.models import all_models
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings import registry
from resnet_cli.tasks import all_tasks
from tests.cli.conftest import Command

TASKS = sorted(all_tasks())


def page(command: Command, task: str) -> dict[str, list[tuple[str, str]]]:
    """The rows of `tasks NAME` by setting: the default and its meaning, then other defaults and whose they are."""
    table = command("tasks", task).out.split("\n\n")[1]
    rows: dict[str, list[tuple[str, str]]] = {}
    header, _, *lines = table.splitlines()
    start, end = header.index("default"), header.index("meaning")
    for line in lines:
        if name := line[:start].strip():
            rows[name] = []
            current = name
        rows[current].append((line[start:end].strip(), line[end:].strip()))
    return rows


@pytest.mark.parametrize("arguments", [[], *([task] for task in TASKS)])
def test_no_name_of_a_model_breaks_at_80_columns(
    command: Command, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    answer = command("tasks", *arguments)
    words = answer.out.replace(",", " ").replace(".", " ").split()
    families = {family for task in arguments or TASKS for family in all_tasks()[task].families}
    assert [name for name, model in all_models().items() if model.family in families and name not in words] == []
    assert max(map(len, answer.out.splitlines())) <= 80


@pytest.mark.parametrize("task", TASKS)
def test_a_task_lists_every_setting_with_the_default_of_each_model(
    command: Command, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    rows = page(command, task)
    for name, model in all_models().items():
        if model.family not in all_tasks()[task].families:
            continue
        run = plan_sweep({"task": task, "models": name, "seeds": 0}).runs[0]
        of_training = [one for one in registry.declared() if registry.owner(one) == "Training"]
        settings = [one.name for one in (*model.settings, *all_tasks()[task].settings, *of_training)]
        for setting in settings:
            (default, _), *others = rows[setting]
            told = next((text for text, names in others if name in names.removeprefix("for ").split(", ")), default)
            value = run.get(setting)
            if isinstance(value, bool):
                assert told == ("on" if value else "off")
            elif isinstance(value, float):
                assert float(told) == pytest.approx(value, rel=1e-5)
            elif value is not None:
                assert told == str(value)


def test_a_task_says_how_long_it_trains_and_what_depends(command: Command) -> None:
    rows = page(command, "digits")
    assert rows["seeds"][0][0] == "0"
    assert rows["epochs"][0][0] == "20"
    assert rows["steps"][0][0] == "–"
    ((momentum, meaning),) = rows["momentum"]
    assert momentum == "0.9"
    assert meaning.endswith(" Only with optimizer momentum or nesterov.")
    assert "sweep --task digits --epochs 100 --out results/digits-long\n" in command("tasks", "digits").out
    assert "sweep --task sine --steps 5000 --out results/sine-long\n" in command("tasks", "sine").out


def test_an_unknown_task_is_refused_with_the_known_ones(command: Command) -> None:
    assert command("tasks", "sinus") == (
        2,
        "",
        f"resnet-exp: task (=sinus) is not known (did you mean sine?); known are {', '.join(TASKS)}, "
        "and what --plugin FILE.py adds.\n",
    )
