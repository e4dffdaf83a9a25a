from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from microdesign.core.metrics import worst_errors
from microdesign.experiments.fidelity.config import FidelityConfig
from microdesign.experiments.fidelity.diversity import components_in_use, distinct_components
from microdesign.experiments.fidelity.figures import figures
from microdesign.experiments.fidelity.measure import Fidelity, measure
from microdesign.experiments.fidelity.measurement import PER_CENT, Measurement
from microdesign.experiments.fidelity.tables import fidelity_table
from microdesign.microstructure.data.dataset import Dataset
from microdesign.model.bundle import Bundle
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.evaluators.table import TableEvaluator
from microdesign.physics.materials import Materials
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.protocol import Draws, Prior

CONFIG = FidelityConfig(targets=4, draws=3, realism_draws=2, recognition_steps=0, two_sample_steps=0)


@pytest.fixture(scope="module")
def evaluator(materials: Materials, bundle: Bundle) -> TableEvaluator:
    return TableEvaluator(FFTEvaluator(), materials, bundle.properties)


@pytest.fixture(scope="module")
def found(bundle: Bundle, dataset: Dataset, evaluator: TableEvaluator) -> Fidelity:
    return measure(LocalSurrogate(bundle), dataset, evaluator, CONFIG)


class Memory(LocalSurrogate):
    """A model that has memorised the data set: it encodes an image as its number and decodes the number."""

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
        return None  # a look-up has no derivatives

    def prior(self, target: dict[str, float]) -> Prior:
        nearest = self.sample(target, 1, seed=0).z
        return Prior(np.ones(1), nearest, np.ones((1, 1)))


def test_a_model_that_has_memorised_the_data_has_no_error(
    bundle: Bundle, dataset: Dataset, evaluator: TableEvaluator
) -> None:
    config = CONFIG.model_copy(update={"averaged": False})  # it has not memorised the turned images
    metrics = measure(Memory(bundle, dataset), dataset, evaluator, config).metrics
    for name in (
        "a_reconstruction",
        "b_best_of_3_by_regressor",
        "b_best_of_3_by_oracle",
        "c_regressor_on_decodes",
    ):
        assert metrics[f"{name}_median"] == pytest.approx(0, abs=1e-3)
    assert metrics["b_first_draw_median"] > metrics["b_best_of_3_by_regressor_median"]
    assert metrics["b_corrected_first_draw_median"] <= metrics["b_first_draw_median"]
    assert metrics["d_excess_CESS_of_reconstruction_median"] == pytest.approx(0, abs=1e-6)
    assert metrics["e_components_in_use_value"] == 1


def test_the_errors_are_those_of_the_solver(
    found: Fidelity, bundle: Bundle, dataset: Dataset, evaluator: TableEvaluator
) -> None:
    surrogate = LocalSurrogate(bundle)
    test = dataset.load("test")
    wanted = np.stack([test.properties[name] for name in surrogate.properties], 1)
    row = next(i for i in range(len(test)) if (test.labels[i] == found.targets[0]).all())
    (values,) = evaluator.evaluate(found.reconstructions[:1])
    error = np.abs(values / wanted[row] - 1).max()
    assert found.reconstruction_error[0] == pytest.approx(error)


def test_the_gap_of_the_discretisations_detects_specks(
    bundle: Bundle, dataset: Dataset, evaluator: TableEvaluator
) -> None:
    # Of a whole checkerboard both discretisations give Voigt's mean; of specks of a pixel they differ.
    specks = np.random.default_rng(0).random((32, 32)).astype(np.float32)

    class Specks(LocalSurrogate):
        def decode(self, z: np.ndarray) -> np.ndarray:
            return np.broadcast_to(specks, (len(z), 1, 32, 32)).copy()

    rows = {row.name: row for row in measure(Specks(bundle), dataset, evaluator, CONFIG).measurements}
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


def test_components_of_equal_morphology_count_once_and_those_out_of_use_do_not() -> None:
    assert distinct_components(Striped(), [{"E": 2.0}, {"E": 0.5}]).tolist() == [2, 1]


def test_the_seed_changes_targets_and_draws(
    found: Fidelity, bundle: Bundle, dataset: Dataset, evaluator: TableEvaluator
) -> None:
    other = measure(LocalSurrogate(bundle), dataset, evaluator, CONFIG.model_copy(update={"seed": 1}))
    assert other.metrics != found.metrics


def test_the_table_has_every_section_in_its_unit(found: Fidelity) -> None:
    assert {row.section for row in found.measurements} == set("abcdefg")
    assert len(fidelity_table(found.measurements).rows) == len(found.measurements)
    # Whatever their names: per cent where the measurement says so, and nowhere else.
    errors, correlation = Measurement("b", "x", median=0.12, unit=PER_CENT), Measurement("d", "error of draw", q90=0.2)
    assert fidelity_table([errors, correlation]).rows == (
        ("b", "x", "%", 12.0, None, None, None),
        ("d", "error of draw", "", None, 0.2, None, None),
    )
    made = figures(found)
    assert set(made) == {"errors", "gallery", "realism", "contact_sheet"}
    styles = {line.get_label(): line.get_linestyle() for line in made["errors"].axes[0].lines}
    assert styles["corrected, best of 3 by oracle"] == "--"
    assert styles["best of 3 by regressor"] == styles["reconstruction"] == "-"
    assert styles["nearest training image"] == ":"


def test_figures_accept_statistics_that_do_not_vary(found: Fidelity) -> None:
    flat = {"percolation": (np.zeros(3), np.zeros(4))}
    assert figures(replace(found, morphology=flat))["realism"].axes


def test_it_is_seeded_and_corrected_draws_are_cached(
    bundle: Bundle,
    dataset: Dataset,
    evaluator: TableEvaluator,
    found: Fidelity,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    surrogate = LocalSurrogate(bundle)
    torch.manual_seed(99)  # not a seed of this experiment
    assert measure(surrogate, dataset, evaluator, CONFIG, cache=tmp_path).measurements == found.measurements
    assert len(list(tmp_path.iterdir())) == CONFIG.targets
    monkeypatch.delattr("microdesign.experiments.fidelity.draws.corrected_sample")
    assert measure(surrogate, dataset, evaluator, CONFIG, cache=tmp_path).measurements == found.measurements


def test_a_component_in_use_has_half_an_equal_share_of_the_draws() -> None:
    assert components_in_use(np.array([[0] * 21 + [1] * 4]), 4) == 2  # two of four give no draws
    assert components_in_use(np.array([[0] * 22 + [1] * 3]), 4) == 1
