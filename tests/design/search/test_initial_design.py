"""The initial design: conditions are corrected where there are goals to correct them towards."""

import numpy as np

from microdesign.design.search.conditioning import conditions
from microdesign.design.search.initial_design import CorrectionEffort, InitialDesign, make_initial_design
from microdesign.design.search.sampling import strata_around
from microdesign.design.search.screening import decode_designs
from microdesign.design.target.target import Target
from microdesign.surrogate.local import LocalSurrogate


def drawn(
    surrogate: LocalSurrogate,
    target: Target,
    corrected: int,
    rounds: int = 3,
    steps: int = 0,
    known_images: np.ndarray | None = None,
) -> InitialDesign:
    strata = strata_around(surrogate, conditions(target, surrogate, None, 2, 0), 1, 0.05, 0)
    effort = CorrectionEffort(corrected, rounds, steps)
    return make_initial_design(target, surrogate, strata, 48, effort, seed=0, known_images=known_images)


def target_beside_a_decode(surrogate: LocalSurrogate) -> Target:
    """Properties that decodes can have by the regressor, and that few draws have."""
    found = decode_designs(surrogate, Target(properties={"Ex": 2.0, "kx": 3.0}), np.full((1, 4), 0.5), np.zeros(1, int))
    return Target(properties=dict(zip(("Ex", "kx"), found.predicted[0].tolist(), strict=True)))


def test_corrected_draws_are_nearer_to_the_target_and_come_first(surrogate: LocalSurrogate) -> None:
    target = target_beside_a_decode(surrogate)
    plain, corrected = drawn(surrogate, target, 0), drawn(surrogate, target, 12)
    assert len(plain.preferred) == len(plain.designs)
    assert len(corrected.preferred) == 12
    assert len(corrected.designs) == len(plain.designs) + 12
    assert len(corrected.points) == len(corrected.designs)
    before = target.errors(drawn(surrogate, target, 12, rounds=0).preferred.predicted)
    after = target.errors(corrected.preferred.predicted)
    assert (after <= before + 1e-9).all()
    assert after.mean() < before.mean()
    further = target.errors(drawn(surrogate, target, 12, steps=3).preferred.predicted)
    assert (further <= after + 1e-9).all()
    assert further.mean() < after.mean()


def test_towards_an_optimum_nothing_is_corrected_and_known_images_come_first(surrogate: LocalSurrogate) -> None:
    target = Target.model_validate({"properties": {"Ex": {"maximize": True}, "kx": {"at_least": 1.0}}})
    starts = (np.random.default_rng(0).random((3, 32, 32)) < 0.5).astype(np.uint8)
    found = drawn(surrogate, target, 12, known_images=starts)
    assert found.preferred is found.designs
    np.testing.assert_allclose(found.designs.z[:3], surrogate.encode(starts)[0])
