"""Particles and bricks: their shapes, where they stand, and the volume fractions that they meet."""

import json
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from microdesign.microstructure.generators.particles import ellipse, voronoi_cells
from microdesign.microstructure.generators.registry import generate

PARTICLES = (
    "AngEllipse",
    "RandomEllipse",
    "VoidSmall",
    "VoidSmallBig",
    "VoronoiLarge",
    "VoronoiMedium",
    "VoronoiSmall",
)


def drawn(family: str, count: int, size: int) -> list[tuple[np.ndarray, dict[str, Any]]]:
    batch = generate(family, count, (size, size))
    return list(zip(batch.labels, map(json.loads, batch.generation), strict=True))


def single_areas(image: np.ndarray) -> np.ndarray:
    """Areas in pixels of the regions that touch no edge of the image."""
    labels, _ = ndimage.label(image)
    edges = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return np.array([np.sum(labels == n) for n in np.unique(labels) if n and n not in edges])


def test_discs_are_digital_discs_that_do_not_touch() -> None:
    for image, parameters in drawn("VoidSmall", 8, 256):
        assert image.sum() == 81 * parameters["particles"]
        assert set(single_areas(image)) <= {81}  # as every disc of MICRO2D's class


def test_discs_of_two_sizes() -> None:
    areas = np.concatenate([single_areas(image) for image, _ in drawn("VoidSmallBig", 8, 256)])
    assert {81, 197} <= set(areas)
    assert np.isin(areas, (81, 197)).mean() > 0.5


def test_ellipses_have_their_axes_and_lie_along_their_angle() -> None:
    for angle in np.linspace(0, np.pi, 7):
        x, y = ellipse(10.0, 3.0, angle).T
        assert len(x) == pytest.approx(np.pi * 30, rel=0.06)
        off = np.arctan2(2 * (x * y).sum(), (x**2 - y**2).sum()) / 2 - angle
        assert abs((off + np.pi / 2) % np.pi - np.pi / 2) < 0.05
    for image, parameters in drawn("AngEllipse", 6, 256):
        area = len(ellipse(10.0, 3.0, parameters["angle"]))
        assert (single_areas(image) == area).mean() > 0.5


def test_cells_of_three_sizes() -> None:
    for family, width in (("VoronoiSmall", 14.3), ("VoronoiMedium", 22.0), ("VoronoiLarge", 52.0)):
        areas = np.diff(voronoi_cells(width, 0.8, 2).starts)
        assert np.mean(areas) == pytest.approx(width**2, rel=0.05)
        assert np.std(areas) < 0.25 * np.mean(areas)
        # Particles of a sparse image are single cells.
        sparse = [image for image, parameters in drawn(family, 24, 256) if parameters["fraction"] < 0.2]
        single = np.quantile(np.concatenate([single_areas(image) for image in sparse]), 0.2)
        assert 0.4 * width**2 < single < 1.3 * width**2, family


def test_particles_stand_where_the_field_is_high_and_meet_their_fraction() -> None:
    for family in PARTICLES:
        for image, parameters in drawn(family, 6, 128):
            assert image.mean() == pytest.approx(parameters["fraction"], abs=1e-4), family
            assert 0.01 < image.mean() < 0.53, family
    gathered = []
    for image, parameters in drawn("VoidSmall", 150, 256):
        if parameters["fraction"] < 0.2 and min(max(each["lengths"]) for each in parameters["layers"]) > 20:
            occupied = image.reshape(8, 32, 8, 32).mean((1, 3)) > 0
            gathered.append(occupied.mean())
    # At random places a fifth of the area would reach nearly every block of 32 x 32 pixels.
    assert len(gathered) > 5
    assert np.mean(gathered) < 0.75


def test_spaced_cells_touch_less_often() -> None:
    medium, spaced = (
        np.sum([ndimage.label(image)[1] for image, _ in drawn(family, 30, 256)])
        for family in ("VoronoiMedium", "VoronoiMediumSpaced")
    )
    assert spaced > 1.5 * medium


def test_bricks_are_dense_in_patches() -> None:
    for image, parameters in drawn("NBSA", 6, 256):
        assert image.mean() == pytest.approx(parameters["fraction"], abs=1e-4)
        assert 0.28 < image.mean() < 0.48
        dense, sparse = np.quantile(image.reshape(16, 16, 16, 16).mean((1, 3)), [0.9, 0.1])
        assert dense > 0.5
        assert dense > 2 * sparse
