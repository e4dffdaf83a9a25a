"""The batched torch solver against the compiled one."""

import numpy as np
import pytest
import torch

from microdesign.core.errors import InputError, NotConvergedError
from microdesign.physics.materials import Materials
from microdesign.physics.solver.homogenization import homogenize
from microdesign.physics.solver.homogenization_torch import homogenize_batch

TWO = {"plane": "strain", "phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.2, "k": 10}]}
POROUS = {"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 0, "nu": 0.2, "k": 0}]}
CRYSTALS = {
    "phases": [{"conductivity": [[3, 1, 0], [1, 2, 0], [0, 0, 1]], "E": 1, "nu": 0.3, "angle": a} for a in (0, 50)]
}
DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")]
    ),
]


def images(shape: tuple[int, ...]) -> np.ndarray:
    return (np.random.default_rng(0).random(shape) < 0.25).astype(np.uint8)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("scheme", ["q1", "rotated", "q1bbar"])
@pytest.mark.parametrize("settings", [TWO, POROUS, CRYSTALS], ids=["two", "porous", "crystals"])
@pytest.mark.parametrize("shape", [(3, 12, 10), (2, 6, 5, 4)])
def test_it_equals_the_compiled_solver(shape: tuple[int, ...], settings: dict, scheme: str, device: str) -> None:
    if scheme == "q1bbar" and len(shape) == 3 and settings is not TWO:
        pytest.skip("q1bbar in the plane takes plane strain and E, nu and k")
    materials = Materials.model_validate(settings)
    common = {
        "dims": len(shape) - 1,
        "discretization": scheme,
        "tolerance": 1e-8,
        "spacing": [1, 1.5, 1][: len(shape) - 1],
    }
    ours = homogenize_batch(images(shape), materials, device=device, **common)
    theirs = homogenize(images(shape), materials, **common)
    np.testing.assert_allclose(ours.stiffness, theirs.stiffness, atol=1e-6)
    np.testing.assert_allclose(ours.conductivity, theirs.conductivity, atol=1e-6)
    assert np.abs(ours.iterations - theirs.iterations).max() <= 2


@pytest.mark.parametrize("device", DEVICES)
def test_float32(device: str) -> None:
    materials = Materials.model_validate(TWO)
    ours, theirs = (solve(images((4, 16, 16)), materials) for solve in (homogenize_batch, homogenize))
    np.testing.assert_allclose(ours.stiffness, theirs.stiffness, atol=1e-4)
    np.testing.assert_array_equal(ours.iterations, theirs.iterations)
    homogeneous = homogenize_batch(np.zeros((2, 6, 6), int), materials, device=device)
    assert not homogeneous.iterations.any()


def test_refusals() -> None:
    materials = Materials.model_validate(TWO)
    with pytest.raises(InputError, match="'fv' is not available on torch devices"):
        homogenize_batch(images((4, 4)), materials, discretization="fv")
    with pytest.raises(InputError, match="the image has only voids"):
        homogenize_batch(np.ones((4, 4), int), Materials.model_validate(POROUS))
    with pytest.raises(InputError, match=r"tolerance = 0\.5"):
        homogenize_batch(images((4, 4)), materials, tolerance=0.5)
    with pytest.raises(NotConvergedError, match="did not converge in 1 iterations"):
        homogenize_batch(images((8, 8)), materials, max_iterations=1, tolerance=1e-8)
