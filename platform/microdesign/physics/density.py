"""Density of images: the phases' densities weighted by their volume fractions, exact, so that no evaluator gives it.

It makes specific properties out of all others: `Ex/density` is a quotient like `kx/ky`.
"""

from collections.abc import Mapping

import numpy as np

from microdesign.physics.materials import Materials

DENSITY = "density"
"""Its name in the catalogue of properties."""


def densities(labels: np.ndarray, materials: Materials) -> np.ndarray:
    """Returns the density of images or volumes, uint8 `(n, *N)`: `(n,)`, in the unit of the materials' densities.

    The materials have densities (`Materials.has_density`).

    Example:
        >>> light = Materials.model_validate({"phases": [{"k": 1, "density": 1}, {"k": 2, "density": 3}]})
        >>> densities(np.array([[[0, 1]], [[1, 1]]], np.uint8), light).tolist()
        [2.0, 3.0]
    """
    axes = tuple(range(1, labels.ndim))
    return np.sum([rho * (labels == phase).mean(axes) for phase, rho in enumerate(materials.densities)], axis=0)


def with_density(values: Mapping[str, np.ndarray], labels: np.ndarray, materials: Materials) -> dict[str, np.ndarray]:
    """Returns named values of images, each `(n,)`, with their density where the phases state densities.

    A density that is among the values already stays.
    """
    if not materials.has_density or DENSITY in values:
        return dict(values)
    return {**values, DENSITY: densities(labels, materials)}
