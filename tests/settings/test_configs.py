from pathlib import Path

import pytest

from resnet_cli.models import count_parameters, describe_net
from resnet_cli.models.count import count_multiply_adds
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings import configs
from resnet_cli.settings.configs import bundled_configs, describe, find_config
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.request import load_config
from resnet_cli.settings.run import Run

FOLDER = Path(__file__).parents[2] / "configs"


def test_the_folder_configs_is_bundled() -> None:
    assert [config.path for config in bundled_configs().values()] == sorted(FOLDER.iterdir())
    assert {"sine", "digits", "smoke"} <= bundled_configs().keys()


@pytest.mark.parametrize("name", bundled_configs())
def test_a_comment_counts_the_runs_that_are_planned(name: str) -> None:
    config = bundled_configs()[name]
    plan = plan_sweep(load_config(Path(name)))
    assert len(plan.runs) == config.runs
    assert plan.notes == []
    assert any(word in config.cost for word in ("second", "minute", "hour"))
    assert ("needs CIFAR-10" in config.cost) == (plan.task.name == "cifar10")


def test_a_comment_is_read_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        "# Nets. 3 runs; no.\n# Shows: that it\n# works.\n# Draw it with: x\n# 1200 runs; 2.5 minutes.\nseeds = 0\n"
    )
    assert describe(path) == configs.Config(path, "that it works", 1200, "2.5 minutes")


def test_a_comment_without_its_number_of_runs_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("# Shows: nothing.\nseeds = 0\n")
    with pytest.raises(ValueError, match=r"mine\.toml: its first lines must say"):
        describe(path)


def runs_of_one_seed(name: str) -> list[Run]:
    return plan_sweep(load_config(Path(name)) | {"seeds": 0}).runs


def test_enlarged_resnexts_cost_the_same() -> None:
    costs = {
        tuple(run.as_dict()[name] for name in ("depth", "cardinality", "group_width")): count_multiply_adds(
            describe_net(run, (1, 8, 8), 10), (1, 8, 8)
        )
        for run in runs_of_one_seed("cardinality-digits")
    }
    base = costs.pop((20, 4, 3))
    enlarged = [costs.pop(net) for net in ((20, 8, 3), (38, 4, 3), (20, 4, 5))]
    assert list(costs) == [(20, 8, 5)]
    assert max(enlarged) < 1.04 * min(enlarged)
    assert all(1.7 < cost / base < 1.9 for cost in enlarged)


def test_densenets_are_about_as_large_as_the_resnets_beside_them() -> None:
    sizes: dict[str, list[int]] = {}
    for run in runs_of_one_seed("efficiency-digits"):
        sizes.setdefault(run.model, []).append(count_parameters(describe_net(run, (1, 8, 8), 10)))
    resnets = sorted(sizes.pop("resnet"))
    assert resnets[-1] > 10 * resnets[0]
    assert sizes.keys() == {"densenet", "densenet-bc"}
    for densenets in sizes.values():
        shares = [one / other for one, other in zip(sorted(densenets), resnets, strict=True)]
        assert 0.84 <= min(shares) <= max(shares) <= 1.03


def test_a_file_wins_over_a_bundled_configuration() -> None:
    assert find_config(Path("digits")) == FOLDER / "digits.toml"
    Path("digits").mkdir()
    assert find_config(Path("digits")) == FOLDER / "digits.toml"
    Path("digits").rmdir()
    Path("digits").write_text("seeds = 3")
    assert load_config(Path("digits")) == {"seeds": 3}


def test_an_unknown_configuration_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError) as caught:
        load_config(Path("digts"))
    assert str(caught.value).startswith(
        "config (=digts) is not a file, nor a bundled configuration (did you mean digits?); these are analysis-digits, "
    )
    with pytest.raises(UserError, match=r"configs.digits\.toml\) is not a file.*did you mean digits\?"):
        load_config(Path("configs/digits.toml"))
