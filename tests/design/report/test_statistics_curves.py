"""Curves of designs and of training images: closed forms of stripes, and the images that they are of."""

import numpy as np

from microdesign.design.report.statistics_curves import chord_curves, summarize_population, two_point_curves
from microdesign.design.target.target import Target
from microdesign.microstructure.data.container import Microstructures

STRIPES = np.tile((np.arange(16) % 4 < 2).astype(np.uint8)[:, None], (1, 16))


def test_stripes() -> None:
    chords = chord_curves(np.stack([STRIPES, np.zeros_like(STRIPES)]))
    np.testing.assert_array_equal(chords[0], [0.0, 0.0, *[1.0] * 15])  # across them all chords are of 2 pixels
    assert np.isnan(chords[1]).all()
    curve = two_point_curves(STRIPES[None])[0]
    assert curve.shape == (9,)
    assert curve[0] == 1
    # Of the 8 neighbours up to a diagonal away 2 are along the stripes, where the autocovariance is 1, the rest at 0.
    np.testing.assert_allclose(curve[1], 2 / 8, atol=1e-6)


def test_without_a_seam_the_curve_is_that_of_the_inside() -> None:
    image = (np.random.default_rng(0).random((1, 96, 96)) < 0.3).astype(np.uint8)
    inside, repeated = two_point_curves(image, periodic=False)[0], two_point_curves(image)[0]
    assert inside.shape == repeated.shape
    np.testing.assert_allclose(inside[0], 1, atol=1e-5)
    np.testing.assert_allclose(inside[1:20], 0, atol=0.03)  # pixels are independent
    assert np.abs(inside - repeated).max() < 0.05


def test_the_population_is_of_like_volume_fraction() -> None:
    stream = np.random.default_rng(0)
    fractions = np.linspace(0.1, 0.9, 200)
    labels = (stream.random((200, 16, 16)) < fractions[:, None, None]).astype(np.uint8)
    data = Microstructures(labels=labels, n_phases=2, properties={"Ex": fractions, "kx": 2 * fractions})
    target = Target(properties={"Ex": 0.3, "kx/Ex": 2.0, "Gxy": 1.0})
    found = summarize_population(data, True, target, [labels[100], labels[101]])
    assert 60 <= found.alike <= 120
    assert set(found.values) == {"volume fraction", "Ex", "kx/Ex"}  # Gxy they have not
    np.testing.assert_allclose(found.values["kx/Ex"], 2)
    assert len(found.values["Ex"]) == 200
    half = chord_curves(labels[[100]])[0]
    low, high = np.array(found.chords.low, float), np.array(found.chords.high, float)
    assert (low <= high).all()
    assert np.mean((half >= low) & (half <= high)) > 0.5
    assert set(summarize_population(data, False, target, []).values) == {"volume fraction"}
