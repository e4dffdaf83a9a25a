"""Conduction with TauFactor: one direction, walls at the ends and periodic sides are not offered for two phases."""

import contextlib
import io

import numpy as np
import taufactor


def conductivity(image: np.ndarray, k: np.ndarray) -> float:
    """Conductivity along axis 0 of an image `(X, Y)` or a volume, with TauFactor's own stopping rule."""
    volume = image[:, :, None] if image.ndim == 2 else image
    # Its labels start at 1: 0 is an insulator.
    solver = taufactor.MultiPhaseSolver(
        volume + 1, cond={phase + 1: float(value) for phase, value in enumerate(k)}, device="cpu"
    )
    with contextlib.redirect_stdout(io.StringIO()):
        solver.solve(verbose=False)
    return float(np.asarray(solver.D_eff).item())
