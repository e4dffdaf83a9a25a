import math

import numpy as np
import pytest
import torch
from torch import Tensor

from microdesign.microstructure.statistics.surface import (
    anisotropy,
    specific_surface,
    structure_tensor,
    surface_by_axis,
)


def test_surface_of_a_disc() -> None:
    x, y = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    disc = torch.from_numpy(((x - 127.5) ** 2 + (y - 127.5) ** 2 < 80**2).astype(np.float32))
    assert specific_surface(disc).item() * math.pi / 4 == pytest.approx(2 * math.pi * 80 / 256**2, rel=0.01)


def stripes_at(angle: float, period: float, size: int) -> Tensor:
    """Stripes whose normal is at `angle` from x; not periodic unless the angle suits."""
    x, y = torch.meshgrid(torch.arange(size).double(), torch.arange(size).double(), indexing="ij")
    return ((x * math.cos(angle) + y * math.sin(angle)) / period % 1 < 0.5).double()


def test_anisotropy() -> None:
    for period in (2, 4, 16):
        for m in (stripes_at(0, period, 32), stripes_at(math.pi / 2, period, 32)):
            assert anisotropy(m).item() == pytest.approx(1)
    slanted = stripes_at(math.atan2(3, 1), 32 / math.sqrt(10), 64)
    assert anisotropy(slanted, sigma=2).item() > 0.99
    normal = torch.linalg.eigh(structure_tensor(slanted, sigma=2)).eigenvectors[:, -1]
    assert abs(normal[1] / normal[0]).item() == pytest.approx(3, rel=0.02)
    x, y = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    assert anisotropy(((x // 4 + y // 4) % 2).double()).item() == pytest.approx(0, abs=1e-9)
    disc = ((x - 15.5) ** 2 + (y - 15.5) ** 2 < 80).float()
    flat = ((x - 15.5) ** 2 / 4 + (y - 15.5) ** 2 < 25).float()
    assert anisotropy(disc).item() == pytest.approx(0, abs=1e-5)
    assert 0.3 < anisotropy(flat).item() < 0.95
    torch.testing.assert_close(anisotropy(flat), anisotropy(1 - flat))
    torch.testing.assert_close(anisotropy(flat), anisotropy(flat.T.roll(5, 0)))
    assert not anisotropy(torch.ones(2, 8, 8)).any()
    layers = (torch.arange(8) % 4 < 2)[:, None, None].expand(8, 6, 5).double()
    assert anisotropy(layers, dims=3).item() == pytest.approx(1)


def test_structure_tensor_of_a_wave() -> None:
    # m = sin(a x + b y): the gradient's mean outer product is (a, b) (a, b) / 2, damped by the smoothing.
    x, y = torch.meshgrid(torch.arange(20).double(), torch.arange(30).double(), indexing="ij")
    a, b = 2 * math.pi * 3 / 20, -2 * math.pi * 2 / 30
    wave = torch.sin(a * x + b * y)
    expected = torch.tensor([[a * a, a * b], [a * b, b * b]]).double() / 2 * math.exp(-0.25 * (a**2 + b**2))
    torch.testing.assert_close(structure_tensor(wave, sigma=0.5), expected)


def test_surface_by_axis() -> None:
    m = torch.zeros(6, 5, 4)
    m[1:3, 1:4, :] = 1
    torch.testing.assert_close(surface_by_axis(m, dims=3, pixel_size=2.0) * 120, torch.tensor([12.0, 8.0, 0.0]))


def test_gradients() -> None:
    m = torch.rand(1, 6, 6, dtype=torch.float64, requires_grad=True)
    for function in (specific_surface, structure_tensor, anisotropy):
        assert torch.autograd.gradcheck(function, m), function
