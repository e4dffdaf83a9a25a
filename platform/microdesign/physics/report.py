"""What `microdesign homogenize` prints: one entry an image."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from microdesign.errors import InputError
from microdesign.physics.materials import Materials
from microdesign.physics.properties import engineering_constants
from microdesign.physics.solver import homogenize


def homogenize_report(
    images: Iterable[tuple[str, np.ndarray]],
    materials: Materials,
    *,
    discretization: str = "q1",
    tolerance: float = 1e-4,
) -> list[dict[str, Any]]:
    """Homogenizes named images, each at its own size, into JSON values.

    Args:
        images: Pairs of a path (or any name) and phase labels, integers `(X, Y)`; axis 0 is x.
        materials: The phases.
        discretization: `q1` or `rotated`.
        tolerance: Relative error of the effective tensors.

    Returns:
        One mapping an image: `image` (the name), `properties` (the seven constants), `stiffness` (3 x 3; xx, yy, xy
        with engineering shear), `conductivity` (2 x 2), `iterations`, `error_estimate` (relative) and `units` (of E
        and k, as the user named them).

    Raises:
        InputError: An array is no image of these materials; the message begins with its name.
        NotConvergedError: An image did not reach the tolerance.
    """
    entries = []
    for name, labels in images:
        if np.ndim(labels) != 2:
            raise InputError(f"{name}: has shape {np.shape(labels)}; expected one image (X, Y).")
        try:
            result = homogenize(labels, materials, discretization=discretization, tolerance=tolerance)
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
        constants = engineering_constants(result.stiffness, result.conductivity)
        entries.append(
            {
                "image": name,
                "properties": {key: float(value[0]) for key, value in constants.items()},
                "stiffness": result.stiffness[0].tolist(),
                "conductivity": result.conductivity[0].tolist(),
                "iterations": int(result.iterations[0]),
                "error_estimate": float(result.error_estimate[0]),
                "units": materials.units.model_dump(),
            }
        )
    return entries
