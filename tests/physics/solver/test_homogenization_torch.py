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


CASES = [
    ((3, 12, 10), TWO, "q1"),
    ((3, 12, 10), TWO, "q1bbar"),
    ((3, 12, 10), POROUS, "rotated"),
    ((3, 12, 10), CRYSTALS, "rotated"),
    ((2, 6, 5, 4), TWO, "rotated"),
    ((2, 6, 5, 4), POROUS, "q1"),
    ((2, 6, 5, 4), CRYSTALS, "q1bbar"),
]


@pytest.mark.parametrize("device", DEVICES)
def test_it_equals_the_compiled_solver(device: str, subtests: pytest.Subtests) -> None:
    for shape, settings, scheme in CASES:
        with subtests.test(shape=shape, settings=settings, scheme=scheme):
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
    with pytest.raises(InputError, match=r"tolerance = 0\.5"):
        homogenize_batch(images((4, 4)), materials, tolerance=0.5)
    with pytest.raises(NotConvergedError, match="did not converge in 1 iterations"):
        homogenize_batch(images((8, 8)), materials, max_iterations=1, tolerance=1e-8)
