"""Smoothed variants of images: fractions, straight layers, and what the constraints leave of them."""

import numpy as np

from microdesign.design.search.smoothing import smoothed, smoothed_designs
from microdesign.design.target.target import Target
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.materials import Materials
from microdesign.surrogate.local import LocalSurrogate

STREAM = np.random.default_rng(0)
DEPTH = np.arange(32)[:, None] + STREAM.integers(-3, 4, 32)[None]
ROUGH = ((DEPTH > 7) & (DEPTH < 23)).astype(np.uint8)  # one layer whose outlines are rough
"""Uint8 `(32, 32)`."""


def test_variants_have_the_fractions_that_are_asked_and_differ() -> None:
    variants = smoothed(ROUGH, [0.4, 0.5])
    assert set(variants.sum((1, 2)).tolist()) == {int(0.4 * 1024), 512}
    assert len({each.tobytes() for each in (ROUGH, *variants)}) == len(variants) + 1
    np.testing.assert_array_equal(smoothed(ROUGH, [0.4, 0.5]), variants)
    turned = smoothed(ROUGH.T, [0.5])
    fractions = {each.mean() for each in turned}
    assert fractions == {0.5}


def test_a_rough_layer_becomes_the_laminate_which_is_the_bound(materials: Materials) -> None:
    """kx/ky across layers of half the image: series over parallel, 1 / 3.025 at contrast 10."""
    fraction = float(ROUGH.mean())
    values = FFTEvaluator().evaluate(np.concatenate([ROUGH[None], smoothed(ROUGH, [0.5, fraction])]), materials)
    ratio = values["ky"] / values["kx"]
    assert ratio[0] < 2.8
    assert abs(ratio[1:].max() / 3.025 - 1) < 1e-3


def test_designs_keep_the_constraints_and_say_where_they_are_from(surrogate: LocalSurrogate) -> None:
    fraction = float(ROUGH.mean())
    asked = {"properties": {"Ex": {"maximize": True}}, "constraints": {"volume_fraction": [0, fraction]}}
    target = Target.model_validate(asked)
    designs = smoothed_designs(surrogate, target, np.stack([ROUGH, ROUGH.T]), 1, ["a", "b"])
    assert len(designs) == len(designs.z) == len(designs.parent)
    assert set(designs.parent) == {"a", "b"}
    assert (designs.component == 1).all()
    assert (designs.labels.mean((1, 2)) <= fraction).all()
    assert len({each.tobytes() for each in designs.labels}) == len(designs)
    np.testing.assert_allclose(designs.z, surrogate.encode(designs.labels)[0])
    none = Target.model_validate({**asked, "constraints": {"percolates": {1: {"x": True, "y": True}, 0: {"x": True}}}})
    assert len(smoothed_designs(surrogate, none, ROUGH[None], 0, ["a"])) == 0
