"""The compiled loops and the evenly spread numbers, against plain definitions."""

import itertools

import numpy as np
import pytest
from scipy.spatial import cKDTree

from microdesign.microstructure.generators.draws import STRATUM, highest, rotation, stratified
from microdesign.microstructure.generators.kernels import Shapes, grow_bricks, nearest_points, pack, place_apart
from microdesign.microstructure.generators.particles import ball


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
            owner = nearest_points(points, lengths, shape)
            assert owner.shape == shape
            _, expected = cKDTree(points, boxsize=lengths).query(pixel_centres(lengths, shape))
            np.testing.assert_array_equal(owner.ravel(), expected, f"{box} {count}")


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


def test_packed_cores_do_not_overlap_and_none_that_fits_is_refused() -> None:
    for shape in ((20, 30), (12, 12, 12)):
        dims, size = len(shape), int(np.prod(shape))
        stream = np.random.default_rng(dims)
        cores = [ball(2.0, dims), ball(3.5, dims)]
        order, kinds = stream.permutation(size), stream.integers(0, 2, size)
        # Particles of one pixel, which show where the cores are.
        middles = Shapes.of([np.zeros((1, dims), dtype=np.int64)] * 2)
        image, count = pack(order, kinds, middles, Shapes.of(cores), shape, size)
        assert image.shape == shape
        assert image.sum() == count > 3

        def pixels(flat: int, shape=shape, order=order, kinds=kinds, cores=cores) -> np.ndarray:
            kind = kinds[np.flatnonzero(order == flat)[0]]
            place = np.array(np.unravel_index(flat, shape))
            return np.ravel_multi_index(tuple(((place + cores[kind]) % shape).T), shape)

        taken = np.zeros(size, dtype=int)
        for flat in np.flatnonzero(image):
            taken[pixels(flat)] += 1
        assert taken.max() == 1
        # In the end nothing else fits anywhere.
        for flat in np.flatnonzero(image == 0):
            assert taken[pixels(flat)].any()


def test_packing_covers_what_is_wanted_as_nearly_as_whole_particles_allow() -> None:
    shape, shapes = (40, 40), Shapes.of([ball(2.0, 2)])
    order = np.random.default_rng(0).permutation(1600)
    for wanted in (1, 100, 333):
        image, count = pack(order, np.zeros(1600, dtype=np.int64), shapes, shapes, shape, wanted)
        assert image.sum() == 13 * count
        assert abs(image.sum() - wanted) <= 6.5 or count == 1


def test_bricks_are_rectangles_a_gap_apart_and_of_the_sizes_asked() -> None:
    shape, gap = (40, 50), 2
    stream = np.random.default_rng(0)
    seeds, sizes = stream.permutation(2000), stream.integers(1, 9, (2000, 2))
    owner = grow_bricks(seeds, sizes, shape, gap, least=3)
    found = np.unique(owner[owner >= 0])
    assert len(found) > 20
    for number in found:
        i, j = np.divmod(seeds[number], shape[1])
        brick = np.roll(owner == number, (20 - i, 25 - j), (0, 1))  # its seed in the middle, away from the edges
        extent = [np.flatnonzero(brick.any(1 - axis)) for axis in (0, 1)]
        assert brick.sum() == len(extent[0]) * len(extent[1])
        for axis in (0, 1):
            assert len(extent[axis]) == np.ptp(extent[axis]) + 1 <= sizes[number, axis]
            assert len(extent[axis]) >= min(3, sizes[number, axis])
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
