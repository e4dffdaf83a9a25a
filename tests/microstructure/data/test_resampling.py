import itertools

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.resampling import area_average, overlaps, resize


def stripes(pixels: int, dimension: int = 2) -> np.ndarray:
    """One image whose lower half along x is phase 0 and upper half phase 1."""
    return np.broadcast_to(
        (np.arange(pixels) >= pixels // 2).reshape(1, -1, *[1] * (dimension - 1)), (1, *[pixels] * dimension)
    )


def test_overlaps_share_out_every_pixel() -> None:
    for pixels, size in [(8, 8), (8, 4), (9, 6), (256, 224), (7, 5), (65, 4)]:
        shares = overlaps(pixels, size)
        assert shares.shape == (size, pixels)
        assert (shares.sum(1) == pixels).all()
        assert (shares.sum(0) == size).all()
        # A new pixel touches the old ones between its edges, and no others.
        for new, row in enumerate(shares):
            inside = np.flatnonzero(row)
            assert (inside[0], inside[-1]) == (new * pixels // size, -((-(new + 1) * pixels) // size) - 1)


def test_overlaps_of_three_pixels_in_two() -> None:
    assert overlaps(3, 2).tolist() == [[2, 1, 0], [0, 1, 2]]


def test_averages_keep_volume_fractions_and_sum_to_one() -> None:
    sizes = [(8, 8), (8, 4), (9, 6), (7, 5), (33, 4)]
    for (pixels, size), dimension in itertools.product(sizes, (2, 3)):
        labels = np.random.default_rng(0).integers(0, 3, (2, *[pixels] * dimension))
        averages = np.array([area_average(labels == phase, size) for phase in range(3)])
        assert averages.shape == (3, 2, *[size] * dimension)
        axes = tuple(range(1, dimension + 1))
        for phase in range(3):
            np.testing.assert_allclose(averages[phase].mean(axes), (labels == phase).mean(axes), rtol=1e-12)
        np.testing.assert_allclose(averages.sum(0), 1, rtol=1e-15)


def test_averages_over_blocks() -> None:
    for dimension in (2, 3):
        values = np.random.default_rng(0).integers(0, 2, (3, *[12] * dimension))
        blocks = values.reshape(3, *[6, 2] * dimension).mean(tuple(range(2, 2 * dimension + 1, 2)))
        np.testing.assert_array_equal(area_average(values, 6), blocks)


def test_averages_of_any_ratio_equal_those_of_a_common_refinement() -> None:
    for pixels, size in [(256, 224), (10, 7), (12, 5)]:
        values = np.random.default_rng(0).integers(0, 2, (1, pixels, pixels))
        step = np.gcd(pixels, size)
        fine = values.repeat(size // step, 1).repeat(size // step, 2)
        blocks = fine.reshape(1, size, pixels // step, size, pixels // step).mean((2, 4))
        np.testing.assert_allclose(area_average(values, size), blocks, rtol=1e-12)


def test_the_boundary_of_a_stripe_inside_a_new_pixel() -> None:
    # A new pixel is 8/7 old ones: the edge at 128 falls on that at 112; moved by one old pixel, it lies 7/8 into a new.
    np.testing.assert_array_equal(area_average(stripes(256), 224), stripes(224))
    moved = area_average(np.roll(stripes(256), 1, axis=1), 224)[0, :, 0]
    expected = stripes(224)[0, :, 0].astype(float)
    expected[[0, 112]] = 7 / 8, 1 / 8
    np.testing.assert_array_equal(moved, expected)


def test_half_and_half_stays() -> None:
    for pixels, size in [(256, 224), (16, 8), (30, 4)]:
        batch = Microstructures(labels=stripes(pixels), n_phases=2)
        np.testing.assert_array_equal(resize(batch, size).labels, stripes(size))
        # The other axis, and phases the other way around.
        turned = Microstructures(labels=1 - stripes(pixels).transpose(0, 2, 1), n_phases=2)
        np.testing.assert_array_equal(resize(turned, size).labels, 1 - stripes(size).transpose(0, 2, 1))


def test_two_phases_are_labelled_at_one_half() -> None:
    # Blocks of 2 x 2 with 0, 1, 2, 3 and 4 pixels of phase 1; a tie is phase 0.
    blocks = np.array([[[0, 0], [0, 0]], [[0, 1], [0, 0]], [[0, 1], [1, 0]], [[1, 1], [1, 0]], [[1, 1], [1, 1]]])
    labels = np.tile(blocks, (1, 4, 4))
    assert (
        resize(Microstructures(labels=labels, n_phases=2), 4).labels == np.repeat([0, 0, 0, 1, 1], 16).reshape(5, 4, 4)
    ).all()


def test_each_pixel_takes_the_phase_of_the_largest_average() -> None:
    for n_phases, dimension in itertools.product((1, 2, 3, 5), (2, 3)):
        labels = np.random.default_rng(0).integers(0, n_phases, (4, *[9] * dimension))
        # A phase that is nowhere changes nothing.
        batch = Microstructures(labels=2 * labels, n_phases=2 * n_phases)
        averages = np.array([area_average(labels == phase, 5) for phase in range(n_phases)])
        np.testing.assert_array_equal(resize(batch, 5).labels, 2 * averages.argmax(0))


def test_many_images_are_resized_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = Microstructures(labels=np.random.default_rng(0).integers(0, 3, (7, 10, 10)), n_phases=3)
    whole = resize(batch, 6).labels
    monkeypatch.setattr("microdesign.microstructure.data.resampling._PART_BYTES", 3 * 400)
    np.testing.assert_array_equal(resize(batch, 6).labels, whole)


def test_volumes_whose_sums_float32_cannot_hold() -> None:
    # 260^3 lies above 2^24: a tie has to stay a tie.
    labels = stripes(260, dimension=3)
    np.testing.assert_array_equal(area_average(labels, 4), stripes(4, dimension=3))
    assert (resize(Microstructures(labels=labels.transpose(0, 3, 2, 1), n_phases=2), 5).labels[0, :, :, 2] == 0).all()


def test_what_a_resized_image_carries() -> None:
    batch = Microstructures(
        labels=np.zeros((2, 8, 8), np.uint8),
        n_phases=3,
        classes=("a", "b"),
        generation=("x", "y"),
        properties={"Ex": np.ones(2)},
        periodic=False,
        pixel_size=0.5,
    )
    small = resize(batch, 5)
    assert (small.n_phases, small.classes, small.generation) == (3, ("a", "b"), ("x", "y"))
    assert (small.periodic, small.pixel_size, small.properties) == (False, 0.8, {})
    assert resize(batch, 8) is batch
    assert resize(batch.select([]), 4).labels.shape == (0, 4, 4)


def test_sizes_out_of_range() -> None:
    for size, message in [
        (3, "size = 3 is too small; expected at least 4"),
        (-8, "size = -8 is too small; expected at least 4"),
        (9, r"size = 9 is larger than the images, \(8, 8\); expected at most 8"),
    ]:
        with pytest.raises(InputError, match=message):
            resize(Microstructures(labels=np.zeros((1, 8, 8), np.uint8), n_phases=2), size)


def test_images_with_unequal_sides() -> None:
    with pytest.raises(
        InputError, match=r"size = 4: the images have shape \(8, 6\); expected the same number along each"
    ):
        resize(Microstructures(labels=np.zeros((1, 8, 6), np.uint8), n_phases=2), 4)
