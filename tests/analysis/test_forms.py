"""Forms: that equal nets agree up to rounding, and that a difference would be seen."""

import pandas as pd
import pytest
import torch

from resnet_cli.analysis import forms
from resnet_cli.analysis.forms import compare_forms, everything_computed, make_runs, random_weights, summarise
from resnet_cli.settings.errors import UserError
from resnet_cli.training.data import load_data


def test_every_depth_cardinality_seed_and_precision_has_a_run() -> None:
    runs = make_runs([11, 20], [1, 3], [5, 6])
    assert {(run.depth, run["cardinality"], run.seed, run["precision"]) for run in runs} == {
        (depth, cardinality, seed, precision)
        for depth in (11, 20)
        for cardinality in (1, 3)
        for seed in (5, 6)
        for precision in ("float32", "float64")
    }
    with pytest.raises(UserError, match=r"9n\+2"):
        make_runs([12], [1], [0])


def test_all_forms_agree_up_to_rounding() -> None:
    single, double = (compare_forms(run, "cpu") for run in make_runs([11], [4], [0]))
    for frame, bits, least, most in ((single, 32, 1e-8, 1e-3), (double, 64, 1e-17, 1e-11)):
        assert frame[["form_first", "form_second"]].to_numpy().tolist() == [["a", "b"], ["a", "c"], ["b", "c"]]
        assert set(frame["bits"]) == {bits}
        assert frame[["outputs", "gradients"]].to_numpy().max() < most
        assert frame[["outputs", "gradients"]].to_numpy().max() > least


def test_a_net_with_another_weight_differs_by_far_more(monkeypatch: pytest.MonkeyPatch) -> None:
    (run,) = (run for run in make_runs([11], [2], [0]) if run["precision"] == "float64")

    def changed(run, weights, data):  # type: ignore[no-untyped-def]
        if run["form"] == "b":
            weights = weights | {"blocks.0.conv3.weight": weights["blocks.0.conv3.weight"].flip(1)}
        return everything_computed(run, weights, data)

    monkeypatch.setattr(forms, "everything_computed", changed)
    frame = compare_forms(run, "cpu")
    assert frame[["form_first", "form_second"]].to_numpy().tolist() == [["a", "b"], ["a", "c"], ["b", "c"]]
    assert (frame["outputs"] > 0.01).tolist() == [True, False, True]
    assert (frame["gradients"] > 0.01).tolist() == [True, False, True]


def test_norms_are_not_the_identity_and_all_weights_have_gradients() -> None:
    run = make_runs([11], [2], [3])[0]
    data = load_data(run, None, "cpu")
    weights = random_weights(run, data)
    assert weights["norm.weight"].std() > 0.1
    assert weights["norm.bias"].std() > 0.1
    found = everything_computed(run, weights, data)
    assert [len(found["outputs"]), len(found["outputs"][0])] == [2, 16]
    training, evaluation = found["outputs"]
    assert not torch.allclose(training, evaluation)  # in training mode, norms use the statistics of the batch
    assert all(gradient.abs().max() > 0 for gradient in found["gradients"])


def test_the_summary_has_the_greatest_differences() -> None:
    rows = [(11, 64, "a", "b", 1e-15, 3e-14), (20, 64, "a", "b", 2e-15, 1e-14), (11, 32, "a", "b", 1e-6, 1e-5)]
    frame = pd.DataFrame(rows, columns=["depth", "bits", "form_first", "form_second", "outputs", "gradients"])
    found = summarise(frame)
    assert found.to_numpy().tolist() == [[32, "a", "b", 1, 1e-6, 1e-5], [64, "a", "b", 2, 2e-15, 3e-14]]
    assert list(found) == ["bits", "form_first", "form_second", "nets", "outputs", "gradients"]
