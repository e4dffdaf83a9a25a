"""Our equations, their accuracy, and the CPU time of solvers at equal accuracy."""

import functools
import tracemalloc
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.fft
import torch
from common import timed

from microdesign.physics.materials import Materials
from microdesign.physics.solver.equations import Conduction, Elasticity, Equations

TOLERANCES = (0.05, 0.02, 0.01, 5e-3, 2e-3, 1e-3, 5e-4, 2e-4, 1e-4, 5e-5)
RESIDUALS = (0.1, 0.05, 0.02, 0.01, 5e-3, 2e-3, 1e-3, 5e-4, 2e-4, 1e-4, 1e-5, 1e-6)
TOLERANCE = 1e-4
PHYSICS = {"elastic": Elasticity, "conductive": Conduction}


def materials(contrast: float, plane: str = "stress") -> Materials:
    """Two phases, 1 and `contrast`."""
    phases = [{"E": e, "nu": 0.3, "k": e} for e in (1.0, contrast)]
    return Materials.model_validate({"plane": plane, "phases": phases})


def solver(physics: str, shape: tuple[int, ...], phases: Materials, dtype: str, scheme: str = "q1") -> Equations:
    """Our equations of one physics."""
    return PHYSICS[physics](phases, shape, np.ones(len(shape)), scheme, dtype)


def error(tensor: np.ndarray, reference: np.ndarray) -> float:
    """Largest error of an entry, in parts of the largest."""
    return float(np.abs(tensor - reference).max() / np.abs(reference).max())


def fft_seconds(shape: tuple[int, ...], fields: int, repeats: int) -> float:
    """CPU time of one forward and one inverse transform of `fields` float32 fields, the faster of two libraries."""
    x = np.random.default_rng(0).random((fields, *shape), np.float32)
    t, axes = torch.from_numpy(x), tuple(range(1, len(shape) + 1))

    def scipy_pair() -> None:
        scipy.fft.irfftn(scipy.fft.rfftn(x, axes=axes), s=shape, axes=axes)

    def torch_pair() -> None:
        torch.fft.irfftn(torch.fft.rfftn(t, dim=axes), s=shape, dim=axes)

    return min(timed(pair, repeats).cpu for pair in (scipy_pair, torch_pair))


def loosest(choices: Sequence[float], error_at: Callable[[float], float]) -> float | None:
    """The first of the choices, loosest first, that is accurate enough; none if none is."""
    first = bisect_left(choices, True, key=lambda choice: error_at(choice) <= TOLERANCE)
    return choices[first] if first < len(choices) else None


def tuned(
    solve: Callable[[np.ndarray, float], np.ndarray],
    choices: Sequence[float],
    images: np.ndarray,
    exact: Sequence[np.ndarray],
    repeats: int,
) -> tuple[float, float]:
    """CPU time a structure at the loosest tolerance of `solve` that is accurate enough, and that tolerance."""

    def error_at(choice: float) -> float:
        try:
            return max(error(solve(image, choice), tensor) for image, tensor in zip(images, exact, strict=True))
        except RuntimeError:  # below what muGrid can reach in float32
            return float("inf")

    choice = loosest(choices, error_at)
    if choice is None:
        return float("inf"), float("nan")
    return cpu_and_error(lambda image: solve(image, choice), images, exact, repeats)[0], choice


def cpu_and_error(
    solve: Callable[[np.ndarray], np.ndarray], images: np.ndarray, exact: Sequence[np.ndarray], repeats: int
) -> tuple[float, float]:
    """CPU time a structure and largest error."""
    runs = [timed(functools.partial(solve, image), repeats) for image in images]
    errors = [error(run.result, reference) for run, reference in zip(runs, exact, strict=True)]
    return float(np.mean([run.cpu for run in runs])), max(errors)


def peak_mebibytes(function: Callable[[], Any]) -> float:
    """The most memory that the arrays made in `function` took at once."""
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def ours(image: np.ndarray, physics: str, phases: Materials, repeats: int) -> tuple[float, Any]:
    """CPU time of ours, in float32, and what it returns: the tensor and the solution."""
    equations = solver(physics, image.shape, phases, "float32")
    found = timed(lambda: equations.solve(image, TOLERANCE, 2000), repeats)
    return found.cpu, found.result
