"""A design as it may come out: counts of pixels, and what a thick and a thin laminate make of half a pixel."""

import pickle
from typing import Any

import numpy as np
import pytest

from microdesign.core.errors import EvaluationError, InputError
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.evaluators.manufacturing import (
    ROUGH,
    VARIANTS,
    Manufactured,
    along_outlines,
    by_variant,
    grown,
    manufactured,
    named_variants,
    without_variants,
)
from microdesign.physics.evaluators.protocol import evaluate_each
from microdesign.physics.materials import Materials

DISC = (np.hypot(*np.meshgrid(np.arange(24) - 11.5, np.arange(24) - 11.5)) < 7).astype(np.uint8)
MATERIALS = Materials.model_validate({"phases": [{"k": 1}, {"k": 10}]})


def layers(width: int) -> np.ndarray:
    """Layers of `width` pixels of each phase in turn, 32 x 32."""
    return np.tile(np.repeat([0, 1], width), 16 // width)[:, None].repeat(32, axis=1).astype(np.uint8)


def test_growth_is_periodic_and_shrinking_is_the_other_phase_s() -> None:
    assert grown(layers(8)).mean() == pytest.approx(10 / 16)
    corner = np.zeros((8, 8), np.uint8)
    corner[0, 0] = 1
    assert sorted(zip(*np.nonzero(grown(corner)), strict=True)) == [(0, 0), (0, 1), (0, 7), (1, 0), (7, 0)]
    np.testing.assert_array_equal(grown(DISC.T), grown(DISC).T)
    assert along_outlines(layers(8)).mean() == pytest.approx(4 / 16)


def test_images_as_they_may_come_out() -> None:
    images = manufactured(DISC, seed=0)
    assert images.shape == (len(VARIANTS), 48, 48)
    assert len(VARIANTS) == 3 + ROUGH
    fine, thicker, thinner = images[:3]
    np.testing.assert_array_equal(fine[::2, ::2], DISC)
    assert (thinner <= fine).all()
    assert (fine <= thicker).all()
    outline = along_outlines(DISC).sum()
    for rough in images[3:]:
        assert (rough != fine).sum() == 4 * max(1, round(0.01 * outline))
    np.testing.assert_array_equal(manufactured(DISC, seed=0), images)


def test_a_thick_laminate_is_robust_and_a_thin_one_is_not() -> None:
    """Half a pixel on either side of a layer of w pixels changes its share by 1 / (2 w): ky is linear in it."""
    widths = (2, 4, 8, 16)
    values = Manufactured(FFTEvaluator()).evaluate(np.stack([layers(width) for width in widths]), MATERIALS)
    for place, width in enumerate(widths):
        drawn, thicker, thinner = (values[f"ky ({variant})"][place] for variant in VARIANTS[:3])
        assert values["ky"][place] == drawn == pytest.approx(5.5, rel=1e-3), width
        for value, sign in ((thicker, 1), (thinner, -1)):
            assert value == pytest.approx(5.5 + sign * 9 / (2 * width), rel=1e-3), width
        for variant in VARIANTS[3:]:
            assert abs(values[f"ky ({variant})"][place] - drawn) < thicker - drawn, width


def test_it_describes_itself_as_what_it_evaluates_with() -> None:
    solver = FFTEvaluator(tolerance=1e-3)
    made = Manufactured(solver, seed=1)
    assert made.tolerance == 1e-3
    assert made.given_properties(MATERIALS, 2) == solver.given_properties(MATERIALS, 2)
    assert made.alternative == Manufactured(solver.alternative, seed=1)
    assert len({made.fingerprint, solver.fingerprint, Manufactured(solver).fingerprint}) == 3
    assert pickle.loads(pickle.dumps(made)) == made
    bare = Manufactured(Refuses())
    assert [getattr(bare, name, None) for name in ("tolerance", "alternative", "given_properties")] == [None] * 3


class Refuses:
    """Physics that has no answer where phase 1 is less than a third of the image."""

    fingerprint = "refuses"

    def evaluate(self, images: np.ndarray, materials: Materials) -> dict[str, np.ndarray]:
        if images.mean((1, 2)).min() < 1 / 3:
            raise EvaluationError("too thin")
        return {"phi": images.mean((1, 2))}


def test_a_design_of_which_one_image_fails_has_failed() -> None:
    values = evaluate_each(Manufactured(Refuses()), np.stack([layers(2), layers(8)]), MATERIALS)
    assert values["error"].tolist() == ["thinner: EvaluationError: too thin", ""]
    assert np.isnan(values["phi"]).tolist() == [True, False]
    assert values["phi (thinner)"][1] == pytest.approx(7 / 16)


def test_values_by_variant_and_back() -> None:
    told: dict[str, dict[str, Any]] = {variant: {"Ex": float(i)} for i, variant in enumerate(VARIANTS)}
    named = named_variants(told)
    assert by_variant(named) == told
    assert without_variants({**named, "Ex": 9.0, "phi": 0.5}) == {"Ex": 0.0, "phi": 0.5}
    assert without_variants({"Ex": 9.0}) == {"Ex": 9.0}
    for wrong, message in (({"as drawn": {"Ex": 1.0}}, "'thicker'"), ({**told, "wavy": {}}, "'wavy'")):
        with pytest.raises(InputError, match=message):
            named_variants(wrong)
