"""The preconditioner against K itself, and the upper bound of the error that it gives."""

import itertools

import numpy as np
import pytest

from microdesign.core.errors import NotConvergedError
from microdesign.physics.materials import Materials
from microdesign.physics.solver.equations import Conduction, Elasticity
from microdesign.physics.solver.green import GreenOperator
from microdesign.physics.solver.homogenization import Homogenization, homogenize

ONE = Materials.model_validate({"phases": [{"E": 3, "nu": 0.3, "k": 2}]})


def test_it_inverts_the_homogeneous_medium(subtests: pytest.Subtests) -> None:
    """In a homogeneous image K is K0, so that K0^-1 K u is u up to its mean."""
    for physics, shape, dtype in itertools.product(
        [Elasticity, Conduction], [(8, 6), (7, 9), (6, 7), (5, 4, 6)], ["float32", "float64"]
    ):
        with subtests.test(physics=physics, shape=shape, dtype=dtype):
            equations = physics(ONE, shape, np.ones(len(shape)), "q1", dtype)
            loads = len(equations.loads)
            u = np.random.default_rng(0).standard_normal((loads, equations.components, *shape)).astype(dtype)
            forces, z = np.empty_like(u), np.empty_like(u)
            equations.divergence(np.zeros(shape, np.uint8))(u, np.zeros((loads, loads), dtype), forces)
            GreenOperator(equations.green, u.shape, u.dtype)(forces, z)
            u -= u.mean(axis=tuple(range(2, u.ndim)), keepdims=True)
            np.testing.assert_allclose(z, u, atol=1e-5 if dtype == "float32" else 1e-13)


def test_the_early_error_estimate_is_an_upper_bound(subtests: pytest.Subtests) -> None:
    for contrast, iterations in itertools.product([3, 10, 100], [1, 2]):
        with subtests.test(contrast=contrast, iterations=iterations):
            phases = Materials.model_validate({"phases": [{"E": E, "nu": 0.3, "k": E} for E in (1, contrast)]})
            image = (np.random.default_rng(1).random((32, 30)) < 0.4).astype(np.uint8)
            exact = homogenize(image, phases, tolerance=1e-11)
            with pytest.raises(NotConvergedError) as caught:
                homogenize(image, phases, tolerance=1e-11, max_iterations=iterations)
            best = caught.value.best
            assert isinstance(best, Homogenization)
            errors = [
                np.diagonal(getattr(best, name)[0]) / np.diagonal(getattr(exact, name)[0]) - 1
                for name in ("stiffness", "conductivity")
            ]
            assert min(error.min() for error in errors) > 0
            largest = max(error.max() for error in errors)
            assert largest < best.error_estimate[0] < (3 if contrast <= 10 else 6) * largest
