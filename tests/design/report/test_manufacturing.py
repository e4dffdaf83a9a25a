"""Outlines that come out differently: closed forms of a laminate, and counts of pixels."""

import numpy as np
import pytest

from microdesign.design.report.manufacturing import ROUGH, along_outlines, grown, manufactured, manufacturing
from microdesign.design.target.target import Target
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.materials import Materials

STRIPES = np.repeat([0, 1], 8)[:, None].repeat(12, axis=1).astype(np.uint8)
DISC = (np.hypot(*np.meshgrid(np.arange(24) - 11.5, np.arange(24) - 11.5)) < 7).astype(np.uint8)


def test_growth_is_periodic_and_shrinking_is_the_other_phase_s() -> None:
    assert grown(STRIPES).mean() == pytest.approx(10 / 16)
    corner = np.zeros((8, 8), np.uint8)
    corner[0, 0] = 1
    assert sorted(zip(*np.nonzero(grown(corner)), strict=True)) == [(0, 0), (0, 1), (0, 7), (1, 0), (7, 0)]
    np.testing.assert_array_equal(grown(DISC.T), grown(DISC).T)
    assert along_outlines(STRIPES).mean() == pytest.approx(4 / 16)


def test_images_as_they_may_come_out() -> None:
    images = manufactured(DISC, seed=0)
    assert images.shape == (3 + ROUGH, 48, 48)
    fine, thicker, thinner = images[:3]
    np.testing.assert_array_equal(fine[::2, ::2], DISC)
    assert (thinner <= fine).all()
    assert (fine <= thicker).all()
    outline = along_outlines(DISC).sum()
    for rough in images[3:]:
        assert (rough != fine).sum() == 4 * max(1, round(0.01 * outline))
    np.testing.assert_array_equal(manufactured(DISC, seed=0), images)


def test_a_laminate(materials: Materials) -> None:
    """Of 16 layers 8 are phase 1; half a pixel on either side makes 9 of them, or 7: kx and ky are in closed form."""
    k = [phase.k for phase in materials.phases]
    target = Target(properties={"kx": 1.5, "ky": 2.0})
    (found,) = manufacturing([STRIPES], target, lambda images: FFTEvaluator().evaluate(images, materials), 0)
    assert found is not None

    def series(f: float) -> float:
        return 1 / (f / k[1] + (1 - f) / k[0])

    def parallel(f: float) -> float:
        return f * k[1] + (1 - f) * k[0]

    for changes, f in ((found.thicker, 9 / 16), (found.thinner, 7 / 16)):
        assert changes["kx"] == pytest.approx(series(f) / series(0.5) - 1, rel=2e-3)
        assert changes["ky"] == pytest.approx(parallel(f) / parallel(0.5) - 1, rel=2e-3)
    assert found.rough["ky"] > 0
    assert found.worst_error >= max(abs(parallel(f) / 2 - 1) for f in (0.5, 7 / 16, 9 / 16)) - 1e-3


def test_nothing_to_make() -> None:
    assert manufacturing([], Target(properties={"kx": 1.0}), lambda images: {}, 0) == []
    target = Target(properties={"kx": 1.0})
    assert manufacturing([DISC], target, lambda images: {"kx": np.full(len(images), np.nan)}, 0) == [None]
