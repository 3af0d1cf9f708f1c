"""The tasks, one per file; see `resnet_cli.settings.discovery` for how they are found."""

from collections.abc import Iterable

from resnet_cli.settings.discovery import Catalogue
from resnet_cli.settings.run import Run
from resnet_cli.tasks.base import Task

__all__ = ["Task", "all_tasks", "constant_answers", "get_task"]

CATALOGUE: Catalogue[Task] = Catalogue("Task", __name__, "TASK")
all_tasks, get_task = CATALOGUE.all, CATALOGUE.get


def constant_answers(runs: Iterable[Run]) -> dict[str, float]:
    """What a net reaches on the task of `runs` that always gives the same answer: its `loss`, and its `error` (%).

    A metric in which this differs between the runs by more than 1 %, as with much noise and with none, is left out.
    """
    tasks = all_tasks()
    alike = {
        (run.task, *(run.get(setting) for setting in tasks[run.task].settings)): run
        for run in runs
        if run.task in tasks
    }
    answers = [tasks[run.task].constant_answer(run) for run in alike.values()]
    values = {metric: [answer[metric] for answer in answers if metric in answer] for metric in ("loss", "error")}
    return {metric: found[0] for metric, found in values.items() if found and max(found) <= 1.01 * min(found)}
