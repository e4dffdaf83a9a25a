"""The pairs (kx, ky) of two conductors, against laminates, isotropic bounds and turned tensors."""

import numpy as np
import pytest

from microdesign.physics.bounds.conductor_pair import pair_lens
from microdesign.physics.bounds.property_bounds import hashin_shtrikman, reuss, voigt
from microdesign.physics.materials import Materials

K = (1.0, 10.0)
F = np.array([0.1, 0.3, 0.8])
SHARES = np.stack([1 - F, F], axis=1)
HARMONIC, ARITHMETIC = reuss(np.array(K), SHARES), voigt(np.array(K), SHARES)


def inside(kx: np.ndarray, ky: np.ndarray, f: float) -> np.ndarray:
    lenses = [pair_lens(K, np.array([f]), (x, x)) for x in kx]
    low = np.array([lens.low[0, 0] for lens in lenses])
    high = np.array([lens.high[0, 0] for lens in lenses])
    return (low * (1 - 1e-9) <= ky) & (ky <= high * (1 + 1e-9))


def test_laminates_are_the_tips() -> None:
    lens = pair_lens(K, F, (0.0, 100.0))
    np.testing.assert_allclose(lens.kx[:, 0], HARMONIC)
    np.testing.assert_allclose(lens.kx[:, -1], ARITHMETIC)
    for side in (lens.low, lens.high):
        np.testing.assert_allclose(side[:, 0], ARITHMETIC, rtol=1e-6)
        np.testing.assert_allclose(side[:, -1], HARMONIC, rtol=1e-6)


def test_isotropic_pairs_end_at_hashins_and_shtrikmans_bounds() -> None:
    phases = {"phases": [{"E": 1, "nu": 0.3, "k": k} for k in K]}
    low, high = hashin_shtrikman(Materials.model_validate(phases), SHARES)["k"]
    for i, f in enumerate(F):
        assert pair_lens(K, np.array([f]), (low[i], low[i])).low[0, 0] == pytest.approx(low[i])
        assert pair_lens(K, np.array([f]), (high[i], high[i])).high[0, 0] == pytest.approx(high[i])


def test_the_order_of_the_phases_does_not_matter() -> None:
    here, there = pair_lens(K, F, (2.0, 3.0)), pair_lens(K[::-1], 1 - F, (2.0, 3.0))
    for a, b in zip(here, there, strict=True):
        np.testing.assert_allclose(a, b)


def test_turned_laminates_of_laminates_stay_inside() -> None:
    """Rank-two laminates at any angle: kx and ky, by their definition from the resistivity, keep the bounds."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        f, g, angle = rng.random(3) * [1, 1, np.pi]
        inner = np.diag([voigt(np.array(K), np.array([1 - g, g])), reuss(np.array(K), np.array([1 - g, g]))])
        core = K[int(rng.integers(2))] * np.eye(2)
        # Layers normal to y: the flux across and the gradient along them are the same in both.
        across = 1 / ((1 - f) / core[1, 1] + f / inner[1, 1])
        tensor = np.diag([(1 - f) * core[0, 0] + f * inner[0, 0], across])
        share = f * g + (1 - f) * (core[0, 0] == K[1])
        c, s = np.cos(angle), np.sin(angle)
        resistivity = np.array([[c, -s], [s, c]]) @ np.linalg.inv(tensor) @ np.array([[c, s], [-s, c]])
        kx, ky = 1 / np.diag(resistivity)
        assert inside(np.array([kx]), np.array([ky]), share).all()


def test_equal_conductors_conduct_alike() -> None:
    lens = pair_lens((3.0, 3.0), F, (2.0, 4.0))
    assert (lens.kx == 3).all()
    assert (lens.low == 3).all()
    assert (lens.high == 3).all()
    assert np.isnan(pair_lens((3.0, 3.0), F, (4.0, 5.0)).kx).all()
    near = pair_lens((3.0, 3.0 + 1e-12), F, (2.0, 4.0))
    np.testing.assert_allclose(near.low, near.high)


def test_holes() -> None:
    lens = pair_lens((0.0, 2.0), np.array([0.7]), (0.0, 10.0))
    assert (lens.low == 0).all()
    middle = pair_lens((0.0, 2.0), np.array([0.7]), (2 * 0.7 / 1.3, 2 * 0.7 / 1.3))
    assert middle.high[0, 0] == pytest.approx(2 * 0.7 / 1.3)  # Maxwell: (1 - p) / (1 + p) in the plane
    assert np.isnan(pair_lens((0.0, 2.0), np.array([0.1]), (1.0, 2.0)).kx).all()
