"""scikit-fem on images: the solve of `examples/finite_elements.py`, on finer elements and with pores too."""

import runpy
from pathlib import Path

import numpy as np

from microdesign.physics.materials import Materials

PORE = 1e-9
"""What a pore has of the stiffest phase: the matrix stays regular."""
_EXAMPLE = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "finite_elements.py"))


def properties(labels: np.ndarray, materials: Materials, elements: int) -> dict[str, float]:
    """Properties of an image `(X, Y)` of isotropic phases, by name, with so many elements along a pixel's edge."""
    phases = [phase.model_dump(include={"E", "nu", "k"}) for phase in materials.phases]
    for name in ("E", "k"):
        largest = max(phase[name] for phase in phases)
        for phase in phases:
            phase[name] = max(phase[name], PORE * largest)
    finer = labels.repeat(elements, 0).repeat(elements, 1)
    C, K = _EXAMPLE["tensors"](finer, {"phases": phases, "plane": materials.plane})
    found: dict[str, float] = _EXAMPLE["properties"](C, K)
    for letter, tensor in (("C", C), ("k", K)):
        found |= {f"{letter}{i + 1}{j + 1}": value for (i, j), value in np.ndenumerate(tensor) if i <= j}
    return found
