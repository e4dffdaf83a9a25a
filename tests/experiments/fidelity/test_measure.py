from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from microdesign.experiments.base.draws import VerifiedDraws
from microdesign.experiments.base.ranking import worst_errors
from microdesign.experiments.fidelity.measure import (
    Fidelity,
    FidelityConfig,
    Row,
    _diversity_rows,
    distinct_components,
    measure,
)
from microdesign.experiments.fidelity.report import TITLES, figures, table
from microdesign.microstructure.data.dataset import Dataset
from microdesign.model.bundle import Bundle
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.evaluators.table import TableEvaluator
from microdesign.physics.materials import Materials
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.protocol import Draws, Prior

CONFIG = FidelityConfig(targets=4, draws=3, realism_draws=2)


@pytest.fixture(scope="module")
def evaluator(materials: Materials, bundle: Bundle) -> TableEvaluator:
    return TableEvaluator(FFTEvaluator(), materials, bundle.properties)


@pytest.fixture(scope="module")
def found(bundle: Bundle, dataset: Dataset, evaluator: TableEvaluator) -> Fidelity:
    return measure(LocalSurrogate(bundle), dataset, evaluator, CONFIG)


class Copyist(LocalSurrogate):
    """A model that has learnt the data set by heart: it encodes an image as its number and decodes the number."""

    def __init__(self, bundle: Bundle, dataset: Dataset) -> None:
        super().__init__(bundle)
        self.data = dataset.load()
        self.table = np.stack([self.data.properties[name] for name in self.properties], 1)

    def encode(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        same = (labels[:, None] == self.data.labels[None]).all((2, 3))
        return same.argmax(1)[:, None].astype(float), np.zeros((len(labels), 1))

    def decode(self, z: np.ndarray) -> np.ndarray:
        return self.data.labels[z[:, 0].round().astype(int) % len(self.data.labels)][:, None].astype(np.float32)

    def predict(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values = self.table[self.encode(labels)[0][:, 0].astype(int)]
        return values, np.zeros_like(values)

    def sample(self, target: dict[str, float], n: int, seed: int) -> Draws:
        wanted = np.array([target[name] for name in self.properties])
        order = worst_errors(self.table, wanted).argsort()[:n]
        return Draws(order[::-1, None].astype(float), np.zeros(n, int), np.zeros(n))

    def jacobian(self, z: np.ndarray) -> None:
        return None  # a look-up has no slopes

    def prior(self, target: dict[str, float]) -> Prior:
        nearest = self.sample(target, 1, seed=0).z
        return Prior(np.ones(1), nearest, np.ones((1, 1)))


def test_a_model_that_copies_is_faithful(bundle: Bundle, dataset: Dataset, evaluator: TableEvaluator) -> None:
    config = CONFIG.model_copy(update={"averaged": False})  # it has not learnt the turned images
    metrics = measure(Copyist(bundle, dataset), dataset, evaluator, config).metrics
    for name in (
        "a_reconstruction",
        "b_best_of_3_by_regressor",
        "b_best_of_3_by_oracle",
        "c_regressor_on_decodes",
    ):
        assert metrics[f"{name}_median"] == pytest.approx(0, abs=1e-3)
    assert metrics["b_first_draw_median"] > metrics["b_best_of_3_by_regressor_median"]
    assert metrics["b_aimed_first_draw_median"] <= metrics["b_first_draw_median"]
    assert metrics["d_excess_CESS_of_reconstruction_median"] == pytest.approx(0, abs=1e-6)
    assert metrics["e_components_in_use_value"] == 1


def test_the_errors_are_what_physics_says(
    found: Fidelity, bundle: Bundle, dataset: Dataset, evaluator: TableEvaluator
) -> None:
    surrogate = LocalSurrogate(bundle)
    test = dataset.load("test")
    wanted = np.stack([test.properties[name] for name in surrogate.properties], 1)
    row = next(i for i in range(len(test)) if (test.labels[i] == found.targets[0]).all())
    (values,) = evaluator.evaluate(found.reconstructions[:1])
    error = np.abs(values / wanted[row] - 1).max()
    assert found.errors["reconstruction"][0] == pytest.approx(error)


def test_the_gap_of_the_discretisations_finds_specks(
    bundle: Bundle, dataset: Dataset, evaluator: TableEvaluator
) -> None:
    # Of a whole checkerboard both discretisations say the same (Voigt's mean); of specks of a pixel they do not.
    specks = np.random.default_rng(0).random((32, 32)).astype(np.float32)

    class Cheat(LocalSurrogate):
        def decode(self, z: np.ndarray) -> np.ndarray:
            return np.broadcast_to(specks, (len(z), 1, 32, 32)).copy()

    rows = {row.name: row for row in measure(Cheat(bundle), dataset, evaluator, CONFIG).rows}
    assert rows["gap q1 rotated"].median > 3 * rows["gap q1 rotated"].data
    assert rows["corner_contacts, inside"].value == 0


class Striped:
    """Four components: stripes along either axis, the first again but shifted, and one that is hardly used."""

    def prior(self, target: dict[str, float]) -> Prior:
        weights = np.array([0.4, 0.3, 0.25, 0.05]) if target["E"] > 1 else np.array([0.97, 0.01, 0.01, 0.01])
        return Prior(weights, np.arange(4.0)[:, None], np.ones((4, 1)))

    def decode(self, z: np.ndarray) -> np.ndarray:
        stripes = (np.arange(16) // 4 % 2)[:, None].repeat(16, 1)
        images = np.stack([stripes, stripes.T, np.roll(stripes, 3, 0), np.ones_like(stripes)])
        return images[z[:, 0].astype(int), None].astype(np.float32)


def test_components_that_answer_alike_count_once_and_those_out_of_use_not() -> None:
    assert distinct_components(Striped(), [{"E": 2.0}, {"E": 0.5}]).tolist() == [2, 1]


def test_it_is_seeded(found: Fidelity, bundle: Bundle, dataset: Dataset, evaluator: TableEvaluator) -> None:
    torch.manual_seed(99)
    again = measure(LocalSurrogate(bundle), dataset, evaluator, CONFIG)
    assert again.metrics == found.metrics
    other = measure(LocalSurrogate(bundle), dataset, evaluator, CONFIG.model_copy(update={"seed": 1}))
    assert other.metrics != found.metrics


def test_the_table_has_every_figure_and_reads_well(found: Fidelity) -> None:
    assert {row.figure for row in found.rows} == set("abcdefg")
    assert all(len(cells) == len(TITLES) for cells in table(found.rows).rows)
    assert table(found.rows).markdown().count("\n") == len(found.rows) + 2
    assert "12.00 %" in table([Row("b", "first draw", median=0.12)]).markdown()
    assert set(figures(found)) == {"errors", "gallery", "realism"}


def test_figures_stand_statistics_that_do_not_vary(found: Fidelity) -> None:
    flat = {"percolation": (np.zeros(3), np.zeros(4))}
    assert figures(replace(found, morphology=flat))["realism"].axes


def test_aimed_draws_are_made_once(
    bundle: Bundle,
    dataset: Dataset,
    evaluator: TableEvaluator,
    found: Fidelity,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    surrogate = LocalSurrogate(bundle)
    assert measure(surrogate, dataset, evaluator, CONFIG, kept=tmp_path).rows == found.rows
    assert len(list(tmp_path.iterdir())) == CONFIG.targets
    monkeypatch.delattr("microdesign.experiments.fidelity.measure.aimed_sample")
    assert measure(surrogate, dataset, evaluator, CONFIG, kept=tmp_path).rows == found.rows


def test_a_component_in_use_has_half_an_equal_share_of_the_draws() -> None:
    component = np.array([[0] * 21 + [1] * 4])  # of four components, and two draw nothing
    labels = np.zeros((1, 25, 4, 4), np.uint8)
    zeros = np.zeros((1, 25))
    (row, *_) = _diversity_rows(VerifiedDraws(labels, component, zeros, zeros, zeros), 4)
    assert (row.name, row.value) == ("components in use", 2)
