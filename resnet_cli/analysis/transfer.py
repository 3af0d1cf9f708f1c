"""Do features transfer? Trained nets learn classes that they have never seen from few examples, beside new nets.

Data Basecamp ("Residual Neural Networks", B6) holds that the features of residual nets can be used for other tasks.
Yosinski et al. 2014, "How transferable are features in deep neural networks?" (arXiv 1411.1792): nets that have learned
some of the classes are fine-tuned on the others.

The runs must have been trained on a part of the classes of their task. Each net gets a new output layer and learns the
remaining classes with all its weights, beside a twin that differs in nothing but where it starts:

    transferred   from the weights of the trained net
    scratch       from the initial values of the run

The new output layer has the initial values of the run in both. The settings are those of the run, but for the number of
steps, and a batch is all examples where they are fewer. Both, and all nets of one seed, plain or residual, learn from
the same batches of the same examples.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from resnet_cli.analysis.append import WITHOUT_WARMUP
from resnet_cli.analysis.layers import weight_layers
from resnet_cli.analysis.trained_nets import StoredNet, table_of
from resnet_cli.figures.transfer import STARTS, ends
from resnet_cli.models import build_net
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.metrics import OUTCOMES
from resnet_cli.settings.run import Run
from resnet_cli.tasks import get_task
from resnet_cli.tasks.settings import CLASSES, TRAIN_SIZE, chosen_classes, classes_text
from resnet_cli.training.data import load_data
from resnet_cli.training.loop import train
from resnet_cli.training.settings import BATCH_SIZE, EPOCHS, EVAL_EVERY, STEPS

EVALUATIONS = 5


def task_of_the_rest(run: Run, examples: int, steps: int) -> Run:
    """A run that learns the classes which `run` has not, from so many training examples a class.

    Raises:
        UserError: the run has learned all classes or all but one, or there are fewer examples.
    """
    if run.get(CLASSES) is None:
        raise UserError(
            f"{run.run_id} was trained on all classes, so none are left to transfer to; train nets on some of them, "
            f"for example with {CLASSES.flag} 0..4."
        )
    task = get_task(run.task)
    rest = sorted(set(range(task.outputs)) - set(chosen_classes(run, task.outputs)))
    if len(rest) < 2:
        raise UserError(
            f"{CLASSES.name} (={run[CLASSES]}) of {run.run_id} leaves {len(rest)} of {task.outputs} classes to "
            "transfer to, but it takes two; train nets on fewer."
        )
    size = examples * len(rest)
    others = run.but({CLASSES: classes_text(rest), TRAIN_SIZE: None})
    available = task.examples(others)[0]
    if size > available:
        raise UserError(
            f"examples (={examples}) of each of {len(rest)} classes are more than the {available} training examples "
            f"that {run.task} has of them; lower it."
        )
    length = {STEPS: steps, EPOCHS: None, EVAL_EVERY: max(steps // EVALUATIONS, 1)}
    return others.but({TRAIN_SIZE: size, BATCH_SIZE: min(run[BATCH_SIZE], size), **length, **WITHOUT_WARMUP})


def transfer(
    stored: StoredNet,
    examples: Iterable[int],
    *,
    steps: int,
    settings: Sequence[str] = (),
    data_dir: Path | None = None,
    device: str = "auto",
) -> pd.DataFrame:
    """Train a net on the classes that it has not learned, from its own weights and from scratch.

    Args:
        stored: the net.
        examples: of each class; for each number the net is trained twice.
        steps: of each training.
        settings: names of settings to have as columns.
        data_dir, device: as for `load_net`.

    Returns:
        One row per evaluation: `run_id`, `task`, `model`, `depth`, `seed` (those of the stored run), `settings`,
        `examples` (of each class), `start` (transferred or scratch), `step`, and losses and errors on the training
        examples and on all test examples of these classes. A training that diverged ends with a loss that is not
        finite.

    Raises:
        UserError: as `task_of_the_rest`, or the data set is missing.
    """
    (*_, output) = weight_layers(stored)
    rows: list[dict[str, Any]] = []
    for number in examples:
        run = task_of_the_rest(stored.run, number, steps)
        data = load_data(run, data_dir, device)
        new = build_net(run, data.input_shape, data.outputs).state_dict()
        begun = stored.net.state_dict() | {name: new[name] for name in new if name.startswith(f"{output.name}.")}
        for start, weights in zip(STARTS, (begun, None), strict=True):
            history = train(run, data, start=weights).history
            rows += [{"examples": number, "start": start, **metrics._asdict()} for metrics in history]
    columns = ["examples", "start", "step", *OUTCOMES]
    return table_of(stored.run, pd.DataFrame(rows)[columns].astype(dict.fromkeys(OUTCOMES, float)), settings)


def summarise(frame: pd.DataFrame, settings: Sequence[str] = ()) -> pd.DataFrame:
    """Test errors (%) after training, by number of examples, combination of settings, depth and model.

    Of what `transfer` returns: `seeds`, the median over them for both starts, and in how many of the pairs the net that
    was `transferred` ends `lower` than its twin from scratch.
    """
    found = ends(frame, "test_error")
    found["lower"] = found["transferred"] < found["scratch"]
    groups = found.groupby(["examples", *settings, "depth", "model"], dropna=False)
    return groups.agg(
        seeds=("seed", "size"),
        transferred=("transferred", "median"),
        scratch=("scratch", "median"),
        lower=("lower", "sum"),
    ).reset_index()
