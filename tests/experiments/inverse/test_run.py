import numpy as np
import pytest

from microdesign.core.metrics import worst_errors
from microdesign.experiments.base.evaluated_draws import conditions_of
from microdesign.experiments.base.ranking import RankedErrors, nearest_errors
from microdesign.experiments.inverse.components import component_errors
from microdesign.experiments.inverse.figures import error_figure, gallery
from microdesign.experiments.inverse.run import direct_draws
from microdesign.experiments.inverse.tables import component_table, inverse_table
from microdesign.microstructure.data.dataset import Dataset
from microdesign.model.bundle import Bundle
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.evaluators.table import TableEvaluator
from microdesign.physics.materials import Materials
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.protocol import decode_labels


@pytest.fixture(scope="module")
def evaluator(materials: Materials) -> TableEvaluator:
    return TableEvaluator(FFTEvaluator(), materials, ("Ex", "kx"))


def test_draws_are_evaluated_by_physics_and_counted(
    bundle: Bundle, dataset: Dataset, evaluator: TableEvaluator
) -> None:
    surrogate, data = LocalSurrogate(bundle), dataset.load("test").select(slice(0, 3))
    targets = data.property_table(surrogate.properties)
    found = direct_draws(surrogate, evaluator, targets, 5, seed=4)
    second = conditions_of(surrogate.properties, targets)[1]
    image = decode_labels(surrogate, surrogate.sample(second, 5, seed=5).z)[3]
    np.testing.assert_array_equal(found.labels[1, 3], image)
    assert found.error[1, 3] == pytest.approx(worst_errors(evaluator.evaluate(image[None]), targets[1:2])[0])
    assert (found.distinct(within=-1) == 0).all()
    assert ((found.distinct() >= 1) & (found.distinct() <= 5)).all()
    errors = {"nearest": (RankedErrors("first", 1, nearest_errors(targets, targets)),), "model": found.ranked}
    nearest, model = inverse_table(errors, {"model": found}).rows
    assert nearest[:4] == ("nearest", 0.0, 0.0, None)
    assert model[1] == pytest.approx(100 * np.median(found.error[:, 0]))
    # Of each model the first draw, and the best of all by either ranking.
    assert len(error_figure(errors).axes[0].lines) == 1 + 3
    assert len(gallery(data.labels, {"model": found}).axes) == 2 * 3


def test_each_component_in_use_is_evaluated(bundle: Bundle, dataset: Dataset, evaluator: TableEvaluator) -> None:
    surrogate = LocalSurrogate(bundle)
    targets = dataset.load("test").property_table(surrogate.properties)[:2]
    found = component_errors("model", surrogate, evaluator, targets, 2, seed=0)
    assert [each.component for each in found] == list(range(4))
    assert sum(each.weight for each in found) == pytest.approx(1)
    prior = surrogate.prior(conditions_of(surrogate.properties, targets)[1])
    noise = np.random.default_rng([0, 2]).standard_normal((2, 2, 4))[1]
    true = worst_errors(evaluator.evaluate(decode_labels(surrogate, prior.mean[2] + prior.std[2] * noise)), targets[1])
    first, _, oracle = found[2].errors
    assert first.values[1] == pytest.approx(true[0], rel=1e-5)
    assert oracle.values[1] == pytest.approx(true.min(), rel=1e-5)
    table = component_table(found)
    assert table.titles[3:] == ("first draw / %", "best of 2 by regressor / %", "best of 2 by oracle / %")
    assert table.rows[2][3] == pytest.approx(100 * np.median(first.values))
