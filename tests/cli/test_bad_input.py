"""What a person can do wrong gives one sentence on stderr, exit code 2, and nothing on disk."""

import json
import sys
from pathlib import Path

import pytest
import torch

from tests.cli.conftest import Command, Train

SWEEP = ("sweep", "--out", "results")
TINY_SWEEP = (*SWEEP, "--steps", 4, "--eval-every", 2, "--depths", "2,3", "--seeds", 0, "--jobs", 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--depths 40..2", "depths (=40..2) runs backwards; write 2..40."),
        ("--depths 2..", "depths (=2..) is not a list of whole numbers and ranges"),
        ("--depths 0", "depths (=0) contains 0; each number must lie between 1 and 10,000."),
        ("--depths abc", "depths (=abc) is not a list of whole numbers and ranges"),
        ("--depths 1..10000000", "depths (=1..10000000) contains 10000000; each number must lie between 1 and 10,000."),
        (
            "--task digits --depths 9",
            "plain-cnn has no depth 9; its depths are 6n+2 from 8 on, the nearest are 8 and 14",
        ),
        ("--task digits --depths 9..13", "plain-cnn has no depth in 9..13"),
        (
            "--task cosine",
            "task (=cosine) is not known (did you mean sine?); known are cifar10, cifar100, digits,",
        ),
        ("--models resnett", "model (=resnett) is not known (did you mean resnet?); known are"),
        ("--models resnet", "models (=resnet) cannot learn sine; models that can are "),
        ("--set epoch=5", "key of --set (=epoch) is not known (did you mean epochs?); known are"),
        ("--set epochs", "set (=epochs) must have the form key=value"),
        ("--colour red", "No such option: --colour"),
        ("--optimizer adagrad", "optimizer (=adagrad) must be 'sgd', 'momentum', "),
        ("--task digits --models plain --block-size 3", "block_size (=3) is not a setting of plain-cnn"),
        ("--task digits --growth-rate 3", "growth_rate (=3) is not a setting of plain-cnn and resnet; "),
        ("--task digits --ordering (e)", "ordering (=(e)) must be 'original', 'norm-after-addition', "),
        ("--task digits --set ordering=", "ordering (=) is empty"),
        ("--survival", "Option '--survival' requires an argument; see --help."),
        ("--growth-rate", "option --growth-rate needs a value."),
        ("--growth-rate --quiet", "option --growth-rate needs a value."),
        ("--survival=0", "survival (=0) must be greater than 0."),
        ("survival", "argument (=survival) is not expected here"),
        ("--shortcut B", "shortcut (=B) is not a setting of plain-mlp and residual-mlp"),
        ("--task digits --noise 0.1", "noise (=0.1) is not a setting of digits but of sine"),
        ("--momentum 0.5", "momentum (=0.5) has no effect; it needs optimizer momentum or nesterov."),
        ("--learning-rate=-0.1", "learning_rate (=-0.1) must be greater than 0."),
        ("--learning-rate nan", "learning_rate (=nan) must be a finite number."),
        ("--learning-rate inf", "learning_rate (=inf) must be a finite number."),
        ("--dropout 1", "dropout (=1) must be less than 1."),
        ("--width 1.5", "width (=1.5) must be a valid integer."),
        ("--batch-norm maybe", "batch_norm (=maybe) must be a valid boolean."),
        ("--schedule steps --milestones 3", "milestones (=3) must be fractions joined by /, such as 0.5/0.75."),
        ("--epochs 3 --steps 5", "epochs (=3) and steps (=5) both give the length; choose one."),
        ("--batch-size 2000", "batch_size (=2000) must not exceed the training set, which has 1000 examples."),
        ("--seeds -1", "seeds (=-1) is not a list"),
        ("--init=", "init (=) is empty"),
        ("--optimizer nesterov --momentum 0", "plain-mlp at depth 2: nesterov needs a momentum above 0."),
        ("--out=", "out (=) must be the path of a results folder."),
        ("--engine fast", "engine (=fast) is not known; known are auto, loop, stacked."),
        ("--engine stacked --dropout 0.1", "engine (=stacked) cannot train plain-mlp_d040_s0_"),
        ("--device tpu", "device (=tpu) must be auto, cpu, cuda, cuda:N or mps."),
        ("--shard 0/4", "shard (=0/4) must be a number and how many there are, such as 3/16, with numbers from 1 to"),
        ("--shard 5/4", "shard (=5/4) must be a number and how many there are"),
        ("--shard a/b", "shard (=a/b) must be a number and how many there are"),
        ("--max-hours 0", "max-hours (=0.0) must be a number of hours above 0, such as 3.5."),
        ("--max-hours nan", "max-hours (=nan) must be a number of hours above 0, such as 3.5."),
        ("--threads 1,2", "threads (=1,2) takes one value, not a list."),
        ("--task cifar10 --data-dir nowhere", "CIFAR-10 is not in nowhere"),
    ],
)
def test_wrong_flags(command: Command, arguments: str, message: str) -> None:
    answer = command(*SWEEP, *arguments.split())
    assert answer.code == 2
    assert message in answer.err
    assert answer.err.startswith("resnet-exp: ")
    assert answer.err.count("\n") == 1
    assert answer.out == ""
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"task = sine", "config (=bad.toml) is not valid TOML: Invalid value (at line 1"),
        (b"steps = 5\nsteps = 6\n", "(at line 2"),
        (b"learning_rat = 0.1", "key in bad.toml (=learning_rat) is not known (did you mean learning_rate?)"),
        (b"[sine]\nsteps = 5", "key in bad.toml (=sine) is not known"),
        (b"learning_rate = [0.1, -1]", "learning_rate (=-1) must be greater than 0."),
        (b"learning_rate = inf", "learning_rate (=inf) must be a finite number."),
        (b"width = true", "width (=True) must be a number."),
        (b"depths = []", "depths is an empty list; write it like 2..40 or 8,20,56."),
        (b"depths = 2.5", "depths (=2.5) must be text like 2..40"),
        (b"models = [['plain']]", "models (=['plain']) must be a value or a flat list of values."),
        (b"override = 3", "key in bad.toml (=override) must be tables, each under a heading [[override]]."),
        (b"[[override]]\ndepth = 3", "key in bad.toml (=depth) is not known (did you mean depths?)"),
        (b"\xff\xfe", "config (=bad.toml) is not text in UTF-8"),
    ],
)
def test_wrong_config(command: Command, content: bytes, message: str) -> None:
    Path("bad.toml").write_bytes(content)
    answer = command(*SWEEP, "--config", "bad.toml")
    assert answer.code == 2
    assert message in answer.err
    assert answer.err.count("\n") == 1
    assert not Path("results").exists()


def test_an_output_folder_must_be_a_path(command: Command) -> None:
    Path("bad.toml").write_text("out = 5\n")
    answer = command("sweep", "--config", "bad.toml")
    assert (answer.code, answer.err) == (2, "resnet-exp: out (=5) must be the path of a results folder.\n")


def test_a_missing_config_is_named(command: Command) -> None:
    assert command(*SWEEP, "--config", "no.toml").err.startswith("resnet-exp: config (=no.toml) is not a file, nor a ")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_without_a_gpu_is_rejected(command: Command) -> None:
    answer = command(*SWEEP, "--device", "cuda")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "this machine has no CUDA device" in answer.err


def test_a_corrupt_data_set_is_rejected_naming_its_file(command: Command) -> None:
    folder = Path("cifar-10-batches-bin")
    folder.mkdir()
    for name in [f"data_batch_{number}.bin" for number in range(1, 6)] + ["test_batch.bin"]:
        (folder / name).write_bytes(b"\x00" * 100)
    answer = command(*SWEEP, "--task", "cifar10", "--data-dir", ".")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "data_batch_1.bin" in answer.err


def test_an_output_folder_that_cannot_be_written(command: Command) -> None:
    Path("file").write_text("")
    answer = command("sweep", "--smoke", "--out", "file/results")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "out (=file/results-smoke) cannot be written: Not a directory" in answer.err


@pytest.mark.parametrize("blocked", ["results/runs", "results/sweep.toml", "results/summary.csv"])
def test_files_and_folders_in_each_others_place_are_named(command: Command, blocked: str) -> None:
    place = Path(blocked)
    if place.suffix:
        place.mkdir(parents=True)
    else:
        place.parent.mkdir()
        place.write_text("")
    answer = command(*TINY_SWEEP)
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert blocked in answer.err


def test_an_override_that_applies_to_no_run_is_named(command: Command) -> None:
    Path("config.toml").write_text('depths = "2..3"\n[[override]]\ndepths = 50\nwidth = 3\n')
    answer = command("sweep", "--config", "config.toml", "--smoke", "--jobs", 1)
    assert "The override depths = 50, width = 3 applies to no run of this sweep." in answer.out


def test_a_folder_from_a_newer_version(command: Command) -> None:
    Path("results").mkdir()
    Path("results", "sweep.toml").write_text("format = 3\n")
    for arguments in (TINY_SWEEP, ("show", "results"), ("plot", "results")):
        answer = command(*arguments)
        assert (answer.code, answer.err.count("\n")) == (2, 1)
        assert "results/sweep.toml has format version 3, newer than the 2" in answer.err


@pytest.mark.parametrize("reader", [("show",), ("show", "--json"), ("plot", "--format", "png")])
def test_a_truncated_csv_is_named_and_the_rest_is_used(command: Command, train: Train, reader: tuple[str, ...]) -> None:
    train(*TINY_SWEEP[1:])
    cut = sorted(Path("results").glob("runs/*/metrics.csv"))[0]
    cut.write_bytes(cut.read_bytes()[:-20])
    answer = command(*reader, "results")
    assert answer.code == 2
    assert answer.err == f"resnet-exp: {cut} is left out: it is cut off or was changed after it was written.\n"
    assert answer.out
    if reader == ("show", "--json"):
        assert len(json.loads(answer.out)) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("show missing", "missing is not a folder"),
        ("plot empty", "empty holds no results"),
        ("plot results --metric accuracy", "metric (=accuracy) must be loss, error, epoch, step"),
        ("plot results --metric error", "metric (=error) does not exist below results, a regression task has no error"),
        ("plot results --splits both", "splits (=both) must be train or test, or both joined by a comma."),
        ("plot results --x time", "x (=time) must be step or epoch, or for maps a setting of the runs."),
        ("plot results --scale cubic", "scale (=cubic) must be one of auto, log, linear."),
        ("plot results --format gif", "format (=gif) must be png, svg or pdf, or several of them joined by commas."),
        ("plot results --size big", "size (=big) must be width x height in inches"),
        ("plot results --size 0x3", "size (=0x3) must lie between 1 and 100 inches each way."),
        ("plot results --dpi 5", "Invalid value for '--dpi'"),
        ("show results --json --csv", "exclude each other"),
        ("run --depths 2..4 --task sine", "run trains one net, and these settings name 3"),
        ("data fetch mnist", "(=mnist) is not known; known are cifar10, cifar100."),
        ("nonsense", "No such command 'nonsense'; see --help."),
        ("anaylze", "No such command 'anaylze'. Did you mean 'analyze'? See --help."),
    ],
)
def test_wrong_use_of_other_commands_is_explained(command: Command, arguments: str, message: str) -> None:
    Path("empty").mkdir()
    Path("results").mkdir()
    if arguments.startswith(("plot results --metric", "plot results --x")):
        assert command(*TINY_SWEEP).code == 0
    answer = command(*arguments.split())
    assert answer.code == 2
    assert message in answer.err
    assert answer.err.count("\n") == 1


def test_a_config_of_somebody_in_the_results_folder_is_kept(command: Command) -> None:
    written = '# my plan\ntask = "sine"\nmodels = "plain"\ndepths = "2,3"\nsteps = 2\neval_every = 2\nout = "."\n'
    Path("sweep.toml").write_text(written)
    Path(".tmp-editor").write_text("mine")
    answer = command("sweep", "--config", "sweep.toml", "--fresh")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert (
        "sweep.toml was written or commented by hand, and results in out (=.) would replace it; rename it" in answer.err
    )
    assert Path("sweep.toml").read_text() == written
    assert sorted(path.name for path in Path().iterdir()) == [".tmp-editor", "sweep.toml"]


SMOKE = ("sweep", "--smoke", "--models", "plain", "--depths", 2, "--jobs", 1, "--quiet")


@pytest.mark.parametrize(
    ("out", "beside"),
    [(".", "inner-smoke"), ("..", "../outer-smoke"), ("a/..", "inner-smoke"), ("a/.", "inner/a-smoke")],
)
def test_smoke_runs_go_beside_the_folder_that_out_means(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, beside: str
) -> None:
    inner = tmp_path / "outer" / "inner"
    (inner / "a").mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert command(*SMOKE, "--out", out).code == 0
    assert [path.parent for path in tmp_path.rglob("sweep.toml")] == [(inner.parent / beside).resolve()]


def test_smoke_runs_of_a_results_folder_go_beside_it(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert command(*TINY_SWEEP[:1], "--out", ".", *TINY_SWEEP[3:]).code == 0
    before = Path("sweep.toml").read_text()
    assert command("sweep", "--smoke", "--config", "sweep.toml", "--jobs", 1).code == 0
    assert (tmp_path / "mine-smoke" / "sweep.toml").exists()
    assert Path("sweep.toml").read_text() == before


def test_smoke_runs_cannot_be_beside_the_root(command: Command) -> None:
    answer = command(*SMOKE, "--out", "/")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert (
        f"out (={Path('/')}) has no folder beside it, where the runs of --smoke would go; choose another" in answer.err
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("--batch-norm true --batch-size 1", "ValueError: Expected more than 1 value per channel when training"),
        ("--width 10000000", "RuntimeError: "),
        ("--models highway-mlp --gate-bias 1e39", "RuntimeError: value cannot be converted to type float"),
    ],
)
def test_a_dry_run_says_that_a_net_cannot_be_trained(command: Command, arguments: str, reason: str) -> None:
    answer = command(*SWEEP, "--dry-run", "--depths", 3, "--seeds", 0, *arguments.split())
    assert (answer.code, answer.err) == (0, "")
    assert f" cannot be trained: {reason}" in answer.out


@pytest.mark.parametrize("in_config", [False, True])
def test_the_home_folder_is_meant_by_its_sign(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_config: bool
) -> None:
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    Path("my.toml").write_text('out = "~/x"\n')
    place = ("--config", "my.toml") if in_config else ("--out=~/x",)
    assert command(*SMOKE, *place).code == 0
    assert (tmp_path / "x-smoke" / "sweep.toml").exists()
    assert not Path("~").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rules for the folders of others")
def test_a_home_folder_that_does_not_exist_is_an_error(command: Command) -> None:
    answer = command(*SMOKE, "--out=~nobody-of-this-name/x")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "out (=~nobody-of-this-name/x) names a home folder that does not exist" in answer.err
    answer = command("data", "check", "--data-dir=~nobody-of-this-name/x")
    assert (answer.code, answer.err) == (
        2,
        "resnet-exp: data_dir (=~nobody-of-this-name/x) names a home folder that does not exist; give its full path.\n",
    )


@pytest.mark.slow
def test_every_option_of_a_path_takes_the_home_folder(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    assert command(*SMOKE, "--out=x").code == 0
    (tmp_path / "my.toml").write_text('task = "sine"\ndepths = 2\n')
    for arguments in (
        ("pack", "x-smoke", "--out=~/packed"),
        ("unpack", tmp_path / "packed", "--out=~/unpacked"),
        ("plot", "x-smoke", "--kind", "curves", "--format", "png", "--out=~/figures"),
        ("analyze", "convergence", "x-smoke", "--format", "png", "--out=~/analysis"),
        ("models", "resnet", "--draw=~/block.svg"),
        ("sweep", "--config=~/my.toml", "--dry-run"),
    ):
        assert command(*arguments).code == 0, arguments
    assert {"packed", "unpacked", "figures", "analysis", "block.svg"} <= {path.name for path in tmp_path.iterdir()}
    assert not Path("~").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell too long a path from a missing one")
def test_too_long_an_output_folder_is_called_too_long(command: Command) -> None:
    answer = command(*SMOKE, "--out", "x" * 300)
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "is too long a path; choose a shorter one." in answer.err


def test_a_net_of_impossible_size_is_an_error_before_training(command: Command) -> None:
    settings = ("--task", "digits", "--models", "resnet", "--depths", 20, "--seeds", 0, "--width", 10**9)
    answer = command("sweep", "--dry-run", *settings)
    assert (answer.code, answer.err) == (
        2,
        "resnet-exp: resnet at depth 20 has a tensor of over 2⁶³ bytes; make it smaller.\n",
    )
