import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from microdesign.core.errors import InputError
from microdesign.microstructure.generators.registry import generate
from microdesign.microstructure.statistics.connectivity import clusters, percolates, spans


def diagonal(size: int, width: int, winds: int = 1) -> NDArray[np.bool_]:
    x, y = np.indices((size, size))
    return (winds * x - y) % size < width


def test_stripes_percolate_along_and_not_across() -> None:
    stripes = (torch.arange(12) % 6 < 2)[:, None].expand(12, 12)
    both = torch.stack((stripes, stripes.T)).float()
    assert percolates(both).tolist() == [[False, True], [True, False]]
    assert percolates(1 - both).tolist() == [[False, True], [True, False]]
    assert spans(both).tolist() == [[False, True], [True, False]]
    assert len(clusters(stripes.numpy())) == 2
    full = percolates(torch.ones(1, 3, 4))
    assert full.tolist() == [[True, True]]
    assert percolates(torch.zeros(3, 4)).tolist() == [False, False]


def test_a_cluster_wraps_around_the_edges() -> None:
    corners = np.zeros((8, 8), dtype=bool)
    corners[np.ix_([0, 1, 7], [0, 7])] = True
    wrapped = clusters(corners)
    assert wrapped.sizes.tolist() == [6]
    assert not wrapped.percolates.any()
    assert np.array_equal(wrapped.labels > 0, corners)
    assert clusters(corners, periodic=False).sizes.tolist() == [2, 2, 1, 1]
    # Across the edge in x, but a cut further in keeps it finite.
    ring = np.ones((8, 8), dtype=bool)
    ring[4], ring[:, 4] = False, False
    assert clusters(ring).sizes.tolist() == [49]
    assert not clusters(ring).percolates.any()
    assert spans(torch.from_numpy(ring)).tolist() == [False, False]


def test_face_to_face_is_not_endless() -> None:
    # From face to face with ends that do not meet, and the other way round.
    bridge = np.zeros((6, 9), dtype=bool)
    bridge[:3, 2] = bridge[3:, 5] = bridge[3, 2:6] = True
    bent = torch.from_numpy(bridge)
    assert spans(bent).tolist() == [True, False]
    assert percolates(bent).tolist() == [False, False]
    shifted = torch.zeros(6, 6, dtype=torch.bool)
    shifted[2] = True
    shifted[2, 3], shifted[3, 2:5] = False, True
    assert percolates(shifted).tolist() == [False, True]
    assert percolates(torch.roll(shifted, 3, 1)).tolist() == [False, True]


def test_diagonals_wind_around_both_axes() -> None:
    assert clusters(diagonal(12, 3)).percolates.tolist() == [[True, True]]
    steep = clusters(diagonal(12, 4, winds=2))
    assert steep.percolates.tolist() == [[True, True]]
    # The rest is as endless as the stripe; two stripes of one pixel less touch at corners only and are many pieces.
    assert percolates(torch.from_numpy(~diagonal(12, 3))).tolist() == [True, True]
    assert len(clusters(diagonal(12, 1))) == 12


def test_shifts_change_nothing_and_the_order_is_by_size() -> None:
    for image in generate("GRF", 4, (32, 32), seed=3).labels:
        found = clusters(image)
        assert found.sizes.sum() == image.sum()
        assert (np.diff(found.sizes) <= 0).all()
        assert np.array_equal(np.bincount(found.labels.ravel())[1:], found.sizes)
        assert np.array_equal(found.labels > 0, image == 1)
        moved = clusters(np.roll(image, (11, 7), (0, 1)))
        assert np.array_equal(moved.sizes, found.sizes)
        assert np.array_equal(moved.percolates.any(axis=0), found.percolates.any(axis=0))
        assert np.array_equal(np.roll(moved.labels > 0, (-11, -7), (0, 1)), found.labels > 0)
        # Against the image tiled three by three: periodic neighbours are one cluster there too.
        middle = clusters(np.tile(image, (3, 3)), periodic=False).labels[32:64, 32:64]
        assert len(np.unique(middle[middle > 0])) >= len(found)


def test_against_copies_in_a_large_tiling() -> None:
    for shape, share, tiles in [((5, 6), 0.6, 7), ((4, 3, 3), 0.35, 5)]:
        # Two pixels are of one cluster if copies of them are connected in the plain tiling, and a cluster is endless
        # along an axis if a pixel is connected to a copy of its own that lies displaced along it.
        stream = np.random.default_rng(0)
        dims = len(shape)
        seen = set()
        for _ in range(60):
            image = stream.random(shape) < share
            found = clusters(image)
            tiled, _ = ndimage.label(np.tile(image, (tiles,) * dims))
            copies = tiled.reshape([n for side in shape for n in (tiles, side)])
            copies = np.moveaxis(copies, range(0, 2 * dims, 2), range(dims)).reshape(tiles**dims, -1)
            places = np.array(list(np.ndindex((tiles,) * dims)))
            middle = copies[tiles**dims // 2]
            endless = np.zeros((len(found) + 1, dims), dtype=bool)
            for pixel, label in enumerate(found.labels.ravel()):
                if label:
                    same = places[copies[:, pixel] == middle[pixel]]
                    endless[label] |= (same != tiles // 2).any(axis=0)
                    first = middle[np.flatnonzero(found.labels == label)[0]]
                    assert (copies[:, pixel] == first).any()
            assert np.array_equal(found.percolates, endless[1:])
            touching = np.unique(copies[:, image.ravel()])
            of_label = {int(part): set() for part in touching}
            for row in copies:
                for part, label in zip(row, found.labels.ravel(), strict=True):
                    if part:
                        of_label[int(part)].add(int(label))
            assert all(len(labels) == 1 for labels in of_label.values())
            seen.add(tuple(found.percolates.any(axis=0).tolist()))
        assert len(seen) >= 3


def test_three_dimensions() -> None:
    rods = torch.zeros(2, 6, 6, 6)
    rods[0, 2, 2] = 1
    rods[1, :, 3, 3] = rods[1, 3, :, 3] = 1
    assert percolates(rods, dims=3).tolist() == [[False, False, True], [True, True, False]]
    assert percolates(1 - rods, dims=3).all()
    assert spans(rods, dims=3).tolist() == [[False, False, True], [True, True, False]]


def test_connectedness() -> None:
    image = np.zeros((8, 8), dtype=bool)
    image[0, :3] = image[4, 4] = True
    assert clusters(image).connectedness == pytest.approx((9 + 1) / 16)
    assert np.isnan(clusters(np.zeros((2, 2), dtype=bool)).connectedness)


def test_refuses() -> None:
    with pytest.raises(InputError, match="expected a bool image"):
        clusters(np.full((3, 3), 0.5))
    with pytest.raises(InputError, match="expected a bool image"):
        clusters(np.full((3, 3), 2))
    with pytest.raises(InputError, match="other than 0 and 1"):
        percolates(torch.full((3, 3), 0.5))
    with pytest.raises(InputError, match="expected 3 spatial axes"):
        percolates(torch.zeros(3, 3), dims=3)
