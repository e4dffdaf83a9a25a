"""The compiled loops and the evenly spread numbers, against plain definitions."""

import itertools

import numpy as np
import pytest
from scipy.spatial import cKDTree

from microdesign.microstructure.generators.draws import STRATUM, highest, rotation, stratified
from microdesign.microstructure.generators.kernels import grow_bricks, nearest_points, pack, place_apart
from microdesign.microstructure.generators.particles import ball
from microdesign.microstructure.generators.voids import first_ball


def pixel_centres(box: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    axes = np.meshgrid(
        *((np.arange(n) + 0.5) / n * length for n, length in zip(shape, box, strict=True)), indexing="ij"
    )
    return np.stack(axes, axis=-1).reshape(-1, len(shape))


def test_nearest_points_are_those_of_a_tree() -> None:
    for box in [(1.0, 1.0), (3.0, 1.0), (0.3, 1.0), (1.0, 1.0, 1.0), (2.5, 0.4, 1.0)]:
        lengths = np.array(box)
        shape = (30,) * len(box) if len(box) == 2 else (16,) * 3
        for count in (1, 2, 5, 40, 700):
            points = np.random.default_rng(count).random((count, len(box))) * lengths
            owner, border = nearest_points(points, lengths, shape)
            assert owner.shape == shape
            assert border.size == 0
            _, expected = cKDTree(points, boxsize=lengths).query(pixel_centres(lengths, shape))
            np.testing.assert_array_equal(owner.ravel(), expected, f"{box} {count}")


def test_borders_are_the_bisectors() -> None:
    for box in [(1.0, 1.0), (2.0, 1.0), (1.0, 0.5, 1.0)]:
        lengths = np.array(box)
        shape = (24,) * len(box)
        points = np.random.default_rng(1).random((12, len(box))) * lengths
        owner, border = nearest_points(points, lengths, shape, border=3.0)
        x = pixel_centres(lengths, shape)
        away = points[None] - x[:, None]
        away -= lengths * np.round(away / lengths)
        square = (away**2).sum(-1)
        first = square.argmin(axis=1)
        np.testing.assert_array_equal(owner.ravel(), first, f"{box}")
        rows = np.arange(len(x))
        # The gradient in pixels of the difference of two squared distances makes it a distance across the plane.
        gradient = np.linalg.norm((away - away[rows, first][:, None]) * lengths / np.array(shape), axis=-1)
        with np.errstate(invalid="ignore"):
            each = (square - square[rows, first][:, None]) / (2 * gradient)
        expected = np.minimum(np.nanmin(each, axis=1), 3.0)
        assert (expected == 3.0).any()
        np.testing.assert_allclose(border.ravel(), expected, rtol=1e-4, atol=1e-5, err_msg=f"{box}")


def test_border_between_two_columns_is_halfway() -> None:
    points = np.array([[0.25, 0.5], [0.75, 0.5]])
    _, border = nearest_points(points, np.ones(2), (16, 16), border=10.0)
    # Borders at x = 8 and, around the image, at 0; in y a cell borders on itself, which does not count.
    centres = np.arange(16) + 0.5
    np.testing.assert_allclose(border[:, 8], np.abs(centres - 8 * np.round(centres / 8)), atol=1e-5)


def test_placed_points_are_apart_and_no_free_one_is_refused() -> None:
    for dims in (2, 3):
        points = np.random.default_rng(0).uniform(0, 10.0, (400, dims))
        placed = place_apart(points, 10.0, 2.0, 1000)
        away = points[:, None] - points[None, placed]
        distance = np.linalg.norm(away - 10.0 * np.round(away / 10.0), axis=-1)
        among = distance[placed] + 100 * np.eye(len(placed))
        assert among.min() >= 2.0
        refused = np.setdiff1d(np.arange(400), placed)
        assert (distance[refused].min(axis=1) < 2.0).all()
        np.testing.assert_array_equal(place_apart(points, 10.0, 2.0, 3), placed[:3])


def test_the_first_ball_of_each_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    for dims in (2, 3):
        centres = np.random.default_rng(0).uniform(0, 20, (15, dims))
        away = pixel_centres(np.full(dims, 20.0), (20,) * dims)[:, None] - centres
        inside = np.linalg.norm(away - 20 * np.round(away / 20), axis=-1) <= 4.3
        expected = np.where(inside.any(1), inside.argmax(1), 15).reshape((20,) * dims)
        np.testing.assert_array_equal(first_ball(centres, 4.3, 20), expected)
        with monkeypatch.context() as patch:
            patch.setattr("microdesign.microstructure.generators.voids._CHUNK", 4 * 11**dims)
            np.testing.assert_array_equal(first_ball(centres, 4.3, 20), expected)


def test_packed_particles_do_not_overlap_and_none_that_fits_is_refused() -> None:
    for shape in ((20, 30), (12, 12, 12)):
        dims, size = len(shape), int(np.prod(shape))
        stream = np.random.default_rng(dims)
        shapes = [ball(2.0, dims), ball(3.5, dims)]
        order, kinds = stream.permutation(size), stream.integers(0, 2, size)
        placed = pack(order, kinds, shapes, shape)

        def pixels(position: int, shape=shape, order=order, kinds=kinds, shapes=shapes) -> np.ndarray:
            centre = np.array(np.unravel_index(order[position], shape))
            return np.ravel_multi_index(tuple(((centre + shapes[kinds[position]]) % shape).T), shape)

        taken = np.zeros(size, dtype=int)
        for position in placed:
            taken[pixels(position)] += 1
        assert taken.max() == 1
        # In the end nothing else fits anywhere.
        for position in np.setdiff1d(np.arange(size), placed):
            assert taken[pixels(position)].any()


def test_bricks_are_rectangles_a_gap_apart_and_no_larger_than_asked() -> None:
    shape, gap = (40, 50), 2
    stream = np.random.default_rng(0)
    seeds, sizes = stream.permutation(2000), stream.integers(1, 9, (2000, 2))
    owner = grow_bricks(seeds, sizes, shape, gap)
    found = np.unique(owner[owner >= 0])
    assert len(found) > 20
    for number in found:
        i, j = np.divmod(seeds[number], shape[1])
        brick = np.roll(owner == number, (20 - i, 25 - j), (0, 1))  # its seed in the middle, away from the edges
        extent = [np.flatnonzero(brick.any(1 - axis)) for axis in (0, 1)]
        assert brick.sum() == len(extent[0]) * len(extent[1])
        for axis in (0, 1):
            assert len(extent[axis]) == np.ptp(extent[axis]) + 1 <= sizes[number, axis]
        others = np.roll(owner >= 0, (20 - i, 25 - j), (0, 1)) & ~brick
        around = tuple(slice(each[0] - gap, each[-1] + gap + 1) for each in extent)
        assert not others[around].any()


def test_blocks_of_stratified_numbers_are_latin_hypercubes() -> None:
    for length, number in itertools.product((16, 256, STRATUM), (0, 3)):
        start = number * length
        points = np.array([stratified(5, index, 5) for index in range(start, start + length)])
        assert ((points >= 0) & (points < 1)).all()
        for axis in range(5):
            np.testing.assert_array_equal(np.sort((points[:, axis] * length).astype(int)), np.arange(length))


def test_stratified_numbers_depend_on_seed_and_index_alone() -> None:
    forward = [stratified(1, index, 5).copy() for index in (3, 1500, 5000)]
    backward = [stratified(1, index, 5) for index in (5000, 1500, 3)]
    np.testing.assert_array_equal(forward, backward[::-1])
    assert (stratified(2, 3, 5) != forward[0]).all()


def test_highest_meets_every_share() -> None:
    field = np.random.default_rng(0).random((4, 5))
    for ones in (0, 1, 7, 19, 20):
        image = highest(field, ones / 20)
        assert image.sum() == ones
        if 0 < ones < 20:
            assert field[image == 1].min() > field[image == 0].max()


def test_rotations_turn_without_stretching() -> None:
    for dims in (2, 3):
        stream = np.random.default_rng(0)
        first = []
        for _ in range(400):
            matrix, _ = rotation(stream, dims)
            np.testing.assert_allclose(matrix @ matrix.T, np.eye(dims), atol=1e-12)
            assert np.linalg.det(matrix) == pytest.approx(1)
            first.append(matrix[0])
        # Directions cover all sides alike.
        np.testing.assert_allclose(np.mean([np.outer(v, v) for v in first], axis=0), np.eye(dims) / dims, atol=0.08)
