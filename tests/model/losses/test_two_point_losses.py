"""The identities of the losses on two-point statistics."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from microdesign.microstructure.data.indicators import indicators
from microdesign.microstructure.statistics.phase_pairs import two_point_set
from microdesign.model.losses.two_point import Cess, CessCrop, excess_cess, msess
from tests.cases import case


def noise(n: int = 3, size: int = 32, fraction: float = 0.4, seed: int = 0) -> Tensor:
    """Independent pixels, `(n, 1, size, size)`."""
    return (torch.rand(n, 1, size, size, generator=torch.Generator().manual_seed(seed)) < fraction).float()


def direct_statistics(image: np.ndarray) -> np.ndarray:
    """All f_hh'(r) of `(X, Y)` by their definition, `(2, 2, X, Y)`."""
    phases = (1 - image, image)
    result = np.empty((2, 2, *image.shape))
    for h, first in enumerate(phases):
        for k, second in enumerate(phases):
            for x, y in np.ndindex(image.shape):
                result[h, k, x, y] = (first * np.roll(second, (-x, -y), (0, 1))).mean()
    return result


def test_cess_is_the_mean_divergence_of_the_statistics() -> None:
    # Soft images of 10 x 8 pixels: no statistic comes near the floor.
    a, b = np.random.default_rng(0).uniform(0.1, 0.9, (2, 10, 8))
    f1, f2 = direct_statistics(a), direct_statistics(b)
    np.testing.assert_allclose(f1.sum((0, 1)), 1)
    cross_entropy = -(f1 * np.log(f2)).sum((0, 1)).mean()
    entropy = -(f1 * np.log(f1)).sum((0, 1)).mean()
    images = torch.from_numpy(np.stack([a, b]))[:, None]
    excess = excess_cess(images[:1], images[1:]).item()
    assert excess == pytest.approx(cross_entropy - entropy, rel=1e-9)
    logits = images[1:].logit().float()
    assert Cess()(logits, images[:1].float()).item() == pytest.approx(excess, rel=1e-3)


def test_cess_does_not_see_shift_and_inversion() -> None:
    target, other = noise(seed=0), noise(seed=1, fraction=0.5)
    reference = excess_cess(target, other)
    inverted = other.flip(-2, -1)
    for image in (other.roll((5, -9), (-2, -1)), inverted, inverted.roll(3, -1)):
        torch.testing.assert_close(excess_cess(target, image), reference, rtol=1e-4, atol=1e-7)
        torch.testing.assert_close(excess_cess(other, image), torch.zeros(3), rtol=0, atol=1e-6)


def test_cess_sees_what_is_not_an_inversion() -> None:
    stripes = torch.zeros(1, 1, 32, 32)
    stripes[..., :10] = 1
    assert excess_cess(stripes, stripes.mT).item() > 0.05


def test_cess_sees_a_phase_swap() -> None:
    image = noise(fraction=0.3, size=64)
    # Independent pixels: f11 = phi^2, f00 = (1 - phi)^2 and f01 equal in both, at every offset but 0.
    phi = image.mean((1, 2, 3))
    expected = 2 * (1 - 2 * phi) * ((1 - phi) / phi).log()
    torch.testing.assert_close(excess_cess(image, 1 - image), expected, rtol=0.02, atol=0)
    half = noise(fraction=0.5, size=64)
    assert (excess_cess(half, 1 - half) < 1e-2).all()


def test_cess_grows_with_the_volume_fraction_missed() -> None:
    target = torch.full((1, 1, 16, 16), 0.3)
    values = [excess_cess(target, torch.full_like(target, phi)).item() for phi in (0.3, 0.35, 0.5, 0.8)]
    assert values == sorted(values)
    # Uniform soft images: two independent draws of one phase, so twice the divergence of one.
    expected = 2 * (0.3 * math.log(0.3 / 0.5) + 0.7 * math.log(0.7 / 0.5))
    assert values[2] == pytest.approx(expected, rel=1e-4)


def soft(n_phases: int, shape: tuple[int, ...], seed: int) -> Tensor:
    """Soft images with no statistic near the floor, logits `(2, P, *N)`."""
    return torch.randn(2, n_phases, *shape, generator=torch.Generator().manual_seed(seed))


def test_more_phases_are_summed_over_all_pairs() -> None:
    for shape in ((10, 9), (6, 5, 8)):
        with case(shape=shape):
            target, logits = soft(3, shape, 0).softmax(1), soft(3, shape, 1)
            dims = len(shape)
            f1, f2 = two_point_set(target, dims), two_point_set(logits.softmax(1), dims)
            axes = tuple(range(3, 3 + dims))
            divergence = (f1 * (f1 / f2).log()).sum((1, 2)).mean(tuple(axis - 2 for axis in axes))
            torch.testing.assert_close(Cess()(logits, target), divergence, rtol=1e-4, atol=1e-7)
            squares = (f1 - f2).square().sum((1, 2)).mean(tuple(axis - 2 for axis in axes))
            torch.testing.assert_close(msess(logits, target), squares, rtol=1e-4, atol=1e-9)


def test_msess_by_its_definition() -> None:
    a, b = np.random.default_rng(0).uniform(0.1, 0.9, (2, 10, 8))
    expected = ((direct_statistics(a) - direct_statistics(b)) ** 2).sum((0, 1)).mean()
    first, second = (torch.from_numpy(image).float()[None, None] for image in (a, b))
    assert msess(second.logit(), first).item() == pytest.approx(expected, rel=1e-4)


def test_the_crop_takes_the_offsets_around_zero() -> None:
    for shape, size in product(((10, 8), (10, 9), (6, 5, 8)), (1, 4, 5)):
        with case(size=size, shape=shape):
            target, logits = soft(1, shape, 0).sigmoid(), soft(1, shape, 1)
            dims = len(shape)
            axes = tuple(range(-dims, 0))
            f1, f2 = (
                torch.fft.fftshift(two_point_set(x, dims), axes)[
                    (..., *(slice(n // 2 - size // 2, n // 2 - size // 2 + size) for n in shape))
                ]
                for x in (target, logits.sigmoid())
            )
            assert f1.shape[3:] == (size,) * dims
            expected = (f1 * (f1 / f2).log()).sum((1, 2)).flatten(1).mean(1)
            torch.testing.assert_close(CessCrop(size=size)(logits, target), expected, rtol=1e-4, atol=1e-7)


def test_a_crop_as_large_as_the_image_takes_all_offsets() -> None:
    target, logits = soft(1, (10, 8), 0).sigmoid(), soft(1, (10, 8), 1)
    torch.testing.assert_close(CessCrop(size=10)(logits, target), Cess()(logits, target))


def test_line_images_are_sensitive() -> None:
    """One-pixel lines 100 px apart: those 101 and those 200 px apart are as far away (Cai et al., Fig. 8)."""
    lines = torch.zeros(3, 1, 500, 4)
    for image, spacing in zip(lines, (100, 101, 200), strict=True):
        image[0, [0, spacing]] = 1
    near, far = excess_cess(lines[:1].expand(2, -1, -1, -1), lines[1:], eps=1e-4).tolist()

    def divergence(f1: float, f2: float) -> float:
        """Of one offset, from f11; the volume fraction is 0.004 in all images."""
        pairs = [[1 - 0.008 + f, 0.004 - f, 0.004 - f, max(f, 1e-4)] for f in (f1, f2)]
        return sum(a * math.log(a / b) + b - a for a, b in zip(*pairs, strict=True))

    # Two offsets where the one has a line to meet, two where the other has; of 500.
    assert near == pytest.approx((2 * divergence(0.002, 0) + 2 * divergence(0, 0.002)) / 500, rel=1e-3)
    assert far == pytest.approx(near, rel=1e-3)


def test_a_phase_absent_from_the_target_is_cheap_to_leave_out() -> None:
    """Two phases of three: with the third at zero in both images the loss is that of two phases, to the floor."""
    labels = (torch.rand(2, 32, 32, generator=torch.Generator().manual_seed(0)) < 0.4).long()
    other = (torch.rand(2, 32, 32, generator=torch.Generator().manual_seed(1)) < 0.5).long()
    two = excess_cess(indicators(labels, 2), indicators(other, 2))
    three = excess_cess(indicators(labels, 3), indicators(other, 3))
    torch.testing.assert_close(three, two, rtol=1e-4, atol=1e-6)
