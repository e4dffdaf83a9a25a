"""Models side by side: antisymmetric wins, the direction of each metric, and what validation measures."""

import numpy as np
import pytest
import torch

from microdesign.core.errors import InputError
from microdesign.learning.evaluation.comparison import Comparison, compare
from microdesign.learning.evaluation.evaluation import evaluate_bundle
from microdesign.learning.evaluation.held_out import HeldOut, reconstruction_excess
from microdesign.learning.evaluation.metrics import MEANING
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import Dataset
from microdesign.model.binarization import binarize
from microdesign.model.bundle import Bundle
from microdesign.model.losses.two_point import excess_cess
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.protocol import decode_labels


@pytest.fixture(scope="module")
def comparison(bundle: Bundle, other_bundle: Bundle, dataset: Dataset) -> Comparison:
    return compare({"a": bundle, "b": other_bundle, "again": bundle}, dataset)


def test_wins_are_shares_of_the_same_images(comparison: Comparison) -> None:
    wins = comparison.wins
    np.testing.assert_allclose(wins + wins.T, 1)
    assert wins[0, 2] == 0.5
    assert wins[0, 1] == pytest.approx((comparison.excess[0] < comparison.excess[1]).mean())
    assert comparison.metrics["a"] == comparison.metrics["again"]


def test_metrics_are_those_of_the_evaluation(comparison: Comparison, other_bundle: Bundle, dataset: Dataset) -> None:
    expected, found = evaluate_bundle(other_bundle, dataset).metrics, comparison.metrics["b"]
    assert found["mape"] == pytest.approx((expected["mape_Ex"] + expected["mape_kx"]) / 2, rel=1e-5)
    assert found["r2"] == pytest.approx((expected["r2_Ex"] + expected["r2_kx"]) / 2, rel=1e-5)
    assert found["excess_cess"] == pytest.approx(expected["reconstruction_excess_cess_median"], rel=1e-4)


def test_worse_means_more_of_an_error_and_less_of_r2() -> None:
    metrics = {"new": {"mape": 0.2, "r2": 0.9}, "old": {"mape": 0.1, "r2": 0.8, "excess_cess": 1.0}}
    comparison = Comparison(metrics, np.ones((2, 3)))
    assert comparison.is_worse("new", "old", "mape")
    assert Comparison({"new": {"mape": np.nan}, "old": {"mape": 0.5}}, comparison.excess).is_worse("new", "old", "mape")
    assert not comparison.is_worse("new", "old", "r2")
    assert comparison.is_worse("old", "new", "r2")
    assert not comparison.is_worse("old", "old", "mape")
    with pytest.raises(InputError, match="The new has no metric 'excess_cess'; expected one of mape, r2"):
        comparison.is_worse("new", "old", "excess_cess")


def test_the_comparison_is_drawn(comparison: Comparison) -> None:
    plain, logarithmic, matrix = comparison.figure().axes
    for histogram, values in ((plain, comparison.excess), (logarithmic, np.log10(comparison.excess))):
        assert len(histogram.get_legend().get_texts()) == 3
        medians = sorted(line.get_xdata()[0] for line in histogram.lines)
        np.testing.assert_allclose(medians, np.sort(np.median(values, axis=1)))
    assert len(matrix.texts) == 9


def test_validation_leaves_the_model_and_the_generator_alone(bundle: Bundle, dataset: Dataset) -> None:
    data = dataset.load("validation")
    held_out = HeldOut(data, bundle.description.standardization, targets=3, draws=2)
    before = {name: tensor.clone() for name, tensor in bundle.model.state_dict().items()}
    state = torch.get_rng_state()
    first, second = (held_out.metrics(bundle.model.train(), MEANING) for _ in range(2))
    assert first == second
    assert set(first) == set(MEANING)
    assert all(np.isfinite(value) for value in first.values())
    assert bundle.model.training
    assert torch.equal(state, torch.get_rng_state())
    for name, tensor in bundle.model.eval().state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_parts_of_a_split_say_what_the_whole_does(bundle: Bundle, dataset: Dataset) -> None:
    """More images than go through at a time."""
    data, surrogate = dataset.load("train").select(slice(0, 70)), LocalSurrogate(bundle)
    z = surrogate.encode(data.labels)[0]
    copies = decode_labels(surrogate, z)
    np.testing.assert_array_equal(copies, binarize(torch.from_numpy(surrogate.decode(z))).numpy())
    indicator = Microstructures(labels=copies, n_phases=data.n_phases).indicator()
    whole = excess_cess(data.indicator(), indicator).numpy()
    np.testing.assert_allclose(reconstruction_excess(surrogate, data), whole, rtol=1e-6)
