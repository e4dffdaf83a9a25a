"""Regions of an image for the parts of a split."""

import itertools

import numpy as np

from microdesign.microstructure.data.sizes import shape_of
from microdesign.microstructure.windows.regions import count_windows, cut, split_regions, window_corners
from tests.cases import case

SHARES = (0.8, 0.1, 0.1)


def test_regions_tile_the_image_and_hold_windows() -> None:
    for shape, size, stride, shares in [
        ((256, 256), 64, 32, SHARES),
        ((1000, 700), 64, 32, SHARES),
        ((64, 1000), 64, 20, SHARES),
        ((100, 333), 50, 7, (0.5, 0.25, 0.25)),
        ((130, 129), 32, 40, SHARES),
        ((60, 50, 40), 16, 8, SHARES),
        ((64, 64), 16, 16, (0.9, 0.0, 0.1)),
        ((64, 64), 16, 16, (1.0, 0.0, 0.0)),
        ((256, 200), (64, 32), (32, 20), SHARES),
        ((60, 50, 40), (16, 8, 12), (8, 8, 3), SHARES),
    ]:
        with case(shape=shape, size=size, stride=stride):
            regions = split_regions(shape, size, stride, shares)
            assert regions is not None
            covered = np.zeros(shape, int)
            for region in regions:
                covered[tuple(slice(*ends) for ends in zip(region.low, region.high, strict=True))] += 1
            assert (covered == 1).all()
            wanted = [name for name, share in zip(("train", "validation", "test"), shares, strict=True) if share]
            assert [region.split for region in regions] == wanted
            sizes, strides = shape_of(size, len(shape)), shape_of(stride, len(shape))
            axes = zip(shape, sizes, strides, strict=True)
            grid = set(itertools.product(*(range(0, pixels - n + 1, step) for pixels, n, step in axes)))
            assert len(grid) == count_windows(shape, size, stride)
            for region in regions:
                corners = set(window_corners(region, size, stride))
                assert corners
                # Exactly the windows of the grid that lie inside.
                inside = {
                    corner
                    for corner in grid
                    if all(
                        low <= place and place + n <= high
                        for low, place, n, high in zip(region.low, corner, sizes, region.high, strict=True)
                    )
                }
                assert corners == inside


def test_large_images_keep_to_the_shares() -> None:
    regions = split_regions((4000, 4000), 64, 32, SHARES)
    assert regions is not None
    areas = {each.split: float(np.prod(np.subtract(each.high, each.low))) / 4000**2 for each in regions}
    np.testing.assert_allclose([areas[name] for name in ("train", "validation", "test")], SHARES, atol=0.005)


def test_images_that_are_too_small_have_none() -> None:
    for shape, size in [((63, 200), 64), ((100, 100), 64), ((64, 160), 64), ((127, 127), 64)]:
        assert split_regions(shape, size, size // 2, SHARES) is None, shape
    assert split_regions((200, 63), (32, 64), (16, 32), SHARES) is None


def test_cutting_takes_the_pixels_of_the_image() -> None:
    image = np.arange(6 * 5 * 4).reshape(6, 5, 4)
    windows = cut(image, [(0, 0, 0), (3, 2, 1)], 3)
    np.testing.assert_array_equal(windows[0], image[:3, :3, :3])
    np.testing.assert_array_equal(windows[1], image[3:6, 2:5, 1:4])
    assert not np.shares_memory(windows, image)
