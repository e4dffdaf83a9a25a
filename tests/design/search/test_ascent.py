"""Steps towards an optimum by the model alone: never worse, within the constraints and the prior."""

import numpy as np

from microdesign.design.search.ascent import ascend
from microdesign.design.search.prediction import predict_target
from microdesign.design.search.sampling import Strata, sample_strata, strata_around
from microdesign.design.target.target import Target
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.protocol import decode_labels
from microdesign.surrogate.wrapped import WrappedSurrogate


def start(surrogate: LocalSurrogate) -> tuple[Strata, np.ndarray, np.ndarray]:
    strata = strata_around(surrogate, [{"Ex": 3.0, "kx": 3.0}], 0, 0.05, 0)
    draws = sample_strata(strata, 8, 0)
    return strata, draws.z, draws.component


def predicted(target: Target, surrogate: LocalSurrogate, z: np.ndarray) -> np.ndarray:
    return predict_target(target, surrogate, decode_labels(surrogate, z))[0]


def test_predictions_get_better_where_the_constraints_are_kept(surrogate: LocalSurrogate) -> None:
    strata, z, component = start(surrogate)
    fractions = decode_labels(surrogate, z).mean((1, 2))
    most = float(np.quantile(fractions, 0.7))
    for sense, sign in (("maximize", 1), ("minimize", -1)):
        asked = {"properties": {"Ex": {sense: True}}, "constraints": {"volume_fraction": [0, most]}}
        target = Target.model_validate(asked)
        moved = ascend(target, surrogate, strata, z, component, 4, 0.999, seed=0)
        gains = sign * (predicted(target, surrogate, moved) - predicted(target, surrogate, z))[:, 0]
        kept = fractions <= most
        assert (gains[kept] >= 0).all(), sense
        assert (gains[kept] > 0).any(), sense
        same = (moved == z).all(1)
        assert (same | target.admits(decode_labels(surrogate, moved))).all(), sense
        assert (same | strata.typical(moved, component, 0.999)).all(), sense
        again = ascend(target, surrogate, strata, z, component, 4, 0.999, seed=0)
        np.testing.assert_array_equal(moved, again)


def test_a_goal_that_is_missed_comes_first(surrogate: LocalSurrogate) -> None:
    strata, z, component = start(surrogate)
    middle = float(np.median(predicted(Target(properties={"Ex": 1.0}), surrogate, z)))
    target = Target.model_validate({"properties": {"Ex": 1.02 * middle, "kx": {"maximize": True}}, "tolerance": 1e-3})
    moved = ascend(target, surrogate, strata, z, component, 4, 0.999, seed=0)
    before, after = (target.errors(predicted(target, surrogate, each)) for each in (z, moved))
    assert np.median(after) < np.median(before)


def test_without_a_jacobian_nothing_moves(surrogate: LocalSurrogate) -> None:
    class Remote(WrappedSurrogate):
        def jacobian(self, z: np.ndarray) -> None:
            return None

    strata, z, component = start(surrogate)
    target = Target.model_validate({"properties": {"Ex": {"maximize": True}}})
    assert ascend(target, Remote(surrogate), strata, z, component, 4, 0.999, seed=0) is z
