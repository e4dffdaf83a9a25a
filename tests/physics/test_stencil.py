"""The fused loops against plain torch, and the Green operators against the loops."""

import numpy as np
import pytest
import scipy.fft
import torch

from microdesign.physics import stencil, stencil_torch
from microdesign.physics.discretization import conductive_green, elastic_green

TOLERANCE = {"float32": 2e-6, "float64": 1e-14}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weight", [0.0, 1 / 12])
@pytest.mark.parametrize("shape", [(9, 14), (2, 3), (16, 16)])
def test_elastic_loops_equal_torch(dtype: str, weight: float, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    u = rng.normal(size=(3, 2, *shape)).astype(dtype)
    strain = rng.normal(size=(3, 3)).astype(dtype)
    lam, mu = rng.uniform(0.1, 1, size=(2, *shape)).astype(dtype)
    out = np.full_like(u, np.nan)
    stencil.stress_divergence(u, strain, lam, mu, weight, out)
    expected = stencil_torch.stress_divergence(
        *(torch.from_numpy(array) for array in (u[None], strain, lam[None], mu[None])), weight
    )
    np.testing.assert_allclose(out, expected[0].numpy(), atol=TOLERANCE[dtype] * 10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weight", [0.0, 1 / 12])
@pytest.mark.parametrize("shape", [(9, 14), (2, 3), (16, 16)])
def test_conductive_loops_equal_torch(dtype: str, weight: float, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    t = rng.normal(size=(2, *shape)).astype(dtype)
    gradient = rng.normal(size=(2, 2)).astype(dtype)
    k = rng.uniform(0.1, 1, size=shape).astype(dtype)
    out = np.full_like(t, np.nan)
    stencil.flux_divergence(t, gradient, k, weight, out)
    expected = stencil_torch.flux_divergence(
        *(torch.from_numpy(array) for array in (t[None], gradient, k[None])), weight
    )
    np.testing.assert_allclose(out, expected[0].numpy(), atol=TOLERANCE[dtype] * 10)


@pytest.mark.parametrize("scheme", ["q1", "rotated"])
@pytest.mark.parametrize("shape", [(8, 8), (7, 10), (6, 9), (2, 2)])
def test_green_operators_invert_the_homogeneous_stiffness(scheme: str, shape: tuple[int, int]) -> None:
    """G K u = u for every u without components in the null space of K, that is for every u = G f."""
    lam, mu, k = 0.7, 0.4, 1.3
    weight = 1 / 12 if scheme == "q1" else 0.0
    rng = np.random.default_rng(1)

    def apply(green: np.ndarray, field: np.ndarray) -> np.ndarray:
        spectrum = scipy.fft.rfftn(field, axes=(-2, -1))
        if len(green) == 3:
            x, y = spectrum
            spectrum = np.stack([green[0] * x + green[2] * y, green[2] * x + green[1] * y])
        else:
            spectrum = green * spectrum
        return scipy.fft.irfftn(spectrum, s=shape, axes=(-2, -1))

    green = elastic_green(shape, lam, mu, scheme, "float64")
    u = apply(green, rng.normal(size=(2, *shape)))
    force = np.empty((1, 2, *shape))
    stencil.stress_divergence(u[None], np.zeros((1, 3)), np.full(shape, lam), np.full(shape, mu), weight, force)
    np.testing.assert_allclose(apply(green, force[0]), u, atol=1e-12)

    green = conductive_green(shape, k, scheme, "float64")
    t = apply(green, rng.normal(size=(1, *shape)))
    heat = np.empty((1, *shape))
    stencil.flux_divergence(t, np.zeros((1, 2)), np.full(shape, k), weight, heat)
    np.testing.assert_allclose(apply(green, heat), t, atol=1e-12)


def test_green_operators_are_kept_and_read_only() -> None:
    green = elastic_green((8, 8), 1.0, 1.0, "q1", "float32")
    assert green is elastic_green((8, 8), 1.0, 1.0, "q1", "float32")
    with pytest.raises(ValueError, match="read-only"):
        green[0, 0, 0] = 1
