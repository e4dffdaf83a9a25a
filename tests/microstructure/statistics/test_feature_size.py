import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from microdesign.core.errors import InputError
from microdesign.microstructure.statistics.feature_size import feature_sizes, minimum_feature_size
from tests.microstructure.statistics.patterns import board, stripes


def test_feature_size_of_stripes_boards_and_boxes() -> None:
    for width in (1, 2, 3, 5, 8):
        m = stripes(width, 24, 48)
        assert minimum_feature_size(m).item() == width
        assert minimum_feature_size(1 - m).item() == 24 - width
        assert minimum_feature_size(torch.roll(m, -width // 2, 0)).item() == width
    for cell in (1, 2, 4):
        assert minimum_feature_size(board(cell, 16)).item() == cell
    m = torch.zeros(12, 12, 12)
    m[2:6, 3:9, 1:11] = 1
    assert minimum_feature_size(m, dims=3).item() == 4
    assert minimum_feature_size(torch.stack((torch.zeros(4, 4), torch.ones(4, 4))))[0].isnan()
    assert minimum_feature_size(torch.ones(4, 4)).isinf()


def test_feature_size_of_discs() -> None:
    for diameter in (7.0, 12.4, 25.0, 40.0):
        x, y = torch.meshgrid(torch.arange(64) - 31.7, torch.arange(64) - 30.2, indexing="ij")
        disc = (x**2 + y**2 < diameter**2 / 4).double()
        # The disc that fits into the staircase is smaller than the one that made it.
        assert diameter - 2 < minimum_feature_size(disc).item() <= diameter + 0.5
        # A hair on the disc is what counts, and the disc's place on the torus is not.
        hair = torch.maximum(disc, (abs(y - 0.2) < 1).double() * (x > 0))
        assert minimum_feature_size(torch.roll(hair, (40, 20), (0, 1))).item() == minimum_feature_size(hair).item() <= 3
        if disc.sum() > 5 * (hair - disc).sum():
            assert minimum_feature_size(hair, ignore=0.2).item() == minimum_feature_size(disc).item()


def test_feature_size_that_ignores_specks() -> None:
    m = stripes(6, 12, 48).clone()
    m[8, 5] = 1
    assert minimum_feature_size(m).item() == 1
    assert minimum_feature_size(m, ignore=0.01).item() == 6
    assert minimum_feature_size(1 - m, ignore=0.05).item() == 6
    with pytest.raises(InputError, match="ignore = 1 is out of range"):
        minimum_feature_size(m, ignore=1)
    with pytest.raises(InputError, match="other than 0 and 1"):
        minimum_feature_size(torch.full((4, 4), 0.5))


def by_distance_transforms(image: np.ndarray, ignore: float) -> float:
    """The definition by distances of scipy's, in the middle of the tiled image."""
    fine = image
    for axis in range(image.ndim):
        fine = fine.repeat(2, axis=axis)
    tiled = np.tile(fine, (3,) * image.ndim)
    middle = tuple(slice(n, 2 * n) for n in fine.shape)
    depth = ndimage.distance_transform_edt(tiled)
    size = 0
    for diameter in range(1, math.floor(depth.max()) + 1):
        residue = ndimage.distance_transform_edt(depth < diameter)[middle][fine]
        if (residue > math.sqrt(image.ndim) * diameter + 1e-9).mean() > ignore:
            break
        size = diameter
    return size


def test_it_is_the_opening_by_distance_transforms() -> None:
    rng = np.random.default_rng(0)
    for shape, blur in (((24, 24), 2), ((14, 21), 1), ((16, 16), 4), ((7, 10, 9), 1)):
        field = ndimage.gaussian_filter(rng.standard_normal((3, *shape)), (0, *(blur,) * len(shape)), mode="wrap")
        images = field > np.array([-1, 0, 1]).reshape(-1, *(1,) * len(shape)) * field.std() / 2
        found = feature_sizes(torch.from_numpy(images), len(shape), (0.0, 0.05, 0.3))
        wanted = [[by_distance_transforms(image, ignore) for ignore in (0.0, 0.05, 0.3)] for image in images]
        assert found.tolist() == wanted, (shape, blur)
