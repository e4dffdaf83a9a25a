"""The fused loops against plain torch, and the Green operators against the loops."""

import itertools

import numpy as np
import pytest
import scipy.fft
import torch

from microdesign.physics.solver.discretization import conductive_green, elastic_green, finite_volume_green, hourglass
from microdesign.physics.solver.stencils import general as stencil_tensors
from microdesign.physics.solver.stencils import plane as stencil
from microdesign.physics.solver.stencils import torch_stencil as stencil_torch
from microdesign.physics.solver.stencils import voxel as stencil_3d
from microdesign.physics.tensors import isotropic_stiffness

TOLERANCE = {"float32": 2e-6, "float64": 1e-14}


SHAPES = [(8, 8), (7, 10), (2, 2), (4, 6, 8), (5, 3, 7), (2, 2, 2)]


def test_elastic_loops_equal_torch(subtests: pytest.Subtests) -> None:
    for shape, scheme, dtype in itertools.product(SHAPES, ["q1", "rotated", "q1bbar"], ["float32", "float64"]):
        with subtests.test(shape=shape, scheme=scheme, dtype=dtype):
            rng = np.random.default_rng(0)
            d = len(shape)
            u = rng.normal(size=(2, d, *shape)).astype(dtype)
            strain = rng.normal(size=(2, 3 * d - 3)).astype(dtype)
            lam, mu = rng.uniform(0.1, 1, size=(2, *shape)).astype(dtype)
            weight, of_lam, of_mu = hourglass(scheme)
            out = np.full_like(u, np.nan)
            (stencil if d == 2 else stencil_3d).stress_divergence(u, strain, lam, mu, hourglass(scheme), out)
            a, b = torch.from_numpy(lam)[None], torch.from_numpy(mu)[None]
            expected = stencil_torch.stress_divergence(
                torch.from_numpy(u)[None],
                torch.from_numpy(strain),
                stencil_torch.isotropic(a, b),
                stencil_torch.isotropic(of_lam * a + of_mu * b, b),
                weight,
            )
            np.testing.assert_allclose(out, expected[0].numpy(), atol=TOLERANCE[dtype] * 20)


def test_conductive_loops_equal_torch(subtests: pytest.Subtests) -> None:
    for shape, weight, dtype in itertools.product(SHAPES, [0.0, 1 / 12], ["float32", "float64"]):
        with subtests.test(shape=shape, weight=weight, dtype=dtype):
            rng = np.random.default_rng(0)
            d = len(shape)
            t = rng.normal(size=(2, *shape)).astype(dtype)
            gradient = rng.normal(size=(2, d)).astype(dtype)
            k = rng.uniform(0.1, 1, size=shape).astype(dtype)
            out = np.full_like(t, np.nan)
            (stencil if d == 2 else stencil_3d).flux_divergence(t, gradient, k, weight, out)
            tensor = torch.from_numpy(k) * torch.eye(d, dtype=getattr(torch, dtype)).reshape(1, d, d, *[1] * d)
            expected = stencil_torch.flux_divergence(
                torch.from_numpy(t)[None], torch.from_numpy(gradient), tensor, weight
            )
            np.testing.assert_allclose(out, expected[0].numpy(), atol=TOLERANCE[dtype] * 10)


def test_torch_takes_a_batch_of_crystals(subtests: pytest.Subtests) -> None:
    for shape in [(5, 6), (4, 3, 5)]:
        with subtests.test(shape=shape):
            rng = np.random.default_rng(0)
            d, K = len(shape), 3 * len(shape) - 3
            labels = rng.integers(0, 3, (2, *shape)).astype(np.uint8)
            tensors = rng.normal(size=(3, K, K))
            tensors = tensors + tensors.transpose(0, 2, 1)
            u, strain = rng.normal(size=(2, 4, d, *shape)), rng.normal(size=(4, K))
            C = torch.from_numpy(np.moveaxis(tensors[labels], (-2, -1), (1, 2)))
            found = stencil_torch.stress_divergence(torch.from_numpy(u), torch.from_numpy(strain), C, C, 1 / 12)
            for i in range(2):
                expected = from_tables(u[i], strain, labels[i], (tensors, tensors), 1 / 12)
                np.testing.assert_allclose(found[i].numpy(), expected, atol=1e-12)


def from_tables(u: np.ndarray, strain: np.ndarray, labels: np.ndarray, tensors: tuple, weight: float) -> np.ndarray:
    """The table-driven operator on an image or a volume."""
    elastic = u.shape[1] > 1
    volume = labels if labels.ndim == 3 else labels[None]
    out = np.full((*u.shape[:2], *volume.shape), np.nan, u.dtype)
    terms = stencil_tensors.terms(labels.ndim, elastic)
    stencil_tensors.divergence(u.reshape(out.shape), strain, volume, *tensors, weight, terms, out)
    return out.reshape(u.shape)


def test_elastic_loops_equal_the_tables(subtests: pytest.Subtests) -> None:
    for shape, scheme, dtype in itertools.product(SHAPES, ["q1", "rotated", "q1bbar"], ["float32", "float64"]):
        with subtests.test(shape=shape, scheme=scheme, dtype=dtype):
            rng = np.random.default_rng(0)
            d = len(shape)
            u = rng.normal(size=(2, d, *shape)).astype(dtype)
            strain = rng.normal(size=(2, 3 * d - 3)).astype(dtype)
            labels = rng.integers(0, 3, shape).astype(np.uint8)
            lam, mu = rng.uniform(0.1, 1, size=(2, 3)).astype(dtype)
            weight, of_lam, of_mu = hourglass(scheme)
            first = np.array([isotropic_stiffness(*each, d) for each in zip(lam, mu, strict=True)], dtype)
            second = np.array(
                [isotropic_stiffness(of_lam * a + of_mu * b, b, d) for a, b in zip(lam, mu, strict=True)], dtype
            )
            out = np.full_like(u, np.nan)
            fused = (stencil if d == 2 else stencil_3d).stress_divergence
            fused(u, strain, lam[labels], mu[labels], hourglass(scheme), out)
            expected = from_tables(u, strain, labels, (first, second), weight)
            np.testing.assert_allclose(out, expected, atol=TOLERANCE[dtype] * 20)


def test_conductive_loops_equal_the_tables(subtests: pytest.Subtests) -> None:
    for shape, weight, dtype in itertools.product(SHAPES, [0.0, 1 / 12], ["float32", "float64"]):
        with subtests.test(shape=shape, weight=weight, dtype=dtype):
            rng = np.random.default_rng(0)
            d = len(shape)
            t = rng.normal(size=(2, 1, *shape)).astype(dtype)
            gradient = rng.normal(size=(2, d)).astype(dtype)
            labels = rng.integers(0, 3, shape).astype(np.uint8)
            k = rng.uniform(0.1, 1, size=3).astype(dtype)
            tensors = k[:, None, None] * np.eye(d, dtype=dtype)
            out = np.full_like(t, np.nan)
            (stencil if d == 2 else stencil_3d).flux_divergence(t[:, 0], gradient, k[labels], weight, out[:, 0])
            expected = from_tables(t, gradient, labels, (tensors, tensors), weight)
            np.testing.assert_allclose(out, expected, atol=TOLERANCE[dtype] * 10)


def as_key(tensor: np.ndarray) -> tuple:
    return tuple(map(tuple, tensor.tolist()))


def apply_green(green: np.ndarray, field: np.ndarray) -> np.ndarray:
    """K0^-1 of one field `(C, *S)`, from the components of the symmetric matrices."""
    axes = tuple(range(1, field.ndim))
    spectrum = scipy.fft.rfftn(field, axes=axes)
    order = {1: [[0]], 3: [[0, 2], [2, 1]], 6: [[0, 5, 4], [5, 1, 3], [4, 3, 2]]}[len(green)]
    spectrum = np.einsum("ab...,b...->a...", green[np.array(order)], spectrum)
    return scipy.fft.irfftn(spectrum, s=field.shape[1:], axes=axes)


def test_green_operators_invert_the_homogeneous_stiffness(subtests: pytest.Subtests) -> None:
    """G K u = u for every u without components in the null space of K, that is for every u = G f."""
    for shape, scheme in itertools.product(SHAPES, ["q1", "rotated", "q1bbar"]):
        with subtests.test(shape=shape, scheme=scheme):
            weight, of_lam, of_mu = hourglass(scheme)
            d, rng = len(shape), np.random.default_rng(1)
            labels = np.zeros(shape, np.uint8)
            if scheme == "q1bbar":
                first, second = (
                    isotropic_stiffness(0.7, 0.4, d),
                    isotropic_stiffness(of_lam * 0.7 + of_mu * 0.4, 0.4, d),
                )
            else:
                root = rng.normal(size=(3 * d - 3, 3 * d - 3))
                first = second = root @ root.T + np.eye(3 * d - 3)
            green = elastic_green(shape, as_key(first), as_key(second), weight, "float64")
            u = apply_green(green, rng.normal(size=(d, *shape)))
            force = from_tables(u[None], np.zeros((1, len(first))), labels, (first[None], second[None]), weight)
            np.testing.assert_allclose(apply_green(green, force[0]), u, atol=1e-11)

            root = rng.normal(size=(d, d))
            k = root @ root.T + np.eye(d)
            green = conductive_green(shape, as_key(k), weight, "float64")
            t = apply_green(green, rng.normal(size=(1, *shape)))
            heat = from_tables(t[None], np.zeros((1, d)), labels, (k[None], k[None]), weight)
            np.testing.assert_allclose(apply_green(green, heat[0]), t, atol=1e-12)


def test_finite_volume_green_operator() -> None:
    k = np.diag([1.0, 2.0, 3.0])
    green = finite_volume_green((4, 5, 6), as_key(k), "float64")
    t = apply_green(green, np.random.default_rng(0).normal(size=(1, 4, 5, 6)))
    heat = np.empty_like(t)
    faces = np.ones((3, 4, 5, 6)) * np.diag(k)[:, None, None, None]
    stencil_tensors.finite_volume_divergence(t, np.zeros((1, 3)), faces, heat)
    np.testing.assert_allclose(apply_green(green, heat), t, atol=1e-12)


def test_green_operators_are_kept_and_read_only() -> None:
    C = as_key(isotropic_stiffness(1.0, 1.0, 2))
    green = elastic_green((8, 8), C, C, 1 / 12, "float32")
    assert green is elastic_green((8, 8), C, C, 1 / 12, "float32")
    with pytest.raises(ValueError, match="read-only"):
        green[0, 0, 0] = 1
