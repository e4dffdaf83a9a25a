"""Surfaces and outlines: closed, the same on opposite faces, and of the phase's volume."""

import numpy as np
import pytest

from microdesign.export.surface import enclosed_volume, outlines, surface
from tests.cases import case
from tests.export.decks import is_closed

SPACING = (1.0, 1.5, 0.5)


def blobs(size: int = 16, seed: int = 0) -> np.ndarray:
    """A smooth periodic structure that goes through all faces."""
    x = np.indices((size, size, size)) * 2 * np.pi / size
    return (np.cos(x[0]) + np.cos(x[1]) + np.cos(x[2]) + 0.3 * np.cos(x[0] + x[1] + seed)) > 0.2


def test_surfaces_are_closed_and_keep_the_volume() -> None:
    noise = np.random.default_rng(0).integers(0, 3, (7, 6, 5))
    box = np.ones((3, 4, 5), bool)
    for name, phase, smooth, within in [
        ("blobs", blobs(), None, 0.01),
        ("blobs, much smoothed", blobs(), 1.5, 0.01),
        ("their complement", ~blobs(), None, 0.01),
        ("steps", blobs(), 0.0, 0.01),
        ("noise", noise == 1, None, 0.3),
        ("noise, in steps", noise == 2, 0.0, 0.3),
        ("everything", box, None, 1e-9),
        ("a plate", blobs()[:, :, :1], None, 0.02),
    ]:
        for periodic in (True, False):
            with case(name=name, periodic=periodic):
                points, triangles = surface(phase, SPACING, periodic, smooth)
                assert is_closed(triangles)
                volume = enclosed_volume(points, triangles)
                assert volume == pytest.approx(phase.sum() * np.prod(SPACING), rel=within)
                assert points.min(0).min() >= 0
                assert (points.max(0) <= np.array(phase.shape) * SPACING + 1e-12).all()


def test_what_leaves_through_a_face_comes_in_through_the_opposite_one() -> None:
    phase = np.roll(blobs(), (3, 5, 2), axis=(0, 1, 2))
    points, _ = surface(phase, SPACING, periodic=True)
    for axis, length in enumerate(np.array(phase.shape) * SPACING):
        near, far = (points[points[:, axis] == place] for place in (0.0, length))
        others = [other for other in range(3) if other != axis]
        assert len(near) > 20
        np.testing.assert_allclose(
            np.unique(near[:, others].round(6), axis=0), np.unique(far[:, others].round(6), axis=0)
        )


def test_two_phases_share_their_surface() -> None:
    both = []
    for phase in (blobs(), ~blobs()):
        points, _ = surface(phase, SPACING, periodic=True)
        lengths = np.array(phase.shape) * SPACING
        both.append(points[((points > 0) & (points < lengths)).all(1)])
    assert len(both[0]) == pytest.approx(len(both[1]), rel=0.02)
    distances = np.sqrt(((both[0][:, None] - both[1][None]) ** 2).sum(-1)).min(1)
    assert np.median(distances) < 0.05  # of a voxel: the level of each is that of its own volume


def test_outlines_are_those_of_a_disc_with_a_hole() -> None:
    distance = np.hypot(*(np.indices((60, 60)) - 29.5)) * 0.1
    ring = (distance < 2.5) & (distance > 1.0)
    lines = outlines(ring, (0.1, 0.1), periodic=True)
    assert sorted(len(line) > 40 for line in lines) == [True, True]
    for line, radius in zip(sorted(lines, key=len), (1.0, 2.5), strict=True):
        np.testing.assert_allclose(np.hypot(*(line - 3.0).T), radius, atol=0.06)
    assert np.prod([np.sign(area(line)) for line in lines]) < 0  # the hole runs the other way


def test_outlines_end_at_the_edges_of_the_image() -> None:
    stripes = np.arange(8)[:, None].repeat(6, 1) < 3
    (line,) = outlines(stripes, (2.0, 1.0), periodic=True)
    assert abs(area(line)) == pytest.approx(36, rel=0.02)
    assert line[:, 1].min() == 0
    assert line[:, 1].max() == 6


def area(line: np.ndarray) -> float:
    x, y = line.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)
